//! Live streams: an init segment opens one, and each segment of it is judged.

use std::sync::Arc;

use attest::content::live::{Method, Order, Signer};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use policies::{ContentCheck, Digest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Asking, nonce_of};
use crate::http::{PathParameters, QueryParameters};
use crate::region::answers;
use crate::region::content::live::{Judged, StreamId};
use crate::region::content::refusal::ContentRefusal;
use crate::region::content::uploads::Upload;
use crate::region::node::Node;

/// Media types of segments (RFC 4337, RFC 6381; ISO/IEC 14496-12 Annex A).
const MEDIA_TYPES: [&str; 4] = ["video/mp4", "audio/mp4", "application/mp4", "video/iso.segment"];
/// How long a signed verdict says something, in seconds.
const ANSWER_SECONDS: u64 = 60;

pub(super) fn routes() -> OpenApiRouter<Arc<Node>> {
    OpenApiRouter::new().routes(routes!(open)).routes(routes!(segment)).routes(routes!(end))
}

/// Whether the segments of a stream are its source's, in order.
pub(crate) struct Live;

impl super::Question for Live {
    const CHECK: ContentCheck = ContentCheck::Live;
}

/// The query of a question.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    nonce: Option<String>,
}

/// Who signed a stream's manifest, by the certificate's subject.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignerDto {
    /// Common name.
    #[serde(skip_serializing_if = "Option::is_none")]
    common_name: Option<String>,
    /// Organisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<String>,
}

/// What an init segment says.
#[derive(Serialize, ToSchema)]
pub(crate) struct OpenedStream {
    /// The identifier of its manifest.
    manifest: String,
    /// How segments are signed: `segment-info` (C2PA §19.4) or `manifest-box` (§19.3).
    method: &'static str,
    /// Who signed the manifest; the policy's anchors vouch for them.
    signer: SignerDto,
    /// When nothing of the stream verifies any more unless a segment renews it, in Unix ms.
    expires_ms: u64,
}

/// A stream that is kept.
#[derive(Serialize, ToSchema)]
pub(crate) struct StreamOpened {
    /// Its name here, 22 characters of base64url.
    stream: String,
    /// It is forgotten after so many ms without a segment.
    idle_ms: u64,
    #[serde(flatten)]
    opened: OpenedStream,
    /// Where a nonce came: the same as a signed answer, bound to the init segment's bytes (compact JWS).
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
}

/// Segments that have not been seen.
#[derive(Serialize, ToSchema)]
pub(crate) struct Missing {
    /// The first of them.
    from: u64,
    /// The last of them.
    to: u64,
}

