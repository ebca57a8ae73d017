//! `COSE_Sign1` (RFC 9052 §4.2) and the keys that verify it: ES256, ES384 and EdDSA with Ed25519 (RFC 9053 §2).

use minicbor::Encoder;
use ring::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, UnparsedPublicKey};
use rustls_pki_types::CertificateDer;
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use super::cbor::{self, Value};
use crate::evidence::chain::INTERMEDIATES_MAX;

const TAG_SIGN1: u64 = 18;
const LABEL_ALGORITHM: i128 = 1;
const LABEL_CRITICAL: i128 = 2;
const LABEL_KID: i128 = 4;
/// CWT claims (RFC 9597) and `iat` among them (RFC 8392 §3.1.6).
const LABEL_CWT_CLAIMS: i128 = 15;
const CLAIM_IAT: i128 = 6;
/// `x5chain` (RFC 9360 §2).
const LABEL_CHAIN: i128 = 33;
/// Bytes of a key identifier at most.
const KID_BYTES_MAX: usize = 64;

/// Why a `COSE_Sign1` is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CoseError {
    /// Not a `COSE_Sign1` with an algorithm in its protected header.
    #[error("the signature's structure is malformed")]
    Malformed,
    /// A header that must be understood and is not.
    #[error("a header of the signature is critical and unknown")]
    Critical,
    /// Neither ES256 nor ES384 nor EdDSA.
    #[error("the signature's algorithm is not supported")]
    Algorithm,
    /// A key of another type or curve, or not a key.
    #[error("the key is not of a supported kind")]
    Key,
    /// The payload is attached where it must not be, or the other way round.
    #[error("the signature's payload is not where it belongs")]
    Payload,
    /// It does not verify, or is of another algorithm than the key.
    #[error("the signature does not verify")]
    Signature,
}

impl From<cbor::Malformed> for CoseError {
    fn from(_: cbor::Malformed) -> Self {
        Self::Malformed
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Es256,
    Es384,
    EdDsa,
}

/// A key that verifies.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct PublicKey {
    algorithm: Algorithm,
    /// An uncompressed point, or Ed25519's 32 bytes.
    bytes: Vec<u8>,
}

impl PublicKey {
    /// A `COSE_Key` (RFC 9052 §7, RFC 9053 §7).
    pub(super) fn from_cose(key: &Value<'_>) -> Result<Self, CoseError> {
        let number = |label| if let Some(Value::Integer(number)) = key.label(label) { Some(*number) } else { None };
        let coordinate = |label, length| {
            key.label(label).and_then(Value::bytes).filter(|bytes| bytes.len() == length).ok_or(CoseError::Key)
        };
        let (algorithm, bytes) = match (number(1), number(-1)) {
            (Some(2), Some(1)) => (Algorithm::Es256, [&[4], coordinate(-2, 32)?, coordinate(-3, 32)?].concat()),
            (Some(2), Some(2)) => (Algorithm::Es384, [&[4], coordinate(-2, 48)?, coordinate(-3, 48)?].concat()),
            (Some(1), Some(6)) => (Algorithm::EdDsa, coordinate(-2, 32)?.to_vec()),
            _ => return Err(CoseError::Key),
        };
        // An algorithm that the key is for (RFC 9052 §7.1) must be the one that its curve has here.
        match key.label(3) {
            Some(named) if Algorithm::from_value(named)? != algorithm => Err(CoseError::Key),
            _ => Ok(Self { algorithm, bytes }),
        }
    }

    /// A certificate's key (RFC 5480, RFC 8410).
    pub(super) fn from_spki(spki: &SubjectPublicKeyInfoOwned) -> Result<Self, CoseError> {
        use x509_cert::der::asn1::ObjectIdentifier;
        let curve = spki.algorithm.parameters.as_ref().and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
        let curve = curve.map(|oid| oid.to_string());
        let algorithm = match (spki.algorithm.oid.to_string().as_str(), curve.as_deref()) {
            ("1.2.840.10045.2.1", Some("1.2.840.10045.3.1.7")) => (Algorithm::Es256, 65),
            ("1.2.840.10045.2.1", Some("1.3.132.0.34")) => (Algorithm::Es384, 97),
            ("1.3.101.112", None) => (Algorithm::EdDsa, 32),
            _ => return Err(CoseError::Key),
        };
        let (algorithm, length) = algorithm;
        let bytes = spki.subject_public_key.as_bytes().filter(|bytes| bytes.len() == length).ok_or(CoseError::Key)?;
        Ok(Self { algorithm, bytes: bytes.to_vec() })
    }
}

impl Algorithm {
    fn from_value(value: &Value<'_>) -> Result<Self, CoseError> {
        match value {
            Value::Integer(-7) => Ok(Self::Es256),
            Value::Integer(-35) => Ok(Self::Es384),
            Value::Integer(-8) => Ok(Self::EdDsa),
            _ => Err(CoseError::Algorithm),
        }
    }
}

