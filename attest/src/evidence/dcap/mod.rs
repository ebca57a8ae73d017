//! Intel TDX and SGX: quotes (Intel, "Intel TDX DCAP Quoting Library API", appendix A; "ECDSA QuoteGenReference",
//! appendix A), by the rules of Intel's data centre attestation primitives (DCAP).
//!
//! A quote is held against collateral: what Intel says of the platform's state and which certificates it revoked. Intel
//! signs collateral for thirty days, the node sends it along, and it counts as of `now_ms`. The policy pins Intel's root.

pub mod fuzz;
mod pem;
mod refusal;
pub mod sgx;
pub mod tdx;

use dcap_qvl::QuoteCollateralV3;
use dcap_qvl::quote::{AuthData, Quote, Report};
use dcap_qvl::verify::QuoteVerifier;
use policies::rules::Status;
use rustls_pki_types::CertificateDer;

use super::chain::{Anchors, ChainError, INTERMEDIATES_MAX};
use crate::appraisal::{Claim, Subject};

/// Bytes of a quote at most: a chain of three certificates as text is the largest part.
pub const QUOTE_BYTES_MAX: usize = 16 * 1024;
/// Bytes of collateral's JSON at most.
pub const COLLATERAL_BYTES_MAX: usize = 128 * 1024;
/// Certification data that is a quoting enclave's report with what certifies it (quotes from version 4).
const CERTIFICATION_OF_ENCLAVE: u16 = 6;
/// The platform's state that needs no exception.
const UP_TO_DATE: &str = "UpToDate";

/// Why a quote was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DcapError {
    /// More bytes than the limits.
    #[error("the quote or its collateral is too long")]
    TooLong,
    /// Not a quote, or one of a version, kind or certification that is not known.
    #[error("the quote is malformed, or of a form that is not known")]
    Quote,
    /// A quote of the other technology.
    #[error("the quote is one of another technology")]
    Technology,
    /// Not collateral.
    #[error("the quote's collateral is malformed, or is for another kind of quote")]
    Collateral,
    /// The certificates.
    #[error("of the quote's certificates: {0}")]
    Chain(#[from] ChainError),
    /// The root's list of revoked certificates is not the root's.
    #[error("a list of revoked certificates is malformed or not signed by who issued the certificates")]
    RevocationList,
    /// A list of revoked certificates is too old.
    #[error("a list of revoked certificates has expired")]
    RevocationListExpired,
    /// The collateral is too old.
    #[error("the quote's collateral has expired")]
    CollateralExpired,
    /// The collateral is of the future.
    #[error("the quote's collateral is not yet valid")]
    CollateralNotYetValid,
    /// Intel did not sign the collateral so.
    #[error("the signature of the quote's collateral does not verify")]
    CollateralSignature,
    /// A signature of the quote: of the processor on the quoting enclave, or of that on the report.
    #[error("a signature of the quote does not verify")]
    Signature,
    /// The enclave that signed is not Intel's.
    #[error("the quote was not signed by Intel's quoting enclave")]
    QuotingEnclave,
    /// The module that separates trust domains is not Intel's.
    #[error("the TDX module is not Intel's")]
    Module,
    /// The collateral is for another platform, or says nothing of its versions.
    #[error("the collateral says nothing of this platform's versions")]
    Platform,
    /// The platform's keys are compromised.
    #[error("the platform's security version was revoked")]
    Revoked,
    /// The host can look into it.
    #[error("it runs in debug mode")]
    Debug,
    /// Attributes that let others in: migration, service domains, or bits that must be zero.
    #[error("its attributes let others in, or are reserved")]
    Attributes,
}

/// A quote that verified.
struct Verified {
    report: Report,
    tcb_status: String,
    advisory_ids: Vec<String>,
}

/// Verifies a quote by the collateral at this time.
fn verify(quote: &[u8], collateral: &[u8], anchors: &Anchors, now_ms: u64) -> Result<Verified, DcapError> {
    // 1. Bounds.
    if quote.len() > QUOTE_BYTES_MAX || collateral.len() > COLLATERAL_BYTES_MAX {
        return Err(DcapError::TooLong);
    }
    // 2. The forms, to the last byte.
    let parsed = Quote::parse(quote).map_err(|_| DcapError::Quote)?;
    check_length(quote, &parsed)?;
    let mut collateral: QuoteCollateralV3 = serde_json::from_slice(collateral).map_err(|_| DcapError::Collateral)?;
    // 3. Every chain ends in the same root, which is an anchor of the policy, and names nothing that the policy revokes.
    let root = pin(&parsed, &mut collateral, anchors)?;
    // 4. Signatures, certificates and revocations, states and identities: what Intel's own library checks. Debugging is
    //    looked at afterwards, so that a debugged domain is told from a forged one.
    let verified = QuoteVerifier::new(root.to_vec())
        .allow_debug(true)
        .verify(quote, &collateral, now_ms / 1000)
        .map_err(|error| refusal::of(error.chain()))?;
    Ok(Verified { report: verified.report, tcb_status: verified.status, advisory_ids: verified.advisory_ids })
}

