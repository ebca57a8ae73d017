//! Sessions: begin, send signals, end, erase.

use std::sync::Arc;

use attest::privacy_pass::Token;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use personalize::{Arm, Session, SessionOptions};
use policies::{Digest, Question};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::signals::{self, SignalDto};
use super::verified::{Proof, VerifiedViewer, settle, verify};
use crate::http::{JsonBody, PathParameters, Problem};
use crate::region::authenticate::{Caller, SessionCaller};
use crate::region::identity::redeem::presented;
use crate::region::node::Node;
use crate::region::refusal::Refusal;
use crate::region::sessions::{Entry, Live, Owner, SessionId};
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
    /// That the viewer is a verified one; needed where the policy says so.
    proof: Option<Proof>,
}

const fn yes() -> bool {
    true
}

impl CreateSession {
    /// Whether the platform names the viewer.
    pub(crate) const fn names_viewer(&self) -> bool {
        self.viewer.is_some()
    }

    /// What shows that the viewer is a verified one.
    pub(crate) const fn proof(&self) -> Option<&Proof> {
        self.proof.as_ref()
    }
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
    /// Whether an assertion or a token showed that its viewer is a verified one.
    verified: bool,
    /// Unix ms at which it ends at the latest.
    expires_ms: u64,
    /// It ends after so many ms without a call.
    idle_ms: u64,
    /// Digest of the policy in force.
    #[schema(value_type = String)]
    policy: Digest,
}

impl SessionCreated {
    /// The session's name.
    pub(crate) fn session_id(&self) -> &str {
        &self.session
    }
}

/// Who wants a session to begin.
pub(crate) enum Creator {
    /// A platform's backend.
    Platform(Arc<Tenant>),
    /// A device that shows an anonymous token and nothing else.
    Device(Token),
}

impl FromRequestParts<Arc<Node>> for Creator {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, node: &Arc<Node>) -> Result<Self, Refusal> {
        if let Some(token) = presented(&parts.headers) {
            return Ok(Self::Device(token));
        }
        Caller::from_request_parts(parts, node).await.map(|Caller(tenant)| Self::Platform(tenant))
    }
}

/// `POST /v1/sessions`
///
/// A device may begin a session of its own with `Authorization: PrivateToken token="…"`, which spends the token. Nobody
/// knows whose session it is: the session's name is then the bearer key of its calls.
#[utoipa::path(post, path = "/v1/sessions", request_body = CreateSession, responses(
    (status = 201, body = SessionCreated),
    (status = 401, description = "problem: unauthorized, proof-required, proof-refused, token-refused"),
    (status = 403, description = "problem: not-served"),
    (status = 422, description = "problem: json-shape, text-length"),
    (status = 503, description = "problem: sessions-full, catalogue-missing, no-entropy, draining"),
), security(("bearer" = [])))]
pub(crate) async fn create(
    State(node): State<Arc<Node>>,
    creator: Creator,
    headers: HeaderMap,
    JsonBody(request): JsonBody<CreateSession>,
) -> Result<Response, Refusal> {
    let viewer = verify(&node, creator, &request).await?;
    let key = match headers.get(&IDEMPOTENCY_KEY) {
        None => None,
        // With the token's name: only who holds the token is told of the session that it paid for.
        Some(key) if (1..=TEXT_BYTES_MAX).contains(&key.len()) => {
            let token = viewer.token.map(|token| [token.key_id, token.nonce].concat()).unwrap_or_default();
            Some(Digest::of_parts(&[viewer.tenant.id.as_str().as_bytes(), b"\0", &token, b"\0", key.as_bytes()]))
        }
        Some(_) => return Err(Refusal::TextLength { field: "Idempotency-Key", max: TEXT_BYTES_MAX }),
    };
    if let Some(first) = key.and_then(|key| node.created.get(&key)) {
        return Ok(created(&first));
    }
    let reservation = match viewer.reserve(&node).await {
        Ok(reservation) => reservation,
        // The first of two calls with this key may have begun the session meanwhile.
        Err(refusal) => {
            return key.and_then(|key| node.created.get(&key)).map(|first| created(&first)).ok_or(refusal);
        }
    };
    let begun = match key {
        None => begin(&node, &viewer, &headers, &request).map(Arc::new),
        Some(key) => node
            .created
            .try_get_with(key, || begin(&node, &viewer, &headers, &request).map(Arc::new))
            .map_err(|refusal| (*refusal).clone()),
    };
    settle(&node, &viewer.tenant.id, reservation, &begun, key).await?;
    begun.map(|begun| created(&begun))
}

fn created(session: &SessionCreated) -> Response {
    (StatusCode::CREATED, axum::Json(session)).into_response()
}

