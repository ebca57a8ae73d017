//! Whether a frame or thumbnail nearly equals one of a clear list.

use std::sync::Arc;

use attest::pdq::{PdqHash, PictureError, PictureType, luminance};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use policies::ContentCheck;
use policies::rules::ListMeaning;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Asking, Question, nonce_of};
use crate::http::QueryParameters;
use crate::region::answers;
use crate::region::content::Content;
use crate::region::content::refusal::ContentRefusal;
use crate::region::content::uploads::Upload;
use crate::region::node::Node;

/// How long a signed answer holds, in seconds.
const ANSWER_SECONDS: u64 = 600;
/// Below it a picture varies too little to be told from others by its hash, as its authors advise.
const QUALITY_MIN: u8 = 50;
const EXPECTED: &str = "image/jpeg, image/png, image/webp or application/json";
/// Bytes of a question by hash.
const QUESTION_BYTES_MAX: usize = 1024;

/// The check, as a type.
pub(crate) struct Similar;

impl Question for Similar {
    const CHECK: ContentCheck = ContentCheck::Similar;
}

/// Which list, and whether a signed answer is wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SimilarQuery {
    list: String,
    nonce: Option<String>,
}

/// A question by a hash that the caller computed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HashQuestion {
    /// A PDQ hash: 64 hexadecimal digits.
    hash: String,
}

/// The nearest picture of the list.
#[derive(Serialize, ToSchema)]
pub(crate) struct Nearest {
    /// Its line in the list, from 1.
    line: usize,
    /// In how many of 256 bits it differs.
    distance: u16,
}

/// What was found.
#[derive(Serialize, ToSchema)]
pub(crate) struct SimilarResult {
    /// The list.
    list: String,
    /// What it says of the pictures in it: `blocked`, `licensed` or `takedown`.
    #[schema(value_type = String)]
    meaning: ListMeaning,
    /// Whether a picture of the list is near enough.
    listed: bool,
    /// Which.
    nearest: Option<Nearest>,
    /// Bits that may differ, by the policy.
    distance_max: u16,
    /// The PDQ hash that was looked for.
    hash: String,
    /// How much the picture varies, 0 to 100; none for a question by hash.
    quality: Option<u8>,
    /// Whether the picture varies enough for its hash to say something: a quality of 50 at least. Unknown for a hash.
    reliable: Option<bool>,
}

/// The result, and the same signed where a nonce came.
#[derive(Serialize, ToSchema)]
pub(crate) struct SimilarResponse {
    #[serde(flatten)]
    result: SimilarResult,
    /// The same as a signed answer (compact JWS), check `similar`.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
}

/// `POST /v1/content/similar`
///
/// The body is a picture, or its PDQ hash as JSON. The picture is in memory for the length of the call.
#[utoipa::path(post, path = "/v1/content/similar", operation_id = "checkSimilar", tag = "content",
    params(("list" = String, Query), ("nonce" = Option<String>, Query)),
    request_body(content((Vec<u8> = "image/jpeg"), (Vec<u8> = "image/png"), (Vec<u8> = "image/webp"), (HashQuestion = "application/json"))),
    responses(
        (status = 200, body = SimilarResponse),
        (status = 403, description = "problem: check-not-granted"),
        (status = 404, description = "problem: content-off, list-unknown"),
        (status = 413, description = "problem: body-too-large"),
        (status = 415, description = "problem: unsupported-media-type"),
        (status = 422, description = "problem: content-malformed, text-length"),
        (status = 503, description = "problem: busy, uploads-full"),
    ), security(("bearer" = [])))]
pub(crate) async fn check(
    State(node): State<Arc<Node>>,
    asking: Asking<Similar>,
    QueryParameters(query): QueryParameters<SimilarQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<SimilarResponse>, ContentRefusal> {
    let nonce = nonce_of(query.nonce)?;
    let content = &asking.content;
    let list = content.pictures.find(&asking.tenant.id, &query.list).ok_or(ContentRefusal::ListUnknown)?;
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let (upload, hash, quality) = if media_type == "application/json" {
        let upload = content.uploads.receive(&asking.tenant.id, &headers, body, QUESTION_BYTES_MAX).await?;
        let question: Option<HashQuestion> = serde_json::from_slice(upload.bytes()).ok();
        let hash = question.and_then(|question| question.hash.parse().ok());
        (upload, hash.ok_or(ContentRefusal::Malformed { why: "no PDQ hash" })?, None)
    } else {
        let form = PictureType::of(media_type).ok_or(ContentRefusal::MediaType { expected: EXPECTED })?;
        let upload =
            content.uploads.receive(&asking.tenant.id, &headers, body, content.options.limits.upload_bytes_max).await?;
        hashed(content, upload, form).await?
    };
    let found = list.index.nearest(&hash, list.distance_max);
    let result = SimilarResult {
        list: query.list,
        meaning: list.meaning,
        listed: found.is_some(),
        nearest: found.map(|found| Nearest { line: found.entry + 1, distance: found.distance }),
        distance_max: list.distance_max,
        hash: hash.to_string(),
        quality,
        reliable: quality.map(|quality| quality >= QUALITY_MIN),
    };
    let answer = nonce.map(|nonce| {
        let (tenant, input) = (&asking.tenant.id, upload.bytes());
        let check = ContentCheck::Similar.as_str();
        node.answer(answers::Question { tenant, subject: None, nonce, input, check, seconds: ANSWER_SECONDS }, &result)
    });
    Ok(Json(SimilarResponse { answer: answer.transpose()?, result }))
}

/// Decodes and hashes on a thread of the content oracle.
async fn hashed(
    content: &Content,
    upload: Upload,
    form: PictureType,
) -> Result<(Upload, PdqHash, Option<u8>), ContentRefusal> {
    let work = move || {
        let read = luminance(upload.bytes(), form);
        (upload, read.map(|(luminance, width, height)| PdqHash::of(luminance, width, height)))
    };
    let (upload, hashed) = content.workers.run(1, work).await?;
    let hashed = hashed.map_err(|error| match error {
        PictureError::TooLarge => ContentRefusal::Malformed { why: "the picture has too many pixels" },
        PictureError::Malformed => ContentRefusal::Malformed { why: "the picture cannot be decoded" },
    })?;
    let hashed = hashed.ok_or(ContentRefusal::Malformed { why: "the picture has too few pixels" })?;
    Ok((upload, hashed.hash, Some(hashed.quality)))
}
