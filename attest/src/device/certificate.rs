//! What device evidence reads of certificates beyond their path.

use std::fmt;

use rustls_pki_types::CertificateDer;
use serde::Deserializer;
use serde::de::{Error as _, SeqAccess, Visitor};
use webpki::KeyUsage;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::Extension;

use crate::evidence::chain::{CERTIFICATE_BYTES_MAX, ChainError, INTERMEDIATES_MAX};
use crate::evidence::encoded::Encoded;

/// A certificate on the wire.
pub type EncodedCertificate = Encoded<CERTIFICATE_BYTES_MAX>;

/// Certificates of a chain at most, the leaf included.
pub const CHAIN_MAX: usize = INTERMEDIATES_MAX + 1;

/// The certificate may be used for anything: it names no purposes, or the one that stands for all
/// (anyExtendedKeyUsage, RFC 5280 §4.2.1.12). Neither Android nor WebAuthn has a purpose of its own.
pub(super) const ANY_PURPOSE: KeyUsage = KeyUsage::required_if_present(&[0x55, 0x1d, 0x25, 0x00]);

/// Reads a chain of a bounded number of certificates.
pub(super) fn bounded_chain<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<EncodedCertificate>, D::Error> {
    struct Chain;

    impl<'de> Visitor<'de> for Chain {
        type Value = Vec<EncodedCertificate>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(formatter, "at most {CHAIN_MAX} certificates")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
            let mut chain = Vec::new();
            while let Some(certificate) = sequence.next_element()? {
                if chain.len() == CHAIN_MAX {
                    return Err(A::Error::custom("the certificates are too many"));
                }
                chain.push(certificate);
            }
            Ok(chain)
        }
    }

    deserializer.deserialize_seq(Chain)
}

/// A chain, leaf first, as the path's verifier takes it.
pub(super) fn split<'a>(
    chain: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(CertificateDer<'a>, Vec<CertificateDer<'a>>), ChainError> {
    // One more than is allowed is enough to be refused.
    let mut chain = chain.into_iter().map(CertificateDer::from).take(CHAIN_MAX + 1);
    let leaf = chain.next().ok_or(ChainError::Malformed)?;
    Ok((leaf, chain.collect()))
}

/// Reads a certificate.
pub(super) fn read(bytes: &[u8]) -> Result<Certificate, ChainError> {
    if bytes.len() > CERTIFICATE_BYTES_MAX {
        return Err(ChainError::TooLong);
    }
    Certificate::from_der(bytes).map_err(|_| ChainError::Malformed)
}

/// The extension of this name. Twice is refused (RFC 5280 §4.2): readers would differ in which one counts.
pub(super) fn extension(certificate: &Certificate, name: ObjectIdentifier) -> Result<Option<&Extension>, ChainError> {
    let all = certificate.tbs_certificate().extensions().into_iter().flatten();
    let mut named = all.filter(|extension| extension.extn_id == name);
    let first = named.next();
    if named.next().is_some() { Err(ChainError::Malformed) } else { Ok(first) }
}
