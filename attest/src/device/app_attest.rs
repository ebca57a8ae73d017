//! Apple App Attest: that a key lives in the Secure Enclave of a genuine device and belongs to an app as it was signed.
//!
//! The steps are those of Apple's "Validating apps that connect to your server", with its numbers. The hash of the client's
//! data is SHA-256 of the nonce's characters.

use policies::Digest;
use policies::rules::{AppAttestValues, Tier};
use serde::{Deserialize, Serialize};
use webpki::{ALL_VERIFICATION_ALGS, KeyUsage};
use x509_cert::der::Tag;
use x509_cert::der::asn1::ObjectIdentifier;

use super::asn1::{Fields, Malformed, explicit_number};
use super::authenticator_data::{AuthenticatorData, AuthenticatorDataError, Extensions};
use super::certificate;
use super::cose_key::{CoseKey, CoseKeyError};
use crate::appraisal::{Claim, Subject};
use crate::evidence::Found;
use crate::evidence::cbor::{self, CborError, Value};
use crate::evidence::chain::{Anchors, ChainError};
use crate::evidence::encoded::Encoded;

/// Bytes of an attestation object at most; most of one is the receipt, which is not read.
pub const ATTESTATION_OBJECT_BYTES_MAX: usize = 32 * 1024;

/// The extension that carries the nonce.
const NONCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113635.100.8.2");
/// 1.2.840.113635.100.4.24, which Apple's leaves name as their one purpose where they name any.
const PURPOSE: KeyUsage = KeyUsage::required_if_present(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x63, 0x64, 0x04, 0x18]);

const PRODUCTION: &[u8; 16] = b"appattest\0\0\0\0\0\0\0";
const DEVELOPMENT: &[u8; 16] = b"appattestdevelop";

/// What `DCAppAttestService.attestKey` returned, for the key of this identifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppAttestEvidence {
    /// The key's identifier.
    pub key_id: Encoded<32>,
    /// The attestation object.
    pub attestation: Encoded<ATTESTATION_OBJECT_BYTES_MAX>,
}

/// What was found. It tells the app, and not the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppAttestClaims {
    /// The authenticator's data, which the nonce in the certificate covers beside the client's.
    authenticator_data: Vec<u8>,
    /// SHA-256 of the app's name.
    pub app_id_hash: Digest,
    /// Whether the app was under development.
    pub development: bool,
}

impl AppAttestClaims {
    /// What the certificate carries if the client's data have this hash (step 2).
    #[must_use]
    pub fn bound_to(&self, client_data_hash: &[u8]) -> Digest {
        Digest::of(&[&self.authenticator_data, client_data_hash].concat())
    }
}

