//! What the admin listener of a running node says of its ledger: the file is the process's alone.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};

use super::Store;
use crate::http::Problem;

/// `GET /ledger`: what `siwa ledger show` prints, as JSON.
pub(crate) fn router(store: Store) -> Router {
    Router::new().route("/ledger", get(ledger)).with_state(store)
}

async fn ledger(State(store): State<Store>) -> Response {
    match store.ledger_report().await {
        Ok(report) => Json(report).into_response(),
        Err(_) => Problem::unavailable("store-unavailable", "The ledger cannot be read", 5).into_response(),
    }
}
