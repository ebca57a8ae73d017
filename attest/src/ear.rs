//! EAT attestation results (draft-ietf-rats-ear): what a verifier tells others of an appraisal, as a short-lived JWS of
//! type `siwa-ear+jwt`.

use std::collections::BTreeMap;

use policies::rules::{EvidenceKind, Status, Tier};
use serde::{Deserialize, Serialize};

use crate::appraisal::{Claim, Subject, Verdict};
use crate::jws::{self, JwsError, Typ};
use crate::keys::{SigningKey, VerifyingKey};
use crate::time::{OutOfLife, check_life};

/// The profile of EAT (RFC 9711 §4.3.2) that the claims are of.
pub const PROFILE: &str = "tag:ietf.org,2026:rats/ear#03";
/// A result lives an hour at most.
pub const LIFETIME_SECONDS_MAX: u64 = 3600;
/// The name of the one thing that is appraised.
const SUBMODULE: &str = "siwa";

/// Who appraised (EAR §3.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifierId {
    /// Who made the verifier.
    pub developer: String,
    /// Which version.
    pub build: String,
}

/// The appraisal of one thing (EAR §3.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Appraised {
    /// The overall status.
    #[serde(rename = "ear.status")]
    pub status: Status,
    /// The worst value of each subject, in AR4SI's numbers.
    #[serde(rename = "ear.trustworthiness-vector")]
    pub vector: BTreeMap<Subject, i8>,
    /// The policy and profile: `sha-256:<hex>#<profile>`.
    #[serde(rename = "ear.appraisal-policy-id")]
    pub policy: String,
    /// The kind of evidence.
    #[serde(rename = "siwa.evidence")]
    pub evidence: EvidenceKind,
    /// What stands behind it.
    #[serde(rename = "siwa.tier")]
    pub tier: Tier,
    /// Everything that was compared, in plain words.
    #[serde(rename = "siwa.claims")]
    pub claims: Vec<Claim>,
}

/// A result's claims. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ear {
    /// [`PROFILE`].
    pub eat_profile: String,
    /// Who appraised.
    #[serde(rename = "ear.verifier-id")]
    pub verifier: VerifierId,
    /// The verifier's name.
    pub iss: String,
    /// Who may rely on it.
    pub aud: String,
    /// The node or device, where it has a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// When it was made.
    pub iat: u64,
    /// From when on it says nothing.
    pub exp: u64,
    /// The verdict's number.
    pub jti: String,
    /// The nonce that the evidence was made for.
    pub eat_nonce: String,
    /// The appraisal, under the name `siwa`.
    pub submods: BTreeMap<String, Appraised>,
}

/// Why a result was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EarError {
    /// The token itself.
    #[error("the attestation result's token was refused")]
    Jws(#[from] JwsError),
    /// Made for someone else.
    #[error("the attestation result is for someone else")]
    Audience,
    /// Of another profile, or without the one appraisal.
    #[error("the attestation result is of another profile")]
    Profile,
    /// Out of its time.
    #[error("the attestation result is out of its time")]
    Life,
}

impl From<OutOfLife> for EarError {
    fn from(_: OutOfLife) -> Self {
        Self::Life
    }
}

/// For whom and for how long a result is.
#[derive(Debug, Clone, Copy)]
pub struct ResultFor<'a> {
    /// The verifier's name.
    pub issuer: &'a str,
    /// Who may rely on it.
    pub audience: &'a str,
    /// The node or device, where it has a name.
    pub subject: Option<&'a str>,
    /// The nonce.
    pub nonce: &'a str,
    /// How long it is good for.
    pub seconds: u32,
    /// The time, Unix ms.
    pub now_ms: u64,
}

impl Ear {
    /// The result that tells a verdict.
    #[must_use]
    pub fn of(verdict: &Verdict, to: ResultFor<'_>) -> Self {
        let mut vector = BTreeMap::new();
        for claim in verdict.claims() {
            let value = vector.entry(claim.subject).or_insert(0);
            *value = number(claim.status).max(*value);
        }
        let iat = to.now_ms / 1000;
        let appraised = Appraised {
            status: verdict.status(),
            vector,
            policy: format!("sha-256:{}#{}", verdict.policy(), verdict.profile().unwrap_or("")),
            evidence: verdict.kind(),
            tier: verdict.tier(),
            claims: verdict.claims().to_vec(),
        };
        Self {
            eat_profile: PROFILE.to_owned(),
            verifier: VerifierId { developer: "siwa".to_owned(), build: env!("CARGO_PKG_VERSION").to_owned() },
            iss: to.issuer.to_owned(),
            aud: to.audience.to_owned(),
            sub: to.subject.map(str::to_owned),
            iat,
            exp: iat + u64::from(to.seconds).min(LIFETIME_SECONDS_MAX),
            jti: verdict.id().to_string(),
            eat_nonce: to.nonce.to_owned(),
            submods: BTreeMap::from([(SUBMODULE.to_owned(), appraised)]),
        }
    }

    /// The result as a compact JWS.
    ///
    /// # Errors
    /// As [`jws::sign`].
    pub fn sign(&self, key: &SigningKey) -> Result<String, JwsError> {
        jws::sign(Typ::AttestationResult, self, key)
    }

    /// Verifies a result by the verifier's key, for `audience`, now.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify(token: &str, key: &VerifyingKey, audience: &str, now_ms: u64) -> Result<Self, EarError> {
        let ear: Self = jws::verify(token, Typ::AttestationResult, key)?;
        if ear.eat_profile != PROFILE || ear.submods.len() != 1 || !ear.submods.contains_key(SUBMODULE) {
            return Err(EarError::Profile);
        }
        if ear.aud != audience {
            return Err(EarError::Audience);
        }
        check_life(ear.iat, ear.exp, LIFETIME_SECONDS_MAX, now_ms)?;
        Ok(ear)
    }

    /// The appraisal.
    #[must_use]
    pub fn appraised(&self) -> Option<&Appraised> {
        self.submods.get(SUBMODULE)
    }
}

/// The number that stands for a status (AR4SI §2.3.2): the best of its range.
const fn number(status: Status) -> i8 {
    match status {
        Status::Affirming => 2,
        Status::Warning => 32,
        Status::Contraindicated => 96,
    }
}

#[cfg(test)]
mod tests;