/// Why an attestation was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppAttestError {
    /// The object's form.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// A member of the object is missing, of another form, or not known.
    #[error("the attestation is not of the form that App Attest has")]
    Form,
    /// The path.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The leaf carries no nonce.
    #[error("the certificate carries no nonce")]
    Nonce,
    /// The key's identifier is not the hash of the certificate's key.
    #[error("the key's identifier is another key's")]
    KeyId,
    /// The authenticator's data.
    #[error(transparent)]
    AuthenticatorData(#[from] AuthenticatorDataError),
    /// The key was used.
    #[error("the key was used before")]
    Counter,
    /// Neither of the two environments.
    #[error("the attestation is of an unknown environment")]
    Environment,
    /// The credential's id is not the key's identifier.
    #[error("the credential's id is not the key's identifier")]
    CredentialId,
    /// The credential's key.
    #[error(transparent)]
    Key(#[from] CoseKeyError),
    /// The credential's key is not the certificate's.
    #[error("the credential's key is not the certificate's")]
    OtherKey,
}

impl From<Malformed> for AppAttestError {
    fn from(_: Malformed) -> Self {
        Self::Nonce
    }
}

/// Verifies an attestation at `now_ms`. Steps 2 to 4 end in what it carries; [`compare`] does step 6's comparison.
///
/// # Errors
/// The first check that fails.
pub fn verify(
    evidence: &AppAttestEvidence,
    anchors: &Anchors,
    now_ms: u64,
) -> Result<Found<AppAttestClaims>, AppAttestError> {
    use AppAttestError as E;
    // 0. The object.
    if evidence.attestation.len() > ATTESTATION_OBJECT_BYTES_MAX {
        return Err(CborError::TooLong.into());
    }
    let object = cbor::read(&evidence.attestation)?;
    let (chain, data) = members(&object).ok_or(E::Form)?;
    // 1. The chain to Apple's root.
    let (leaf, intermediates) = certificate::split(chain)?;
    anchors.verify(&leaf, &intermediates, PURPOSE, ALL_VERIFICATION_ALGS, now_ms)?;
    let leaf = certificate::read(&leaf)?;
    // 4. The nonce that the leaf carries.
    let extension = certificate::extension(&leaf, NONCE)?.ok_or(E::Nonce)?;
    let bound = nonce(extension.extn_value.as_bytes())?;
    // 5. The key's identifier is the hash of the leaf's key as an uncompressed point (X9.62).
    let spki = leaf.tbs_certificate().subject_public_key_info();
    let point = spki.subject_public_key.as_bytes().ok_or(E::KeyId)?;
    let key_id = Digest::of(point);
    if &evidence.key_id[..] != key_id.as_bytes() {
        return Err(E::KeyId);
    }
    // 6. The app, whose name's hash is compared later.
    let read = AuthenticatorData::read(data, Extensions::Unflagged)?;
    // 7. The key is new.
    if read.counter != 0 {
        return Err(E::Counter);
    }
    // 8. The environment.
    let development = match &read.aaguid {
        PRODUCTION => false,
        DEVELOPMENT => true,
        _ => return Err(E::Environment),
    };
    // 9. The credential is this key.
    if read.credential_id != key_id.as_bytes() {
        return Err(E::CredentialId);
    }
    match CoseKey::read(&read.key)? {
        CoseKey::Es256(own) if own == point => {}
        _ => return Err(E::OtherKey),
    }
    let app_id_hash = Digest::from_bytes(read.rp_id_hash);
    let claims = AppAttestClaims { authenticator_data: data.to_vec(), app_id_hash, development };
    let tier = if development { Tier::Development } else { Tier::Hardware };
    Ok(Found { bound, tier, claims })
}

/// The chain and the authenticator's data of an object of the one form.
fn members<'v, 'a>(object: &'v Value<'a>) -> Option<(impl Iterator<Item = &'a [u8]> + use<'v, 'a>, &'a [u8])> {
    let object = object.map()?;
    let statement = object.at("attStmt")?.map()?;
    let chain = statement.at("x5c")?.array()?;
    let known = object.len() == 3 && object.at("fmt")?.text()? == "apple-appattest";
    // The receipt is for asking Apple about the device later, which is not done here.
    let bytes = statement.at("receipt")?.bytes().is_some() && chain.iter().all(|one| one.bytes().is_some());
    (known && bytes).then_some(())?;
    Some((chain.iter().filter_map(Value::bytes), object.at("authData")?.bytes()?))
}

/// `SEQUENCE { [1] EXPLICIT OCTET STRING }` of 32 bytes.
fn nonce(extension: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut fields = Fields::of(extension, Tag::Sequence)?;
    let field = fields.next()?.ok_or(Malformed)?;
    fields.end()?;
    let mut inner = Fields::new(field.value())?;
    let nonce = inner.octets()?;
    inner.end()?;
    let well_formed = explicit_number(field) == Some(1) && nonce.len() == 32;
    if well_formed { Ok(nonce.to_vec()) } else { Err(Malformed) }
}

/// Compares.
#[must_use]
pub fn compare(claims: &AppAttestClaims, values: &AppAttestValues) -> Vec<Claim> {
    let hashes = values.app_ids.iter().map(|id| Digest::of(id.as_bytes())).collect();
    let app = Claim::one_of(Subject::Executables, "the app's team and bundle", &claims.app_id_hash, &hashes);
    let hardware =
        Claim::affirming(Subject::Hardware, "The key was made in the Secure Enclave of a device that Apple made.");
    let environment = match (claims.development, values.development) {
        (false, _) => Claim::affirming(Subject::Configuration, "The app came from its distributor."),
        (true, true) => Claim::warning(Subject::Configuration, "The app is under development."),
        (true, false) => Claim::contraindicated(
            Subject::Configuration,
            "The app is under development, which the policy does not accept.",
        ),
    };
    vec![hardware, environment, app]
}

#[cfg(test)]
mod tests;
