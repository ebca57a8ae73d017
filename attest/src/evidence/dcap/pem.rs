//! Chains of certificates as PEM text (RFC 7468), as quotes and collateral hold them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::evidence::chain::{CERTIFICATE_BYTES_MAX, ChainError, INTERMEDIATES_MAX};

/// The certificates of a text, one at least.
pub(super) fn read(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, ChainError> {
    let mut certificates = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(text) {
        let certificate = certificate.map_err(|_| ChainError::Malformed)?;
        if certificates.len() > INTERMEDIATES_MAX || certificate.len() > CERTIFICATE_BYTES_MAX {
            return Err(ChainError::TooLong);
        }
        certificates.push(certificate);
    }
    if certificates.is_empty() { Err(ChainError::Malformed) } else { Ok(certificates) }
}

/// A text of exactly these certificates.
pub(super) fn write(certificates: &[CertificateDer<'_>]) -> String {
    let mut text = String::new();
    for certificate in certificates {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let mut rest = STANDARD.encode(certificate);
        while !rest.is_empty() {
            let tail = rest.split_off(rest.len().min(64));
            text.push_str(&rest);
            text.push('\n');
            rest = tail;
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_without_certificates_is_malformed() {
        for text in ["", "-----BEGIN CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n"]
        {
            assert_eq!(read(text.as_bytes()), Err(ChainError::Malformed), "{text}");
        }
        let one = [CertificateDer::from(vec![1])];
        assert_eq!(read(write(&one).repeat(INTERMEDIATES_MAX + 2).as_bytes()), Err(ChainError::TooLong));
        let long = [CertificateDer::from(vec![1; CERTIFICATE_BYTES_MAX + 1])];
        assert_eq!(read(write(&long).as_bytes()), Err(ChainError::TooLong));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(chain in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 1..9)) {
            let chain: Vec<_> = chain.into_iter().map(CertificateDer::from).collect();
            prop_assert_eq!(read(write(&chain).as_bytes()), Ok(chain));
        }
    }
}
