//! Compact JWS (RFC 7515 §7.1) whose algorithm the key decides (RFC 8725 §3.1).
//!
//! `jwk`, `jku` and `x5c` of a header are not read; any `crit` is refused because no extension is understood.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::JoseError;
use super::jwk::{PublicJwk, TrustedKeys};
use crate::keys::SigningKey;

/// Unknown members are ignored as RFC 7515 §4 asks; a known member that stands twice is refused by serde.
#[derive(Deserialize)]
struct HeaderIn {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
}

/// A `crit` of any value, null included, is present.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// The member that proofs of having a key are read for, and nothing else is.
#[derive(Deserialize)]
struct KeyHeader {
    jwk: Value,
}

#[derive(Serialize)]
struct HeaderOut<'a> {
    alg: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwk: Option<&'a Value>,
    typ: &'a str,
}

/// A token of which form and header were read, and nothing was verified.
pub(super) struct Jws<'a> {
    signing_input: &'a str,
    payload: &'a str,
    signature: [u8; 64],
    header: HeaderIn,
}

impl<'a> Jws<'a> {
    /// Reads form and header. The caller has bounded the token's length.
    pub(super) fn parse(token: &'a str) -> Result<Self, JoseError> {
        let (signing_input, signature) = token.rsplit_once('.').ok_or(JoseError::Parts)?;
        let (header, payload) = signing_input.split_once('.').ok_or(JoseError::Parts)?;
        if payload.contains('.') {
            return Err(JoseError::Parts);
        }
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| JoseError::Encoding)?;
        let header = serde_json::from_slice(&header).map_err(|_| JoseError::Header)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| JoseError::Encoding)?;
        let signature = signature.try_into().map_err(|_| JoseError::Encoding)?;
        Ok(Self { signing_input, payload, signature, header })
    }

    /// The key that the header brings, for proofs of having it. Never an issuer's.
    pub(super) fn embedded_key(&self) -> Option<Value> {
        let (header, _) = self.signing_input.split_once('.')?;
        let header = URL_SAFE_NO_PAD.decode(header).ok()?;
        serde_json::from_slice::<KeyHeader>(&header).ok().map(|header| header.jwk)
    }

    /// The payload's bytes, which nobody vouches for before [`Self::verify`].
    pub(super) fn payload(&self) -> Result<Vec<u8>, JoseError> {
        URL_SAFE_NO_PAD.decode(self.payload).map_err(|_| JoseError::Encoding)
    }

    /// Selects the issuer's key, then as [`Self::verify`].
    pub(super) fn verify_by_issuer(&self, typ: &str, keys: &TrustedKeys) -> Result<(), JoseError> {
        self.verify(typ, keys.select(self.header.kid.as_deref()).ok_or(JoseError::Key)?)
    }

    /// Checks extensions, algorithm, type and signature, in this order.
    pub(super) fn verify(&self, typ: &str, key: &PublicJwk) -> Result<(), JoseError> {
        if self.header.crit {
            return Err(JoseError::Critical);
        }
        if self.header.alg != key.algorithm() {
            return Err(JoseError::Algorithm);
        }
        if self.header.typ.as_deref() != Some(typ) {
            return Err(JoseError::Type);
        }
        if key.verifies(self.signing_input.as_bytes(), &self.signature) { Ok(()) } else { Err(JoseError::Signature) }
    }
}

/// Signs a JSON text as a compact JWS. `kid` is the signer's thumbprint, where the verifier has to choose a key.
pub(super) fn sign(typ: &str, kid: Option<&str>, payload: &[u8], key: &SigningKey) -> String {
    sign_under(&HeaderOut { alg: "EdDSA", kid, jwk: None, typ }, payload, key)
}

/// As [`sign`], with the signer's public key in the header.
pub(super) fn sign_with_key(typ: &str, jwk: &Value, payload: &[u8], key: &SigningKey) -> String {
    sign_under(&HeaderOut { alg: "EdDSA", kid: None, jwk: Some(jwk), typ }, payload, key)
}

fn sign_under(header: &HeaderOut<'_>, payload: &[u8], key: &SigningKey) -> String {
    let header = serde_json::to_vec(header).expect("strings and a JSON value serialise");
    let mut token = URL_SAFE_NO_PAD.encode(header);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let signature = key.sign_raw(token.as_bytes());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature.0, &mut token);
    token
}
