//! Immutable bytes with their SHA-256 as a strong entity tag (RFC 9110 §8.8.3).

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use policies::Digest;

/// The bytes, or 304 where the client has them. An artifact under a version never changes, so caches may keep it.
pub(super) fn answer(request: &HeaderMap, media_type: &'static str, bytes: Vec<u8>) -> Response {
    let tag = format!("\"{}\"", Digest::of(&bytes));
    let known = request.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let known = known.flat_map(|value| value.split(',')).any(|listed| listed.trim() == tag || listed.trim() == "*");
    let headers = [
        (header::ETAG, HeaderValue::try_from(tag).expect("quotes and hexadecimal digits are visible ASCII")),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=31536000, immutable")),
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
    ];
    if known { (StatusCode::NOT_MODIFIED, headers).into_response() } else { (headers, bytes).into_response() }
}
