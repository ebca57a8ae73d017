//! What anyone may ask: what this node runs under, and what stands behind its word.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::http::{Problem, QueryParameters};
use crate::region::node::Node;

/// Bytes of a nonce at least: who asks must be able to tell an answer from an older one.
const NONCE_BYTES_MIN: usize = 16;
const NONCE_BYTES_MAX: usize = attest::binding::NONCE_BYTES_MAX;

/// Who asks, and for what.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// A text that was never used before, 16 to 128 bytes. It stands in the binding.
    nonce: String,
}

/// `GET /v1/attestation`
///
/// What the node states of itself, with evidence that covers it and the nonce: its keys (also that of this TLS
/// connection), policy and config. The evidence says nothing to a centre. Compare `tls_spki` with the connection's own.
#[utoipa::path(get, path = "/v1/attestation", params(
    ("nonce" = String, Query, description = "A text that was never used before, 16 to 128 bytes. It stands in the binding."),
), responses(
    (status = 200, body = Object, description = "An attestation: binding and evidence"),
    (status = 422, description = "problem: nonce-length"),
    (status = 503, description = "problem: attestation-busy, evidence-missing"),
))]
pub(crate) async fn attestation(
    State(node): State<Arc<Node>>,
    QueryParameters(asked): QueryParameters<Asked>,
) -> Result<Response, Problem> {
    if !(NONCE_BYTES_MIN..=NONCE_BYTES_MAX).contains(&asked.nonce.len()) {
        let problem = Problem::unprocessable("nonce-length", "The nonce is too short or too long");
        return Err(problem.with_detail("it has 16 to 128 bytes"));
    }
    // A root of trust may take hundreds of milliseconds: whoever asks beyond a few at a time comes back.
    let Ok(permit) = Arc::clone(&node.attesting).try_acquire_owned() else {
        return Err(Problem::unavailable("attestation-busy", "As much evidence is being made as may be at a time", 1));
    };
    // Who hangs up meanwhile still holds the permit: the root of trust goes on all the same.
    let making = tokio::spawn(async move {
        let _permit = permit;
        node.attestation(asked.nonce).await
    });
    let made = making.await.map_err(|_| Problem::internal())?;
    let made = made.map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "no evidence");
        Problem::unavailable("evidence-missing", "The node has no evidence to give now", 5)
    })?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(made)).into_response())
}
