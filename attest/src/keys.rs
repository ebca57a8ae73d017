//! Ed25519 keys (RFC 8032): private ones without `Debug`, public ones as text, JWK and key id.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use policies::Digest;
use rand_core::CryptoRng;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// What bytes are signed *for*. The signing input is the name, a zero byte, and the message, so a signature
/// made under one context verifies under no other and never as a JWS, whose input has no zero byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context(&'static str);

impl Context {
    /// A release's body.
    pub const RELEASE: Self = Self::new("siwa release v1");

    /// A context of this name.
    ///
    /// # Panics
    /// In a constant's evaluation, when the name holds a zero byte or does not begin with "siwa ".
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        let bytes = name.as_bytes();
        assert!(bytes.len() > 5 && bytes[0] == b's' && bytes[1] == b'i' && bytes[2] == b'w' && bytes[3] == b'a');
        let mut at = 0;
        while at < bytes.len() {
            assert!(bytes[at] != 0, "a context's name holds no zero byte: it ends the name");
            at += 1;
        }
        Self(name)
    }

    fn signing_input(self, message: &[u8]) -> Vec<u8> {
        let mut input = Vec::with_capacity(self.0.len() + 1 + message.len());
        input.extend_from_slice(self.0.as_bytes());
        input.push(0);
        input.extend_from_slice(message);
        input
    }
}

/// A key's text, PEM, DER or length is not that of an Ed25519 key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// Not one PEM block labelled `PRIVATE KEY`.
    #[error("the key file is not one PEM block labelled PRIVATE KEY")]
    Pem,
    /// Not PKCS#8 (RFC 5958) with an Ed25519 key (RFC 8410), or its two halves do not belong together.
    #[error("the key is not an Ed25519 private key in PKCS#8 form")]
    Pkcs8,
    /// Not 43 characters of base64url that hold 32 bytes.
    #[error("a public key is 43 characters of base64url without padding")]
    Text,
    /// The JWK is not an Ed25519 public key (RFC 8037 §2).
    #[error("the JWK is not an Ed25519 public key")]
    Jwk,
}

/// An Ed25519 private key. It has no `Debug` and no `Clone`; its seed is erased when it is dropped.
pub struct SigningKey {
    seed: Zeroizing<[u8; 32]>,
    pair: Ed25519KeyPair,
}

/// PKCS#8 v2 (RFC 5958) around a seed, for id-Ed25519 (RFC 8410 §7): up to the seed, and from it to the public key.
const PKCS8_HEAD: [u8; 16] = [0x30, 0x51, 2, 1, 1, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
const PKCS8_MIDDLE: [u8; 3] = [0x81, 0x21, 0];
const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";
/// A key file is far below this; more is not read as one.
const PEM_BYTES_MAX: usize = 4096;

impl SigningKey {
    /// A new key from 32 bytes of the generator.
    ///
    /// # Panics
    /// Never: any 32 bytes are an Ed25519 seed.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(seed.as_mut());
        Self::from_seed(seed)
    }

    fn from_seed(seed: Zeroizing<[u8; 32]>) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).expect("any 32 bytes are an Ed25519 seed");
        Self { seed, pair }
    }

    /// Reads PKCS#8 DER, version 2 (with the public key, which is checked) or version 1 (as OpenSSL writes it).
    ///
    /// # Errors
    /// [`InvalidKey::Pkcs8`].
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, InvalidKey> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| InvalidKey::Pkcs8)?;
        // Both versions hold the seed as an OCTET STRING in an OCTET STRING at this place (RFC 8410 §7).
        let seed =
            der.get(12..48).and_then(|field| field.strip_prefix(&[4, 0x22, 4, 0x20])).ok_or(InvalidKey::Pkcs8)?;
        let mut bytes = Zeroizing::new([0; 32]);
        bytes.copy_from_slice(seed);
        let key = Self::from_seed(bytes);
        if key.pair.public_key().as_ref() == pair.public_key().as_ref() { Ok(key) } else { Err(InvalidKey::Pkcs8) }
    }

    /// Reads one PEM block `PRIVATE KEY` (RFC 7468 §10).
    ///
    /// # Errors
    /// [`InvalidKey::Pem`] or [`InvalidKey::Pkcs8`].
    pub fn from_pem(text: &str) -> Result<Self, InvalidKey> {
        if text.len() > PEM_BYTES_MAX {
            return Err(InvalidKey::Pem);
        }
        let body = text.trim().strip_prefix(PEM_BEGIN).and_then(|rest| rest.strip_suffix(PEM_END));
        let body = Zeroizing::new(body.ok_or(InvalidKey::Pem)?.split_ascii_whitespace().collect::<String>());
        let der = Zeroizing::new(STANDARD.decode(body.as_bytes()).map_err(|_| InvalidKey::Pem)?);
        Self::from_pkcs8_der(&der)
    }

    /// PKCS#8 version 2 in DER.
    #[must_use]
    pub fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        let public = self.pair.public_key().as_ref();
        Zeroizing::new([&PKCS8_HEAD, self.seed.as_ref(), &PKCS8_MIDDLE, public].concat())
    }

    /// PKCS#8 version 2 as PEM, for a key file.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        let body = Zeroizing::new(STANDARD.encode(self.to_pkcs8_der().as_slice()));
        let mut pem = Zeroizing::new(String::with_capacity(256));
        pem.push_str(PEM_BEGIN);
        for (at, character) in body.chars().enumerate() {
            if at % 64 == 0 {
                pem.push('\n');
            }
            pem.push(character);
        }
        pem.push('\n');
        pem.push_str(PEM_END);
        pem.push('\n');
        pem
    }

    /// The public half.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.pair.public_key().as_ref());
        VerifyingKey(bytes)
    }

    /// Signs `message` under `context`.
    #[must_use]
    pub fn sign(&self, context: Context, message: &[u8]) -> Signature {
        self.sign_raw(&context.signing_input(message))
    }

    /// Signs exactly these bytes; only for JWS, whose header's `typ` separates.
    pub(crate) fn sign_raw(&self, input: &[u8]) -> Signature {
        let mut bytes = [0; 64];
        bytes.copy_from_slice(self.pair.sign(input).as_ref());
        Signature(bytes)
    }
}

