//! AMD SEV-SNP: a report (AMD SEV-SNP ABI, publication 56860) that the secure processor signs by its chip's own key.
//!
//! The policy pins AMD's roots (ARK); the node sends the chip's certificate (VCEK) and the one between (ASK). A report
//! holds no time: what makes it fresh is the nonce that [`Found::bound`] covers. Every VCEK has the serial number 0, so that
//! a list of revoked serial numbers can name an ASK and not a chip.

pub mod fuzz;
mod report;
mod vcek;

use policies::rules::{SevSnpValues, SnpTcb, Tier};
use policies::{Digest, Measurement};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use webpki::KeyUsage;

use super::Found;
use super::chain::{Anchors, CERTIFICATE_BYTES_MAX, ChainError};
use super::encoded::Encoded;
use super::p384;
use crate::appraisal::{Claim, Subject, measurement};
pub use report::REPORT_BYTES;
use report::Report;
use vcek::{ALGORITHMS, Vcek};

/// Bit of the guest's policy: a migration agent may move the guest.
const POLICY_MIGRATION: u64 = 1 << 18;
/// Bit of the guest's policy: the host may debug the guest.
const POLICY_DEBUG: u64 = 1 << 19;
/// The least privileged level of a guest; a report that the host asked for has another number.
const VMPL_MAX: u32 = 3;

/// A report with its certificates, as DER.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SevSnpEvidence {
    /// The report.
    pub report: Encoded<REPORT_BYTES>,
    /// The chip's certificate.
    pub vcek: Encoded<CERTIFICATE_BYTES_MAX>,
    /// The certificate that issued it.
    pub ask: Encoded<CERTIFICATE_BYTES_MAX>,
}

/// What a report says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SevSnpClaims {
    /// The form's version: 2, 3 or 5.
    pub version: u32,
    /// The guest's memory at its launch.
    pub measurement: Measurement,
    /// Security versions of the platform, by which the signing key was derived.
    pub tcb: SnpTcb,
    /// That of the FMC, which chips have from Turin.
    pub fmc: Option<u8>,
    /// The guest's policy (table GUEST_POLICY), bit by bit.
    pub policy: u64,
    /// The level (VMPL) that asked: 0, the most privileged, to 3.
    pub vmpl: u32,
    /// Whether a migration agent is bound to the guest or may be.
    pub migration: bool,
    /// SHA-256 of the chip's number.
    pub chip: Digest,
    /// The owner's number of the family of images.
    pub family_id: [u8; 16],
    /// The owner's number of the image.
    pub image_id: [u8; 16],
    /// The owner's version of the image.
    pub guest_svn: u32,
    /// What the host gave at the launch.
    pub host_data: [u8; 32],
}

/// Why a report was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SevSnpError {
    /// Not 1184 bytes.
    #[error("the report has another length")]
    Length,
    /// Not 2, 3 or 5.
    #[error("the report is of a version that is not known")]
    Version,
    /// Not ECDSA on P-384 with SHA-384.
    #[error("the report is signed by another algorithm")]
    Algorithm,
    /// Signed by a key that a cloud loaded (VLEK), or not at all.
    #[error("the report is not signed by the chip's key")]
    SigningKey,
    /// The certificates.
    #[error("of the chip's certificates: {0}")]
    Chain(#[from] ChainError),
    /// The chip's certificate lacks what AMD puts into it.
    #[error("the chip's certificate does not say which chip and which versions it is for")]
    Vcek,
    /// The signature.
    #[error("the report's signature does not verify")]
    Signature,
    /// The certificate is for another generation of processors.
    #[error("the chip's certificate is for another kind of processor")]
    Product,
    /// The certificate is for other security versions.
    #[error("the chip's certificate is for other security versions than the report's")]
    Tcb,
    /// The certificate is another chip's.
    #[error("the chip's certificate is another chip's")]
    Chip,
    /// The host asked for the report, not the guest.
    #[error("the report was asked for by the host")]
    Host,
    /// The host can debug the guest.
    #[error("the host may debug the guest")]
    Debug,
}

