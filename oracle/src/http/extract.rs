//! What handlers take from a request: bodies within the route's limit, path and query, each refused as a [`Problem`].

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::problem::Problem;

/// A body of `application/json` as a `T`, whose unknown fields are refused if `T` says `deny_unknown_fields`.
///
/// Nesting is bounded by `serde_json`'s limit of 128. JSON has no NaN and no infinity, but a number such as `1e300`
/// reads as an infinite `f32`: handlers check what they compute with.
///
/// # Errors
/// 415 for another media type, 413 for a body beyond the limit, 422 for text that is not JSON or not a `T`: with line
/// and column, and without a word of the text.
#[derive(Debug, Clone, Copy)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = json_bytes(request, state).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| json_problem(&error))
    }
}

/// As [`JsonBody`], with the bytes as they came, for answers that are bound to them.
#[derive(Debug, Clone)]
pub struct JsonBodyAndBytes<T>(pub T, pub Bytes);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBodyAndBytes<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = json_bytes(request, state).await?;
        let value = serde_json::from_slice(&bytes).map_err(|error| json_problem(&error))?;
        Ok(Self(value, bytes))
    }
}

async fn json_bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    if !is_json(request.headers()) {
        return Err(Problem::unsupported_media_type("application/json"));
    }
    Bytes::from_request(request, state).await.map_err(body_problem)
}

/// `application/json`, whatever its parameters (RFC 8259 §11 defines none).
fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers.get(header::CONTENT_TYPE).map(|value| value.to_str()) else { return false };
    let essence = value.split_once(';').map_or(value, |(essence, _)| essence);
    essence.trim_end().eq_ignore_ascii_case("application/json")
}

/// A body's bytes, whatever its media type. 413 beyond the limit.
#[derive(Debug, Clone)]
pub struct BytesBody(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for BytesBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Bytes::from_request(request, state).await.map(Self).map_err(body_problem)
    }
}

/// Parameters of the path as a `T`. What does not parse names nothing: 404.
#[derive(Debug, Clone)]
pub struct PathParameters<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for PathParameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(value) = Path::from_request_parts(parts, state).await.map_err(|_| Problem::not_found())?;
        Ok(Self(value))
    }
}

/// Parameters of the query as a `T`: 422 for what does not parse.
#[derive(Debug, Clone)]
pub struct QueryParameters<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for QueryParameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let problem = |_| Problem::unprocessable("query-shape", "The query is not of this endpoint's form");
        let Query(value) = Query::from_request_parts(parts, state).await.map_err(problem)?;
        Ok(Self(value))
    }
}

/// Why a body could not be read, as a problem.
fn body_problem(rejection: BytesRejection) -> Problem {
    match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => Problem::body_too_large(),
        // The client went away or broke the framing: nobody will read this.
        _ => Problem::broken_body(),
    }
}

fn json_problem(error: &serde_json::Error) -> Problem {
    let place = format!("line {}, column {}", error.line(), error.column());
    match error.classify() {
        Category::Syntax | Category::Eof | Category::Io => {
            Problem::unprocessable("json-syntax", "The body is not JSON").with_detail(place)
        }
        Category::Data => {
            Problem::unprocessable("json-shape", "The JSON is not of this endpoint's form").with_detail(place)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::StatusCode;
    use proptest::prelude::*;

    #[derive(serde::Deserialize, Debug, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Example {
        item: String,
        weight: f64,
    }

    async fn read(content_type: Option<&str>, body: &str) -> Result<Example, Problem> {
        let mut request = Request::builder();
        if let Some(value) = content_type {
            request = request.header(header::CONTENT_TYPE, value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        JsonBody::from_request(request, &()).await.map(|JsonBody(value)| value)
    }

    #[tokio::test]
    async fn reads_json_and_nothing_else() {
        let body = r#"{"item":"a","weight":0.5}"#;
        let expected = Ok(Example { item: "a".to_owned(), weight: 0.5 });
        assert_eq!(read(Some("application/json"), body).await, expected);
        assert_eq!(read(Some("Application/JSON; charset=utf-8"), body).await, expected);
        for other in [None, Some("text/plain"), Some("application/jsonl"), Some("application/problem+json")] {
            assert_eq!(read(other, body).await, Err(Problem::unsupported_media_type("application/json")));
        }
    }

    #[tokio::test]
    async fn says_where_and_not_what() {
        for (body, slug, place) in [
            ("", "json-syntax", "line 1, column 0"),
            ("{\n \"item\": secret", "json-syntax", "line 2, column 10"),
            (r#"{"item":"a","weight":NaN}"#, "json-syntax", "line 1, column 22"),
            (r#"{"item":"a","weight":1e999}"#, "json-syntax", "line 1, column 26"),
            (r#"{"item":"a","weight":1} x"#, "json-syntax", "line 1, column 25"),
            (r#"{"item":"a","weight":1,"secret":1}"#, "json-shape", "line 1, column 31"),
            (r#"{"item":"a","item":"b","weight":1}"#, "json-shape", "line 1, column 18"),
            (r#"{"item":"a"}"#, "json-shape", "line 1, column 12"),
        ] {
            let problem = read(Some("application/json"), body).await.unwrap_err();
            assert_eq!(problem.status(), StatusCode::UNPROCESSABLE_ENTITY);
            assert_eq!((problem.slug(), problem.detail()), (slug, Some(place)), "{body}");
        }
    }

    #[tokio::test]
    async fn the_bytes_come_as_they_were_sent() {
        let body = r#"{ "weight":1, "item":"a" }"#;
        let request = Request::builder().header(header::CONTENT_TYPE, "application/json").body(Body::from(body));
        let JsonBodyAndBytes(value, bytes) = JsonBodyAndBytes::from_request(request.unwrap(), &()).await.unwrap();
        assert_eq!((value, &bytes[..]), (Example { item: "a".to_owned(), weight: 1.0 }, body.as_bytes()));
    }

    #[tokio::test]
    async fn nesting_is_bounded() {
        let request = |depth: usize| {
            let body = "[".repeat(depth) + &"]".repeat(depth);
            Request::builder().header(header::CONTENT_TYPE, "application/json").body(Body::from(body)).unwrap()
        };
        let slug = |result: Result<JsonBody<serde_json::Value>, Problem>| result.map(|_| ()).map_err(|p| p.slug());
        assert_eq!(slug(JsonBody::from_request(request(127), &()).await), Ok(()));
        assert_eq!(slug(JsonBody::from_request(request(128), &()).await), Err("json-syntax"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(body in ".{0,200}") {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            if let Err(problem) = runtime.block_on(read(Some("application/json"), &body)) {
                prop_assert_eq!(problem.status(), StatusCode::UNPROCESSABLE_ENTITY);
            }
        }
    }
}
