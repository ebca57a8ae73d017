//! Why the centre refuses, and the one mapping of that to problems (RFC 9457).

use aggregator::centre::store::PublishError;
use aggregator::centre::{ChargeField, FollowError};
use aggregator::release::store::StoreError;
use attest::challenge::ChallengeError;
use attest::enrolment::EnrolmentError;
use attest::{AdmissionError, JwsError};
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use personalize::CatalogueError;

use super::admission::challenge_sentence;
use crate::environment::EntropyError;
use crate::http::Problem;
use crate::log::LogError;
use crate::store::log::BringError;

/// Why a call was refused, or could not be carried out. Texts hold nothing of the request.
#[derive(Debug, thiserror::Error)]
pub enum CentreError {
    /// No credential, or an unknown one.
    #[error("no accepted credential")]
    Unauthenticated,
    /// No credential, and no live admission on the connection.
    #[error("no credential, and no node is admitted on this connection")]
    AdmissionRequired,
    /// A bearer that is no API key, where nodes are admitted by evidence alone.
    #[error("node tokens are not accepted here")]
    NoTokens,
    /// An attestation came by a connection that has no exporter.
    #[error("the connection has no exporter")]
    NoConnection,
    /// The nonce of an attestation.
    #[error("the nonce was refused")]
    Challenge(#[source] ChallengeError),
    /// The attestation; with the failing claims' sentences, and which verdict it was.
    #[error("the node was not admitted: {sentences}")]
    NotAdmitted {
        /// Why, in plain words.
        sentences: String,
        /// The verdict's URN, where it came to one.
        verdict: Option<String>,
    },
    /// No profile of TPMs stands in the region's policy.
    #[error("the policy lets no TPM attest in this region")]
    NoTpmProfile,
    /// A TPM's key was not enrolled.
    #[error("the TPM's key was not enrolled: {0}")]
    Enrolment(EnrolmentError),
    /// No such challenge of a TPM: it was used, or its time has run out.
    #[error("no such challenge is under way")]
    EnrolmentUnknown,
    /// As many challenges of TPMs are under way as can be held.
    #[error("as many enrolments are under way as may be")]
    EnrolmentsFull,
    /// The operating system gave no randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The node's token.
    #[error("the node was not admitted")]
    Admission(#[source] AdmissionError),
    /// The credential is known and this is not granted to it; also every name of a tenant that is not its own.
    #[error("not granted to this credential")]
    Forbidden,
    /// An operator named a tenant that the config does not.
    #[error("no such tenant")]
    UnknownTenant,
    /// The envelope was refused at intake.
    #[error("the release was refused")]
    Release(#[source] aggregator::centre::intake::Refusal),
    /// Other bytes were accepted under the release's id.
    #[error("another release was accepted under this id")]
    ReleaseConflict,
    /// The node's ledger is not the one that it was pinned to.
    #[error("the node's ledger is not the one it was known by")]
    LedgerChanged,
    /// The ledger's sequence does not rise.
    #[error("the ledger's sequence has already passed this release")]
    SequenceRegress,
    /// No charge of the node's ledger stands under the release's sequence, as far as it was followed.
    #[error("no charge of the node's ledger pays for this release")]
    NotCharged,
    /// The release's charge was burned.
    #[error("the release's charge was burned")]
    Burned,
    /// The charge under the release's sequence is another.
    #[error("the charge under this sequence is another: its {} differs", .0.as_str())]
    ChargeDiffers(ChargeField),
    /// The node's ledger cannot be followed.
    #[error("the node's ledger cannot be followed")]
    Follow(#[source] FollowError),
    /// The release does not fit the running sum.
    #[error("the release does not add to its running sum")]
    DoesNotAdd,
    /// The catalogue cannot be read.
    #[error("the catalogue cannot be read")]
    Catalogue(#[source] CatalogueError),
    /// The version asked for is not the next one.
    #[error("the catalogue's version does not follow")]
    CatalogueVersion {
        /// The version that would be accepted.
        next: u64,
    },
    /// The tenant has no catalogue, or not of this version.
    #[error("no such catalogue")]
    NoCatalogue,
    /// The tenant has no model yet.
    #[error("no model was published yet")]
    NoModel,
    /// No model of this version is kept.
    #[error("no model of this version")]
    UnknownModel,
    /// A training of this tenant is under way.
    #[error("a training of this tenant is under way")]
    TrainingUnderWay,
    /// A model could not be published.
    #[error("the model could not be published")]
    Publish(#[source] PublishError),
    /// Something stored by this centre cannot be read back.
    #[error("a stored {what} cannot be read back")]
    Damaged {
        /// What it is.
        what: &'static str,
    },
    /// A pointer could not be signed.
    #[error("the model pointer could not be signed")]
    Signing(#[source] JwsError),
    /// Statements of key epochs are not of their form, or too many.
    #[error("the statements of key epochs are not of their form")]
    KeyEpochs,
    /// Statements contradict those that are known, or leave some out.
    #[error("the statements of key epochs were refused")]
    Brought(#[source] BringError),
    /// The transparency log does not hold, yet, what a proof is asked for.
    #[error("the transparency log is not published")]
    Log(#[source] LogError),
    /// A computation on the blocking pool did not end.
    #[error("a computation was cut off")]
    CutOff,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl From<PublishError> for CentreError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::UnknownVersion => Self::UnknownModel,
            PublishError::Store(error) => Self::Store(error),
            PublishError::Conflict => Self::Publish(error),
        }
    }
}

impl From<BringError> for CentreError {
    fn from(error: BringError) -> Self {
        match error {
            BringError::Store(error) => Self::Store(error),
            BringError::Conflict | BringError::Gap => Self::Brought(error),
        }
    }
}

const OTHER_LEDGER: &str = "The node's ledger is not the one it was known by";

impl From<CentreError> for Problem {
    fn from(error: CentreError) -> Self {
        let conflict = |slug, title| Self::new(StatusCode::CONFLICT, slug, title);
        let not_admitted = || Self::new(StatusCode::FORBIDDEN, "not-admitted", "The node is not admitted");
        let not_found = |slug, title| Self::new(StatusCode::NOT_FOUND, slug, title);
        match error {
            CentreError::Unauthenticated => Self::unauthorized(),
            CentreError::AdmissionRequired => {
                let title = "No credential, and no node is admitted on this connection";
                Self::new(StatusCode::UNAUTHORIZED, "admission-required", title)
                    .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
            }
            CentreError::NoTokens => {
                Self::unauthorized().with_detail("nodes are admitted by evidence here: tokens are not accepted")
            }
            CentreError::NoConnection => not_admitted().with_detail("The connection has no exporter."),
            CentreError::Challenge(ChallengeError::Full) => {
                Self::unavailable("nonces-used-up", "More nonces were used lately than are remembered", 60)
            }
            CentreError::Challenge(reason) => not_admitted().with_detail(challenge_sentence(reason)),
            CentreError::NotAdmitted { sentences, verdict } => {
                verdict.into_iter().fold(not_admitted().with_detail(sentences), Self::with_instance)
            }
            CentreError::NoTpmProfile => not_enrolled("The policy lets no TPM attest in this region.".to_owned()),
            CentreError::Enrolment(reason) => enrolment(&reason),
            CentreError::EnrolmentUnknown => not_found("enrolment-unknown", "No such challenge is under way"),
            CentreError::EnrolmentsFull => {
                Self::unavailable("enrolments-full", "As many enrolments are under way as may be", 60)
            }
            CentreError::Entropy(_) => Self::unavailable("no-entropy", "No randomness to be had", 1),
            CentreError::Admission(reason) => Self::unauthorized().with_detail(reason.to_string()),
            CentreError::Forbidden => Self::forbidden(),
            CentreError::UnknownTenant => not_found("tenant-unknown", "No such tenant"),
            CentreError::Release(reason) => {
                Self::unprocessable("release-refused", "The release was refused").with_detail(reason.to_string())
            }
            CentreError::ReleaseConflict => conflict("release-conflict", "Another release was accepted under this id"),
            CentreError::LedgerChanged => conflict("ledger-changed", OTHER_LEDGER),
            CentreError::SequenceRegress => {
                conflict("sequence-regress", "The ledger's sequence has passed this release")
            }
            CentreError::NotCharged => {
                conflict("release-not-charged", "No charge of the node's ledger pays for this release")
            }
            CentreError::Burned => conflict("release-burned", "The release's charge was burned"),
            CentreError::ChargeDiffers(field) => conflict("charge-differs", "The release's charge is another")
                .with_detail(format!("its {} differs", field.as_str())),
            CentreError::Follow(reason) => follow(reason),
            CentreError::DoesNotAdd => {
                Self::unprocessable("release-does-not-add", "The release does not add to its running sum")
            }
            CentreError::Catalogue(reason) => {
                Self::unprocessable("catalogue-refused", "The catalogue cannot be read").with_detail(reason.to_string())
            }
            CentreError::CatalogueVersion { next } => {
                conflict("catalogue-version", "The catalogue's version does not follow")
                    .with_detail(format!("the next version is {next}"))
            }
            CentreError::NoCatalogue => not_found("catalogue-missing", "No such catalogue"),
            CentreError::NoModel => not_found("model-missing", "No model was published yet"),
            CentreError::UnknownModel => not_found("model-unknown", "No model of this version"),
            CentreError::TrainingUnderWay => conflict("training-under-way", "A training of this tenant is under way"),
            CentreError::KeyEpochs => {
                Self::unprocessable("key-epochs-form", "The statements of key epochs are not of their form")
            }
            CentreError::Brought(reason) => not_brought(&reason),
            CentreError::Log(_) => Self::unavailable("log-unpublished", "The transparency log is not published", 5),
            CentreError::Store(error) => store(error),
            CentreError::Publish(_) | CentreError::Damaged { .. } | CentreError::Signing(_) | CentreError::CutOff => {
                Self::internal()
            }
        }
    }
}

fn store(error: StoreError) -> Problem {
    match error {
        StoreError::Busy => Problem::unavailable("store-busy", "The store's queue is full", 1),
        StoreError::Unavailable => Problem::unavailable("store-unavailable", "The store cannot be read or written", 5),
        StoreError::Corrupt | StoreError::MissingLedger => Problem::internal(),
    }
}

/// The slugs are what a node acts by: `region::countersign`.
fn follow(reason: FollowError) -> Problem {
    let conflict = |slug, title| Problem::new(StatusCode::CONFLICT, slug, title).with_detail(reason.to_string());
    match reason {
        FollowError::RolledBack => conflict("ledger-rolled-back", "The node's ledger was put back"),
        FollowError::Forked => conflict("ledger-forked", "The node's ledger was exchanged"),
        FollowError::OtherLedger => conflict("ledger-changed", OTHER_LEDGER),
        FollowError::Behind => conflict("ledger-centre-behind", "This centre has lost entries of the ledger"),
        FollowError::Malformed
        | FollowError::Entry
        | FollowError::Foreign
        | FollowError::ChargedTwice
        | FollowError::NoCharge => Problem::unprocessable("ledger-refused", "The ledger's entries were refused")
            .with_detail(reason.to_string()),
        FollowError::Store(error) => store(error),
    }
}

fn not_brought(error: &BringError) -> Problem {
    let title = "The statements do not follow those that are known";
    Problem::new(StatusCode::CONFLICT, "key-epochs-conflict", title).with_detail(error.to_string())
}

fn not_enrolled(sentence: String) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "enrolment-refused", "The TPM's key is not enrolled").with_detail(sentence)
}

fn enrolment(error: &EnrolmentError) -> Problem {
    match error {
        EnrolmentError::Jws(_) => Problem::internal(),
        EnrolmentError::Randomness => Problem::unavailable("no-entropy", "No randomness to be had", 1),
        reason => not_enrolled(capital(&format!("{reason}."))),
    }
}

/// A text as a sentence begins.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}", first.to_uppercase(), letters.as_str()))
}

impl IntoResponse for CentreError {
    fn into_response(self) -> Response {
        if let Self::Store(_)
        | Self::Log(_)
        | Self::Publish(_)
        | Self::Damaged { .. }
        | Self::Signing(_)
        | Self::CutOff = &self
        {
            tracing::error!(error = &self as &dyn std::error::Error, "a call failed on our side");
        }
        Problem::from(self).into_response()
    }
}
