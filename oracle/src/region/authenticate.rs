//! Who calls: a tenant's backend, by bearer key or by client certificate.

use std::sync::Arc;

use attest::ApiKey;
use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::node::Node;
use super::refusal::Refusal;
use super::tenant::Tenant;
use crate::http::PeerCertificate;

/// The authenticated tenant.
pub(crate) struct Caller(pub(crate) Arc<Tenant>);

impl FromRequestParts<Arc<Node>> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, node: &Arc<Node>) -> Result<Self, Refusal> {
        let found = match parts.headers.get(AUTHORIZATION) {
            // A credential that is shown decides: a wrong key is not saved by a certificate.
            Some(value) => {
                let key = value.to_str().ok().and_then(|text| text.strip_prefix("Bearer "));
                let key = key.and_then(|text| ApiKey::parse(text).ok()).ok_or(Refusal::Unauthenticated)?;
                node.tenants().find(|tenant| tenant.has_key(&key))
            }
            None => {
                let certificate = parts.extensions.get::<PeerCertificate>().ok_or(Refusal::Unauthenticated)?;
                node.tenants().find(|tenant| tenant.has_certificate(&certificate.0))
            }
        };
        found.cloned().map(Self).ok_or(Refusal::Unauthenticated)
    }
}
