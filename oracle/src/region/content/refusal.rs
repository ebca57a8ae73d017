//! Why the content oracle refuses a call, and what the caller is told. External texts hold nothing of the request.

use attest::content::live::LiveError;
use attest::content::provenance::ProvenanceError;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::http::Problem;
use crate::region::answers::{NONCE_BYTES_MAX, Unanswered};
use crate::region::refusal::Refusal;
use crate::workers::Busy;

/// Why a call was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ContentRefusal {
    /// This node checks no content.
    Off,
    /// No credential, or an unknown one.
    Unauthenticated,
    /// The policy does not let this tenant ask that.
    CheckNotGranted,
    /// The body is of a media type that is not checked.
    MediaType { expected: &'static str },
    /// More bytes than an upload may have.
    TooLarge { max: usize },
    /// As many bytes of uploads are in memory as may.
    UploadsFull,
    /// The body ended early or its framing is broken.
    Broken,
    /// This node keeps no such list for this tenant.
    ListUnknown,
    /// The nonce is empty or too long.
    Nonce,
    /// The body is JSON, and not of this endpoint's form.
    Shape,
    /// The origin of a clip cannot be checked.
    Provenance(ProvenanceError),
    /// The content cannot be read as what it says it is.
    Malformed { why: &'static str },
    /// The init segment opens no stream.
    StreamRefused(LiveError),
    /// The tenant has no such stream.
    StreamUnknown,
    /// The tenant has as many streams as may be.
    StreamsFull,
    /// As much work waits as may.
    Busy,
    /// The operating system gave no randomness.
    NoEntropy,
    /// An answer could not be signed.
    NotSigned,
}

impl From<ContentRefusal> for Problem {
    fn from(refusal: ContentRefusal) -> Self {
        use ContentRefusal as R;
        match refusal {
            R::Off => Self::new(StatusCode::NOT_FOUND, "content-off", "This node checks no content"),
            R::Unauthenticated => Self::unauthorized(),
            R::CheckNotGranted => {
                Self::new(StatusCode::FORBIDDEN, "check-not-granted", "The policy does not let this tenant ask that")
            }
            R::MediaType { expected } => Self::unsupported_media_type(expected),
            R::TooLarge { max } => Self::body_too_large().with_detail(format!("at most {max} bytes")),
            R::UploadsFull => Self::unavailable("uploads-full", "As many uploads are in memory as may be", 1).closing(),
            R::Broken => Self::broken_body(),
            R::ListUnknown => {
                Self::new(StatusCode::NOT_FOUND, "list-unknown", "This node keeps no such list for this tenant")
            }
            R::Nonce => Self::unprocessable("text-length", "A text is empty or too long")
                .with_detail(format!("nonce: 1 to {NONCE_BYTES_MAX} bytes")),
            R::Shape => Self::unprocessable("json-shape", "The JSON is not of this endpoint's form"),
            R::Provenance(error) => {
                Self::unprocessable("content-malformed", "The content cannot be read").with_detail(error.to_string())
            }
            R::Malformed { why } => {
                Self::unprocessable("content-malformed", "The content cannot be read").with_detail(why)
            }
            R::StreamRefused(why) => {
                Self::unprocessable("stream-refused", "The init segment opens no stream").with_detail(why.to_string())
            }
            R::StreamUnknown => Self::new(StatusCode::NOT_FOUND, "stream-unknown", "No such stream"),
            R::StreamsFull => Self::unavailable("streams-full", "As many streams are under check as may be", 5),
            R::Busy => Self::unavailable("busy", "As much work waits as may", 1),
            R::NoEntropy => Self::unavailable("no-entropy", "No randomness to be had", 1),
            R::NotSigned => Self::internal(),
        }
    }
}

impl IntoResponse for ContentRefusal {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

impl From<Refusal> for ContentRefusal {
    /// What authentication refuses with.
    fn from(_: Refusal) -> Self {
        Self::Unauthenticated
    }
}

impl From<Unanswered> for ContentRefusal {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::NoEntropy => Self::NoEntropy,
            Unanswered::NotSigned => Self::NotSigned,
        }
    }
}

impl From<ProvenanceError> for ContentRefusal {
    fn from(error: ProvenanceError) -> Self {
        Self::Provenance(error)
    }
}

impl From<Busy> for ContentRefusal {
    fn from(_: Busy) -> Self {
        Self::Busy
    }
}
