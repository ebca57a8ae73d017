//! Public keys of credentials as COSE keys (RFC 9052 §7, RFC 9053 §7; WebAuthn L3 §5.8.5 narrows them).

use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256};
use ring::signature::{RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use rustls_pki_types::SignatureVerificationAlgorithm;

use crate::evidence::cbor::{Map, Value};

/// A signature's algorithm (IANA "COSE Algorithms").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoseAlgorithm {
    /// -7: ECDSA on P-256 with SHA-256.
    Es256,
    /// -8: Ed25519.
    EdDsa,
    /// -257: RSASSA-PKCS1-v1_5 with SHA-256, of 2048 bits or more.
    Rs256,
}

impl CoseAlgorithm {
    /// The algorithm of this number, if it is one of these.
    pub(crate) const fn of(number: i128) -> Option<Self> {
        match number {
            -7 => Some(Self::Es256),
            -8 => Some(Self::EdDsa),
            -257 => Some(Self::Rs256),
            _ => None,
        }
    }

    /// The algorithm as certificates' keys are used with it.
    pub(crate) fn of_certificate(self) -> &'static dyn SignatureVerificationAlgorithm {
        match self {
            Self::Es256 => webpki::ring::ECDSA_P256_SHA256,
            Self::EdDsa => webpki::ring::ED25519,
            Self::Rs256 => webpki::ring::RSA_PKCS1_2048_8192_SHA256,
        }
    }
}

/// Why a key was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CoseKeyError {
    /// A member is missing, or of another form.
    #[error("the credential's key cannot be read")]
    Malformed,
    /// Of an algorithm that is not accepted.
    #[error("the credential's key is of an algorithm that is not accepted")]
    Algorithm,
}

/// A credential's public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CoseKey {
    /// A point of P-256, uncompressed (SEC 1 §2.3.3).
    Es256([u8; 65]),
    /// A point of Ed25519.
    EdDsa([u8; 32]),
    /// Modulus and exponent, big-endian.
    Rs256 { n: Vec<u8>, e: Vec<u8> },
}

/// Labels of members (RFC 9053 §7.1, RFC 8230 §4).
mod label {
    pub(super) const KEY_TYPE: i128 = 1;
    pub(super) const ALGORITHM: i128 = 3;
    pub(super) const CURVE: i128 = -1;
    pub(super) const X: i128 = -2;
    pub(super) const Y: i128 = -3;
    pub(super) const N: i128 = -1;
    pub(super) const E: i128 = -2;
}

impl CoseKey {
    /// Reads a key. The numbers of type and curve must be the algorithm's.
    pub(crate) fn read(value: &Value<'_>) -> Result<Self, CoseKeyError> {
        let map = value.map().ok_or(CoseKeyError::Malformed)?;
        let integer = |label: i128| map.at(label).and_then(Value::integer).ok_or(CoseKeyError::Malformed);
        let algorithm = CoseAlgorithm::of(integer(label::ALGORITHM)?).ok_or(CoseKeyError::Algorithm)?;
        let key_type = integer(label::KEY_TYPE)?;
        match (algorithm, key_type) {
            (CoseAlgorithm::Es256, 2) if integer(label::CURVE)? == 1 => {
                let mut point = [4; 65];
                point[1..33].copy_from_slice(&coordinate(map, label::X)?);
                point[33..].copy_from_slice(&coordinate(map, label::Y)?);
                Ok(Self::Es256(point))
            }
            (CoseAlgorithm::EdDsa, 1) if integer(label::CURVE)? == 6 => Ok(Self::EdDsa(coordinate(map, label::X)?)),
            (CoseAlgorithm::Rs256, 3) => {
                let bytes = |label: i128| map.at(label).and_then(Value::bytes).ok_or(CoseKeyError::Malformed);
                Ok(Self::Rs256 { n: bytes(label::N)?.to_vec(), e: bytes(label::E)?.to_vec() })
            }
            _ => Err(CoseKeyError::Malformed),
        }
    }

    /// Its algorithm.
    pub(crate) const fn algorithm(&self) -> CoseAlgorithm {
        match self {
            Self::Es256(_) => CoseAlgorithm::Es256,
            Self::EdDsa(_) => CoseAlgorithm::EdDsa,
            Self::Rs256 { .. } => CoseAlgorithm::Rs256,
        }
    }

    /// Whether this key made the signature.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let by = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
        };
        match self {
            Self::Es256(point) => by(&ECDSA_P256_SHA256_ASN1, point),
            Self::EdDsa(point) => by(&ED25519, point),
            Self::Rs256 { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
            }
        }
    }
}

fn coordinate(map: &Map<'_>, label: i128) -> Result<[u8; 32], CoseKeyError> {
    map.at(label).and_then(Value::bytes).and_then(|bytes| bytes.try_into().ok()).ok_or(CoseKeyError::Malformed)
}
