//! Where a clip comes from: its C2PA manifest, checked by the policy's anchors.

use std::sync::Arc;

use attest::content::jumbf;
use attest::content::provenance::{MediaType, Provenance};
use attest::evidence::encoded::Encoded;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use policies::{ContentCheck, Digest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Asking, Question, nonce_of};
use crate::http::QueryParameters;
use crate::region::answers;
use crate::region::content::refusal::ContentRefusal;
use crate::region::content::uploads::Upload;
use crate::region::node::Node;

/// Media types of the body, for the refusal of another.
const MEDIA_TYPES: &str = "image/jpeg, image/png, image/webp, video/mp4, or application/json with a manifest";
/// Bytes of a body that holds a manifest store as base64url, and little more.
const MANIFEST_BODY_BYTES_MAX: usize = jumbf::BYTES_MAX.div_ceil(3) * 4 + 4096;

/// Asks where a clip comes from.
pub(crate) struct OfOrigin;

impl Question for OfOrigin {
    const CHECK: ContentCheck = ContentCheck::Provenance;
}

/// How it is asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProvenanceQuery {
    /// If present, the answer comes signed as well, bound to this nonce and to the digest of the body.
    nonce: Option<String>,
    /// Of a fragmented MP4 whose fragments are checked one by one: the body is the initialisation segment, which has so
    /// many bytes, and then one fragment.
    init_bytes: Option<usize>,
}

/// A manifest whose clip stays where it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ManifestRequest {
    /// SHA-256 of the clip, as the caller computed it: hex.
    #[schema(value_type = String)]
    digest: Digest,
    /// The clip's media type.
    media_type: String,
    /// The manifest store (JUMBF) as base64url, 8 MiB of it at most.
    #[schema(value_type = String)]
    manifest: Encoded<{ jumbf::BYTES_MAX }>,
}

/// What is known of a clip's origin.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProvenanceResponse {
    /// `state` (`trusted`, `valid`, `unbound`, `none`, `invalid`), `signer`, `ai`, `edits`, `failures` and the rest.
    #[schema(value_type = Object)]
    provenance: Provenance,
    /// Digest of the policy in force.
    #[schema(value_type = String)]
    policy: Digest,
    /// Where a nonce came: the same as a signed answer (compact JWS).
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
}

/// What a body is.
#[derive(Clone, Copy)]
enum Form {
    Clip(MediaType),
    Fragment { init_bytes: usize },
    Manifest,
}

/// `POST /v1/content/provenance`
#[utoipa::path(post, path = "/v1/content/provenance", request_body(content_type = "application/octet-stream"),
    params(("nonce" = Option<String>, Query), ("init_bytes" = Option<u64>, Query)), responses(
    (status = 200, body = ProvenanceResponse),
    (status = 403, description = "problem: check-not-granted"),
    (status = 404, description = "problem: content-off"),
    (status = 413, description = "problem: body-too-large"),
    (status = 415, description = "problem: unsupported-media-type"),
    (status = 422, description = "problem: content-malformed, json-shape, text-length, query-shape"),
    (status = 503, description = "problem: uploads-full, busy"),
), security(("bearer" = [])))]
pub(crate) async fn provenance(
    State(node): State<Arc<Node>>,
    asking: Asking<OfOrigin>,
    QueryParameters(query): QueryParameters<ProvenanceQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ProvenanceResponse>, ContentRefusal> {
    let Asking { tenant, content, .. } = asking;
    let nonce = nonce_of(query.nonce)?;
    let form = form(&headers, query.init_bytes)?;
    let limit = content.options.limits.upload_bytes_max;
    let limit = if matches!(form, Form::Manifest) { limit.min(MANIFEST_BODY_BYTES_MAX) } else { limit };
    let upload = content.uploads.receive(&tenant.id, &headers, body, limit).await?;
    let now_ms = node.environment.clock.now_ms();
    // Digest and signature too are made over there: a clip is long.
    let work = {
        let content = Arc::clone(&content);
        move || -> Result<ProvenanceResponse, ContentRefusal> {
            let provenance = check(&content.provenance, form, &upload, now_ms)?;
            let question = nonce.map(|nonce| answers::Question {
                tenant: &tenant.id,
                subject: None,
                nonce,
                input: upload.bytes(),
                check: ContentCheck::Provenance.as_str(),
                seconds: content.rule.provenance.answer_seconds.into(),
            });
            let answer = question.map(|question| node.answer(question, &provenance)).transpose()?;
            Ok(ProvenanceResponse { provenance, policy: node.policy(), answer })
        }
    };
    content.workers.run(1, work).await?.map(Json)
}

fn form(headers: &HeaderMap, init_bytes: Option<usize>) -> Result<Form, ContentRefusal> {
    let unknown = ContentRefusal::MediaType { expected: MEDIA_TYPES };
    let Some(Ok(text)) = headers.get(header::CONTENT_TYPE).map(|value| value.to_str()) else { return Err(unknown) };
    let essence = text.split_once(';').map_or(text, |(essence, _)| essence).trim();
    match (MediaType::parse(text), init_bytes) {
        (Some(MediaType::Mp4), Some(init_bytes)) => Ok(Form::Fragment { init_bytes }),
        (Some(media_type), None) => Ok(Form::Clip(media_type)),
        (None, None) if essence.eq_ignore_ascii_case("application/json") => Ok(Form::Manifest),
        (Some(_), Some(_)) => Err(ContentRefusal::MediaType { expected: MediaType::Mp4.as_str() }),
        (None, _) => Err(unknown),
    }
}

fn check(
    checker: &attest::content::provenance::Checker,
    form: Form,
    upload: &Upload,
    now_ms: u64,
) -> Result<Provenance, ContentRefusal> {
    let bytes = upload.bytes();
    match form {
        Form::Clip(media_type) => Ok(checker.check(media_type, bytes, now_ms)?),
        Form::Fragment { init_bytes } => {
            let (init, fragment) = bytes
                .split_at_checked(init_bytes)
                .ok_or(ContentRefusal::Malformed { why: "init_bytes is more than the body has" })?;
            Ok(checker.check_fragment(init, fragment, now_ms)?)
        }
        Form::Manifest => {
            let request: ManifestRequest = serde_json::from_slice(bytes).map_err(|_| ContentRefusal::Shape)?;
            if MediaType::parse(&request.media_type).is_none() {
                return Err(ContentRefusal::Malformed { why: "media_type is none that is checked" });
            }
            Ok(checker.check_manifest(&request.manifest, request.digest, now_ms)?)
        }
    }
}
