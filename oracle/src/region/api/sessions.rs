//! Sessions: begin, send signals, end, erase.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use personalize::{Arm, Session, SessionOptions};
use policies::Digest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::signals::{self, SignalDto};
use crate::http::{JsonBody, PathParameters, Problem};
use crate::region::authenticate::Caller;
use crate::region::node::Node;
use crate::region::refusal::Refusal;
use crate::region::sessions::{Entry, Live, SessionId};
use crate::region::tenant::Tenant;

/// Bytes of a viewer's pseudonym and of an idempotency key at most.
const TEXT_BYTES_MAX: usize = 128;
/// A request header of the client that makes a retried creation answer with the first session
/// (draft-ietf-httpapi-idempotency-key-header).
static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Global Privacy Control: `1` is an explicit refusal.
static SEC_GPC: HeaderName = HeaderName::from_static("sec-gpc");

/// A session to begin. Everything is optional.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateSession {
    /// The platform's stable pseudonym of the viewer, up to 128 bytes; kept as a pairwise HMAC only. Without it,
    /// nothing is counted for tasks whose unit is the viewer.
    viewer: Option<String>,
    /// `adaptive` (default), `global` or `uniform`, for experiments.
    #[schema(value_type = Option<String>)]
    arm: Option<Arm>,
    /// `false`: the viewer refuses personalization, and the global model alone ranks.
    #[serde(default = "yes")]
    #[schema(default = true)]
    personalization: bool,
    /// `false`: the viewer refuses to be counted. `Sec-GPC: 1` says the same.
    #[serde(default = "yes")]
    #[schema(default = true)]
    contribute: bool,
}

const fn yes() -> bool {
    true
}

/// A session that lives.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionCreated {
    /// Its name, 22 characters of base64url.
    session: String,
    /// How it is ranked.
    #[schema(value_type = String)]
    arm: Arm,
    /// Whether it will be counted.
    contributes: bool,
    /// Unix ms at which it ends at the latest.
    expires_ms: u64,
    /// It ends after so many ms without a call.
    idle_ms: u64,
    /// Digest of the policy in force.
    #[schema(value_type = String)]
    policy: Digest,
}

/// `POST /v1/sessions`
#[utoipa::path(post, path = "/v1/sessions", request_body = CreateSession, responses(
    (status = 201, body = SessionCreated),
    (status = 401, description = "problem: unauthorized"),
    (status = 422, description = "problem: json-shape, text-length"),
    (status = 503, description = "problem: sessions-full, catalogue-missing, no-entropy, draining"),
), security(("bearer" = [])))]
pub(crate) async fn create(
    State(node): State<Arc<Node>>,
    Caller(tenant): Caller,
    headers: HeaderMap,
    JsonBody(request): JsonBody<CreateSession>,
) -> Result<Response, Refusal> {
    let key = match headers.get(&IDEMPOTENCY_KEY) {
        None => return begin(&node, &tenant, &headers, &request).map(|session| created(&session)),
        Some(key) if (1..=TEXT_BYTES_MAX).contains(&key.len()) => {
            Digest::of_parts(&[tenant.id.as_str().as_bytes(), b"\0", key.as_bytes()])
        }
        Some(_) => return Err(Refusal::TextLength { field: "Idempotency-Key", max: TEXT_BYTES_MAX }),
    };
    let first = node.created.try_get_with(key, || begin(&node, &tenant, &headers, &request).map(Arc::new));
    first.map(|first| created(&first)).map_err(|refusal| *refusal)
}

fn created(session: &SessionCreated) -> Response {
    (StatusCode::CREATED, axum::Json(session)).into_response()
}

fn begin(
    node: &Node,
    tenant: &Tenant,
    headers: &HeaderMap,
    request: &CreateSession,
) -> Result<SessionCreated, Refusal> {
    if node.is_draining() {
        return Err(Refusal::Draining);
    }
    if request.viewer.as_ref().is_some_and(|viewer| !(1..=TEXT_BYTES_MAX).contains(&viewer.len())) {
        return Err(Refusal::TextLength { field: "viewer", max: TEXT_BYTES_MAX });
    }
    let serving = tenant.serving().ok_or(Refusal::CatalogueMissing)?;
    let contribute = request.contribute && !refuses(headers);
    let arm = match request.arm {
        _ if !request.personalization => Arm::Global,
        None => Arm::Adaptive,
        Some(arm) => arm,
    };
    let entropy = |_| Refusal::NoEntropy;
    let id = SessionId(node.environment.entropy.bytes().map_err(entropy)?);
    let seed = node.environment.entropy.bytes().map_err(entropy)?;
    let outcomes_max = node.rule.retention.session_events_max;
    let session = Session::new(SessionOptions { arm, contribute, seed, outcomes_max });
    let viewer = request.viewer.as_ref().map(|viewer| node.pseudonym(&tenant.id, viewer.as_bytes()));
    let live = Live { session, serving, last_sequence: 0 };
    let now_ms = node.environment.clock.now_ms();
    let expires_ms =
        node.sessions.create(id, tenant.id.clone(), viewer, live, now_ms).map_err(|_| Refusal::SessionsFull)?;
    tenant.metrics.created.inc();
    Ok(SessionCreated {
        session: id.to_string(),
        arm,
        contributes: contribute,
        expires_ms,
        idle_ms: u64::from(node.rule.retention.session_idle_seconds) * 1000,
        policy: node.policy,
    })
}

