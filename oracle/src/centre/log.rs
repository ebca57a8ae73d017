//! The transparency log at the centre: its files for everyone, proofs and key epochs for nodes.

use std::sync::Arc;

use aggregator::centre::CentreStore as _;
use attest::Typ;
use attest::jws::UnverifiedJws;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use policies::log::bundle::BUNDLE_BYTES_MAX;
use policies::log::{LogKeys, Tile};
use policies::{Digest, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Centre;
use super::access::Caller;
use super::error::CentreError;
use crate::http::{JsonBody, PathParameters, Problem};
use crate::log::{Publisher, TileFetch as _};
use crate::store::log::BroughtEpochs;

/// Statements in one call.
pub(crate) const EPOCHS_AT_ONCE_MAX: usize = 64;
/// Bytes of a call that brings statements.
pub(super) const EPOCHS_BYTES_MAX: usize = EPOCHS_AT_ONCE_MAX * 8192 + 4096;
/// Bytes of a service's name.
const ISSUER_BYTES_MAX: usize = 263;

/// Statements of a node's log of keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyEpochsBrought {
    /// The identity service.
    pub issuer: String,
    /// The number of the first statement here, from 0.
    pub first: u32,
    /// The statements, as they were signed, oldest first. None: only asks how many are known.
    pub statements: Vec<String>,
}

/// How many statements of the service the transparency log has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyEpochsKnown {
    /// Statements 0 to one less than this.
    pub known: u64,
}

/// Logs statements of a region's key epochs. What is logged already must be the same; nothing may be left out between.
#[utoipa::path(
    post, path = "/v1/log/key-epochs", operation_id = "logKeyEpochs", tag = "log", security(("node" = [])),
    request_body = KeyEpochsBrought, responses((status = 200, body = KeyEpochsKnown))
)]
pub(super) async fn key_epochs(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    JsonBody(brought): JsonBody<KeyEpochsBrought>,
) -> Result<Json<KeyEpochsKnown>, CentreError> {
    let admission = caller.node()?;
    let KeyEpochsBrought { issuer, first, statements } = brought;
    let named = (1..=ISSUER_BYTES_MAX).contains(&issuer.len());
    let are_statements = statements.iter().all(|text| UnverifiedJws::parse(text, Typ::KeyEpoch).is_ok());
    let last = u32::try_from(statements.len()).ok().and_then(|count| first.checked_add(count));
    if !named || !are_statements || statements.len() > EPOCHS_AT_ONCE_MAX || last.is_none() {
        return Err(CentreError::KeyEpochs);
    }
    let brought = BroughtEpochs {
        region: admission.region().clone(),
        node: admission.node().clone(),
        issuer,
        first,
        statements: statements.iter().map(|text| Digest::of(text.as_bytes())).collect(),
    };
    let known = centre.store.bring_epochs(brought, centre.clock.now_ms()).await?;
    Ok(Json(KeyEpochsKnown { known }))
}

/// The proof that the current pointer stands in the transparency log (C2SP tlog-proof). The entry is its `extra` data.
#[utoipa::path(
    get, path = "/v1/models/{tenant}/current/proof", operation_id = "proveCurrentModel", tag = "models",
    security(("node" = []), ("tenant" = []), ("operator" = [])),
    params(("tenant" = String, Path, description = "The tenant")),
    responses((status = 200, body = String, content_type = "text/plain"))
)]
pub(super) async fn model_proof(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    PathParameters(tenant): PathParameters<TenantId>,
) -> Result<Response, CentreError> {
    caller.may_read(&centre, &tenant)?;
    let tenant = &centre.tenant(&tenant)?.id;
    let pointer = centre.store.pointer(tenant).await?.ok_or(CentreError::NoModel)?;
    let entry = centre.store.logged_model(tenant, pointer.serial).await?;
    let (index, leaf) = entry.ok_or(CentreError::Damaged { what: "log entry" })?;
    let proof = centre.log.proof(index, leaf).await.map_err(CentreError::Log)?;
    let headers = [(header::CONTENT_TYPE, policies::log::proof::MEDIA_TYPE), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, proof.encode()).into_response())
}

/// A file of the log, for anyone (C2SP tlog-tiles). Tiles never change.
pub(super) async fn file(State(centre): State<Arc<Centre>>, PathParameters(path): PathParameters<String>) -> Response {
    let headers = |media_type, cache| -> [(HeaderName, &'static str); 2] {
        [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, cache)]
    };
    if path == "checkpoint" {
        return match centre.log.checkpoint() {
            Some(kept) => (headers("text/plain; charset=utf-8", "no-cache"), kept.note().to_vec()).into_response(),
            None => Problem::not_found().into_response(),
        };
    }
    // A name that a tile has: no other path of the disk can be asked for.
    let Some(tile) = Tile::parse(&path) else { return Problem::not_found().into_response() };
    match centre.log.folder().fetch(&tile.to_string(), BUNDLE_BYTES_MAX).await {
        Ok(Some(bytes)) => {
            let immutable = "public, max-age=31536000, immutable";
            (StatusCode::OK, headers("application/octet-stream", immutable), bytes).into_response()
        }
        Ok(None) => Problem::not_found().into_response(),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a file of the log cannot be read");
            Problem::internal().into_response()
        }
    }
}

impl Centre {
    /// Whom readers of its transparency log believe.
    #[must_use]
    pub fn log_keys(&self) -> &LogKeys {
        self.log.keys()
    }

    /// The one who publishes its transparency log; its task is `Publisher::run`.
    #[must_use]
    pub fn publisher(&self) -> Arc<Publisher> {
        Arc::clone(&self.log)
    }
}
