//! AWS Nitro Enclaves: a document that the Nitro Security Module signs (AWS, "Nitro Enclaves Attestation Process").
//!
//! It is a COSE_Sign1 (RFC 9052 §4.2) around a map of CBOR. The policy pins Amazon's root; the document brings the rest of
//! its chain, whose leaf lives for three hours.

mod document;
pub mod fuzz;

use std::collections::BTreeMap;

use policies::Measurement;
use policies::rules::{NitroValues, Tier};
use serde::{Deserialize, Serialize};
use webpki::KeyUsage;

use super::Found;
use super::cbor::CborError;
use super::chain::{Anchors, ChainError};
use super::encoded::Encoded;
use super::p384;
use crate::appraisal::{Claim, Subject};
use crate::time::CLOCK_SKEW_SECONDS;
use document::{Document, Signed};

/// Bytes of a document at most: the module answers with fewer than 12 KiB.
pub const DOCUMENT_BYTES_MAX: usize = 12 * 1024;
/// A document that is older is stale, in ms. It is as long as a nonce of ours lives.
pub const AGE_MS_MAX: u64 = crate::challenge::CHALLENGE_MS;
/// A document may be of so many ms ahead: the difference of two honest clocks.
pub const AHEAD_MS_MAX: u64 = CLOCK_SKEW_SECONDS * 1000;
/// The register that measures the enclave's image; zeros when the enclave runs in debug mode.
const IMAGE: u8 = 0;
/// The register that measures the kernel and what starts it.
const KERNEL: u8 = 1;
/// The register that measures the certificate that signed the image.
const SIGNER: u8 = 8;
/// The register that measures the application.
const APPLICATION: u8 = 2;

/// A document, as the module gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NitroEvidence {
    /// The COSE_Sign1, with its tag or without.
    pub document: Encoded<DOCUMENT_BYTES_MAX>,
}

/// What a document says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NitroClaims {
    /// The module that signed.
    pub module_id: String,
    /// When it did, Unix ms.
    pub timestamp_ms: u64,
    /// The registers that can no longer change, by number.
    pub pcrs: BTreeMap<u8, Measurement>,
    /// A key that the enclave showed, if it did.
    pub public_key: Option<Vec<u8>>,
    /// A nonce that the enclave showed, if it did; ours is within what is bound.
    pub nonce: Option<Vec<u8>>,
}

/// Why a document was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NitroError {
    /// More bytes than a document has.
    #[error("the document is too long")]
    TooLong,
    /// The CBOR of the document, or of what is in it.
    #[error("{0}")]
    Cbor(#[from] CborError),
    /// Not a COSE_Sign1 as the module makes it.
    #[error("the document is not a COSE_Sign1 of the Nitro Security Module")]
    Cose,
    /// Not ES384, or another header beside the algorithm.
    #[error("the document's protected header is not that of ES384")]
    Header,
    /// A field that is missing, or not as AWS's rules want it.
    #[error("the document's field {0} is missing or not as it must be")]
    Field(&'static str),
    /// A field that a document does not have.
    #[error("the document has a field that is not known")]
    UnknownField,
    /// The certificates.
    #[error("of the module's certificates: {0}")]
    Chain(#[from] ChainError),
    /// The signature.
    #[error("the document's signature does not verify")]
    Signature,
    /// Made too long ago.
    #[error("the document is stale")]
    Stale,
    /// Made later than now.
    #[error("the document is of the future")]
    Future,
    /// The enclave runs in debug mode: its console can be read and nothing is measured.
    #[error("the enclave runs in debug mode")]
    Debug,
}

/// Verifies a document.
///
/// # Errors
/// The first check that fails.
pub fn verify(evidence: &NitroEvidence, anchors: &Anchors, now_ms: u64) -> Result<Found<NitroClaims>, NitroError> {
    // 1. Bounds, and the form of COSE_Sign1 and of its header.
    if evidence.document.len() > DOCUMENT_BYTES_MAX {
        return Err(NitroError::TooLong);
    }
    let signed = Signed::parse(&evidence.document)?;
    // 2. The fields, each by AWS's rules (§3.2.2).
    let document = Document::parse(signed.payload)?;
    // 3. The chain at this time. The root stands in the bundle as well; it counts only as an anchor of the policy.
    let algorithms = [webpki::ring::ECDSA_P384_SHA384];
    anchors.verify(&document.certificate, &document.cabundle, KeyUsage::client_auth(), &algorithms, now_ms)?;
    // 4. The signature, by the leaf.
    if !p384::verifies(&document.certificate, &signed.structure(), &signed.signature) {
        return Err(NitroError::Signature);
    }
    // 5. It was made now.
    if document.timestamp_ms > now_ms.saturating_add(AHEAD_MS_MAX) {
        return Err(NitroError::Future);
    }
    if document.timestamp_ms < now_ms.saturating_sub(AGE_MS_MAX) {
        return Err(NitroError::Stale);
    }
    // 6. The enclave is not one to debug: its image is measured.
    let image = document.pcrs.get(&IMAGE).ok_or(NitroError::Field("pcrs"))?;
    if image.0.iter().all(|byte| *byte == 0) {
        return Err(NitroError::Debug);
    }
    let claims = NitroClaims {
        module_id: document.module_id.to_owned(),
        timestamp_ms: document.timestamp_ms,
        pcrs: document.pcrs,
        public_key: document.public_key.map(<[u8]>::to_vec),
        nonce: document.nonce.map(<[u8]>::to_vec),
    };
    // A document without user data binds nothing, which no binding's digest equals.
    Ok(Found { bound: document.user_data.unwrap_or_default().to_vec(), tier: Tier::Hardware, claims })
}

/// Compares.
#[must_use]
pub fn compare(claims: &NitroClaims, values: &NitroValues) -> Vec<Claim> {
    let mut compared = vec![Claim::affirming(Subject::RuntimeOpaque, "The enclave does not run in debug mode.")];
    for (register, accepted) in &values.pcrs {
        let meaning = meaning(*register);
        compared.push(claims.pcrs.get(register).map_or_else(
            || Claim::contraindicated(subject(*register), format!("The document lacks PCR {register}, {meaning}.")),
            |found| Claim::one_of(subject(*register), &format!("PCR {register}, {meaning},"), found, accepted),
        ));
    }
    // The kernel and the application together are the image as well.
    let known = |register| values.pcrs.contains_key(&register);
    if !(known(IMAGE) || known(SIGNER) || known(KERNEL) && known(APPLICATION)) {
        let sentence = "The policy has no reference value for the enclave's image or its signer.";
        compared.push(Claim::contraindicated(Subject::Executables, sentence));
    }
    compared.push(Claim::affirming(Subject::Hardware, "A Nitro Security Module signed the document."));
    compared
}

const fn subject(register: u8) -> Subject {
    match register {
        3 => Subject::Configuration,
        4 => Subject::InstanceIdentity,
        _ => Subject::Executables,
    }
}

const fn meaning(register: u8) -> &'static str {
    match register {
        IMAGE => "the enclave's image",
        KERNEL => "the kernel and its start",
        APPLICATION => "the application",
        3 => "the role of the parent instance",
        4 => "the number of the parent instance",
        SIGNER => "the certificate that signed the image",
        _ => "which the enclave itself extends",
    }
}

#[cfg(test)]
mod tests;