/// Verifies a report.
///
/// # Errors
/// The first check that fails.
pub fn verify(evidence: &SevSnpEvidence, anchors: &Anchors, now_ms: u64) -> Result<Found<SevSnpClaims>, SevSnpError> {
    // 1. The report's form, and that the chip's key is said to have signed it.
    let report = Report::parse(&evidence.report)?;
    if report.signing_key() != 0 {
        return Err(SevSnpError::SigningKey);
    }
    // 2. The chain VCEK, ASK, ARK. The ASK's purpose is bound by its name and basic constraints; VCEKs have no key usage.
    let leaf = CertificateDer::from_slice(&evidence.vcek);
    let issuer = CertificateDer::from_slice(&evidence.ask);
    anchors.verify(&leaf, &[issuer], KeyUsage::client_auth(), ALGORITHMS, now_ms)?;
    // 3. What the certificate says of the chip.
    let vcek = Vcek::parse(&leaf)?;
    // 4. The signature, by the VCEK.
    let signature = report.signature().ok_or(SevSnpError::Signature)?;
    if !p384::verifies(&leaf, report.signed(), &signature) {
        return Err(SevSnpError::Signature);
    }
    // 5. The certificate is for these security versions, of this kind of processor.
    if !vcek.is_of(report.family()) {
        return Err(SevSnpError::Product);
    }
    if !vcek.has_tcb(report.reported_tcb()) {
        return Err(SevSnpError::Tcb);
    }
    // 6. And for this chip, unless the host masks the chip's number in reports.
    if report.chip_id() != [0; 64] && !vcek.has_chip_id(report.chip_id()) {
        return Err(SevSnpError::Chip);
    }
    // 7. The guest itself asked.
    if report.vmpl() > VMPL_MAX {
        return Err(SevSnpError::Host);
    }
    // 8. Nobody may look into the guest.
    if report.policy() & POLICY_DEBUG != 0 {
        return Err(SevSnpError::Debug);
    }
    Ok(Found { bound: report.report_data().to_vec(), tier: Tier::Hardware, claims: claims(&report, &vcek) })
}

fn claims(report: &Report<'_>, vcek: &Vcek) -> SevSnpClaims {
    SevSnpClaims {
        version: report.version(),
        measurement: measurement(&report.measurement()),
        tcb: vcek.versions(),
        fmc: vcek.fmc(),
        policy: report.policy(),
        vmpl: report.vmpl(),
        migration: report.policy() & POLICY_MIGRATION != 0 || report.report_id_ma() != [0xFF; 32],
        chip: Digest::of(vcek.hardware_id()),
        family_id: report.family_id(),
        image_id: report.image_id(),
        guest_svn: report.guest_svn(),
        host_data: report.host_data(),
    }
}

/// Compares.
#[must_use]
pub fn compare(claims: &SevSnpClaims, values: &SevSnpValues) -> Vec<Claim> {
    let executables = Claim::one_of(
        Subject::Executables,
        "the measurement of the guest at its launch",
        &claims.measurement,
        &values.measurements,
    );
    let opaque = if claims.migration {
        Claim::warning(Subject::RuntimeOpaque, "A migration agent may move the guest to another machine.")
    } else {
        Claim::affirming(Subject::RuntimeOpaque, "The host can neither debug nor move the guest.")
    };
    let level = if claims.vmpl == 0 {
        Claim::affirming(Subject::Configuration, "The most privileged level of the guest answered.")
    } else {
        let sentence = format!("Level {} of the guest answered; what runs above it can act for it.", claims.vmpl);
        Claim::warning(Subject::Configuration, sentence)
    };
    vec![executables, hardware(claims.tcb, values.tcb_min), opaque, level]
}

/// Holds the platform's versions against the lowest that are accepted. Zeros throughout accept any, with a warning.
fn hardware(found: SnpTcb, least: SnpTcb) -> Claim {
    if least == SnpTcb::default() {
        let sentence = "The policy accepts any security versions of the platform.";
        return Claim::warning(Subject::Hardware, sentence);
    }
    let low: Vec<&str> = [
        ("boot loader", found.bootloader, least.bootloader),
        ("secure processor's system", found.tee, least.tee),
        ("SNP firmware", found.snp, least.snp),
        ("microcode", found.microcode, least.microcode),
    ]
    .into_iter()
    .filter_map(|(name, found, least)| (found < least).then_some(name))
    .collect();
    if low.is_empty() {
        Claim::affirming(Subject::Hardware, "The platform's security versions are as the policy wants them.")
    } else {
        let sentence = format!("Below the security versions that the policy wants: {}.", low.join(", "));
        Claim::contraindicated(Subject::Hardware, sentence)
    }
}

#[cfg(test)]
mod tests;