/// An Ed25519 signature: 64 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl TryFrom<&[u8]> for Signature {
    type Error = std::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes.try_into().map(Self)
    }
}

/// An Ed25519 public key. Text form, also in serde: base64url without padding, 43 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VerifyingKey([u8; 32]);

impl VerifyingKey {
    /// A key that was stored as bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether `signature` was made by this key for `message` under `context`.
    #[must_use]
    pub fn verifies(&self, context: Context, message: &[u8], signature: &Signature) -> bool {
        self.verifies_raw(&context.signing_input(message), signature)
    }

    pub(crate) fn verifies_raw(&self, input: &[u8], signature: &Signature) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(input, &signature.0).is_ok()
    }

    /// The key's id: its JWK thumbprint (RFC 7638 with the members of RFC 8037 §2), SHA-256, base64url.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{self}"}}"#);
        KeyId(URL_SAFE_NO_PAD.encode(Digest::of(canonical.as_bytes()).as_bytes()))
    }

    /// The key as a JWK (RFC 8037 §2) with `kid`, `alg` and `use`.
    #[must_use]
    pub fn to_jwk(&self) -> Jwk {
        Jwk {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            x: self.to_string(),
            kid: self.key_id().0,
            alg: "EdDSA".to_owned(),
            public_key_use: "sig".to_owned(),
        }
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for VerifyingKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        if text.len() != 43 {
            return Err(InvalidKey::Text);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidKey::Text)?;
        bytes.try_into().map(Self).map_err(|_| InvalidKey::Text)
    }
}

impl TryFrom<String> for VerifyingKey {
    type Error = InvalidKey;

    fn try_from(text: String) -> Result<Self, InvalidKey> {
        text.parse()
    }
}

impl From<VerifyingKey> for String {
    fn from(key: VerifyingKey) -> Self {
        key.to_string()
    }
}

/// A public key's id: its RFC 7638 thumbprint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

impl KeyId {
    /// As it stands in a JWS header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An Ed25519 public key as JSON (RFC 7517, RFC 8037 §2). Members that are unknown are ignored, as RFC 7517 §4 asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// `OKP`.
    pub kty: String,
    /// `Ed25519`.
    pub crv: String,
    /// The public key, base64url.
    pub x: String,
    /// The thumbprint.
    pub kid: String,
    /// `EdDSA`.
    pub alg: String,
    /// `sig`.
    #[serde(rename = "use")]
    pub public_key_use: String,
}

impl TryFrom<&Jwk> for VerifyingKey {
    type Error = InvalidKey;

    fn try_from(jwk: &Jwk) -> Result<Self, InvalidKey> {
        let key: Self = jwk.x.parse()?;
        if *jwk == key.to_jwk() { Ok(key) } else { Err(InvalidKey::Jwk) }
    }
}

/// A JWK set (RFC 7517 §5), as `/.well-known/jwks.json` answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JwkSet {
    /// The keys.
    pub keys: Vec<Jwk>,
}

impl JwkSet {
    /// The set of these keys.
    #[must_use]
    pub fn of<'a>(keys: impl IntoIterator<Item = &'a VerifyingKey>) -> Self {
        Self { keys: keys.into_iter().map(VerifyingKey::to_jwk).collect() }
    }
}

#[cfg(test)]
pub(crate) mod tests;