/// Whether the request says `Sec-GPC: 1`.
pub(crate) fn refuses(headers: &HeaderMap) -> bool {
    headers.get(&SEC_GPC).is_some_and(|value| value == "1")
}

/// The tenant's live session of this name.
pub(crate) fn find(node: &Node, tenant: &Tenant, id: &str) -> Result<(SessionId, Arc<Entry>), Refusal> {
    let id = id.parse().map_err(|_| Refusal::SessionUnknown)?;
    let entry = node.sessions.find(id, &tenant.id, node.environment.clock.now_ms());
    entry.map(|entry| (id, entry)).ok_or(Refusal::SessionUnknown)
}

/// Signals since the last call.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Signals {
    /// In the order in which they happened, 64 at most.
    signals: Vec<SignalDto>,
}

/// `POST /v1/sessions/{id}/signals`
#[utoipa::path(post, path = "/v1/sessions/{id}/signals", request_body = Signals, params(("id" = String, Path)), responses(
    (status = 204, description = "taken: the next ranking sees them"),
    (status = 404, description = "problem: session-unknown"),
    (status = 409, description = "problem: signal-replayed"),
    (status = 422, description = "problem: signal-not-allowed, signal-invalid, item-unknown, signals-too-many"),
), security(("bearer" = [])))]
pub(crate) async fn send(
    State(node): State<Arc<Node>>,
    Caller(tenant): Caller,
    PathParameters(id): PathParameters<String>,
    headers: HeaderMap,
    JsonBody(request): JsonBody<Signals>,
) -> Result<StatusCode, Refusal> {
    let (_, entry) = find(&node, &tenant, &id)?;
    observe(&node, &tenant, &entry, &headers, &request.signals)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a call's signals under the session's lock, with the newest model of its catalogue.
fn observe(
    node: &Node,
    tenant: &Tenant,
    entry: &Entry,
    headers: &HeaderMap,
    sent: &[SignalDto],
) -> Result<(), Refusal> {
    let mut live = entry.lock();
    node.renew(tenant, &mut live);
    if refuses(headers) {
        live.session.refuse();
    }
    signals::take(&mut live, sent, &node.rule.signals)
}

/// `POST /v1/sessions/{id}/end`
#[utoipa::path(post, path = "/v1/sessions/{id}/end", request_body = Signals, params(("id" = String, Path)), responses(
    (status = 204, description = "ended, and counted if it may be"),
    (status = 404, description = "problem: session-unknown"),
    (status = 409, description = "problem: signal-replayed; the session lives on"),
), security(("bearer" = [])))]
pub(crate) async fn end(
    State(node): State<Arc<Node>>,
    Caller(tenant): Caller,
    PathParameters(id): PathParameters<String>,
    headers: HeaderMap,
    JsonBody(request): JsonBody<Signals>,
) -> Result<StatusCode, Problem> {
    let (id, entry) = find(&node, &tenant, &id)?;
    observe(&node, &tenant, &entry, &headers, &request.signals)?;
    let entry = node.sessions.remove(id).ok_or(Refusal::SessionUnknown)?;
    tenant.end(&entry);
    tenant.metrics.ended.inc();
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /v1/sessions/{id}`
#[utoipa::path(delete, path = "/v1/sessions/{id}", params(("id" = String, Path)), responses(
    (status = 204, description = "erased: it counts for nothing"),
    (status = 404, description = "problem: session-unknown"),
), security(("bearer" = [])))]
pub(crate) async fn erase(
    State(node): State<Arc<Node>>,
    Caller(tenant): Caller,
    PathParameters(id): PathParameters<String>,
) -> Result<StatusCode, Refusal> {
    let (id, _) = find(&node, &tenant, &id)?;
    let entry = node.sessions.remove(id).ok_or(Refusal::SessionUnknown)?;
    let mut live = entry.lock();
    live.session.refuse();
    // What it would have contributed is dropped here.
    let _ = live.session.end();
    tenant.metrics.erased.inc();
    Ok(StatusCode::NO_CONTENT)
}
