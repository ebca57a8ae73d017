//! Evidence of viewers' devices: that a key, an app or an authenticator is genuine. It says nothing of who holds the
//! device.
//!
//! A device asks for a nonce, has its platform make evidence over the nonce's characters, and sends it once:
//! - **Android** ([`android`]): the nonce is the challenge of a new key.
//! - **App Attest** ([`app_attest`]): SHA-256 of the nonce is the hash of the client's data.
//! - **WebAuthn** ([`web_authn`]): the nonce is the challenge of a registration.
//!
//! As with nodes, a verifier returns what it *found* and [`appraise_device`] compares. What is found of a device that
//! would tell it from others, such as its key, goes into no verdict.

pub mod android;
pub mod app_attest;
mod asn1;
pub mod authenticator_data;
mod certificate;
pub mod cose_key;
pub mod fuzz;
#[cfg(test)]
mod made;
pub mod web_authn;

use policies::Digest;
use policies::rules::{EvidenceKind, Profile, ReferenceValues, Tier};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::appraisal::{Case, Claim, Subject, Verdict};
use crate::challenge::FreshNonce;
use crate::evidence::chain::{AnchorError, Anchors};
use android::{AndroidError, AndroidEvidence};
use app_attest::{AppAttestError, AppAttestEvidence};
pub use certificate::{CHAIN_MAX, EncodedCertificate};
use web_authn::{WebAuthnError, WebAuthnEvidence};

/// Bytes of a device's evidence as JSON at most: a full chain of the longest certificates, as base64url.
pub const DEVICE_EVIDENCE_BYTES_MAX: usize = 256 * 1024;

/// A device's evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum DeviceEvidence {
    /// An Android key attestation.
    Android(AndroidEvidence),
    /// An Apple App Attest attestation.
    AppAttest(AppAttestEvidence),
    /// A WebAuthn registration.
    WebAuthn(WebAuthnEvidence),
}

impl DeviceEvidence {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> EvidenceKind {
        match self {
            Self::Android(_) => EvidenceKind::Android,
            Self::AppAttest(_) => EvidenceKind::AppAttest,
            Self::WebAuthn(_) => EvidenceKind::WebAuthn,
        }
    }
}

/// Why a device's evidence does not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The policy's anchors can't be read.
    #[error("the policy's trust anchors cannot be read")]
    Anchors,
    /// The profile is about another kind.
    #[error("the profile is about another kind of evidence")]
    Kind,
    /// An Android chain.
    #[error(transparent)]
    Android(#[from] AndroidError),
    /// An App Attest attestation.
    #[error(transparent)]
    AppAttest(#[from] AppAttestError),
    /// A WebAuthn registration.
    #[error(transparent)]
    WebAuthn(#[from] WebAuthnError),
}

impl From<AnchorError> for DeviceError {
    fn from(_: AnchorError) -> Self {
        Self::Anchors
    }
}

/// Appraises a device's evidence by the profiles that its tenant's grant names. Uses the nonce up.
pub fn appraise_device(
    evidence: &DeviceEvidence,
    nonce: FreshNonce,
    profiles: &[&Profile],
    policy: Digest,
    now_ms: u64,
    rng: &mut impl CryptoRng,
) -> Verdict {
    Case::new(evidence.kind(), policy, Vec::new(), rng).judge(profiles, |profile| {
        let (covers, tier, mut claims) = examine(evidence, &nonce, profile, now_ms)?;
        let fresh = if covers {
            Claim::affirming(Subject::SourcedData, "The evidence was made for the nonce that was given out for this.")
        } else {
            Claim::contraindicated(Subject::SourcedData, "The evidence was made for another nonce.")
        };
        claims.insert(0, fresh);
        Ok::<_, DeviceError>((tier, claims))
    })
}

/// Verifies, and compares with the profile's values and the nonce.
fn examine(
    evidence: &DeviceEvidence,
    nonce: &FreshNonce,
    profile: &Profile,
    now_ms: u64,
) -> Result<(bool, Tier, Vec<Claim>), DeviceError> {
    let anchors = Anchors::of(profile)?;
    let nonce = nonce.as_str().as_bytes();
    match (evidence, &profile.values) {
        (DeviceEvidence::Android(evidence), ReferenceValues::Android(values)) => {
            let found = android::verify(evidence, &anchors, now_ms)?;
            Ok((found.bound == nonce, found.tier, android::compare(&found.claims, values)))
        }
        (DeviceEvidence::AppAttest(evidence), ReferenceValues::AppAttest(values)) => {
            let found = app_attest::verify(evidence, &anchors, now_ms)?;
            let client_data_hash = Digest::of(nonce);
            let covers = found.bound == found.claims.bound_to(client_data_hash.as_bytes()).as_bytes();
            Ok((covers, found.tier, app_attest::compare(&found.claims, values)))
        }
        (DeviceEvidence::WebAuthn(evidence), ReferenceValues::WebAuthn(values)) => {
            let found = web_authn::verify(evidence, &anchors, now_ms)?;
            Ok((found.bound == nonce, found.tier, web_authn::compare(&found.claims, values)))
        }
        _ => Err(DeviceError::Kind),
    }
}

#[cfg(test)]
mod tests;
