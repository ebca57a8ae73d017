//! The one table of the centre's routes, and its OpenAPI document made from the same table.

use std::sync::Arc;

use attest::evidence::ATTESTATION_BYTES_MAX;
use attest::keys::JwkSet;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, Content, InfoBuilder, OpenApi, OpenApiBuilder, Ref, ResponseBuilder};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use super::{Centre, admission, catalogues, enrolment, ledgers, log, models, policies, releases, reports, training};
use crate::http::{PROBLEM_MEDIA_TYPE, with_fallbacks};

/// The centre's routes, authenticated and bounded.
pub fn router(centre: Arc<Centre>) -> Router {
    let (router, mut document) = table(&centre).split_for_parts();
    describe_problems(&mut document);
    let document = serde_json::to_string(&document).expect("an OpenAPI document serialises");
    let openapi = get(async move || ([(header::CONTENT_TYPE, "application/json")], document.clone()).into_response());
    let router =
        router.route("/openapi.json", openapi).route("/.well-known/jwks.json", get(jwks)).route("/", get(index));
    let router = router.route("/log/{*path}", get(log::file));
    with_fallbacks(router).with_state(centre)
}

fn table(centre: &Centre) -> OpenApiRouter<Arc<Centre>> {
    let release_limit = DefaultBodyLimit::max(releases::RELEASE_BYTES_MAX);
    let catalogue_limit = DefaultBodyLimit::max(centre.limits.catalogue_bytes_max);
    let attestation_limit = DefaultBodyLimit::max(ATTESTATION_BYTES_MAX);
    let enrolment_limit = DefaultBodyLimit::max(enrolment::ENROLMENT_BYTES_MAX);
    let ledger_limit = DefaultBodyLimit::max(ledgers::OFFER_BYTES_MAX);
    let answer_limit = DefaultBodyLimit::max(enrolment::ANSWER_BYTES_MAX);
    let epochs_limit = DefaultBodyLimit::max(log::EPOCHS_BYTES_MAX);
    OpenApiRouter::with_openapi(document())
        .routes(routes!(admission::challenge))
        .routes(routes!(admission::admit).layer(attestation_limit))
        .routes(routes!(enrolment::challenge).layer(enrolment_limit))
        .routes(routes!(enrolment::answer).layer(answer_limit))
        .routes(routes!(releases::post, reports::list).layer(release_limit))
        .routes(routes!(ledgers::post).layer(ledger_limit))
        .routes(routes!(reports::totals))
        .routes(routes!(catalogues::put, catalogues::list).layer(catalogue_limit))
        .routes(routes!(policies::current))
        .routes(routes!(catalogues::get))
        .routes(routes!(models::list))
        .routes(routes!(models::current))
        .routes(routes!(log::model_proof))
        .routes(routes!(models::artifact))
        .routes(routes!(models::rollback))
        .routes(routes!(training::post))
        .routes(routes!(log::key_epochs).layer(epochs_limit))
}

fn document() -> OpenApi {
    let bearer = |description: &str| {
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.description = Some(description.to_owned());
        SecurityScheme::Http(scheme)
    };
    let components = ComponentsBuilder::new()
        .security_scheme("node", bearer(
                "None: the node is admitted on its connection by POST /v1/admission. Only where the centre's config says so: a compact JWS of type siwa-node+jwt, signed by a pinned node key.",
            ))
        .security_scheme("tenant", bearer("A tenant's API key."))
        .security_scheme("operator", bearer("An operator's API key."))
        .build();
    let info = InfoBuilder::new()
        .title("Siwa centre")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Takes differentially private releases in and says by signature which model is current."))
        .build();
    OpenApiBuilder::new().info(info).components(Some(components)).build()
}

/// Every refusal of every operation has one form.
fn describe_problems(document: &mut OpenApi) {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let problem = ObjectBuilder::new()
        .description(Some("RFC 9457 problem details. The type is stable: urn:siwa:problem:<name>."))
        .property("type", text())
        .property("title", text())
        .property("status", ObjectBuilder::new().schema_type(Type::Integer))
        .property("detail", text())
        .required("type")
        .required("title")
        .required("status");
    document.components.get_or_insert_default().schemas.insert("Problem".to_owned(), problem.build().into());
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    let refusal = ResponseBuilder::new().description("A refusal").content(PROBLEM_MEDIA_TYPE, content).build();
    for path in document.paths.paths.values_mut() {
        let operations = [&mut path.get, &mut path.put, &mut path.post];
        for operation in operations.into_iter().flatten() {
            operation.responses.responses.insert("default".to_owned(), refusal.clone().into());
        }
    }
}

/// The keys that sign model pointers and attestation results.
async fn jwks(State(centre): State<Arc<Centre>>) -> impl IntoResponse {
    Json(JwkSet::of([&centre.verifying_key(), &centre.attestation_verifying_key()]))
}

/// Where to look.
async fn index(State(centre): State<Arc<Centre>>) -> impl IntoResponse {
    Json(json!({
        "service": "siwa centre",
        "name": centre.name,
        "version": env!("CARGO_PKG_VERSION"),
        "openapi": "/openapi.json",
        "keys": "/.well-known/jwks.json",
    }))
}
