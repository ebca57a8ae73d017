//! Certificate chains (RFC 5280 §6) from a leaf to a policy's anchors.

use std::collections::BTreeSet;
use std::time::Duration;

use policies::{Anchor, Profile};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

/// Certificates between a leaf and an anchor at most.
pub const INTERMEDIATES_MAX: usize = 8;
/// Bytes of a certificate at most.
pub const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;

/// A profile's anchors, read.
pub struct Anchors {
    certificates: Vec<CertificateDer<'static>>,
    revoked: BTreeSet<String>,
}

/// An anchor's text holds no certificate, or a broken one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an anchor cannot be read")]
pub struct AnchorError;

/// Why a chain was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// Too many certificates, or too long ones.
    #[error("the chain of certificates is too long")]
    TooLong,
    /// A certificate that cannot be read.
    #[error("a certificate cannot be read")]
    Malformed,
    /// No anchor of the policy is at its end.
    #[error("the chain does not end in a trust anchor of the policy")]
    UnknownIssuer,
    /// A certificate's time has not come.
    #[error("a certificate is not yet valid")]
    NotYetValid,
    /// A certificate's time has passed.
    #[error("a certificate has expired")]
    Expired,
    /// The policy lists its serial number as revoked.
    #[error("a certificate was revoked")]
    Revoked,
    /// A signature that does not verify.
    #[error("a certificate's signature does not verify")]
    Signature,
    /// Made for another use, or by who may not issue.
    #[error("a certificate is not for this use")]
    Usage,
}

impl Anchors {
    /// Reads a profile's anchors.
    ///
    /// # Errors
    /// A file without a certificate, or with a broken one.
    pub fn of(profile: &Profile) -> Result<Self, AnchorError> {
        Ok(Self { revoked: profile.revoked.clone(), ..Self::read(&profile.anchors)? })
    }

    /// Reads the files of a policy, with nothing revoked.
    ///
    /// # Errors
    /// A file without a certificate, or with a broken one.
    pub fn read(files: &[Anchor]) -> Result<Self, AnchorError> {
        let mut certificates = Vec::new();
        for anchor in files {
            let before = certificates.len();
            for certificate in CertificateDer::pem_slice_iter(&anchor.pem) {
                certificates.push(certificate.map_err(|_| AnchorError)?);
            }
            if certificates.len() == before {
                return Err(AnchorError);
            }
        }
        Ok(Self::from_der(certificates))
    }

    /// Anchors that are at hand as DER, with nothing revoked.
    #[must_use]
    pub const fn from_der(certificates: Vec<CertificateDer<'static>>) -> Self {
        Self { certificates, revoked: BTreeSet::new() }
    }

    /// The anchors, in the order of the policy.
    #[must_use]
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// Refuses a certificate whose serial number the policy lists as revoked.
    ///
    /// # Errors
    /// [`ChainError::Malformed`] or [`ChainError::Revoked`].
    pub fn check_revoked(&self, certificate: &[u8]) -> Result<(), ChainError> {
        if self.revoked.is_empty() {
            return Ok(());
        }
        let parsed = Certificate::from_der(certificate).map_err(|_| ChainError::Malformed)?;
        let serial: String =
            parsed.tbs_certificate().serial_number().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        if self.revoked.contains(serial.trim_start_matches('0')) { Err(ChainError::Revoked) } else { Ok(()) }
    }

    /// Verifies that `leaf` leads over `intermediates` to an anchor at `now_ms`.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        usage: KeyUsage,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
        now_ms: u64,
    ) -> Result<(), ChainError> {
        // 1. Bounds.
        let all = || std::iter::once(leaf).chain(intermediates);
        if intermediates.len() > INTERMEDIATES_MAX || all().any(|certificate| certificate.len() > CERTIFICATE_BYTES_MAX)
        {
            return Err(ChainError::TooLong);
        }
        // 2. Serial numbers that the policy lists.
        all().try_for_each(|certificate| self.check_revoked(certificate))?;
        // 3. The path (RFC 5280 §6).
        // An intermediate certificate that a policy pins as an anchor can be revoked as well.
        let standing = self.certificates.iter().filter(|certificate| self.check_revoked(certificate).is_ok());
        let anchors: Vec<TrustAnchor<'_>> =
            standing.filter_map(|certificate| anchor_from_trusted_cert(certificate).ok()).collect();
        let end = EndEntityCert::try_from(leaf).map_err(|error| reason(&error))?;
        let now = UnixTime::since_unix_epoch(Duration::from_millis(now_ms));
        end.verify_for_usage(algorithms, &anchors, intermediates, now, usage, None, None)
            .map_err(|error| reason(&error))?;
        Ok(())
    }
}

fn reason(error: &webpki::Error) -> ChainError {
    use webpki::Error as E;
    match error {
        E::CertExpired { .. } | E::InvalidCertValidity => ChainError::Expired,
        E::CertNotValidYet { .. } => ChainError::NotYetValid,
        E::UnknownIssuer => ChainError::UnknownIssuer,
        E::InvalidSignatureForPublicKey
        | E::UnsupportedSignatureAlgorithmContext(_)
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
        | E::SignatureAlgorithmMismatch => ChainError::Signature,
        E::CaUsedAsEndEntity
        | E::EndEntityUsedAsCa
        | E::RequiredEkuNotFoundContext(_)
        | E::PathLenConstraintViolated
        | E::NameConstraintViolation
        | E::UnsupportedCriticalExtension
        | E::ExtensionValueInvalid => ChainError::Usage,
        E::MaximumPathDepthExceeded
        | E::MaximumPathBuildCallsExceeded
        | E::MaximumSignatureChecksExceeded
        | E::MaximumNameConstraintComparisonsExceeded => ChainError::TooLong,
        _ => ChainError::Malformed,
    }
}

#[cfg(test)]
mod tests;
