//! ECDSA on P-384 with SHA-384, where the two halves of a signature stand beside each other instead of in DER.
//!
//! AMD's reports and COSE (RFC 9053 §2.1) both write signatures so.

use ring::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use rustls_pki_types::{AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use webpki::EndEntityCert;

/// Bytes of a signature: r and s, big-endian.
pub(super) const SIGNATURE_BYTES: usize = 96;

#[derive(Debug)]
struct Fixed;

impl SignatureVerificationAlgorithm for Fixed {
    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, public_key)
            .verify(message, signature)
            .map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P384
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_SHA384
    }
}

/// Whether the key of this certificate, which must be one on P-384, made the signature.
pub(super) fn verifies(certificate: &CertificateDer<'_>, message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
    EndEntityCert::try_from(certificate)
        .is_ok_and(|certificate| certificate.verify_signature(&Fixed, message, signature).is_ok())
}