/// What is said of a segment, and of which stream it is said: a verdict about one is none about another.
#[derive(Serialize, ToSchema)]
pub(crate) struct Judgement {
    /// The stream's name here.
    stream: String,
    /// SHA-256 of the init segment that opened it, in hexadecimal digits.
    init: String,
    /// Who signed the init segment's manifest, and so the stream.
    signer: SignerDto,
    /// The identifier of the manifest in force.
    manifest: String,
    /// The segment's number, where somebody whom the stream knows vouches for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
    /// Whether it is the stream's own, whole, and new.
    accepted: bool,
    /// `in-order`, `gap`, `replay`, `reordered`, `stale`, `spliced` or `unknown`.
    order: &'static str,
    /// For a gap: what is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<Missing>,
    /// For a splice: what shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    spliced: Option<String>,
    /// Whether the bytes are what the source signed.
    whole: bool,
    /// Why they are not, or not to be relied on.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

/// A segment's verdict.
#[derive(Serialize, ToSchema)]
pub(crate) struct SegmentJudged {
    #[serde(flatten)]
    judgement: Judgement,
    /// Where a nonce came: the same as a signed answer, bound to the segment's bytes (compact JWS).
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
}

impl From<&Signer> for SignerDto {
    fn from(signer: &Signer) -> Self {
        Self { common_name: signer.common_name.clone(), organization: signer.organization.clone() }
    }
}

impl Judgement {
    fn of(id: StreamId, Judged { verdict, manifest, init, signer }: &Judged) -> Self {
        let (order, missing, spliced) = match verdict.order {
            Order::InOrder => ("in-order", None, None),
            Order::Gap { missing_from, missing_to } => {
                ("gap", Some(Missing { from: missing_from, to: missing_to }), None)
            }
            Order::Replay => ("replay", None, None),
            Order::Reordered => ("reordered", None, None),
            Order::Stale => ("stale", None, None),
            Order::Spliced(why) => ("spliced", None, Some(why.to_string())),
            Order::Unknown => ("unknown", None, None),
        };
        Self {
            stream: id.to_string(),
            init: init.to_string(),
            signer: signer.into(),
            manifest: manifest.clone(),
            number: verdict.number,
            accepted: verdict.accepted(),
            order,
            missing,
            spliced,
            whole: verdict.integrity.is_ok(),
            failure: verdict.integrity.err().map(|error| error.to_string()),
        }
    }
}

/// `POST /v1/content/streams`: the init segment of a stream that is to be checked.
#[utoipa::path(post, path = "/v1/content/streams", params(("nonce" = Option<String>, Query)),
    request_body(content = Vec<u8>, content_type = "video/mp4"), responses(
    (status = 201, body = StreamOpened),
    (status = 403, description = "problem: check-not-granted"),
    (status = 413, description = "problem: body-too-large"),
    (status = 415, description = "problem: unsupported-media-type"),
    (status = 422, description = "problem: stream-refused"),
    (status = 503, description = "problem: streams-full, uploads-full, busy"),
), security(("bearer" = [])))]
pub(crate) async fn open(
    State(node): State<Arc<Node>>,
    asking: Asking<Live>,
    QueryParameters(asked): QueryParameters<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ContentRefusal> {
    let nonce = nonce_of(asked.nonce)?;
    let init = receive(&asking, &headers, body, attest::content::live::INIT_BYTES_MAX).await?;
    let (content, now_ms) = (&asking.content, node.environment.clock.now_ms());
    let stream = content.streams.verify(&content.workers, Arc::clone(&init), now_ms).await?;
    let described = || OpenedStream {
        manifest: stream.manifest_name(),
        method: match stream.method() {
            Method::SegmentInfo => "segment-info",
            Method::ManifestBox => "manifest-box",
        },
        signer: stream.signer().into(),
        expires_ms: stream.expires_ms(),
    };
    let answer = nonce.map(|nonce| sign(&node, &asking, nonce, init.bytes(), described())).transpose()?;
    let opened = described();
    let id = StreamId(node.environment.entropy.bytes().map_err(|_| ContentRefusal::NoEntropy)?);
    content.streams.keep(id, &asking.tenant.id, (stream, Digest::of(init.bytes())), now_ms)?;
    let opened =
        StreamOpened { stream: id.to_string(), idle_ms: content.options.limits.stream_idle_ms, opened, answer };
    Ok((StatusCode::CREATED, Json(opened)).into_response())
}

/// `POST /v1/content/streams/{stream}/segments`: the next segment that a viewer got.
#[utoipa::path(post, path = "/v1/content/streams/{stream}/segments",
    params(("stream" = String, Path), ("nonce" = Option<String>, Query)),
    request_body(content = Vec<u8>, content_type = "video/mp4"), responses(
    (status = 200, body = SegmentJudged),
    (status = 403, description = "problem: check-not-granted"),
    (status = 404, description = "problem: stream-unknown"),
    (status = 413, description = "problem: body-too-large"),
    (status = 415, description = "problem: unsupported-media-type"),
    (status = 503, description = "problem: uploads-full, busy"),
), security(("bearer" = [])))]
pub(crate) async fn segment(
    State(node): State<Arc<Node>>,
    asking: Asking<Live>,
    PathParameters(stream): PathParameters<String>,
    QueryParameters(asked): QueryParameters<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<SegmentJudged>, ContentRefusal> {
    let nonce = nonce_of(asked.nonce)?;
    let (content, id) = (&asking.content, stream_id(&stream)?);
    // Nobody sends fifty megabytes to learn that there is no such stream.
    content.streams.check(id, &asking.tenant.id, node.environment.clock.now_ms())?;
    let bytes_max = content.options.limits.upload_bytes_max.min(attest::content::live::SEGMENT_BYTES_MAX);
    let segment = receive(&asking, &headers, body, bytes_max).await?;
    let now_ms = node.environment.clock.now_ms();
    let named = (id, &asking.tenant.id);
    let judged = content.streams.judge(&content.workers, named, Arc::clone(&segment), now_ms).await?;
    let answer = match nonce {
        None => None,
        Some(nonce) => Some(sign(&node, &asking, nonce, segment.bytes(), Judgement::of(id, &judged))?),
    };
    Ok(Json(SegmentJudged { judgement: Judgement::of(id, &judged), answer }))
}

/// `DELETE /v1/content/streams/{stream}`: forgets it.
#[utoipa::path(delete, path = "/v1/content/streams/{stream}", params(("stream" = String, Path)), responses(
    (status = 204),
    (status = 403, description = "problem: check-not-granted"),
    (status = 404, description = "problem: stream-unknown"),
), security(("bearer" = [])))]
pub(crate) async fn end(
    State(node): State<Arc<Node>>,
    asking: Asking<Live>,
    PathParameters(stream): PathParameters<String>,
) -> Result<StatusCode, ContentRefusal> {
    asking.content.streams.end(stream_id(&stream)?, &asking.tenant.id, node.environment.clock.now_ms())?;
    Ok(StatusCode::NO_CONTENT)
}

fn stream_id(text: &str) -> Result<StreamId, ContentRefusal> {
    text.parse().map_err(|_| ContentRefusal::StreamUnknown)
}

async fn receive(
    asking: &Asking<Live>,
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<Arc<Upload>, ContentRefusal> {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if !MEDIA_TYPES.iter().any(|known| essence.eq_ignore_ascii_case(known)) {
        return Err(ContentRefusal::MediaType { expected: MEDIA_TYPES[0] });
    }
    Ok(Arc::new(asking.content.uploads.receive(&asking.tenant.id, headers, body, bytes_max).await?))
}

fn sign<R: Serialize>(
    node: &Node,
    asking: &Asking<Live>,
    nonce: String,
    input: &[u8],
    result: R,
) -> Result<String, ContentRefusal> {
    let question = answers::Question {
        tenant: &asking.tenant.id,
        subject: None,
        nonce,
        input,
        check: ContentCheck::Live.as_str(),
        seconds: ANSWER_SECONDS,
    };
    Ok(node.answer(question, result)?)
}
