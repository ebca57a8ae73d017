//! The oblivious gateway (RFC 9458): requests whose sender the node need not see.
//!
//! Addresses are hidden only where a relay that somebody else runs stands in between. What is inside a capsule is
//! answered by the same routes, but only by those of [`ROUTES`], and never in the name of the connection: a client
//! certificate of the relay vouches for nothing inside.

use attest::oblivious::{InnerRequest, ObliviousError};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use tower::Service as _;

use super::Service;
use crate::http::{BytesBody, Problem};
use crate::region::identity::refusal::IdentityRefusal;

const MEDIA_TYPE_KEYS: &str = "application/ohttp-keys";
const MEDIA_TYPE_REQUEST: &str = "message/ohttp-req";
const MEDIA_TYPE_RESPONSE: &str = "message/ohttp-res";
/// How long clients may keep the keys: a key is accepted for days after its successor took over.
const CACHED: (HeaderName, HeaderValue) = (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));

/// What may be asked through the gateway: beginnings of paths.
const ROUTES: [&str; 6] = [
    "/v1/content/lists",
    "/v1/identity/challenges",
    "/v1/identity/credentials/check",
    "/v1/identity/tokens/redeem",
    "/v1/sessions",
    "/v1/rank",
];

/// The routes that answer what is inside.
#[derive(Clone)]
pub(crate) struct Inside(pub(crate) Router);

/// `GET /.well-known/ohttp-gateway` (RFC 9540)
#[utoipa::path(get, path = "/.well-known/ohttp-gateway", responses(
    (status = 200, description = "application/ohttp-keys: the key configuration in use"),
))]
pub(crate) async fn keys(Service(identity): Service) -> Result<Response, IdentityRefusal> {
    let ring = identity.ring.load();
    let gateway = ring.gateway.as_ref().ok_or(IdentityRefusal::Store)?;
    let media_type = (header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE_KEYS));
    Ok(([media_type, CACHED], gateway.configs().to_vec()).into_response())
}

/// `POST /.well-known/ohttp-gateway` (RFC 9458 §5)
#[utoipa::path(post, path = "/.well-known/ohttp-gateway", request_body(content = Vec<u8>,
    content_type = "message/ohttp-req"), responses(
    (status = 200, description = "message/ohttp-res: the answer, whatever it is, sealed and padded"),
    (status = 400, description = "problem: oblivious-refused"),
    (status = 415, description = "problem: unsupported-media-type"),
    (status = 422, description = "https://iana.org/assignments/http-problem-types#ohttp-key"),
))]
pub(crate) async fn gateway(
    Service(identity): Service,
    axum::Extension(Inside(inside)): axum::Extension<Inside>,
    headers: HeaderMap,
    BytesBody(message): BytesBody,
) -> Result<Response, Problem> {
    if headers.get(header::CONTENT_TYPE).is_none_or(|value| value != MEDIA_TYPE_REQUEST) {
        return Err(Problem::unsupported_media_type(MEDIA_TYPE_REQUEST));
    }
    let opened = {
        let ring = identity.ring.load();
        let gateway = ring.gateway.as_ref().ok_or(IdentityRefusal::Store)?;
        gateway.decapsulate(&message)
    };
    let (inner, responder) = opened.map_err(|error| match error {
        ObliviousError::UnknownKey | ObliviousError::Suite => IdentityRefusal::ObliviousKey,
        _ => IdentityRefusal::ObliviousRefused,
    })?;
    let response = answer(inside, inner).await;
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_err(|_| Problem::internal())?.to_bytes();
    let fields: Vec<(&str, &[u8])> =
        head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let sealed = responder.encapsulate(head.status.as_u16(), &fields, &body).map_err(|_| Problem::internal())?;
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE_RESPONSE))], sealed)
        .into_response())
}

/// What the routes answer to an inner request.
async fn answer(mut inside: Router, mut inner: InnerRequest) -> Response {
    let path = inner.path.split('?').next().unwrap_or_default();
    let offered = ROUTES
        .iter()
        .any(|route| path.strip_prefix(route).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    if !offered {
        return Problem::not_found().into_response();
    }
    let Some(request) = request(&mut inner) else { return IdentityRefusal::ObliviousRefused.into_response() };
    match inside.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn request(inner: &mut InnerRequest) -> Option<Request> {
    let mut request = Request::new(Body::from(std::mem::take(&mut inner.body)));
    *request.method_mut() = Method::from_bytes(inner.method.as_bytes()).ok()?;
    *request.uri_mut() = inner.path.parse().ok()?;
    for (name, value) in &inner.headers {
        let mut value = HeaderValue::from_bytes(value).ok()?;
        value.set_sensitive(true);
        request.headers_mut().append(HeaderName::from_bytes(name.as_bytes()).ok()?, value);
    }
    Some(request)
}
