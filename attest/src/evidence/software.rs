//! A node's own statement: for development, and accepted only where a policy has a profile for it.
//!
//! Nothing stands behind it but the node's key. It is believed as far as the key was known beforehand.

use policies::Digest;
use policies::rules::{SoftwareValues, Tier};
use serde::{Deserialize, Serialize};

use super::Found;
use crate::appraisal::{Claim, Subject};
use crate::jws::{self, JwsError, Typ};
use crate::keys::{SigningKey, VerifyingKey};
use crate::time::{OutOfLife, check_life};

/// A statement lives so long.
const LIFETIME_SECONDS: u64 = 120;

/// A statement, as a JWS of type `siwa-statement+jwt` by the node's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoftwareEvidence {
    /// The JWS.
    pub statement: String,
}

/// What the statement says. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoftwareClaims {
    /// The binding's digest.
    pub bound: Digest,
    /// The program's version.
    pub version: String,
    /// When it was made.
    pub iat: u64,
    /// When it ends.
    pub exp: u64,
}

/// Why a statement was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SoftwareError {
    /// The token itself.
    #[error("{0}")]
    Jws(#[from] JwsError),
    /// It was made at another time.
    #[error("the statement was made at another time")]
    Life,
}

impl From<OutOfLife> for SoftwareError {
    fn from(_: OutOfLife) -> Self {
        Self::Life
    }
}

/// A statement of now.
///
/// # Errors
/// As [`jws::sign`].
pub fn state(bound: Digest, version: &str, key: &SigningKey, now_ms: u64) -> Result<SoftwareEvidence, JwsError> {
    let iat = now_ms / 1000;
    let claims = SoftwareClaims { bound, version: version.to_owned(), iat, exp: iat + LIFETIME_SECONDS };
    Ok(SoftwareEvidence { statement: jws::sign(Typ::Statement, &claims, key)? })
}

/// Verifies a statement by the key that it is about.
///
/// # Errors
/// The first check that fails.
pub fn verify(
    evidence: &SoftwareEvidence,
    key: &VerifyingKey,
    now_ms: u64,
) -> Result<Found<SoftwareClaims>, SoftwareError> {
    // 1. The node's own signature.
    let claims: SoftwareClaims = jws::verify(&evidence.statement, Typ::Statement, key)?;
    // 2. It was made now.
    check_life(claims.iat, claims.exp, LIFETIME_SECONDS, now_ms)?;
    Ok(Found { bound: claims.bound.as_bytes().to_vec(), tier: Tier::Software, claims })
}

/// Compares; `known` tells whether the key was known beforehand.
#[must_use]
pub fn compare(claims: &SoftwareClaims, values: &SoftwareValues, known: bool) -> Vec<Claim> {
    let version = Claim::one_of(
        Subject::Executables,
        "the version that the program says it is",
        &claims.version,
        &values.versions,
    );
    let identity = if known {
        Claim::affirming(Subject::InstanceIdentity, "The node's key was known beforehand.")
    } else {
        Claim::contraindicated(
            Subject::InstanceIdentity,
            "The node's key is not known, and nothing else vouches for it.",
        )
    };
    let hardware = Claim::warning(Subject::Hardware, "Nothing but the program's own word stands behind this evidence.");
    vec![identity, version, hardware]
}

#[cfg(test)]
mod tests;
