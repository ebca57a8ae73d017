//! Evidence of nodes: its wire forms, and for each kind a verifier.
//!
//! A verifier takes the evidence, what the profile pins, and the time; it checks signatures, chains and forms in numbered
//! steps, and returns what it *found*: the bytes that the attester bound ([`Found::bound`]) and its claims. It compares
//! nothing with what the caller hopes for; [`crate::appraisal`] does.

pub(crate) mod cbor;
pub mod chain;
pub mod dcap;
pub mod encoded;
pub mod fuzz;
pub mod nitro;
mod p384;
pub mod sev_snp;
pub mod software;
#[cfg(test)]
mod testing;
pub mod tpm;

use policies::rules::{EvidenceKind, Profile, ReferenceValues, Tier};
use serde::{Deserialize, Serialize};

use crate::appraisal::{Claim, Question};
use crate::keys::VerifyingKey;
pub use cbor::CborError;
use chain::Anchors;
use dcap::DcapError;
use dcap::sgx::{self, SgxEvidence};
use dcap::tdx::{self, TdxEvidence};
use nitro::{NitroError, NitroEvidence};
use sev_snp::{SevSnpError, SevSnpEvidence};
use software::{SoftwareError, SoftwareEvidence};
use tpm::{TpmError, TpmEvidence};

/// Bytes of an attestation's JSON at most: a measured boot's logs are the largest part.
pub const ATTESTATION_BYTES_MAX: usize = 1 << 20;

/// A node's evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Evidence {
    /// A statement by the node's own key.
    Software(SoftwareEvidence),
    /// An AMD SEV-SNP report.
    SevSnp(SevSnpEvidence),
    /// An Intel TDX quote.
    Tdx(TdxEvidence),
    /// An Intel SGX quote.
    Sgx(SgxEvidence),
    /// An AWS Nitro document.
    Nitro(NitroEvidence),
    /// A TPM 2.0 quote.
    Tpm(TpmEvidence),
}

impl Evidence {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> EvidenceKind {
        match self {
            Self::Software(_) => EvidenceKind::Software,
            Self::SevSnp(_) => EvidenceKind::SevSnp,
            Self::Tdx(_) => EvidenceKind::Tdx,
            Self::Sgx(_) => EvidenceKind::Sgx,
            Self::Nitro(_) => EvidenceKind::Nitro,
            Self::Tpm(_) => EvidenceKind::Tpm,
        }
    }
}

/// What a node sends or answers with: what it states, and the evidence that covers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    /// What the node states.
    pub binding: crate::binding::Binding,
    /// What covers it.
    pub evidence: Evidence,
}

/// What a verifier found in evidence that verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<C> {
    /// The bytes that the attester put into the evidence: the binding's digest, if all is well.
    pub bound: Vec<u8>,
    /// What stands behind it.
    pub tier: Tier,
    /// What it says.
    pub claims: C,
}

/// What verifiers need beside the evidence.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// The time, Unix ms.
    pub now_ms: u64,
    /// The key that the node is known by beforehand, if it is.
    pub known_key: Option<&'a VerifyingKey>,
    /// Whose statements are believed that an attestation key lives in a genuine TPM.
    pub enrolled_by: &'a [VerifyingKey],
}

/// Evidence that verified, compared with a profile's values.
pub(crate) struct Examined {
    pub(crate) bound: Vec<u8>,
    pub(crate) tier: Tier,
    pub(crate) claims: Vec<Claim>,
}

impl<C> Found<C> {
    fn compared(self, compare: impl FnOnce(&C) -> Vec<Claim>) -> Examined {
        Examined { claims: compare(&self.claims), bound: self.bound, tier: self.tier }
    }
}

/// Why evidence does not verify.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// The policy's anchors can't be read.
    #[error("the policy's trust anchors cannot be read")]
    Anchors,
    /// The profile is about another kind.
    #[error("the profile is about another kind of evidence")]
    Kind,
    /// The node's own statement.
    #[error(transparent)]
    Software(#[from] SoftwareError),
    /// An AMD SEV-SNP report.
    #[error(transparent)]
    SevSnp(#[from] SevSnpError),
    /// An Intel TDX or SGX quote.
    #[error(transparent)]
    Dcap(#[from] DcapError),
    /// An AWS Nitro document.
    #[error(transparent)]
    Nitro(#[from] NitroError),
    /// The TPM's quote.
    #[error(transparent)]
    Tpm(#[from] TpmError),
}

impl From<chain::AnchorError> for EvidenceError {
    fn from(_: chain::AnchorError) -> Self {
        Self::Anchors
    }
}

/// Verifies evidence by a profile's anchors and compares what is found with the profile's values.
pub(crate) fn examine(
    evidence: &Evidence,
    profile: &Profile,
    question: &Question<'_>,
) -> Result<Examined, EvidenceError> {
    let anchors = Anchors::of(profile)?;
    let surroundings = question.surroundings;
    match (evidence, &profile.values) {
        (Evidence::Software(evidence), ReferenceValues::Software(values)) => {
            let found = software::verify(evidence, &question.binding.node_key, surroundings.now_ms)?;
            let known = surroundings.known_key == Some(&question.binding.node_key);
            Ok(found.compared(|claims| software::compare(claims, values, known)))
        }
        (Evidence::SevSnp(evidence), ReferenceValues::SevSnp(values)) => {
            let found = sev_snp::verify(evidence, &anchors, surroundings.now_ms)?;
            Ok(found.compared(|claims| sev_snp::compare(claims, values)))
        }
        (Evidence::Tdx(evidence), ReferenceValues::Tdx(values)) => {
            let found = tdx::verify(evidence, &anchors, surroundings.now_ms)?;
            Ok(found.compared(|claims| tdx::compare(claims, values)))
        }
        (Evidence::Sgx(evidence), ReferenceValues::Sgx(values)) => {
            let found = sgx::verify(evidence, &anchors, surroundings.now_ms)?;
            Ok(found.compared(|claims| sgx::compare(claims, values)))
        }
        (Evidence::Nitro(evidence), ReferenceValues::Nitro(values)) => {
            let found = nitro::verify(evidence, &anchors, surroundings.now_ms)?;
            Ok(found.compared(|claims| nitro::compare(claims, values)))
        }
        (Evidence::Tpm(evidence), ReferenceValues::Tpm(values)) => {
            let found = tpm::verify(evidence, &anchors, surroundings.enrolled_by, surroundings.now_ms)?;
            Ok(found.compared(|claims| tpm::compare(claims, profile, values)))
        }
        (
            Evidence::Software(_)
            | Evidence::Tpm(_)
            | Evidence::SevSnp(_)
            | Evidence::Tdx(_)
            | Evidence::Sgx(_)
            | Evidence::Nitro(_),
            _,
        ) => Err(EvidenceError::Kind),
    }
}

#[cfg(test)]
mod tests;
