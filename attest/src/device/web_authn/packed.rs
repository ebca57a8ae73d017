//! Attestation statements of the format `packed` (WebAuthn L3 §8.2).

use std::fmt::Write as _;

use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert};
use x509_cert::Certificate;
use x509_cert::certificate::Version;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Tag, Tagged as _};

use super::Attested;
use crate::device::asn1::{Fields, Malformed};
use crate::device::authenticator_data::AuthenticatorData;
use crate::device::certificate::{self, ANY_PURPOSE};
use crate::device::cose_key::{CoseAlgorithm, CoseKey};
use crate::evidence::cbor::{Map, Value};
use crate::evidence::chain::{Anchors, ChainError};

/// id-fido-gen-ce-aaguid: the model in a certificate.
const MODEL: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.45724.1.1.4");
const COUNTRY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.6");
const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
const UNIT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.11");
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// What the unit of an attestation certificate is called.
const UNIT_NAME: &[u8] = b"Authenticator Attestation";

/// Why a statement was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PackedError {
    /// A member is missing, of another form, or not known.
    #[error("the statement is not of the packed form")]
    Form,
    /// Of an algorithm that is not accepted, or not the credential's own.
    #[error("the statement is of an algorithm that is not accepted for it")]
    Algorithm,
    /// The signature.
    #[error("the statement's signature does not verify")]
    Signature,
    /// The path.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The certificate is not as attestation certificates must be (§8.2.1).
    #[error("the certificate is not one that attests authenticators")]
    Certificate,
    /// The certificate is of another model than the authenticator says it is.
    #[error("the certificate is of another model of authenticator")]
    Model,
}

/// Verifies a statement over `signed`, the authenticator's data and the hash of the client's.
pub(super) fn verify(
    statement: &Map<'_>,
    signed: &[u8],
    data: &AuthenticatorData<'_>,
    key: &CoseKey,
    anchors: &Anchors,
    now_ms: u64,
) -> Result<Attested, PackedError> {
    use PackedError as E;
    let number = statement.at("alg").and_then(Value::integer).ok_or(E::Form)?;
    let signature = statement.at("sig").and_then(Value::bytes).ok_or(E::Form)?;
    let algorithm = CoseAlgorithm::of(number).ok_or(E::Algorithm)?;
    let Some(chain) = statement.at("x5c") else {
        // Self attestation: the credential's own key and algorithm.
        if statement.len() != 2 {
            return Err(E::Form);
        }
        if algorithm != key.algorithm() {
            return Err(E::Algorithm);
        }
        return if key.verifies(signed, signature) { Ok(Attested::BySelf) } else { Err(E::Signature) };
    };
    let chain = chain.array().filter(|_| statement.len() == 3).ok_or(E::Form)?;
    if !chain.iter().all(|one| one.bytes().is_some()) {
        return Err(E::Form);
    }
    // 1. The chain to an anchor of the policy.
    let (leaf, intermediates) = certificate::split(chain.iter().filter_map(Value::bytes))?;
    anchors.verify(&leaf, &intermediates, ANY_PURPOSE, ALL_VERIFICATION_ALGS, now_ms)?;
    // 2. The signature, by the leaf's key.
    let end = EndEntityCert::try_from(&leaf).map_err(|_| ChainError::Malformed)?;
    end.verify_signature(algorithm.of_certificate(), signed, signature).map_err(|_| E::Signature)?;
    // 3. What such a certificate must be, and its model if it names one.
    let leaf = certificate::read(&leaf)?;
    if !attests_authenticators(&leaf) {
        return Err(E::Certificate);
    }
    if let Some(extension) = certificate::extension(&leaf, MODEL)? {
        if extension.critical {
            return Err(E::Certificate);
        }
        if model(extension.extn_value.as_bytes()) != Ok(&data.aaguid) {
            return Err(E::Model);
        }
    }
    Ok(Attested::ByManufacturer { model: uuid(&data.aaguid) })
}

/// §8.2.1: version 3, a subject of four parts of which the unit is always the same. That the leaf issues nothing was
/// checked with the path.
fn attests_authenticators(leaf: &Certificate) -> bool {
    let tbs = leaf.tbs_certificate();
    let mut found = [false; 4];
    for attribute in tbs.subject().iter() {
        let is_text = matches!(attribute.value.tag(), Tag::Utf8String | Tag::PrintableString | Tag::TeletexString);
        let text = if is_text { attribute.value.value() } else { &[] };
        match attribute.oid {
            COUNTRY => found[0] |= text.len() == 2 && text.iter().all(u8::is_ascii_alphabetic),
            ORGANIZATION => found[1] |= !text.is_empty(),
            UNIT => found[2] |= text == UNIT_NAME,
            COMMON_NAME => found[3] |= !text.is_empty(),
            _ => {}
        }
    }
    tbs.version() == Version::V3 && found == [true; 4]
}

/// An OCTET STRING within the extension's own.
fn model(extension: &[u8]) -> Result<&[u8; 16], Malformed> {
    let mut fields = Fields::new(extension)?;
    let model = fields.octets()?;
    fields.end()?;
    model.try_into().map_err(|_| Malformed)
}

/// An authenticator's model as UUID text (RFC 9562 §4).
#[must_use]
pub fn uuid(model: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in model.iter().enumerate() {
        let hyphen = if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" };
        write!(text, "{hyphen}{byte:02x}").expect("a string takes any text");
    }
    text
}