fn begin(
    node: &Node,
    viewer: &VerifiedViewer,
    headers: &HeaderMap,
    request: &CreateSession,
) -> Result<SessionCreated, Refusal> {
    if node.is_draining() {
        return Err(Refusal::Draining);
    }
    if request.viewer.as_ref().is_some_and(|viewer| !(1..=TEXT_BYTES_MAX).contains(&viewer.len())) {
        return Err(Refusal::TextLength { field: "viewer", max: TEXT_BYTES_MAX });
    }
    let tenant = &viewer.tenant;
    if !node.allows(tenant, Question::Serve) {
        return Err(Refusal::NotServed);
    }
    let serving = tenant.serving().ok_or(Refusal::CatalogueMissing)?;
    let counted = |tenant, region| Question::Counted(tenant, region, refuses(headers));
    let contribute = request.contribute && node.allows(tenant, counted);
    let arm = match request.arm {
        _ if !request.personalization => Arm::Global,
        None => Arm::Adaptive,
        Some(arm) => arm,
    };
    let entropy = |_| Refusal::NoEntropy;
    let id = SessionId(node.environment.entropy.bytes().map_err(entropy)?);
    let seed = node.environment.entropy.bytes().map_err(entropy)?;
    let in_force = node.in_force();
    let retention = &in_force.rule.retention;
    let outcomes_max = retention.session_events_max;
    let session = Session::new(SessionOptions { arm, contribute, seed, outcomes_max });
    let owner = match &request.viewer {
        _ if viewer.anonymous => Owner::Device,
        Some(name) => Owner::Viewer(node.pseudonym(&tenant.id, name.as_bytes())),
        None => Owner::Nobody,
    };
    let live = Live { session, serving, last_sequence: 0 };
    let now_ms = node.environment.clock.now_ms();
    let expires_ms =
        node.sessions.create(id, tenant.id.clone(), owner, live, now_ms).map_err(|_| Refusal::SessionsFull)?;
    tenant.metrics.created.inc();
    Ok(SessionCreated {
        session: id.to_string(),
        arm,
        contributes: contribute,
        verified: viewer.verified,
        expires_ms,
        idle_ms: u64::from(retention.session_idle_seconds) * 1000,
        policy: in_force.digest(),
    })
}

/// Whether the request says `Sec-GPC: 1`.
pub(crate) fn refuses(headers: &HeaderMap) -> bool {
    headers.get(&SEC_GPC).is_some_and(|value| value == "1")
}

/// The caller's live session of this name.
pub(crate) fn find(node: &Node, caller: &SessionCaller, id: &str) -> Result<(SessionId, Arc<Entry>), Refusal> {
    let id = id.parse().map_err(|_| Refusal::SessionUnknown)?;
    if caller.only.is_some_and(|only| only != id) {
        return Err(Refusal::SessionUnknown);
    }
    let entry = node.sessions.find(id, &caller.tenant.id, node.environment.clock.now_ms());
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
    caller: SessionCaller,
    PathParameters(id): PathParameters<String>,
    headers: HeaderMap,
    JsonBody(request): JsonBody<Signals>,
) -> Result<StatusCode, Refusal> {
    let (_, entry) = find(&node, &caller, &id)?;
    observe(&node, &caller.tenant, &entry, &headers, &request.signals)?;
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
    signals::take(&mut live, sent, |signal| node.takes(signal))
}

/// `POST /v1/sessions/{id}/end`
#[utoipa::path(post, path = "/v1/sessions/{id}/end", request_body = Signals, params(("id" = String, Path)), responses(
    (status = 204, description = "ended, and counted if it may be"),
    (status = 404, description = "problem: session-unknown"),
    (status = 409, description = "problem: signal-replayed; the session lives on"),
), security(("bearer" = [])))]
pub(crate) async fn end(
    State(node): State<Arc<Node>>,
    caller: SessionCaller,
    PathParameters(id): PathParameters<String>,
    headers: HeaderMap,
    JsonBody(request): JsonBody<Signals>,
) -> Result<StatusCode, Problem> {
    let (id, entry) = find(&node, &caller, &id)?;
    observe(&node, &caller.tenant, &entry, &headers, &request.signals)?;
    let entry = node.sessions.remove(id).ok_or(Refusal::SessionUnknown)?;
    caller.tenant.end(&entry);
    caller.tenant.metrics.ended.inc();
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /v1/sessions/{id}`
#[utoipa::path(delete, path = "/v1/sessions/{id}", params(("id" = String, Path)), responses(
    (status = 204, description = "erased: it counts for nothing"),
    (status = 404, description = "problem: session-unknown"),
), security(("bearer" = [])))]
pub(crate) async fn erase(
    State(node): State<Arc<Node>>,
    caller: SessionCaller,
    PathParameters(id): PathParameters<String>,
) -> Result<StatusCode, Refusal> {
    let (id, _) = find(&node, &caller, &id)?;
    let entry = node.sessions.remove(id).ok_or(Refusal::SessionUnknown)?;
    let mut live = entry.lock();
    live.session.refuse();
    // What it would have contributed is dropped here.
    let _ = live.session.end();
    caller.tenant.metrics.erased.inc();
    Ok(StatusCode::NO_CONTENT)
}
