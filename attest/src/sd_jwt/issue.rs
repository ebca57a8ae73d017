//! The issuer's side: claims become salted digests and disclosures (RFC 9901 §4.2), and decoys fill up.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand_core::CryptoRng;
use serde_json::{Map, Value, json};

use super::credential::StatusReference;
use super::disclosure::{ALGORITHM, DIGESTS, digest, is_reserved};
use super::error::{JoseError, SdJwtError};
use super::jwk::PublicJwk;
use super::{
    CREDENTIAL_TYP, DEPTH_MAX, DISCLOSURES_MAX, PRESENTATION_BYTES_MAX, REGISTERED, STATUS_URI_BYTES_MAX, jose,
};
use crate::keys::SigningKey;

/// Digests stand in multiples of this; decoys fill up, so that their number tells little of the number of claims.
const DIGESTS_MULTIPLE: usize = 8;
/// 128 bits, as RFC 9901 §9.3 advises.
const SALT_BYTES: usize = 16;
/// What a holder's signature and its claims may add to a credential.
const KEY_BINDING_BYTES: usize = 4 * 1024;

/// A credential to be issued. It has no `Debug`: the claims are personal data.
pub struct IssueRequest {
    /// The issuer, as verifiers know it.
    pub issuer: String,
    /// The credential's type.
    pub vct: String,
    /// When it is made, in Unix seconds; rounded, so that the time does not single it out.
    pub issued_s: u64,
    /// From when on it says nothing, in Unix seconds; rounded likewise.
    pub expires_s: u64,
    /// The holder's key, which the holder has shown to have.
    pub holder: PublicJwk,
    /// Claims that every verifier sees.
    pub always: Map<String, Value>,
    /// Claims that the holder discloses one by one.
    pub disclosable: Map<String, Value>,
    /// Where its status stands.
    pub status: Option<StatusReference>,
}

impl IssueRequest {
    /// The credential: the issuer's JWT and every disclosure, each before a `~`.
    ///
    /// # Errors
    /// [`SdJwtError::Lifetime`], [`SdJwtError::TooManyDisclosures`], [`SdJwtError::ReservedName`],
    /// [`SdJwtError::ClaimExists`], [`SdJwtError::TooDeep`], [`SdJwtError::StatusReference`], or
    /// [`SdJwtError::TooLong`] where a presentation might be longer than what is read.
    pub fn issue(&self, key: &SigningKey, rng: &mut impl CryptoRng) -> Result<String, SdJwtError> {
        self.check()?;
        let mut disclosures = Vec::with_capacity(self.disclosable.len());
        let mut digests = Vec::with_capacity(DISCLOSURES_MAX);
        for (name, value) in &self.disclosable {
            let disclosure = serde_json::to_vec(&(salt(rng), name, value))
                .map_err(|_| SdJwtError::Credential(JoseError::Payload))?;
            let disclosure = URL_SAFE_NO_PAD.encode(disclosure);
            digests.push(digest(&disclosure));
            disclosures.push(disclosure);
        }
        while digests.is_empty() || digests.len() % DIGESTS_MULTIPLE != 0 {
            digests.push(decoy(rng));
        }
        // Sorted digests do not tell the order of the claims (RFC 9901 §4.2.4.1).
        digests.sort_unstable();
        let payload =
            serde_json::to_vec(&self.payload(&digests)).map_err(|_| SdJwtError::Credential(JoseError::Payload))?;
        let kid = key.verifying_key().key_id();
        let mut credential = jose::sign(CREDENTIAL_TYP, Some(kid.as_str()), &payload, key);
        credential.push('~');
        for disclosure in disclosures {
            credential.push_str(&disclosure);
            credential.push('~');
        }
        let fits = credential.len() <= PRESENTATION_BYTES_MAX - KEY_BINDING_BYTES;
        if fits { Ok(credential) } else { Err(SdJwtError::TooLong) }
    }

    /// Whether a verifier would accept the result.
    fn check(&self) -> Result<(), SdJwtError> {
        if self.expires_s <= self.issued_s {
            return Err(SdJwtError::Lifetime);
        }
        if self.disclosable.len() > DISCLOSURES_MAX {
            return Err(SdJwtError::TooManyDisclosures);
        }
        for (name, value) in self.always.iter().chain(&self.disclosable) {
            if REGISTERED.contains(&name.as_str()) || name == ALGORITHM || is_reserved(name) {
                return Err(SdJwtError::ReservedName);
            }
            // A disclosure is an array around the value, so one level is its own.
            check_value(value, DEPTH_MAX - 1)?;
        }
        if self.disclosable.keys().any(|name| self.always.contains_key(name)) {
            return Err(SdJwtError::ClaimExists);
        }
        if self.status.as_ref().is_some_and(|status| status.uri.len() > STATUS_URI_BYTES_MAX) {
            return Err(SdJwtError::StatusReference);
        }
        Ok(())
    }

    fn payload(&self, digests: &[String]) -> Map<String, Value> {
        let mut payload = self.always.clone();
        let mut claim = |name: &str, value: Value| payload.insert(name.to_owned(), value);
        claim("iss", json!(self.issuer));
        claim("vct", json!(self.vct));
        claim("iat", json!(self.issued_s));
        claim("exp", json!(self.expires_s));
        claim("cnf", json!({"jwk": self.holder.to_json()}));
        if let Some(StatusReference { index, uri }) = &self.status {
            claim("status", json!({"status_list": {"idx": index, "uri": uri}}));
        }
        claim(DIGESTS, json!(digests));
        claim(ALGORITHM, json!("sha-256"));
        payload
    }
}

fn salt(rng: &mut impl CryptoRng) -> String {
    let mut bytes = [0; SALT_BYTES];
    rng.fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A digest of nothing that was ever disclosed (RFC 9901 §4.2.5).
fn decoy(rng: &mut impl CryptoRng) -> String {
    let mut bytes = [0; 32];
    rng.fill_bytes(&mut bytes);
    digest(&URL_SAFE_NO_PAD.encode(bytes))
}

/// Within a claim no name may mean a digest, and nothing may nest deeper than a verifier reads.
fn check_value(value: &Value, levels: usize) -> Result<(), SdJwtError> {
    let inner = || levels.checked_sub(1).ok_or(SdJwtError::TooDeep);
    match value {
        Value::Object(members) => {
            let levels = inner()?;
            if members.keys().any(|name| is_reserved(name)) {
                return Err(SdJwtError::ReservedName);
            }
            members.values().try_for_each(|member| check_value(member, levels))
        }
        Value::Array(elements) => {
            let levels = inner()?;
            elements.iter().try_for_each(|element| check_value(element, levels))
        }
        _ => Ok(()),
    }
}