/// A `COSE_Sign1`, not yet verified.
pub(super) struct Sign1<'a> {
    protected: &'a [u8],
    algorithm: Algorithm,
    /// Which key signed, as the unprotected header says.
    pub(super) kid: Option<&'a [u8]>,
    /// When it was signed, as the signer claims, in Unix seconds.
    pub(super) iat_s: Option<u64>,
    /// The signer's certificate and those above it.
    pub(super) chain: Vec<CertificateDer<'a>>,
    /// The payload, where it is attached. An empty one counts as detached, as C2PA §18.25.3 prints it.
    pub(super) payload: Option<&'a [u8]>,
    signature: &'a [u8],
}

impl<'a> Sign1<'a> {
    /// Reads tagged bytes.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, CoseError> {
        match cbor::decode(bytes)? {
            value @ Value::Tagged(TAG_SIGN1, _) => Self::from_value(&value),
            _ => Err(CoseError::Malformed),
        }
    }

    /// Reads a value, tagged or, within a structure whose type says what it is, not.
    pub(super) fn from_value(value: &Value<'a>) -> Result<Self, CoseError> {
        let inner = if let Value::Tagged(TAG_SIGN1, inner) = value { inner } else { value };
        let Some([Value::Bytes(protected), unprotected @ Value::Map(_), payload, Value::Bytes(signature)]) =
            inner.array()
        else {
            return Err(CoseError::Malformed);
        };
        let headers = cbor::decode(protected)?;
        if headers.label(LABEL_CRITICAL).is_some() {
            return Err(CoseError::Critical);
        }
        let algorithm = Algorithm::from_value(headers.label(LABEL_ALGORITHM).ok_or(CoseError::Malformed)?)?;
        // A header stands in one of the two places (RFC 9052 §3).
        if unprotected.label(LABEL_ALGORITHM).is_some() || headers.label(LABEL_KID).is_some() {
            return Err(CoseError::Malformed);
        }
        let kid = unprotected.label(LABEL_KID).map(|kid| kid.bytes().ok_or(CoseError::Malformed)).transpose()?;
        if kid.is_some_and(|kid| kid.is_empty() || kid.len() > KID_BYTES_MAX) {
            return Err(CoseError::Malformed);
        }
        let iat = headers.field("iat").or_else(|| headers.label(LABEL_CWT_CLAIMS)?.label(CLAIM_IAT));
        let iat_s = iat.map(|iat| iat.unsigned().ok_or(CoseError::Malformed)).transpose()?;
        let payload = match payload {
            Value::Null => None,
            Value::Bytes(payload) => Some(*payload).filter(|payload| !payload.is_empty()),
            _ => return Err(CoseError::Malformed),
        };
        let chain = chain(&headers, unprotected)?;
        Ok(Self { protected, algorithm, kid, iat_s, chain, payload, signature })
    }

    /// Verifies by `key` over `payload`, wherever that is (RFC 9052 §4.4).
    pub(super) fn verify(&self, key: &PublicKey, payload: &[u8]) -> Result<(), CoseError> {
        if self.algorithm != key.algorithm {
            return Err(CoseError::Signature);
        }
        let message = sig_structure(self.protected, payload);
        let verified = match key.algorithm {
            Algorithm::Es256 => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key.bytes).verify(&message, self.signature)
            }
            Algorithm::Es384 => {
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, &key.bytes).verify(&message, self.signature)
            }
            Algorithm::EdDsa => UnparsedPublicKey::new(&ED25519, &key.bytes).verify(&message, self.signature),
        };
        verified.map_err(|_| CoseError::Signature)
    }
}

/// The certificates, from the protected header or, as C2PA once had it (§14.5), by name from the unprotected one.
fn chain<'a>(protected: &Value<'a>, unprotected: &Value<'a>) -> Result<Vec<CertificateDer<'a>>, CoseError> {
    let places = [
        protected.label(LABEL_CHAIN),
        protected.field("x5chain"),
        unprotected.label(LABEL_CHAIN),
        unprotected.field("x5chain"),
    ];
    let mut places = places.into_iter().flatten();
    let (place, second) = (places.next(), places.next());
    if second.is_some() {
        return Err(CoseError::Malformed);
    }
    let certificates = match place {
        None => return Ok(Vec::new()),
        Some(Value::Bytes(certificate)) => vec![*certificate],
        Some(Value::Array(certificates)) => {
            certificates.iter().map(Value::bytes).collect::<Option<Vec<_>>>().ok_or(CoseError::Malformed)?
        }
        Some(_) => return Err(CoseError::Malformed),
    };
    if certificates.len() > INTERMEDIATES_MAX + 1 {
        return Err(CoseError::Malformed);
    }
    Ok(certificates.into_iter().map(CertificateDer::from).collect())
}

/// What is signed (RFC 9052 §4.4), without additional data.
pub(super) fn sig_structure(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::with_capacity(protected.len() + payload.len() + 32));
    encoder
        .array(4)
        .and_then(|encoder| encoder.str("Signature1"))
        .and_then(|encoder| encoder.bytes(protected))
        .and_then(|encoder| encoder.bytes(&[]))
        .and_then(|encoder| encoder.bytes(payload))
        .expect("a vector takes every byte");
    encoder.into_writer()
}
