//! Session keys (C2PA §18.25): keys by which segments are signed, each bound to the signer of the manifest that brings it.

use minicbor::Encoder;

use super::SESSION_KEYS_MAX;
use super::cbor::{self, Value};
use super::cose::{CoseError, PublicKey, Sign1};
use super::moment;
use crate::time::CLOCK_SKEW_SECONDS;

/// Label of the assertion.
pub(super) const LABEL: &str = "c2pa.session-keys";
/// How long a key may be for at most, in seconds.
const VALIDITY_SECONDS_MAX: u64 = 400 * 86_400;

/// Why session keys are refused (§18.25.2, §19.7.3: `livevideo.sessionkey.invalid`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionKeyError {
    /// Not `session-keys-data`, no key in it, or too many.
    #[error("the session keys' structure is malformed")]
    Malformed,
    /// A key that cannot be read, or of an algorithm that is not supported.
    #[error("a session key cannot be read")]
    Key,
    /// A key without an identifier, or two under the same.
    #[error("a session key has no identifier of its own")]
    Identifier,
    /// A time that is not RFC 3339, or a validity that is nothing or beyond bounds.
    #[error("a session key's validity is malformed")]
    Validity,
    /// The key's signature over the signer's certificate.
    #[error("a session key is not bound to the signer: {0}")]
    Binding(CoseError),
    /// A key for segments that have passed already.
    #[error("a session key reaches back before its manifest")]
    MinimumNumber,
}

/// A session key that is bound to its manifest's signer.
#[derive(Clone)]
pub(super) struct SessionKey {
    pub(super) kid: Vec<u8>,
    pub(super) key: PublicKey,
    /// The first segment that it may sign.
    pub(super) first_number: u64,
    begins_ms: u64,
    /// When it ends, Unix ms.
    pub(super) ends_ms: u64,
}

/// Why a key may not have signed at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutOfLife {
    NotYetValid,
    Expired,
}

impl SessionKey {
    /// Whether the key is in force. Both ends are widened by the skew of honest clocks.
    pub(super) fn check_life(&self, at_ms: u64) -> Result<(), OutOfLife> {
        let skew_ms = CLOCK_SKEW_SECONDS * 1000;
        if at_ms.saturating_add(skew_ms) < self.begins_ms {
            Err(OutOfLife::NotYetValid)
        } else if at_ms > self.ends_ms.saturating_add(skew_ms) {
            Err(OutOfLife::Expired)
        } else {
            Ok(())
        }
    }
}

/// Reads the assertion of a manifest that `certificate` signed. One bad key refuses all of them.
pub(super) fn read(assertion: &[u8], certificate: &[u8]) -> Result<Vec<SessionKey>, SessionKeyError> {
    let data = cbor::decode(assertion).map_err(|_| SessionKeyError::Malformed)?;
    let entries = data.field("keys").and_then(Value::array).ok_or(SessionKeyError::Malformed)?;
    if !(1..=SESSION_KEYS_MAX).contains(&entries.len()) {
        return Err(SessionKeyError::Malformed);
    }
    let mut keys: Vec<SessionKey> = Vec::with_capacity(entries.len());
    for entry in entries {
        let key = read_one(entry, certificate)?;
        if keys.iter().any(|other| other.kid == key.kid) {
            return Err(SessionKeyError::Identifier);
        }
        keys.push(key);
    }
    Ok(keys)
}

fn read_one(entry: &Value<'_>, certificate: &[u8]) -> Result<SessionKey, SessionKeyError> {
    // 1. The key and its identifier.
    let cose_key = entry.field("key").ok_or(SessionKeyError::Malformed)?;
    let key = PublicKey::from_cose(cose_key).map_err(|_| SessionKeyError::Key)?;
    let kid = cose_key.label(2).and_then(Value::bytes).filter(|kid| (1..=64).contains(&kid.len()));
    let kid = kid.ok_or(SessionKeyError::Identifier)?.to_vec();
    // 2. When it is good, and from which segment on.
    let first_number = entry.field("minSequenceNumber").and_then(Value::unsigned).ok_or(SessionKeyError::Malformed)?;
    let seconds = entry.field("validityPeriod").and_then(Value::unsigned).ok_or(SessionKeyError::Malformed)?;
    let created = match entry.field("createdAt") {
        Some(Value::Tagged(0, text)) => text.text().and_then(moment::parse_ms),
        _ => None,
    };
    let begins_ms = created.ok_or(SessionKeyError::Validity)?;
    if !(1..=VALIDITY_SECONDS_MAX).contains(&seconds) {
        return Err(SessionKeyError::Validity);
    }
    // 3. The signer: the key signs the certificate, so that nobody presents another's key as theirs.
    let binding = entry.field("signerBinding").ok_or(SessionKeyError::Malformed)?;
    check_binding(binding, &key, certificate).map_err(SessionKeyError::Binding)?;
    Ok(SessionKey { kid, key, first_number, begins_ms, ends_ms: begins_ms.saturating_add(seconds * 1000) })
}

/// Verifies a `signerBinding`. The payload is detached. §18.25.2 calls it "encoded as a CBOR byte string", which signers
/// read as the certificate in the byte string that a `Sig_structure` has in any case, or as one more around it: each binds
/// the key to this certificate and nothing else, so each is taken.
fn check_binding(binding: &Value<'_>, key: &PublicKey, certificate: &[u8]) -> Result<(), CoseError> {
    // Some signers put the structure into a byte string.
    let inner;
    let binding = match binding {
        Value::Bytes(bytes) => {
            inner = cbor::decode(bytes)?;
            &inner
        }
        other => other,
    };
    let signature = Sign1::from_value(binding)?;
    if signature.payload.is_some_and(|payload| payload != certificate) {
        return Err(CoseError::Payload);
    }
    signature.verify(key, certificate).or_else(|_| signature.verify(key, &wrapped(certificate)))
}

/// A CBOR byte string.
pub(super) fn wrapped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::with_capacity(bytes.len() + 9));
    encoder.bytes(bytes).expect("a vector takes every byte");
    encoder.into_writer()
}
