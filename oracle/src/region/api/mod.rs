//! What platforms call. One router; a handler is extractors, one call into the node, a response.

mod attestation;
pub(crate) mod content;
pub(crate) mod devices;
pub(crate) mod identity;
mod rank;
mod sessions;
mod signals;
mod verified;

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Extension, Json, Router};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::node::Node;
use crate::http::with_fallbacks;

pub(crate) use identity::keys::token_directory;
use identity::oblivious::Inside;
pub(crate) use sessions::SessionCreated;

fn documented() -> OpenApiRouter<Arc<Node>> {
    let info = InfoBuilder::new()
        .title("Siwa region")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Sessions, rankings, the identity of viewers and checks of content. Errors are RFC 9457 problems of type `urn:siwa:problem:*`. A request with \
             `Sec-GPC: 1` is served and never counted.",
        ))
        .build();
    let mut api = OpenApiBuilder::new().info(info).build();
    let components = api.components.get_or_insert_default();
    components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    OpenApiRouter::with_openapi(api)
        .routes(routes!(sessions::create))
        .routes(routes!(sessions::erase))
        .routes(routes!(sessions::send))
        .routes(routes!(sessions::end))
        .routes(routes!(rank::rank))
        .routes(routes!(attestation::attestation))
        .merge(devices::routes())
        .merge(identity::routes())
        .merge(content::routes())
}

/// The API's description, OpenAPI 3.1.
#[must_use]
pub fn openapi() -> OpenApi {
    documented().into_openapi()
}

/// Every route of a node.
pub fn router(node: Arc<Node>) -> Router {
    let (routes, api) = documented().split_for_parts();
    let router = routes.route("/openapi.json", get(async move || Json(api))).route("/.well-known/jwks.json", get(keys));
    let router = with_fallbacks(router).with_state(node);
    // The gateway hands what was inside a capsule to the same routes.
    let inside = Inside(router.clone());
    router.layer(Extension(inside))
}

/// The keys that verify this node's answers (RFC 7517).
async fn keys(State(node): State<Arc<Node>>) -> Json<attest::keys::JwkSet> {
    Json(attest::keys::JwkSet::of([&node.answer_key.verifying_key()]))
}
