//! What everyone may know: which keys are in use, for what and until when.

use std::collections::BTreeSet;
use std::sync::Arc;

use attest::key_epoch::{Epoch, EpochLog, KeyKind};
use attest::privacy_pass::{DirectoryKey, IssuerDirectory, MEDIA_TYPE_DIRECTORY, PublicKey, TokenType};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::Service;
use crate::identity_folder::DIRECTORY_CACHE_S;
use crate::region::identity::Identity;
use crate::region::identity::redeem::OFFERED;
use crate::region::identity::refusal::IdentityRefusal;
use crate::region::node::Node;

/// Where token requests go, relative to the directory.
const REQUEST_URI: &str = "/v1/identity/tokens";
/// [`DIRECTORY_CACHE_S`]: no key issues before it has been published for longer, but in place of one that was erased.
const CACHED: (HeaderName, HeaderValue) = (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
const _: () = assert!(DIRECTORY_CACHE_S == 3600);

/// `GET /.well-known/private-token-issuer-directory` (RFC 9578 §4)
#[utoipa::path(get, path = "/.well-known/private-token-issuer-directory", responses(
    (status = 200, description = "application/private-token-issuer-directory: one key set for everyone"),
))]
pub(crate) async fn directory(
    State(node): State<Arc<Node>>,
    Service(identity): Service,
) -> Result<Response, IdentityRefusal> {
    let ring = identity.ring.load();
    let json = token_directory(&ring.log, ring.numbers(), node.environment.clock.now_s());
    let media_type = (header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE_DIRECTORY));
    Ok(([media_type, CACHED], json).into_response())
}

/// The issuer's directory by the log of epochs: the keys that issue at `now_s`, and those that will. `here` are the
/// epochs whose secret half was not erased.
pub(crate) fn token_directory(log: &EpochLog, here: &BTreeSet<u32>, now_s: u64) -> String {
    // The preferred type first, and of each tenant's the key that issues: clients take the first that they may use, and
    // those that a challenge names.
    let offered = |epoch: &&Epoch| {
        let issues = log.issuing(&epoch.key_use(), now_s).is_some_and(|issuing| issuing.number == epoch.number);
        here.contains(&epoch.number) && (issues || epoch.begins_s > now_s)
    };
    let published = |token_type: TokenType| {
        log.live(KeyKind::of_token(token_type), now_s).filter(offered).filter_map(move |epoch| {
            let key = PublicKey::parse(token_type, &epoch.public_bytes()).ok()?;
            Some(DirectoryKey { key, not_before_seconds: Some(epoch.begins_s) })
        })
    };
    let keys = OFFERED.into_iter().flat_map(published).collect();
    IssuerDirectory::new(REQUEST_URI, keys).expect("keys of as many tenants as may be, and a short path").to_json()
}

/// The log of key epochs.
#[derive(Serialize, ToSchema)]
pub(crate) struct Epochs {
    /// The key, as a JWK, that signs the statements.
    #[schema(value_type = Object)]
    key: attest::keys::Jwk,
    /// Every statement that was ever made (compact JWS), oldest first. Each names the one before it by its SHA-256, so
    /// that a key set made for one viewer alone would show as a fork.
    statements: Vec<String>,
}

/// `GET /v1/identity/epochs`
#[utoipa::path(get, path = "/v1/identity/epochs", responses((status = 200, body = Epochs)))]
pub(crate) async fn epochs(Service(identity): Service) -> Json<Epochs> {
    let statements = identity.ring.load().log.texts().to_vec();
    Json(Epochs { key: identity.setup.log_key.verifying_key().to_jwk(), statements })
}

/// Who issues credentials here (draft-ietf-oauth-sd-jwt-vc §5).
#[derive(Serialize, ToSchema)]
pub(crate) struct CredentialIssuer {
    /// The `iss` of credentials.
    issuer: String,
    /// The keys that verify them, old ones as long as their credentials live.
    #[schema(value_type = Object)]
    jwks: attest::keys::JwkSet,
}

/// `GET /.well-known/jwt-vc-issuer`
#[utoipa::path(get, path = "/.well-known/jwt-vc-issuer", responses((status = 200, body = CredentialIssuer)))]
pub(crate) async fn credential_issuer(Service(identity): Service) -> Json<CredentialIssuer> {
    Json(CredentialIssuer { issuer: identity.issuer().to_owned(), jwks: identity.credential_keys() })
}

impl Identity {
    /// The keys that verify credentials issued here.
    pub(crate) fn credential_keys(&self) -> attest::keys::JwkSet {
        let ring = self.ring.load();
        let keys: Vec<_> = ring.credentials.iter().map(|(_, key)| key.verifying_key()).collect();
        attest::keys::JwkSet::of(&keys)
    }
}
