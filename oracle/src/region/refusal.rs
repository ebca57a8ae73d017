//! Why a node refuses a call, and what the caller is told. External texts hold nothing of the request.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use personalize::{CANDIDATES_MAX, SessionError};

use super::answers::Unanswered;
use super::identity::refusal::IdentityRefusal;
use crate::http::Problem;

/// Why a call was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No credential, or an unknown one.
    Unauthenticated,
    /// No live session of this tenant has that name.
    SessionUnknown,
    /// As many sessions live as may.
    SessionsFull,
    /// The policy lets none of this tenant's viewers be served here.
    NotServed,
    /// The tenant has no catalogue here yet.
    CatalogueMissing,
    /// A signal's sequence number is not above the last one taken.
    SignalReplayed,
    /// More signals in one call than `signals_max`.
    SignalsTooMany { max: usize },
    /// The region's policy does not allow this kind of signal.
    SignalNotAllowed { position: usize },
    /// The signal's numbers make no sense.
    SignalInvalid { position: usize },
    /// A signal names an item that is not in the session's catalogue.
    SignalItemUnknown { position: usize },
    /// None, or more candidates than may be ranked at once.
    CandidateCount { max: usize },
    /// A candidate is not in the session's catalogue.
    CandidateUnknown { position: usize },
    /// A candidate is named twice.
    CandidateDuplicate,
    /// A text that names something is empty or too long.
    TextLength { field: &'static str, max: usize },
    /// The operating system gave no randomness.
    NoEntropy,
    /// An answer could not be signed.
    NotSigned,
    /// The node drains: what lives is served, nothing new begins.
    Draining,
    /// The policy lets no device of this tenant's viewers prove anything.
    DevicesNotGranted,
    /// As many devices are being looked at as may be at a time.
    DevicesBusy,
    /// The device's evidence is not as the policy asks: the sentences that decided.
    DeviceRefused { why: String, verdict: String },
    /// A thread that looked at evidence ended without a word.
    NotAppraised,
    /// The viewer is to be a verified one, and is not.
    Identity(IdentityRefusal),
}

impl From<IdentityRefusal> for Refusal {
    fn from(refusal: IdentityRefusal) -> Self {
        Self::Identity(refusal)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let unprocessable = Self::unprocessable;
        match refusal {
            Refusal::Unauthenticated => Self::unauthorized(),
            Refusal::SessionUnknown => Self::new(StatusCode::NOT_FOUND, "session-unknown", "No such session")
                .with_detail("it ended, expired, or is not this tenant's"),
            Refusal::SessionsFull => Self::unavailable("sessions-full", "No room for another session", 1),
            Refusal::CatalogueMissing => {
                Self::unavailable("catalogue-missing", "The tenant's catalogue has not arrived here", 1)
            }
            Refusal::SignalReplayed => Self::new(StatusCode::CONFLICT, "signal-replayed", "A signal was sent before")
                .with_detail("seq must rise with every signal of a session; nothing of this call was taken"),
            Refusal::SignalsTooMany { max } => {
                unprocessable("signals-too-many", "Too many signals in one call").with_detail(format!("at most {max}"))
            }
            Refusal::SignalNotAllowed { position } => {
                unprocessable("signal-not-allowed", "The region's policy does not allow this signal")
                    .with_detail(format!("signals[{position}]"))
            }
            Refusal::SignalInvalid { position } => {
                unprocessable("signal-invalid", "The signal's numbers make no sense")
                    .with_detail(format!("signals[{position}]"))
            }
            Refusal::SignalItemUnknown { position } => {
                unprocessable("item-unknown", "An item is not in the session's catalogue")
                    .with_detail(format!("signals[{position}].item"))
            }
            Refusal::CandidateCount { max } => {
                unprocessable("candidate-count", "Not a number of candidates that can be ranked")
                    .with_detail(format!("1 to {max}"))
            }
            Refusal::CandidateUnknown { position } => {
                unprocessable("item-unknown", "An item is not in the session's catalogue")
                    .with_detail(format!("candidates[{position}]"))
            }
            Refusal::CandidateDuplicate => unprocessable("candidate-duplicate", "A candidate is named twice"),
            Refusal::TextLength { field, max } => unprocessable("text-length", "A text is empty or too long")
                .with_detail(format!("{field}: 1 to {max} bytes")),
            Refusal::NoEntropy => Self::unavailable("no-entropy", "No randomness to be had", 1),
            Refusal::NotServed => Self::new(
                StatusCode::FORBIDDEN,
                "not-served",
                "The policy lets no viewer of this tenant be served here",
            ),
            Refusal::DevicesNotGranted => Self::new(
                StatusCode::FORBIDDEN,
                "devices-not-granted",
                "The policy lets no device of this tenant's viewers prove anything here",
            ),
            Refusal::DevicesBusy => {
                Self::unavailable("devices-busy", "As many devices are being looked at as may be at a time", 1)
            }
            Refusal::DeviceRefused { why, verdict } => {
                unprocessable("device-refused", "The device's evidence is not as the policy asks")
                    .with_detail(why)
                    .with_instance(verdict)
            }
            Refusal::NotSigned | Refusal::NotAppraised => Self::internal(),
            Refusal::Draining => Self::unavailable("draining", "This node is about to stop", 1),
            Refusal::Identity(refusal) => refusal.into(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

impl From<Unanswered> for Refusal {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::NoEntropy => Self::NoEntropy,
            Unanswered::NotSigned => Self::NotSigned,
        }
    }
}

impl From<SessionError> for Refusal {
    fn from(error: SessionError) -> Self {
        match error {
            // It ended between being found and being locked.
            SessionError::Ended => Self::SessionUnknown,
            SessionError::Candidates => Self::CandidateCount { max: CANDIDATES_MAX },
            SessionError::DuplicateCandidate => Self::CandidateDuplicate,
            SessionError::UnknownItem => Self::CandidateUnknown { position: 0 },
            SessionError::Duration => Self::SignalInvalid { position: 0 },
            SessionError::OtherCatalogue => Self::CatalogueMissing,
        }
    }
}