/// The quote ends where its parts end, but for zeros, and the parts are of the kinds that are verified.
fn check_length(bytes: &[u8], quote: &Quote) -> Result<(), DcapError> {
    /// Two halves of a signature, a key, a report and the signature on it.
    const FIXED: usize = 64 + 64 + 384 + 64;
    let inner = |data: usize, certification: usize| FIXED + 2 + data + 2 + 4 + certification;
    let (authentication, known) = match &quote.auth_data {
        AuthData::V3(data) => (inner(data.qe_auth_data.data.len(), data.certification_data.body.data.len()), true),
        AuthData::V4(data) => {
            let report = &data.qe_report_data;
            let length = inner(report.qe_auth_data.data.len(), report.certification_data.body.data.len());
            // All but the first signature and key stands within another length.
            let within = data.certification_data.body.data.len() == length - 128;
            (length + 6, within && data.certification_data.cert_type == CERTIFICATION_OF_ENCLAVE)
        }
    };
    let (stated, rest) =
        bytes.get(quote.signed_length()..).and_then(<[u8]>::split_first_chunk).ok_or(DcapError::Quote)?;
    let stated = usize::try_from(u32::from_le_bytes(*stated)).map_err(|_| DcapError::Quote)?;
    // Some quoting services hand out the whole of their buffer.
    let padding = rest.get(authentication..).ok_or(DcapError::Quote)?;
    if known && stated == authentication && padding.iter().all(|byte| *byte == 0) {
        Ok(())
    } else {
        Err(DcapError::Quote)
    }
}

/// Finds the one root of all chains among the anchors, and leaves in the collateral exactly the certificates that were
/// looked at here: another reader of the same text could see others.
fn pin(
    quote: &Quote,
    collateral: &mut QuoteCollateralV3,
    anchors: &Anchors,
) -> Result<CertificateDer<'static>, DcapError> {
    let platform = match &collateral.pck_certificate_chain {
        Some(chain) => chain.as_bytes(),
        None => quote.raw_cert_chain().map_err(|_| DcapError::Quote)?,
    };
    let chains = [
        pem::read(platform)?,
        pem::read(collateral.tcb_info_issuer_chain.as_bytes())?,
        pem::read(collateral.qe_identity_issuer_chain.as_bytes())?,
    ];
    let mut roots = Vec::with_capacity(chains.len());
    for chain in &chains {
        if chain.len() > INTERMEDIATES_MAX {
            return Err(ChainError::TooLong.into());
        }
        chain.iter().try_for_each(|certificate| anchors.check_revoked(certificate))?;
        roots.push(chain.last().ok_or(ChainError::Malformed)?);
    }
    let root = anchors.certificates().iter().find(|anchor| roots.iter().all(|root| root == anchor));
    let root = root.ok_or(ChainError::UnknownIssuer)?.clone();
    let [platform, tcb_info, qe_identity] = chains.map(|chain| pem::write(&chain));
    collateral.pck_certificate_chain = Some(platform);
    collateral.tcb_info_issuer_chain = tcb_info;
    collateral.qe_identity_issuer_chain = qe_identity;
    Ok(root)
}

/// Holds the platform's state against the states that the policy accepts beside `UpToDate`.
fn platform(found: &str, accepted: &std::collections::BTreeSet<String>) -> Claim {
    let (status, sentence) = if found == UP_TO_DATE {
        (Status::Affirming, "Intel calls the platform up to date.".to_owned())
    } else if accepted.contains(found) {
        (Status::Warning, format!("Intel calls the platform's state {found}; the policy accepts that."))
    } else {
        (Status::Contraindicated, format!("Intel calls the platform's state {found}."))
    };
    Claim { subject: Subject::Hardware, status, sentence }
}

#[cfg(test)]
mod tests;
