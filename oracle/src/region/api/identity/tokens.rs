//! Anonymous tokens by Privacy Pass (RFC 9576 to 9578): issued to whoever proved something, redeemed by nobody in
//! particular.

use std::sync::Arc;

use attest::privacy_pass::{
    BatchedTokenRequest, BatchedTokenResponse, IssuerKey, MEDIA_TYPE_BATCH_REQUEST, MEDIA_TYPE_BATCH_RESPONSE,
    MEDIA_TYPE_REQUEST, MEDIA_TYPE_RESPONSE, TokenRequest, TokenType, issue_batch,
};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use policies::TenantId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Service, Verified, nonce_of};
use crate::http::{BytesBody, JsonBodyAndBytes, QueryParameters};
use crate::region::answers::Question;
use crate::region::identity::Identity;
use crate::region::identity::redeem::{name, presented};
use crate::region::identity::refusal::IdentityRefusal;
use crate::region::identity::ring::TokenKey;
use crate::region::metrics::IdentityEvent;
use crate::region::node::Node;
use crate::store::identity::IssuanceWindow;

/// The check that a redeemed token answers.
const CHECK: &str = "token";

/// What a body asks for.
enum Asked {
    One(TokenRequest),
    Batch(BatchedTokenRequest),
}

impl Asked {
    fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Self, IdentityRefusal> {
        let refused = |_| IdentityRefusal::TokenRequestRefused { why: "its form, type or length" };
        match headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) {
            Some(MEDIA_TYPE_REQUEST) => Ok(Self::One(TokenRequest::parse(body).map_err(refused)?)),
            Some(MEDIA_TYPE_BATCH_REQUEST) => Ok(Self::Batch(BatchedTokenRequest::parse(body).map_err(refused)?)),
            _ => Err(IdentityRefusal::MediaType { expected: MEDIA_TYPE_REQUEST }),
        }
    }

    fn requests(&self) -> &[TokenRequest] {
        match self {
            Self::One(request) => std::slice::from_ref(request),
            Self::Batch(batch) => batch.requests(),
        }
    }
}

/// `POST /v1/identity/tokens`
///
/// One token, or up to 64 by the generic batch of draft-ietf-privacypass-batched-tokens. The issuer sees blinded
/// requests only, and cannot recognise the tokens.
#[utoipa::path(post, path = "/v1/identity/tokens", request_body(content = Vec<u8>,
    content_type = "application/private-token-request"), responses(
    (status = 200, description = "application/private-token-response, or that of the batch"),
    (status = 401, description = "problem: access-refused"),
    (status = 403, description = "problem: access-insufficient"),
    (status = 415, description = "problem: unsupported-media-type"),
    (status = 422, description = "problem: token-request-refused"),
    (status = 429, description = "problem: too-many-requests: as many tokens in this window as may be"),
    (status = 503, description = "problem: busy"),
), security(("bearer" = [])))]
pub(crate) async fn issue(
    State(node): State<Arc<Node>>,
    Service(identity): Service,
    Verified { access, tenant }: Verified,
    headers: HeaderMap,
    BytesBody(body): BytesBody,
) -> Result<Response, IdentityRefusal> {
    let admitted = node.allows(&tenant, |tenant, region| policies::Question::Tokens(tenant, region, access.check));
    if !admitted {
        return Err(IdentityRefusal::AccessInsufficient);
    }
    let asked = Asked::parse(&headers, &body)?;
    let now_s = node.environment.clock.now_s();
    let count = u32::try_from(asked.requests().len()).unwrap_or(u32::MAX);
    if count > identity.rules().rule.tokens_per_window {
        return Err(IdentityRefusal::TokenRequestRefused { why: "more at once than a whole window has" });
    }
    let keys = keys_for(&identity, &tenant.id, asked.requests(), now_s)?;
    let seconds = u64::from(identity.rules().rule.token_window_seconds);
    let window = IssuanceWindow { window: now_s / seconds, tokens_max: identity.rules().rule.tokens_per_window };
    let (of, subject) = (tenant.id.clone(), access.sub);
    // Counted before anything is signed, durably: a restart gives nobody more.
    let counted = identity.store.count_issued(of.clone(), subject, count, window).await;
    if !counted? {
        let retry_after_s = u32::try_from(seconds - now_s % seconds).unwrap_or(u32::MAX);
        return Err(IdentityRefusal::TokensExhausted { retry_after_s });
    }
    let mut rng = node.environment.rng()?;
    let work = move || sign(&asked, &keys, &mut rng);
    let signed = identity.workers.run(count as usize, work).await.map_err(IdentityRefusal::from);
    let signed = signed.and_then(|signed| signed);
    if signed.is_err() {
        // Nothing left, so nothing is counted.
        identity.store.uncount_issued(of, subject, count, window).await?;
    }
    let (media_type, body) = signed?;
    node.metrics.identity(&tenant.id, IdentityEvent::TokenIssued, count);
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(media_type))], body).into_response())
}

