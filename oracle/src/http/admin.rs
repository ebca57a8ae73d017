//! The admin listener: is the process alive, is it ready, what has it counted.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use prometheus::{Encoder, Registry, TextEncoder};
use serde::Serialize;

use super::problem::{Problem, with_fallbacks};

/// One named thing that readiness depends on, as it stands now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// A stable name, such as `ledger`.
    pub name: &'static str,
    /// How it stands.
    pub state: ConditionState,
    /// A sentence for the operator. Without secrets and without anything of a viewer.
    pub detail: Cow<'static, str>,
}

/// How a condition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConditionState {
    /// As it should be.
    Met,
    /// Something does not work, and requests are answered all the same: still ready.
    Degraded,
    /// Requests should go elsewhere.
    Unmet,
}

impl Condition {
    /// A condition that is as it should be.
    #[must_use]
    pub const fn met(name: &'static str) -> Self {
        Self { name, state: ConditionState::Met, detail: Cow::Borrowed("") }
    }

    /// A condition that does not hold but leaves the process useful.
    #[must_use]
    pub fn degraded(name: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { name, state: ConditionState::Degraded, detail: detail.into() }
    }

    /// A condition without which requests should go elsewhere.
    #[must_use]
    pub fn unmet(name: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { name, state: ConditionState::Unmet, detail: detail.into() }
    }
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    conditions: Vec<Condition>,
}

struct Admin<F> {
    conditions: F,
    registry: Registry,
}

/// `/healthz`: 200 while the process answers. `/readyz`: 200 unless a condition is [`ConditionState::Unmet`], then 503,
/// with all conditions as JSON. `/metrics`: Prometheus text format 0.0.4.
pub fn admin_router<F>(registry: Registry, conditions: F) -> Router
where
    F: Fn() -> Vec<Condition> + Send + Sync + 'static,
{
    let router = Router::new()
        .route("/healthz", get(async || Json(serde_json::json!({ "status": "ok" }))))
        .route("/readyz", get(ready::<F>))
        .route("/metrics", get(metrics::<F>));
    with_fallbacks(router).with_state(Arc::new(Admin { conditions, registry }))
}

async fn ready<F: Fn() -> Vec<Condition>>(State(admin): State<Arc<Admin<F>>>) -> Response {
    let conditions = (admin.conditions)();
    let ready = conditions.iter().all(|condition| condition.state != ConditionState::Unmet);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Ready { ready, conditions })).into_response()
}

async fn metrics<F>(State(admin): State<Arc<Admin<F>>>) -> Result<Response, Problem> {
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    encoder.encode(&admin.registry.gather(), &mut text).map_err(|error| {
        tracing::error!(%error, "metrics could not be written");
        Problem::internal()
    })?;
    Ok(([(header::CONTENT_TYPE, encoder.format_type().to_owned())], text).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    async fn get_text(router: &Router, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn readiness_names_its_conditions() {
        let degraded = || vec![Condition::met("model"), Condition::degraded("ledger", "the budget is spent")];
        let router = admin_router(Registry::new(), degraded);
        let expected = r#"{"ready":true,"conditions":[{"name":"model","state":"met","detail":""},{"name":"ledger","state":"degraded","detail":"the budget is spent"}]}"#;
        assert_eq!(get_text(&router, "/readyz").await, (StatusCode::OK, expected.to_owned()));

        let router = admin_router(Registry::new(), || vec![Condition::unmet("catalogue", "none yet")]);
        assert_eq!(get_text(&router, "/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(get_text(&router, "/healthz").await, (StatusCode::OK, r#"{"status":"ok"}"#.to_owned()));
    }

    #[tokio::test]
    async fn metrics_are_prometheus_text() {
        let registry = Registry::new();
        let counter = prometheus::IntCounter::new("siwa_example_total", "An example.").unwrap();
        registry.register(Box::new(counter.clone())).unwrap();
        counter.inc();
        let (status, text) = get_text(&admin_router(registry, Vec::new), "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert!(text.ends_with("siwa_example_total 1\n"), "{text}");
    }
}
