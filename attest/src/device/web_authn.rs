//! WebAuthn registrations (W3C Web Authentication Level 3, §7.1): that a page of the platform was open on the device, a
//! person was there, and, where the attestation is `packed`, by which model of authenticator the new key is kept.
//!
//! The challenge of the registration is the nonce's characters. Attestation of the formats `packed` (§8.2) and `none`
//! (§8.7) is read. The credential is nobody's account here: it is not kept, and goes into no verdict.

mod client_data;
mod packed;
#[cfg(test)]
mod vectors;

use policies::Digest;
use policies::rules::{Tier, WebAuthnValues};
use serde::{Deserialize, Serialize};

use super::authenticator_data::{AuthenticatorData, AuthenticatorDataError, Extensions};
use super::cose_key::{CoseKey, CoseKeyError};
use crate::appraisal::{Claim, Subject};
use crate::evidence::Found;
use crate::evidence::cbor::{self, CborError, Value};
use crate::evidence::chain::Anchors;
use crate::evidence::encoded::Encoded;
use client_data::ClientData;
pub use client_data::{CLIENT_DATA_BYTES_MAX, ClientDataError};
pub use packed::{PackedError, uuid};

/// Bytes of an attestation object at most.
pub const ATTESTATION_OBJECT_BYTES_MAX: usize = 32 * 1024;

/// What `navigator.credentials.create` returned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebAuthnEvidence {
    /// `response.attestationObject`.
    pub attestation_object: Encoded<ATTESTATION_OBJECT_BYTES_MAX>,
    /// `response.clientDataJSON`.
    pub client_data: Encoded<CLIENT_DATA_BYTES_MAX>,
}

/// What vouches for the authenticator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attested {
    /// Nothing: the format `none`.
    None,
    /// The new key itself: `packed` without certificates (self attestation).
    BySelf,
    /// A certificate of its manufacturer.
    ByManufacturer {
        /// The model (AAGUID), as lower-case UUID text.
        model: String,
    },
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebAuthnClaims {
    /// SHA-256 of the relying party's domain.
    pub relying_party_hash: Digest,
    /// The page.
    pub origin: String,
    /// Whether the authenticator verified who was there.
    pub user_verified: bool,
    /// What vouches for the authenticator.
    pub attested: Attested,
}

/// Why a registration was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebAuthnError {
    /// The client's data.
    #[error(transparent)]
    ClientData(#[from] ClientDataError),
    /// The attestation object's form.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// A member of the object is missing or of another form.
    #[error("the attestation object is not of the form that WebAuthn has")]
    Form,
    /// Neither packed nor none.
    #[error("the attestation is of a format that is not accepted")]
    Format,
    /// The authenticator's data.
    #[error(transparent)]
    AuthenticatorData(#[from] AuthenticatorDataError),
    /// Nobody was there.
    #[error("the authenticator did not see that someone is there")]
    UserPresence,
    /// The credential's key.
    #[error(transparent)]
    Key(#[from] CoseKeyError),
    /// The statement of the format `none` is not empty.
    #[error("an attestation of the format none states something")]
    NotEmpty,
    /// The statement of the format `packed`.
    #[error(transparent)]
    Packed(#[from] PackedError),
}

/// Verifies a registration at `now_ms`.
///
/// # Errors
/// The first check that fails.
pub fn verify(
    evidence: &WebAuthnEvidence,
    anchors: &Anchors,
    now_ms: u64,
) -> Result<Found<WebAuthnClaims>, WebAuthnError> {
    use WebAuthnError as E;
    // 1. The client's data: a registration, not from within another party's page. Challenge and origin are compared later.
    let client = ClientData::read(&evidence.client_data)?;
    // 2. The attestation object.
    if evidence.attestation_object.len() > ATTESTATION_OBJECT_BYTES_MAX {
        return Err(CborError::TooLong.into());
    }
    let object = cbor::read(&evidence.attestation_object)?;
    let object = object.map().filter(|object| object.len() == 3).ok_or(E::Form)?;
    let format = object.at("fmt").and_then(Value::text).ok_or(E::Form)?;
    let statement = object.at("attStmt").and_then(Value::map).ok_or(E::Form)?;
    let data = object.at("authData").and_then(Value::bytes).ok_or(E::Form)?;
    // 3. The authenticator's data, and that someone was there.
    let read = AuthenticatorData::read(data, Extensions::AsFlagged)?;
    if !read.user_present {
        return Err(E::UserPresence);
    }
    // 4. The credential's key is of an algorithm that a page may ask for.
    let key = CoseKey::read(&read.key)?;
    // 5. The statement.
    let attested = match format {
        "none" if statement.len() == 0 => Attested::None,
        "none" => return Err(E::NotEmpty),
        "packed" => {
            let signed = [data, Digest::of(&evidence.client_data).as_bytes()].concat();
            packed::verify(statement, &signed, &read, &key, anchors, now_ms)?
        }
        _ => return Err(E::Format),
    };
    let tier = match attested {
        Attested::None | Attested::BySelf => Tier::Software,
        Attested::ByManufacturer { .. } => Tier::Hardware,
    };
    let claims = WebAuthnClaims {
        relying_party_hash: Digest::from_bytes(read.rp_id_hash),
        origin: client.origin,
        user_verified: read.user_verified,
        attested,
    };
    Ok(Found { bound: client.challenge, tier, claims })
}

/// Compares.
#[must_use]
pub fn compare(claims: &WebAuthnClaims, values: &WebAuthnValues) -> Vec<Claim> {
    let party = if values.relying_party.is_empty() {
        Claim::contraindicated(Subject::SourcedData, "The policy has no relying party.")
    } else if Digest::of(values.relying_party.as_bytes()) == claims.relying_party_hash {
        Claim::affirming(Subject::SourcedData, "The credential is for the policy's relying party.")
    } else {
        Claim::contraindicated(Subject::SourcedData, "The credential is for another relying party.")
    };
    let page = Claim::one_of(Subject::Executables, "the page that asked", &claims.origin, &values.origins);
    let presence = if claims.user_verified {
        "Someone was there, and the authenticator knew them."
    } else {
        "Someone was there; the authenticator did not ask who."
    };
    let presence = Claim::affirming(Subject::InstanceIdentity, presence);
    vec![party, page, presence, authenticator(claims, values)]
}

fn authenticator(claims: &WebAuthnClaims, values: &WebAuthnValues) -> Claim {
    let what = match &claims.attested {
        Attested::ByManufacturer { model } => {
            return Claim::one_of(Subject::Hardware, "the model of the authenticator", model, &values.models);
        }
        Attested::BySelf => "Nothing but its own key vouches for the authenticator",
        Attested::None => "Nothing vouches for the authenticator",
    };
    if values.unattested {
        Claim::warning(Subject::Hardware, format!("{what}, which the policy accepts with this warning."))
    } else {
        Claim::contraindicated(Subject::Hardware, format!("{what}, which the policy does not accept."))
    }
}

#[cfg(test)]
mod tests;
