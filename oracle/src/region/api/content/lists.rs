//! Private lists: manifests and buckets for everyone and every cache, evaluations for a token.

use std::sync::Arc;

use attest::content::list::{BATCH_ELEMENTS_MAX, BlindedElement, ListName};
use axum::Json;
use axum::extract::{FromRequestParts, RawPathParams, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policies::{ContentCheck, Question, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::{JsonBody, PathParameters};
use crate::lists::ListEpoch;
use crate::region::content::lists::{ListRefusal, ServedList, evaluate as evaluate_for};
use crate::region::content::refusal::ContentRefusal;
use crate::region::identity::Identity;
use crate::region::node::Node;
use crate::region::tenant::Tenant;

const MEDIA_TYPE_MANIFEST: &str = "application/jwt";
const MEDIA_TYPE_BUCKET: &str = "application/octet-stream";
/// A later epoch is seen a minute after it was taken up: far less than the earlier one is still answered for.
const CACHED_SHORT: (HeaderName, HeaderValue) = (CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
/// A bucket of an epoch never changes (RFC 8246).
const CACHED_LONG: (HeaderName, HeaderValue) =
    (CACHE_CONTROL, HeaderValue::from_static("public, max-age=86400, immutable"));

/// A list that a request's path names, of a tenant whose viewers may ask about it.
pub(crate) struct Named {
    tenant: Arc<Tenant>,
    identity: Arc<Identity>,
    list: Arc<ServedList>,
}

impl FromRequestParts<Arc<Node>> for Named {
    type Rejection = ListRefusal;

    async fn from_request_parts(parts: &mut Parts, node: &Arc<Node>) -> Result<Self, ListRefusal> {
        let content = node.content.load_full().ok_or(ContentRefusal::Off)?;
        // Tokens pay for evaluations: a node without an identity service has no lists.
        let (Some(lists), Some(identity)) = (&content.lists, &node.identity) else { return Err(ListRefusal::Unknown) };
        let path = RawPathParams::from_request_parts(parts, node).await.map_err(|_| ListRefusal::Unknown)?;
        let named = |wanted| path.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value);
        let tenant: Option<TenantId> = named("tenant").and_then(|text| text.parse().ok());
        let list: Option<ListName> = named("list").and_then(|text| text.parse().ok());
        let (tenant, list) = tenant.zip(list).ok_or(ListRefusal::Unknown)?;
        let tenant = node.tenant(&tenant).cloned().ok_or(ListRefusal::Unknown)?;
        if !node.allows(&tenant, |tenant, region| Question::Content(tenant, region, ContentCheck::List)) {
            return Err(ListRefusal::Unknown);
        }
        let list = lists.find(node, identity, (tenant.id.clone(), list)).await?;
        Ok(Self { tenant, identity: Arc::clone(identity), list })
    }
}

/// `GET /v1/content/lists/{tenant}/{list}/manifest`
///
/// The signed manifest of the epoch in force (compact JWS): the function's key, the form of the buckets and their root.
#[utoipa::path(get, path = "/v1/content/lists/{tenant}/{list}/manifest",
    params(("tenant" = String, Path), ("list" = String, Path)), responses(
    (status = 200, description = "application/jwt: a JWS of type siwa-list+jwt"),
    (status = 404, description = "problem: list-unknown, content-off"),
    (status = 503, description = "problem: list-unavailable"),
))]
pub(crate) async fn manifest(State(node): State<Arc<Node>>, named: Named) -> Result<Response, ListRefusal> {
    let epoch = named.list.current(node.environment.clock.now_ms())?;
    let media_type = (CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE_MANIFEST));
    Ok(([media_type, CACHED_SHORT], epoch.text.clone()).into_response())
}

/// `GET /v1/content/lists/{tenant}/{list}/key`
///
/// The key (JWK) that signs the list's manifests: the operator's, and the same for as long as the list is. Clients pin it.
#[utoipa::path(get, path = "/v1/content/lists/{tenant}/{list}/key",
    params(("tenant" = String, Path), ("list" = String, Path)), responses(
    (status = 200, body = Object, description = "the key as a JWK"),
    (status = 404, description = "problem: list-unknown, content-off"),
))]
pub(crate) async fn key(named: Named) -> Result<Response, ListRefusal> {
    Ok(([CACHED_SHORT], Json(named.list.key()?.to_jwk())).into_response())
}

/// Which bucket of which epoch; [`Named`] reads the rest of the path.
#[derive(Deserialize)]
pub(crate) struct BucketPath {
    epoch: u64,
    bucket: u32,
}

