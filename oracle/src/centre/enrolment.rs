//! Enrolment of TPMs ([`attest::enrolment`]): what the centre states about a key that lives in a maker's TPM.
//!
//! Anyone may ask: a statement admits nobody. It says that a key lives in a TPM, and what stands behind that; evidence by
//! this key is appraised as every other. A challenge is held in memory, for one try, for a few minutes, and there is room
//! for a number of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use attest::enrolment::{Challenge, Credential, EnrolmentError, EnrolmentRequest, SECRET_BYTES};
use attest::evidence::encoded::Encoded;
use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policies::rules::EvidenceKind;
use policies::{Digest, PolicySet, Profile, RegionId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::admission::generator;
use super::error::CentreError;
use super::{Centre, blocking};
use crate::environment::Entropy;
use crate::http::{JsonBody, PathParameters};

/// Bytes of a call: nine certificates at their largest, and two keys, in base64.
pub(super) const ENROLMENT_BYTES_MAX: usize = 256 * 1024;
/// Bytes of an answer to a challenge.
pub(super) const ANSWER_BYTES_MAX: usize = 1024;
/// Challenges that are under way at most.
const CHALLENGES_MAX: usize = 1024;
const ID_BYTES: usize = 16;

/// Asks for a challenge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentAsked {
    /// The node's region: its policy says whose TPMs count.
    pub region: RegionId,
    /// What the node shows of its TPM.
    pub tpm: EnrolmentRequest,
}

/// A challenge for one TPM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentChallenge {
    /// Names it in the call that answers it.
    pub id: String,
    /// Holds a secret that only this TPM gives back, and only where the attestation key lives in it.
    #[schema(value_type = Object)]
    pub credential: Credential,
    /// When it ends, Unix milliseconds.
    pub expires_ms: u64,
}

/// What the TPM gave back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentAnswer {
    /// The secret, base64url.
    #[schema(value_type = String)]
    pub secret: Encoded<SECRET_BYTES>,
}

/// The attestation key is enrolled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentGiven {
    /// The statement, a JWS of type `siwa-enrolment+jwt` by the centre's attestation key.
    pub enrolment: String,
}

/// The challenges under way.
pub(super) struct Enrolments {
    pending: Mutex<BTreeMap<String, Challenge>>,
    challenges_max: usize,
}

impl Default for Enrolments {
    fn default() -> Self {
        Self::of_at_most(CHALLENGES_MAX)
    }
}

impl Enrolments {
    pub(super) fn of_at_most(challenges_max: usize) -> Self {
        Self { pending: Mutex::default(), challenges_max }
    }

    /// Room is made by what has ended alone: nobody's challenge is pushed out by another's.
    fn put(&self, id: &str, challenge: Challenge, now_ms: u64) -> Result<(), CentreError> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.retain(|_, other| now_ms < other.end_ms());
        if pending.len() >= self.challenges_max {
            return Err(CentreError::EnrolmentsFull);
        }
        pending.insert(id.to_owned(), challenge);
        Ok(())
    }

    /// The challenge, which is used up by this.
    fn take(&self, id: &str) -> Result<Challenge, CentreError> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.remove(id).ok_or(CentreError::EnrolmentUnknown)
    }
}

/// Gives out a challenge for a TPM that a maker of the region's policy vouches for.
///
/// Every profile of TPMs that the policy names for the region is tried. Nobody's credential is asked for: what is stated
/// at the end is about a TPM, and admits nobody.
#[utoipa::path(
    post, path = "/v1/admission/enrolments", operation_id = "challengeTpm", tag = "admission",
    request_body(content = Object, content_type = "application/json",
        description = "The region, and of the TPM: certificates of the endorsement key, and both keys as TPMT_PUBLIC"),
    responses((status = 200, body = EnrolmentChallenge), (status = 403, description = "problem: enrolment-refused"),
        (status = 503, description = "problem: enrolments-full"))
)]
pub(super) async fn challenge(
    State(centre): State<Arc<Centre>>,
    JsonBody(asked): JsonBody<EnrolmentAsked>,
) -> Result<Response, CentreError> {
    let now_ms = centre.clock.now_ms();
    let mut rng = generator()?;
    let of = Arc::clone(&centre);
    let made = blocking(move || {
        let in_force = of.in_force();
        let make = |profile: &Profile, policy: Digest| Challenge::make(&asked.tpm, profile, policy, now_ms, &mut rng);
        by_any_profile(in_force.current(), &asked.region, make)
    });
    let (challenge, credential) = made.await?.inspect_err(|refusal| tracing::warn!(%refusal, "no TPM is enrolled"))?;
    let id = URL_SAFE_NO_PAD.encode(Entropy::Os.bytes::<ID_BYTES>()?);
    let expires_ms = challenge.end_ms();
    centre.enrolments.put(&id, challenge, now_ms)?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(EnrolmentChallenge { id, credential, expires_ms })).into_response())
}

/// States that the key lives in the TPM, if the TPM opened the challenge. Either way the challenge is used up.
#[utoipa::path(
    post, path = "/v1/admission/enrolments/{id}", operation_id = "enrolTpm", tag = "admission",
    params(("id" = String, Path, description = "The challenge")),
    responses((status = 200, body = EnrolmentGiven), (status = 403, description = "problem: enrolment-refused"),
        (status = 404, description = "problem: enrolment-unknown"))
)]
pub(super) async fn answer(
    State(centre): State<Arc<Centre>>,
    PathParameters(id): PathParameters<String>,
    JsonBody(answer): JsonBody<EnrolmentAnswer>,
) -> Result<Response, CentreError> {
    // Before the secret is looked at: there is no second try.
    let challenge = centre.enrolments.take(&id)?;
    let stated = challenge.finish(&answer.secret, &centre.attestation_key, centre.clock.now_ms());
    let enrolment = stated.map_err(|error| match error {
        EnrolmentError::Late => CentreError::EnrolmentUnknown,
        other => CentreError::Enrolment(other),
    });
    let enrolment = enrolment.inspect_err(|refusal| tracing::warn!(%refusal, "no TPM is enrolled"))?;
    tracing::info!("a TPM's key is enrolled");
    Ok(([(CACHE_CONTROL, "no-store")], Json(EnrolmentGiven { enrolment })).into_response())
}

/// By the first of the region's profiles whose anchors lead to the TPM's certificate; otherwise why the first does not.
fn by_any_profile<T>(
    policies: &PolicySet,
    region: &RegionId,
    mut make: impl FnMut(&Profile, Digest) -> Result<T, EnrolmentError>,
) -> Result<T, CentreError> {
    let mut refusal = None;
    for profile in policies.profiles_of(region).filter(|profile| profile.kind() == EvidenceKind::Tpm) {
        match make(profile, policies.digest()) {
            Ok(made) => return Ok(made),
            Err(error @ (EnrolmentError::Chain(_) | EnrolmentError::Anchors)) => {
                refusal.get_or_insert(error);
            }
            // What is wrong with the rest of the request is so by every profile.
            Err(error) => return Err(CentreError::Enrolment(error)),
        }
    }
    Err(refusal.map_or(CentreError::NoTpmProfile, CentreError::Enrolment))
}
