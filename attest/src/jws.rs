//! Compact JWS (RFC 7515 §7.1) with `EdDSA` over Ed25519 (RFC 8037 §3.1) and nothing else.
//!
//! The key is chosen by the caller, never by the token: `jwk`, `jku` and `x5c` headers are not read, and any
//! `crit` is refused because no extension is understood (RFC 7515 §4.1.11, RFC 8725).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::keys::{KeyId, Signature, SigningKey, VerifyingKey};

pub mod fuzz;

/// The longest token that is read. Bounds the work a peer can cause before its signature is known.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// What a token says, as its header's `typ` (RFC 8725 §3.11): a token of one type is refused as any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Typ {
    /// A node's signed answer to a platform.
    Answer,
    /// A node's proof to the centre of who it is.
    Node,
    /// The centre's statement which model is current.
    Model,
    /// A region's statement that a key is in use, for what and from when until when.
    KeyEpoch,
    /// A node's statement about itself, where nothing better vouches for it.
    Statement,
    /// A verifier's result of an appraisal.
    AttestationResult,
    /// A verifier's statement that an attestation key lives in a genuine TPM.
    Enrolment,
    /// An operator's statement which lists are current, with what key and what buckets.
    List,
    /// The centre's statement how far it has seen a node's ledger.
    LedgerCheckpoint,
}

impl Typ {
    /// Every type.
    pub const ALL: [Self; 9] = [
        Self::Answer,
        Self::Node,
        Self::Model,
        Self::KeyEpoch,
        Self::Statement,
        Self::AttestationResult,
        Self::Enrolment,
        Self::List,
        Self::LedgerCheckpoint,
    ];

    /// The header's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "siwa-answer+jwt",
            Self::Node => "siwa-node+jwt",
            Self::Model => "siwa-model+jwt",
            Self::KeyEpoch => "siwa-key-epoch+jwt",
            Self::Statement => "siwa-statement+jwt",
            Self::AttestationResult => "siwa-ear+jwt",
            Self::Enrolment => "siwa-enrolment+jwt",
            Self::List => "siwa-list+jwt",
            Self::LedgerCheckpoint => "siwa-ledger-checkpoint+jwt",
        }
    }
}

/// Why a token was refused. Holds nothing of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Longer than [`TOKEN_BYTES_MAX`].
    #[error("the token is too long")]
    TooLong,
    /// Not exactly three parts.
    #[error("a compact JWS has three parts")]
    Parts,
    /// A part is not canonical base64url without padding, or the signature is not 64 bytes.
    #[error("a part of the token is not base64url")]
    Encoding,
    /// The header is not a JSON object with the required members, each once.
    #[error("the token's header cannot be read")]
    Header,
    /// `alg` is not `EdDSA`.
    #[error("the token's algorithm is not EdDSA")]
    Algorithm,
    /// `typ` is another, or missing.
    #[error("the token is of another type")]
    Type,
    /// The header demands an extension.
    #[error("the token's header demands an extension that is not understood")]
    Critical,
    /// `kid` does not name the key that is asked.
    #[error("the token names another key")]
    Key,
    /// The signature does not verify.
    #[error("the token's signature does not verify")]
    Signature,
    /// The payload is not the claims that this type has.
    #[error("the token's claims cannot be read")]
    Claims,
}

#[derive(Serialize)]
struct HeaderOut<'a> {
    alg: &'a str,
    kid: &'a str,
    typ: &'a str,
}

/// Unknown members are ignored as RFC 7515 §4 asks; a known member that stands twice is refused by serde.
#[derive(Deserialize)]
struct HeaderIn {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
}

/// A `crit` of any value, null included, is present.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// Signs `claims` as a compact JWS of type `typ`.
///
/// # Errors
/// [`JwsError::Claims`] when the claims do not serialise, [`JwsError::TooLong`] when no one would read the token.
pub fn sign<T: Serialize>(typ: Typ, claims: &T, key: &SigningKey) -> Result<String, JwsError> {
    let kid = key.verifying_key().key_id();
    let header = HeaderOut { alg: "EdDSA", kid: kid.as_str(), typ: typ.as_str() };
    let header = serde_json::to_vec(&header).map_err(|_| JwsError::Header)?;
    let payload = serde_json::to_vec(claims).map_err(|_| JwsError::Claims)?;
    let mut token = URL_SAFE_NO_PAD.encode(header);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let signature = key.sign_raw(token.as_bytes());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature.0, &mut token);
    if token.len() <= TOKEN_BYTES_MAX { Ok(token) } else { Err(JwsError::TooLong) }
}

/// A token whose form and header were read and whose signature was not yet checked: it tells its key id only.
pub struct UnverifiedJws<'a> {
    signing_input: &'a str,
    payload: &'a str,
    signature: Signature,
    kid: Option<String>,
}

impl<'a> UnverifiedJws<'a> {
    /// Reads the form and the header.
    ///
    /// # Errors
    /// Everything of [`JwsError`] that is seen before a key is known.
    pub fn parse(token: &'a str, typ: Typ) -> Result<Self, JwsError> {
        // 1. Bounded size, exactly three parts.
        if token.len() > TOKEN_BYTES_MAX {
            return Err(JwsError::TooLong);
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(JwsError::Parts)?;
        let (header, payload) = signing_input.split_once('.').ok_or(JwsError::Parts)?;
        if payload.contains('.') {
            return Err(JwsError::Parts);
        }
        // 2. The header: algorithm, extensions, type (RFC 7515 §5.2).
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| JwsError::Encoding)?;
        let header: HeaderIn = serde_json::from_slice(&header).map_err(|_| JwsError::Header)?;
        if header.alg != "EdDSA" {
            return Err(JwsError::Algorithm);
        }
        if header.crit {
            return Err(JwsError::Critical);
        }
        if header.typ.as_deref() != Some(typ.as_str()) {
            return Err(JwsError::Type);
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| JwsError::Encoding)?;
        let signature = Signature::try_from(signature.as_slice()).map_err(|_| JwsError::Encoding)?;
        Ok(Self { signing_input, payload, signature, kid: header.kid })
    }

    /// Whether the header names this key.
    #[must_use]
    pub fn names(&self, key_id: &KeyId) -> bool {
        self.kid.as_deref() == Some(key_id.as_str())
    }

    /// Checks the signature by `key`, then reads the claims.
    ///
    /// # Errors
    /// [`JwsError::Key`], [`JwsError::Signature`] or [`JwsError::Claims`], in this order.
    pub fn verify<T: DeserializeOwned>(self, key: &VerifyingKey) -> Result<T, JwsError> {
        if !self.names(&key.key_id()) {
            return Err(JwsError::Key);
        }
        if !key.verifies_raw(self.signing_input.as_bytes(), &self.signature) {
            return Err(JwsError::Signature);
        }
        let payload = URL_SAFE_NO_PAD.decode(self.payload).map_err(|_| JwsError::Encoding)?;
        serde_json::from_slice(&payload).map_err(|_| JwsError::Claims)
    }
}

/// Verifies a compact JWS of type `typ` by `key` and reads its claims.
///
/// # Errors
/// The first check of [`JwsError`] that fails.
pub fn verify<T: DeserializeOwned>(token: &str, typ: Typ, key: &VerifyingKey) -> Result<T, JwsError> {
    UnverifiedJws::parse(token, typ)?.verify(key)
}

#[cfg(test)]
mod tests;
