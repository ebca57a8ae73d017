//! Public keys of issuers and holders as JWK (RFC 7517, RFC 7518 §6.2, RFC 8037 §2), and whose they are.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};
use serde_json::{Map, Value, json};

use super::error::JwkError;
use super::{JWK_SET_BYTES_MAX, JWK_SET_KEYS_MAX, json, sha256};
use crate::keys::VerifyingKey;

/// A public key. It decides the algorithm of its signatures. Its `Debug` tells the type alone: a holder's key is a
/// stable name of a person.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PublicJwk {
    /// A point of P-256, big-endian; signs with ES256 (RFC 7518 §3.4). That it lies on the curve is checked when a
    /// signature is: off the curve, none verifies.
    P256 {
        /// The x coordinate.
        x: [u8; 32],
        /// The y coordinate.
        y: [u8; 32],
    },
    /// Ed25519; signs with `EdDSA` (RFC 8037 §3.1).
    Ed25519(VerifyingKey),
}

impl fmt::Debug for PublicJwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.algorithm())
    }
}

impl From<VerifyingKey> for PublicJwk {
    fn from(key: VerifyingKey) -> Self {
        Self::Ed25519(key)
    }
}

impl PublicJwk {
    /// Reads a JWK. Members that say nothing about the key are ignored, as RFC 7517 §4 asks.
    ///
    /// # Errors
    /// Every single-key variant of [`JwkError`].
    pub fn from_json(jwk: &Value) -> Result<Self, JwkError> {
        let jwk = jwk.as_object().ok_or(JwkError::Form)?;
        if jwk.contains_key("d") {
            return Err(JwkError::Private);
        }
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let key = match (text("kty").ok_or(JwkError::Form)?, text("crv")) {
            ("EC", Some("P-256")) => Self::P256 { x: coordinate(jwk, "x")?, y: coordinate(jwk, "y")? },
            ("OKP", Some("Ed25519")) => Self::Ed25519(VerifyingKey::from_bytes(coordinate(jwk, "x")?)),
            _ => return Err(JwkError::KeyType),
        };
        let says = |name: &str, value: &str| jwk.get(name).is_none_or(|said| said.as_str() == Some(value));
        if says("use", "sig") && says("alg", key.algorithm()) { Ok(key) } else { Err(JwkError::Purpose) }
    }

    /// The key as a JWK of the required members alone.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::P256 { x, y } => {
                json!({"kty": "EC", "crv": "P-256", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)})
            }
            Self::Ed25519(key) => json!({"kty": "OKP", "crv": "Ed25519", "x": key.to_string()}),
        }
    }

    /// SHA-256 thumbprint (RFC 7638).
    #[must_use]
    pub fn thumbprint(&self) -> [u8; 32] {
        // The members in lexicographic order without white space: what base64url encodes needs no escape.
        let canonical = match self {
            Self::P256 { x, y } => {
                let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
                format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
            Self::Ed25519(key) => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{key}"}}"#),
        };
        sha256(canonical.as_bytes())
    }

    /// The only `alg` that its signatures have.
    pub(super) const fn algorithm(&self) -> &'static str {
        match self {
            Self::P256 { .. } => "ES256",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    pub(super) fn verifies(&self, input: &[u8], signature: &[u8; 64]) -> bool {
        match self {
            Self::P256 { x, y } => {
                // Uncompressed point (SEC 1 §2.3.3).
                let mut point = [4; 65];
                point[1..33].copy_from_slice(x);
                point[33..].copy_from_slice(y);
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(input, signature).is_ok()
            }
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key.as_bytes()).verify(input, signature).is_ok(),
        }
    }
}

fn coordinate(jwk: &Map<String, Value>, name: &str) -> Result<[u8; 32], JwkError> {
    let text = jwk.get(name).and_then(Value::as_str).filter(|text| text.len() == 43).ok_or(JwkError::Coordinate)?;
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| JwkError::Coordinate)?;
    bytes.try_into().map_err(|_| JwkError::Coordinate)
}

/// An issuer's keys by id, in the order of the set. A key without `kid` goes by its thumbprint in base64url.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwkSet(Vec<(String, PublicJwk)>);

impl JwkSet {
    /// Reads a JWK set (RFC 7517 §5). Keys of other types, and keys that say that they are not for signatures of
    /// their type, are skipped as §5 asks; a malformed key of a type that is used refuses the whole set.
    ///
    /// # Errors
    /// [`JwkError`], except for its variants that make a key skipped.
    pub fn parse(text: &[u8]) -> Result<Self, JwkError> {
        if text.len() > JWK_SET_BYTES_MAX {
            return Err(JwkError::TooLong);
        }
        let set = json::parse_object(text).map_err(|_| JwkError::Form)?;
        let listed = set.get("keys").and_then(Value::as_array).ok_or(JwkError::Form)?;
        if listed.len() > JWK_SET_KEYS_MAX {
            return Err(JwkError::TooManyKeys);
        }
        let mut keys: Vec<(String, PublicJwk)> = Vec::new();
        for jwk in listed {
            let key = match PublicJwk::from_json(jwk) {
                Ok(key) => key,
                Err(JwkError::KeyType | JwkError::Purpose) => continue,
                Err(error) => return Err(error),
            };
            let kid = match jwk.get("kid") {
                None => URL_SAFE_NO_PAD.encode(key.thumbprint()),
                Some(kid) => kid.as_str().ok_or(JwkError::Form)?.to_owned(),
            };
            if keys.iter().any(|(other, _)| *other == kid) {
                return Err(JwkError::DuplicateKid);
            }
            keys.push((kid, key));
        }
        Ok(Self(keys))
    }

    /// The set of one key under its thumbprint.
    #[must_use]
    pub fn of(key: PublicJwk) -> Self {
        Self(vec![(URL_SAFE_NO_PAD.encode(key.thumbprint()), key)])
    }

    /// The set of these keys under their thumbprints, each once.
    #[must_use]
    pub fn of_all(keys: impl IntoIterator<Item = PublicJwk>) -> Self {
        let mut set: Vec<(String, PublicJwk)> = Vec::new();
        for key in keys {
            if set.iter().all(|(_, other)| *other != key) {
                set.push((URL_SAFE_NO_PAD.encode(key.thumbprint()), key));
            }
        }
        Self(set)
    }

    /// How many keys can be verified with.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no key can be verified with.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn entries(&self) -> &[(String, PublicJwk)] {
        &self.0
    }
}

/// The keys that a verifier trusts for one issuer. Where they come from is the trust decision; nothing that a
/// presentation says adds to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKeys {
    issuer: String,
    keys: JwkSet,
}

impl TrustedKeys {
    /// The keys of `issuer`, whose `iss` this is.
    #[must_use]
    pub fn new(issuer: impl Into<String>, keys: JwkSet) -> Self {
        Self { issuer: issuer.into(), keys }
    }

    /// The issuer's `iss`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The key of this id, or the only key where no id is given.
    pub(super) fn select(&self, kid: Option<&str>) -> Option<&PublicJwk> {
        match (kid, self.keys.0.as_slice()) {
            (None, [(_, key)]) => Some(key),
            (None, _) => None,
            (Some(kid), keys) => keys.iter().find(|(id, _)| id == kid).map(|(_, key)| key),
        }
    }
}
