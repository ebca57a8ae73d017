//! Ranking: the candidates and, in the same call, the signals since the last one.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use personalize::{Arm, CANDIDATES_MAX, Catalogue, ItemIndex, Ranking};
use policies::Digest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::sessions::{find, refuses};
use super::signals::{self, SignalDto};
use crate::clock::Stopwatch;
use crate::http::JsonBodyAndBytes;
use crate::region::answers::{NONCE_BYTES_MAX, Question};
use crate::region::authenticate::SessionCaller;
use crate::region::node::Node;
use crate::region::refusal::Refusal;
use crate::region::tenant::Serving;

/// How long a signed ranking says something.
const ANSWER_SECONDS: u64 = 60;

/// What to rank.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RankRequest {
    /// The session.
    session: String,
    /// Ids of the catalogue, each once, 1 to 512.
    candidates: Vec<String>,
    /// Signals since the last call; the ranking sees them.
    #[serde(default)]
    signals: Vec<SignalDto>,
    /// If present, the answer comes signed as well, bound to this nonce and to the request's bytes.
    nonce: Option<String>,
}

/// One candidate in its place.
#[derive(Serialize, ToSchema)]
pub(crate) struct RankedItem<'a> {
    /// The candidate's id.
    item: &'a str,
    /// Expected reward, 0 to 1 or slightly beyond.
    score: f32,
    /// Probability with which it was put first: what off-policy estimates divide by.
    propensity: f32,
}

/// A ranking.
#[derive(Serialize, ToSchema)]
pub(crate) struct RankResponse<'a> {
    /// Every candidate, the first to be shown first.
    order: Vec<RankedItem<'a>>,
    /// How the session is ranked.
    #[schema(value_type = String)]
    arm: Arm,
    /// Version of the model that ranked; 0 before the first was learned.
    model: u64,
    /// Digest of the policy in force.
    #[schema(value_type = String)]
    policy: Digest,
    /// Where a nonce came: the same as a signed answer (compact JWS).
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
}

/// `POST /v1/rank`
#[utoipa::path(post, path = "/v1/rank", request_body = RankRequest, responses(
    (status = 200, body = RankResponse<'static>),
    (status = 404, description = "problem: session-unknown"),
    (status = 409, description = "problem: signal-replayed"),
    (status = 422, description = "problem: candidate-count, candidate-duplicate, item-unknown, and those of signals"),
), security(("bearer" = [])))]
pub(crate) async fn rank(
    State(node): State<Arc<Node>>,
    caller: SessionCaller,
    headers: HeaderMap,
    JsonBodyAndBytes(request, bytes): JsonBodyAndBytes<RankRequest>,
) -> Result<Response, Refusal> {
    let stopwatch = Stopwatch::start();
    if request.nonce.as_ref().is_some_and(|nonce| !(1..=NONCE_BYTES_MAX).contains(&nonce.len())) {
        return Err(Refusal::TextLength { field: "nonce", max: NONCE_BYTES_MAX });
    }
    let (_, entry) = find(&node, &caller, &request.session)?;
    let tenant = &caller.tenant;
    let (ranking, arm, serving) = {
        let mut live = entry.lock();
        node.renew(tenant, &mut live);
        if refuses(&headers) {
            live.session.refuse();
        }
        let serving = Arc::clone(&live.serving);
        // Candidates first: a call that is refused has taken no signal.
        let candidates = resolve(&serving.catalogue, &request.candidates)?;
        signals::take(&mut live, &request.signals, |signal| node.takes(signal))?;
        let ranking = live.session.rank(&serving.model, &serving.catalogue, &candidates).map_err(Refusal::from)?;
        (ranking, live.session.arm(), serving)
    };
    let mut response = present(&ranking, arm, &serving, node.policy());
    if let Some(nonce) = request.nonce {
        let (tenant, subject, input) = (&tenant.id, entry.owner.viewer().copied(), &bytes);
        let question = Question { tenant, subject, nonce, input, check: "ranking", seconds: ANSWER_SECONDS };
        response.answer = Some(node.answer(question, &response)?);
    }
    let body = serde_json::to_vec(&response).expect("texts and finite numbers serialise");
    tenant.metrics.ranked.inc();
    tenant.metrics.rank_seconds.observe(stopwatch.elapsed().as_secs_f64());
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response())
}

fn resolve(catalogue: &Catalogue, candidates: &[String]) -> Result<Vec<ItemIndex>, Refusal> {
    if !(1..=CANDIDATES_MAX).contains(&candidates.len()) {
        return Err(Refusal::CandidateCount { max: CANDIDATES_MAX });
    }
    let find = |(position, id): (usize, &String)| catalogue.index_of(id).ok_or(Refusal::CandidateUnknown { position });
    candidates.iter().enumerate().map(find).collect()
}

fn present<'a>(ranking: &Ranking, arm: Arm, serving: &'a Serving, policy: Digest) -> RankResponse<'a> {
    let item = |ranked: &personalize::Ranked| RankedItem {
        item: &serving.catalogue.item(ranked.item).id,
        score: ranked.score,
        propensity: ranked.propensity,
    };
    let order = ranking.order.iter().map(item).collect();
    RankResponse { order, arm, model: serving.model.version(), policy, answer: None }
}