/// `GET /v1/content/lists/{tenant}/{list}/epochs/{epoch}/buckets/{bucket}`
///
/// A bucket's tags and its path to the manifest's root. For everyone and every cache: without an evaluation it says nothing.
#[utoipa::path(get, path = "/v1/content/lists/{tenant}/{list}/epochs/{epoch}/buckets/{bucket}",
    params(("tenant" = String, Path), ("list" = String, Path), ("epoch" = u64, Path), ("bucket" = u32, Path)),
    responses(
    (status = 200, description = "application/octet-stream: slots × 8 bytes of tags, bits × 32 bytes of path"),
    (status = 304, description = "the bucket is the one of If-None-Match"),
    (status = 404, description = "problem: list-unknown, list-bucket-unknown, content-off"),
    (status = 409, description = "problem: list-epoch-ended, list-epoch-unknown"),
    (status = 503, description = "problem: list-unavailable"),
))]
pub(crate) async fn bucket(
    State(node): State<Arc<Node>>,
    named: Named,
    PathParameters(BucketPath { epoch, bucket }): PathParameters<BucketPath>,
    headers: HeaderMap,
) -> Result<Response, ListRefusal> {
    let epoch = named.list.epoch(epoch, node.environment.clock.now_ms())?;
    if bucket >= epoch.geometry.buckets() {
        return Err(ListRefusal::BucketUnknown);
    }
    let tag = etag(&epoch, bucket);
    if matches(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag), CACHED_LONG]).into_response());
    }
    // A read of some kilobytes, most often from the system's cache of pages, but not always.
    let read = tokio::task::spawn_blocking(move || epoch.bucket(bucket)).await;
    let bytes = read.ok().and_then(Result::ok).ok_or(ListRefusal::Unreadable)?;
    let media_type = (CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE_BUCKET));
    Ok(([media_type, (ETAG, tag), CACHED_LONG], bytes).into_response())
}

/// A strong validator (RFC 9110 §8.8.3): the root commits to every bucket's bytes, so that root and number name them.
fn etag(epoch: &ListEpoch, bucket: u32) -> HeaderValue {
    let root = URL_SAFE_NO_PAD.encode(epoch.manifest.root.as_bytes());
    HeaderValue::try_from(format!("\"{root}-{bucket}\"")).expect("base64url and a number are visible ASCII")
}

/// Whether a condition names the tag (RFC 9110 §13.1.2). A weak one of the same text does as well.
fn matches(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let tag = tag.to_str().unwrap_or_default();
    let conditions = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut named = conditions.flat_map(|value| value.split(',')).map(str::trim);
    named.any(|named| named == "*" || named.strip_prefix("W/").unwrap_or(named) == tag)
}

/// Blinded identifiers, to be evaluated.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EvaluationRequest {
    /// The epoch of the manifest that was verified.
    epoch: u64,
    /// 1 to 16 elements of ristretto255, base64url.
    elements: Vec<String>,
}

/// Evaluated identifiers.
#[derive(Serialize, ToSchema)]
pub(crate) struct Evaluated {
    /// The epoch of the key that was used.
    epoch: u64,
    /// The elements in the order of the question, base64url.
    elements: Vec<String>,
    /// One proof for all (DLEQ, RFC 9497 §2.2) that the manifest's key was used, base64url.
    proof: String,
}

/// `POST /v1/content/lists/{tenant}/{list}/evaluations`
///
/// BlindEvaluate of RFC 9497 (VOPRF, ristretto255-SHA512). One anonymous token pays for each call: it stands in
/// `Authorization: PrivateToken token="…"` and is spent, once and for ever, before this answers. A call that is refused for
/// another reason spends nothing.
#[utoipa::path(post, path = "/v1/content/lists/{tenant}/{list}/evaluations",
    params(("tenant" = String, Path), ("list" = String, Path)), request_body = EvaluationRequest, responses(
    (status = 200, body = Evaluated),
    (status = 401, description = "problem: token-refused: none, forged, expired, for another tenant, or spent before"),
    (status = 404, description = "problem: list-unknown, content-off"),
    (status = 409, description = "problem: list-epoch-ended, list-epoch-unknown"),
    (status = 422, description = "problem: message-invalid"),
    (status = 503, description = "problem: list-unavailable, token-held, busy, identity-store"),
))]
pub(crate) async fn evaluate(
    State(node): State<Arc<Node>>,
    named: Named,
    headers: HeaderMap,
    JsonBody(request): JsonBody<EvaluationRequest>,
) -> Result<Json<Evaluated>, ListRefusal> {
    // 1. An epoch that is answered for, 2. elements in their one encoding: both before anything is spent.
    let epoch = named.list.epoch(request.epoch, node.environment.clock.now_ms())?;
    let elements = elements(&request.elements)?;
    // 3. A token of this tenant, which pays.
    let token = named.identity.token_of(&node, &headers, &named.tenant).await?;
    let evaluation = evaluate_for(&node, &named.identity, &named.tenant, token, epoch, elements).await?;
    Ok(Json(Evaluated {
        epoch: request.epoch,
        elements: evaluation.elements.iter().map(|element| URL_SAFE_NO_PAD.encode(element)).collect(),
        proof: URL_SAFE_NO_PAD.encode(evaluation.proof),
    }))
}

fn elements(texts: &[String]) -> Result<Vec<BlindedElement>, ListRefusal> {
    if !(1..=BATCH_ELEMENTS_MAX).contains(&texts.len()) {
        return Err(ListRefusal::Elements);
    }
    let element = |text: &String| {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| ListRefusal::Elements)?;
        BlindedElement::parse(&bytes).map_err(|_| ListRefusal::Elements)
    };
    texts.iter().map(element).collect()
}