/// The keys that the requests name, all of which must issue to this tenant's viewers now.
fn keys_for(
    identity: &Identity,
    tenant: &TenantId,
    requests: &[TokenRequest],
    now_s: u64,
) -> Result<Vec<Arc<TokenKey>>, IdentityRefusal> {
    let ring = identity.ring.load();
    let key = |request: &TokenRequest| {
        let key = ring.issues(tenant, request.token_type(), now_s);
        let key = key.filter(|key| key.id.truncated() == request.truncated_key_id()).cloned();
        key.ok_or(IdentityRefusal::TokenRequestRefused { why: "it names no key that issues now: see the directory" })
    };
    requests.iter().map(key).collect()
}

fn sign(
    asked: &Asked,
    keys: &[Arc<TokenKey>],
    rng: &mut rand_chacha::ChaCha20Rng,
) -> Result<(&'static str, Vec<u8>), IdentityRefusal> {
    let key_of = |token_type: TokenType, truncated: u8| -> Option<&IssuerKey> {
        let key =
            keys.iter().find(|key| key.key.public().token_type() == token_type && key.id.truncated() == truncated);
        key.map(|key| &key.key)
    };
    match asked {
        Asked::One(request) => {
            let key = key_of(request.token_type(), request.truncated_key_id());
            let response = key.and_then(|key| key.issue(request, rng).ok());
            let refused = IdentityRefusal::TokenRequestRefused { why: "the blinded message is not an element" };
            response.map(|response| (MEDIA_TYPE_RESPONSE, response.into_bytes())).ok_or(refused)
        }
        Asked::Batch(batch) => {
            let response: BatchedTokenResponse = issue_batch(batch, key_of, rng);
            Ok((MEDIA_TYPE_BATCH_RESPONSE, response.to_bytes()))
        }
    }
}

/// Whose viewers a token is for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChallengeQuery {
    tenant: String,
}

/// `GET /v1/identity/tokens/challenge`
///
/// Always 401, as RFC 9577 asks: the challenges stand in `WWW-Authenticate`, one for each type of token. They stay the
/// same, so that tokens can be fetched ahead of use.
#[utoipa::path(get, path = "/v1/identity/tokens/challenge", params(("tenant" = String, Query)), responses(
    (status = 401, description = "problem: token-refused, with `WWW-Authenticate: PrivateToken …`"),
    (status = 422, description = "problem: tenant-unknown"),
))]
pub(crate) async fn challenge(
    State(node): State<Arc<Node>>,
    Service(identity): Service,
    QueryParameters(query): QueryParameters<ChallengeQuery>,
) -> Result<std::convert::Infallible, IdentityRefusal> {
    let tenant = node.tenant_named(&query.tenant)?;
    Err(identity.token_refused(&node, &tenant.id, "there is none"))
}

/// What a redemption is for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedeemRequest {
    /// The platform's nonce, 1 to 128 bytes, to which the answer is bound.
    nonce: String,
}

/// A token that was spent.
#[derive(Serialize, ToSchema)]
pub(crate) struct Redeemed {
    /// A signed answer (compact JWS) to the tenant whose challenge the token answers, without a subject.
    answer: String,
}

#[derive(Serialize)]
struct TokenResult {
    verified_viewer: bool,
}

/// `POST /v1/identity/tokens/redeem`
///
/// The token stands in `Authorization: PrivateToken token="…"`. It is spent, once and for ever, before this answers.
#[utoipa::path(post, path = "/v1/identity/tokens/redeem", request_body = RedeemRequest, responses(
    (status = 200, body = Redeemed),
    (status = 401, description = "problem: token-refused: forged, expired, for another tenant, or spent before"),
    (status = 422, description = "problem: text-form"),
    (status = 503, description = "problem: busy, identity-store"),
))]
pub(crate) async fn redeem(
    State(node): State<Arc<Node>>,
    Service(identity): Service,
    headers: HeaderMap,
    JsonBodyAndBytes(request, bytes): JsonBodyAndBytes<RedeemRequest>,
) -> Result<Json<Redeemed>, IdentityRefusal> {
    let nonce = nonce_of(request.nonce)?;
    let token = presented(&headers).ok_or(IdentityRefusal::TokenMissing)?;
    let (tenant, token) = identity.verify_token(&node, token).await?.ok_or(IdentityRefusal::TokenUnknown)?;
    identity.spend(&node, &tenant.id, name(&token)).await?;
    let seconds = u64::from(identity.rules().rule.assertion_seconds);
    let question = Question { tenant: &tenant.id, subject: None, nonce, input: &bytes, check: CHECK, seconds };
    let answer = node.answer(question, TokenResult { verified_viewer: true })?;
    Ok(Json(Redeemed { answer }))
}
