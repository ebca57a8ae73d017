//! What platforms ask about content. A handler is extractors, one call into the domain, a response.

pub(crate) mod lists;
mod live;
mod pictures;
mod provenance;

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::header::CACHE_CONTROL;
use axum::http::request::Parts;
use axum::middleware::map_response;
use axum::response::Response;
use policies::ContentCheck;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::region::answers::NONCE_BYTES_MAX;
use crate::region::authenticate::Caller;
use crate::region::content::Content;
use crate::region::content::refusal::ContentRefusal;
use crate::region::node::Node;
use crate::region::tenant::Tenant;

/// Every route of the content oracle. Bodies are taken as `Body` and received by `Uploads`, which bounds them: the
/// listener's limit is for small ones.
pub(super) fn routes() -> OpenApiRouter<Arc<Node>> {
    OpenApiRouter::new()
        .routes(routes!(lists::manifest))
        .routes(routes!(lists::key))
        .routes(routes!(lists::bucket))
        .routes(routes!(lists::evaluate))
        .routes(routes!(provenance::provenance))
        .routes(routes!(pictures::check))
        .merge(live::routes())
        .layer(map_response(no_store))
}

/// What is for one tenant is kept by no cache. Routes that may be cached say so themselves.
async fn no_store(mut response: Response) -> Response {
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The node's content oracle, for whoever calls.
pub(crate) struct Service(pub(crate) Arc<Content>);

impl FromRequestParts<Arc<Node>> for Service {
    type Rejection = ContentRefusal;

    async fn from_request_parts(_: &mut Parts, node: &Arc<Node>) -> Result<Self, ContentRefusal> {
        node.content.load_full().map(Self).ok_or(ContentRefusal::Off)
    }
}

/// A kind of check, as a type.
pub(crate) trait Question {
    /// Which.
    const CHECK: ContentCheck;
}

/// A tenant that the policy lets ask `Q`.
pub(crate) struct Asking<Q> {
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) content: Arc<Content>,
    question: PhantomData<Q>,
}

impl<Q: Question> FromRequestParts<Arc<Node>> for Asking<Q> {
    type Rejection = ContentRefusal;

    async fn from_request_parts(parts: &mut Parts, node: &Arc<Node>) -> Result<Self, ContentRefusal> {
        let Service(content) = Service::from_request_parts(parts, node).await?;
        let Caller(tenant) = Caller::from_request_parts(parts, node).await?;
        let granted = node.allows(&tenant, |tenant, region| policies::Question::Content(tenant, region, Q::CHECK));
        if granted { Ok(Self { tenant, content, question: PhantomData }) } else { Err(ContentRefusal::CheckNotGranted) }
    }
}

/// A question's nonce, where it came with one.
fn nonce_of(nonce: Option<String>) -> Result<Option<String>, ContentRefusal> {
    match nonce {
        Some(nonce) if !(1..=NONCE_BYTES_MAX).contains(&nonce.len()) => Err(ContentRefusal::Nonce),
        nonce => Ok(nonce),
    }
}
