//! Errors as RFC 9457 problem details. Every refusal of every listener has this form.
//!
//! A problem's texts are written here and in the callers' sources: nothing of a request is ever echoed.

use std::borrow::Cow;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// RFC 9457 §6.1.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// One problem: a stable type, a title that is always the same for it, and what is particular to this occurrence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    slug: &'static str,
    /// A type that is registered elsewhere, in place of Siwa's URN.
    registered: Option<&'static str>,
    title: &'static str,
    detail: Option<Cow<'static, str>>,
    instance: Option<String>,
    header: Option<(HeaderName, HeaderValue)>,
    close: bool,
}

/// The members of RFC 9457 §3.1 that Siwa uses.
#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
}

impl Problem {
    /// A problem of type `urn:siwa:problem:<slug>`.
    #[must_use]
    pub const fn new(status: StatusCode, slug: &'static str, title: &'static str) -> Self {
        Self { status, slug, registered: None, title, detail: None, instance: None, header: None, close: false }
    }

    /// Adds what is particular to this occurrence. It must hold nothing that the client sent.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Names this occurrence by a URN of ours, so that a log's line can be found for it.
    #[must_use]
    pub fn with_instance(mut self, instance: String) -> Self {
        self.instance = Some(instance);
        self
    }

    /// Says a type that is registered elsewhere (RFC 9457 §4.2) in place of Siwa's URN.
    #[must_use]
    pub const fn of_registered_type(mut self, uri: &'static str) -> Self {
        self.registered = Some(uri);
        self
    }

    /// Adds a response header, such as `WWW-Authenticate`.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }

    /// Closes the connection after this answer: what follows on it can't be understood.
    #[must_use]
    pub const fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// What is particular to this occurrence.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// The last part of the type's URN.
    #[must_use]
    pub const fn slug(&self) -> &'static str {
        self.slug
    }

    /// 401: no credential, or one that is not accepted (RFC 9110 §15.5.2).
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "No accepted credential")
            .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 403: the credential is known, and what is asked is not granted to it.
    #[must_use]
    pub const fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Not granted to this credential")
    }

    /// 404.
    #[must_use]
    pub const fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Nothing here")
    }

    /// 405. The router adds `Allow`.
    #[must_use]
    pub const fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "This method is not offered here")
    }

    /// 408: the request's body did not arrive in time.
    #[must_use]
    pub const fn body_timeout() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "body-timeout", "The body did not arrive in time").closing()
    }

    /// 413: the body is longer than this endpoint allows.
    #[must_use]
    pub const fn body_too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large").closing()
    }

    /// 400: the body ended early or its framing is broken.
    #[must_use]
    pub const fn broken_body() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "broken-body", "The body could not be read").closing()
    }

    /// 415: the body is not of the media type that this endpoint takes.
    #[must_use]
    pub fn unsupported_media_type(expected: &'static str) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Not the expected media type")
            .with_detail(expected)
    }

    /// 422: the body was read and breaks a rule of this endpoint.
    #[must_use]
    pub fn unprocessable(slug: &'static str, title: &'static str) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, slug, title)
    }

    /// 429: a limit of this tenant or session is used up; try again after `retry_after_s` seconds.
    #[must_use]
    pub fn too_many_requests(retry_after_s: u32) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "A rate limit is used up")
            .with_header(header::RETRY_AFTER, HeaderValue::from(retry_after_s))
    }

    /// 500: a fault of ours. What it is stands in the log, not here.
    #[must_use]
    pub const fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "A fault on our side")
    }

    /// 503: this process can't do it now; try again after `retry_after_s` seconds.
    #[must_use]
    pub fn unavailable(slug: &'static str, title: &'static str, retry_after_s: u32) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, slug, title)
            .with_header(header::RETRY_AFTER, HeaderValue::from(retry_after_s))
    }

    /// 503: the handler did not finish within the request's deadline.
    #[must_use]
    pub fn deadline() -> Self {
        Self::unavailable("deadline", "The request's deadline passed", 1).closing()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            r#type: self.registered.map_or_else(|| format!("urn:siwa:problem:{}", self.slug), str::to_owned),
            title: self.title,
            status: self.status.as_u16(),
            detail: self.detail.as_deref(),
            instance: self.instance.as_deref(),
        };
        let body = serde_json::to_vec(&body).expect("strings and a number serialise");
        let mut response =
            (self.status, [(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))], body).into_response();
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        if self.close {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Answers unknown paths and methods of `router` with problems. To be called after every route was added.
pub fn with_fallbacks<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router.fallback(async || Problem::not_found()).method_not_allowed_fallback(async || Problem::method_not_allowed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn a_problem_has_the_form_of_rfc_9457() {
        let response = Problem::body_too_large().with_detail("at most 10 bytes").into_response();
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(response.headers()[header::CONTENT_TYPE], MEDIA_TYPE);
        assert_eq!(response.headers()[header::CONNECTION], "close");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(
            body,
            r#"{"type":"urn:siwa:problem:body-too-large","title":"The body is too large","status":413,"detail":"at most 10 bytes"}"#
        );
    }

    #[test]
    fn refusals_say_when_to_come_back() {
        let response = Problem::too_many_requests(7).into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[header::RETRY_AFTER], "7");
        assert_eq!(Problem::unauthorized().into_response().headers()[header::WWW_AUTHENTICATE], "Bearer");
    }
}
