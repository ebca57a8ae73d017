//! What devices and platforms call to prove something. A handler is extractors, one call into the domain, a response.

pub(crate) mod accounts;
pub(crate) mod credentials;
pub(crate) mod invites;
pub(crate) mod keys;
pub(crate) mod oblivious;
pub(crate) mod tokens;

use std::sync::Arc;

use attest::access::Access;
use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL};
use axum::http::request::Parts;
use axum::middleware::map_response;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policies::{Check, Question};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::region::answers::NONCE_BYTES_MAX;
use crate::region::identity::Identity;
use crate::region::identity::refusal::IdentityRefusal;
use crate::region::node::Node;
use crate::region::tenant::Tenant;

/// Every route of the identity service.
pub(super) fn routes() -> OpenApiRouter<Arc<Node>> {
    OpenApiRouter::new()
        .routes(routes!(accounts::start_registration))
        .routes(routes!(accounts::finish_registration))
        .routes(routes!(accounts::start_login))
        .routes(routes!(accounts::finish_login))
        .routes(routes!(accounts::erase))
        .routes(routes!(invites::create))
        .routes(routes!(credentials::challenge))
        .routes(routes!(credentials::check))
        .routes(routes!(credentials::issue))
        .routes(routes!(tokens::issue))
        .routes(routes!(tokens::challenge))
        .routes(routes!(tokens::redeem))
        .routes(routes!(keys::directory))
        .routes(routes!(keys::epochs))
        .routes(routes!(keys::credential_issuer))
        .routes(routes!(oblivious::keys, oblivious::gateway))
        .layer(map_response(no_store))
}

/// What is for one device is kept by no cache. Routes that may be cached say so themselves.
pub(super) async fn no_store(mut response: Response) -> Response {
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The node's identity service.
pub(crate) struct Service(pub(crate) Arc<Identity>);

impl FromRequestParts<Arc<Node>> for Service {
    type Rejection = IdentityRefusal;

    async fn from_request_parts(_: &mut Parts, node: &Arc<Node>) -> Result<Self, IdentityRefusal> {
        node.identity.clone().map(Self).ok_or(IdentityRefusal::Off)
    }
}

/// A device that proved something lately.
pub(crate) struct Verified {
    pub(crate) access: Access,
    pub(crate) tenant: Arc<Tenant>,
}

impl FromRequestParts<Arc<Node>> for Verified {
    type Rejection = IdentityRefusal;

    async fn from_request_parts(parts: &mut Parts, node: &Arc<Node>) -> Result<Self, IdentityRefusal> {
        let identity = node.identity.as_ref().ok_or(IdentityRefusal::Off)?;
        let token = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let token = token.ok_or(IdentityRefusal::AccessRefused)?;
        let access = identity.verify_access(token, node.environment.clock.now_ms())?;
        let tenant = node.tenant(&access.tenant).cloned().ok_or(IdentityRefusal::AccessRefused)?;
        Ok(Self { access, tenant })
    }
}

impl Node {
    /// The tenant that a device names.
    pub(crate) fn tenant_named(&self, name: &str) -> Result<&Arc<Tenant>, IdentityRefusal> {
        let id = name.parse().map_err(|_| IdentityRefusal::TenantUnknown)?;
        self.tenant(&id).ok_or(IdentityRefusal::TenantUnknown)
    }

    /// Refuses a check that the policy does not let this tenant ask.
    pub(crate) fn may_ask(&self, tenant: &Tenant, check: Check) -> Result<(), IdentityRefusal> {
        let granted = self.allows(tenant, |tenant, region| Question::Check(tenant, region, check));
        if granted { Ok(()) } else { Err(IdentityRefusal::CheckNotGranted) }
    }
}

/// The bytes of a field.
fn bytes_of(field: &'static str, text: &str) -> Result<Vec<u8>, IdentityRefusal> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| IdentityRefusal::Text { field })
}

fn text_of(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A question's nonce.
fn nonce_of(nonce: String) -> Result<String, IdentityRefusal> {
    if (1..=NONCE_BYTES_MAX).contains(&nonce.len()) { Ok(nonce) } else { Err(IdentityRefusal::Text { field: "nonce" }) }
}
