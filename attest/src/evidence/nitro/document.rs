//! The form of a document (AWS, "Nitro Enclaves Attestation Process", §2.2 and §3).

use std::collections::BTreeMap;

use policies::Measurement;
use rustls_pki_types::CertificateDer;

use super::NitroError;
use crate::evidence::cbor::{self, Key, Map, Value};
use crate::evidence::chain::INTERMEDIATES_MAX;
use crate::evidence::p384::SIGNATURE_BYTES;

/// The tag of COSE_Sign1 (RFC 9052 §2).
const TAG_SIGN1: u64 = 18;
/// The header parameter `alg` (RFC 9052 §3.1).
const ALGORITHM: i128 = 1;
/// ES384 (RFC 9053 §2.1).
const ES384: i128 = -35;
/// Bytes of a certificate at most (§3.2.2.2).
const CERTIFICATE_BYTES_MAX: usize = 1024;
/// Bytes of `public_key` at most.
const PUBLIC_KEY_BYTES_MAX: usize = 1024;
/// Bytes of `user_data` and of `nonce` at most.
const USER_DATA_BYTES_MAX: usize = 512;
/// Bytes of `module_id` at most; AWS names no limit.
const MODULE_ID_BYTES_MAX: usize = 256;
/// Registers are numbered below this.
const REGISTERS_MAX: u8 = 32;
/// Bytes of a register by the digest SHA384.
const REGISTER_BYTES: usize = 48;
const FIELDS: [&str; 9] =
    ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle", "public_key", "user_data", "nonce"];

/// The parts of a COSE_Sign1 (RFC 9052 §4.2).
pub(super) struct Signed<'a> {
    protected: &'a [u8],
    pub(super) payload: &'a [u8],
    pub(super) signature: [u8; SIGNATURE_BYTES],
}

impl<'a> Signed<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, NitroError> {
        let value = cbor::read(bytes)?;
        let parts = match &value {
            Value::Tag(TAG_SIGN1, tagged) => tagged.array(),
            other => other.array(),
        };
        let [protected, unprotected, payload, signature] = parts.ok_or(NitroError::Cose)? else {
            return Err(NitroError::Cose);
        };
        // What is not signed says nothing: the module leaves it empty.
        if unprotected.map().is_none_or(|map| map.len() != 0) {
            return Err(NitroError::Cose);
        }
        let protected = protected.bytes().ok_or(NitroError::Cose)?;
        let payload = payload.bytes().ok_or(NitroError::Cose)?;
        let signature = signature.bytes().and_then(|bytes| bytes.try_into().ok()).ok_or(NitroError::Cose)?;
        check_header(protected)?;
        Ok(Self { protected, payload, signature })
    }

    /// What is signed: the array `Sig_structure` (RFC 9052 §4.4), without external data.
    pub(super) fn structure(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.payload.len() + self.protected.len() + 32);
        let mut encoder = minicbor::Encoder::new(&mut bytes);
        let encoded = encoder
            .array(4)
            .and_then(|encoder| encoder.str("Signature1"))
            .and_then(|encoder| encoder.bytes(self.protected))
            .and_then(|encoder| encoder.bytes(&[]))
            .and_then(|encoder| encoder.bytes(self.payload));
        encoded.expect("a vector takes all that is written");
        bytes
    }
}

/// The protected header names ES384 and nothing else, above all nothing that is critical.
fn check_header(protected: &[u8]) -> Result<(), NitroError> {
    let header = cbor::read(protected)?;
    let map = header.map().ok_or(NitroError::Header)?;
    if map.len() == 1 && map.at(ALGORITHM).and_then(Value::integer) == Some(ES384) {
        Ok(())
    } else {
        Err(NitroError::Header)
    }
}

/// A document's fields, each within its bounds.
pub(super) struct Document<'a> {
    pub(super) module_id: &'a str,
    pub(super) timestamp_ms: u64,
    pub(super) pcrs: BTreeMap<u8, Measurement>,
    pub(super) certificate: CertificateDer<'a>,
    pub(super) cabundle: Vec<CertificateDer<'a>>,
    pub(super) public_key: Option<&'a [u8]>,
    pub(super) user_data: Option<&'a [u8]>,
    pub(super) nonce: Option<&'a [u8]>,
}

impl<'a> Document<'a> {
    pub(super) fn parse(payload: &'a [u8]) -> Result<Self, NitroError> {
        let value = cbor::read(payload)?;
        let map = value.map().ok_or(NitroError::Cose)?;
        if map.iter().any(|(key, _)| !FIELDS.iter().any(|field| Key::Text(field) == *key)) {
            return Err(NitroError::UnknownField);
        }
        if map.at("digest").and_then(Value::text) != Some("SHA384") {
            return Err(NitroError::Field("digest"));
        }
        let module_id = map.at("module_id").and_then(Value::text);
        let timestamp = map.at("timestamp").and_then(Value::integer).and_then(|time| u64::try_from(time).ok());
        Ok(Self {
            module_id: module_id
                .filter(|id| (1..=MODULE_ID_BYTES_MAX).contains(&id.len()))
                .ok_or(NitroError::Field("module_id"))?,
            timestamp_ms: timestamp.filter(|time| *time > 0).ok_or(NitroError::Field("timestamp"))?,
            pcrs: registers(map).ok_or(NitroError::Field("pcrs"))?,
            certificate: map.at("certificate").and_then(certificate).ok_or(NitroError::Field("certificate"))?,
            cabundle: bundle(map).ok_or(NitroError::Field("cabundle"))?,
            public_key: optional(map, "public_key", 1, PUBLIC_KEY_BYTES_MAX)?,
            user_data: optional(map, "user_data", 0, USER_DATA_BYTES_MAX)?,
            nonce: optional(map, "nonce", 0, USER_DATA_BYTES_MAX)?,
        })
    }
}

fn registers(map: &Map<'_>) -> Option<BTreeMap<u8, Measurement>> {
    let registers = map.at("pcrs")?.map()?;
    if registers.len() == 0 {
        return None;
    }
    registers
        .iter()
        .map(|(key, value)| {
            let Key::Integer(number) = key else { return None };
            let number = u8::try_from(*number).ok().filter(|number| *number < REGISTERS_MAX)?;
            let value = value.bytes().filter(|value| value.len() == REGISTER_BYTES)?;
            Some((number, Measurement(value.to_vec())))
        })
        .collect()
}

fn certificate<'a>(value: &Value<'a>) -> Option<CertificateDer<'a>> {
    let bytes = value.bytes().filter(|bytes| (1..=CERTIFICATE_BYTES_MAX).contains(&bytes.len()))?;
    Some(CertificateDer::from_slice(bytes))
}

/// From the root to the issuer of the leaf.
fn bundle<'a>(map: &Map<'a>) -> Option<Vec<CertificateDer<'a>>> {
    let bundle = map.at("cabundle")?.array()?;
    if !(1..=INTERMEDIATES_MAX).contains(&bundle.len()) {
        return None;
    }
    bundle.iter().map(certificate).collect()
}

/// A field that a document may lack; the module writes null then.
fn optional<'a>(map: &Map<'a>, field: &'static str, least: usize, most: usize) -> Result<Option<&'a [u8]>, NitroError> {
    match map.at(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bytes(bytes)) if (least..=most).contains(&bytes.len()) => Ok(Some(bytes)),
        Some(_) => Err(NitroError::Field(field)),
    }
}
