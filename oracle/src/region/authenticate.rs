//! Who calls: a tenant's backend, by bearer key or by client certificate; or the device whose session it is.

use std::sync::Arc;

use attest::ApiKey;
use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::node::Node;
use super::refusal::Refusal;
use super::sessions::SessionId;
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

/// Whoever may speak for a session: its tenant for any, a device for its own.
pub(crate) struct SessionCaller {
    pub(crate) tenant: Arc<Tenant>,
    /// The one session that a device may speak for.
    pub(crate) only: Option<SessionId>,
}

impl FromRequestParts<Arc<Node>> for SessionCaller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, node: &Arc<Node>) -> Result<Self, Refusal> {
        // No tenant's key has the form of a session's name.
        let bearer = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let Some(Ok(id)) = bearer.map(str::parse::<SessionId>) else {
            return Caller::from_request_parts(parts, node).await.map(|Caller(tenant)| Self { tenant, only: None });
        };
        let entry = node.sessions.of_device(id, node.environment.clock.now_ms()).ok_or(Refusal::Unauthenticated)?;
        let tenant = node.tenant(&entry.tenant).cloned().ok_or(Refusal::Unauthenticated)?;
        Ok(Self { tenant, only: Some(id) })
    }
}
