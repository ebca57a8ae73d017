//! Why a question about a private list is refused, and what the caller is told.

use attest::content::list::BATCH_ELEMENTS_MAX;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::http::Problem;
use crate::region::content::refusal::ContentRefusal;
use crate::region::identity::refusal::IdentityRefusal;

/// Why a call was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListRefusal {
    /// This node serves no lists, or no such list, or the policy does not let the tenant's viewers ask.
    Unknown,
    /// No epoch of the list can be served now.
    Unavailable,
    /// The epoch was replaced, and its time of grace is over.
    EpochEnded,
    /// No epoch of that number has been taken up here.
    EpochUnknown,
    /// The list has no bucket of that number.
    BucketUnknown,
    /// None, too many, or something that is no element of the group.
    Elements,
    /// As much work waits as may.
    Busy,
    /// A file of the list could not be read.
    Unreadable,
    /// The operating system gave no randomness.
    NoEntropy,
    /// What the content oracle refuses for itself.
    Content(ContentRefusal),
    /// The token.
    Identity(IdentityRefusal),
}

impl From<ListRefusal> for Problem {
    fn from(refusal: ListRefusal) -> Self {
        use ListRefusal as R;
        match refusal {
            R::Unknown => Self::new(StatusCode::NOT_FOUND, "list-unknown", "No such list"),
            R::Unavailable => Self::unavailable("list-unavailable", "No epoch of the list can be served now", 30),
            R::EpochEnded => Self::new(StatusCode::CONFLICT, "list-epoch-ended", "The epoch was replaced")
                .with_detail("fetch the manifest again, and the bucket of the epoch that it names"),
            R::EpochUnknown => Self::new(StatusCode::CONFLICT, "list-epoch-unknown", "No such epoch here yet"),
            R::BucketUnknown => Self::new(StatusCode::NOT_FOUND, "list-bucket-unknown", "The list has no such bucket"),
            R::Elements => Self::unprocessable("message-invalid", "A message is not one of its protocol")
                .with_detail(format!("elements: 1 to {BATCH_ELEMENTS_MAX} elements of ristretto255, not the identity")),
            R::Busy => Self::unavailable("busy", "As much work waits as may", 1),
            R::Unreadable => Self::unavailable("list-unavailable", "The list cannot be read now", 5),
            R::NoEntropy => Self::unavailable("no-entropy", "No randomness to be had", 1),
            R::Content(refusal) => refusal.into(),
            R::Identity(refusal) => refusal.into(),
        }
    }
}

impl IntoResponse for ListRefusal {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

impl From<ContentRefusal> for ListRefusal {
    fn from(refusal: ContentRefusal) -> Self {
        Self::Content(refusal)
    }
}

impl From<IdentityRefusal> for ListRefusal {
    fn from(refusal: IdentityRefusal) -> Self {
        Self::Identity(refusal)
    }
}
