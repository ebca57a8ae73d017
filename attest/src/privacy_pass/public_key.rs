//! An issuer's public key: its wire form (the `token-key`), its id, and what verifies with it.

use std::fmt;

use p384::ProjectivePoint;
use ring::signature::{RSA_PSS_2048_8192_SHA384, RsaPublicKeyComponents};
use rsa::BoxedUint;
use voprf::Group as _;

use super::wire::{Token, TokenKeyId};
use super::{MODULUS_BYTES, RsaPublicKey, Suite, TokenType, is_compressed};

/// SubjectPublicKeyInfo up to the modulus, for a modulus of 2048 bits (RFC 9578 §6.5): id-RSASSA-PSS with SHA-384,
/// MGF1 with SHA-384 and 48 bytes of salt, no NULLs, then RSAPublicKey's header and the modulus' sign byte. DER has
/// one encoding of it, so a key is checked by comparing bytes.
const SPKI_HEAD: [u8; SPKI_BYTES - MODULUS_BYTES - SPKI_TAIL.len()] = [
    0x30, 0x82, 0x01, 0x52, // SubjectPublicKeyInfo
    0x30, 0x3d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a, // id-RSASSA-PSS
    0x30, 0x30, 0xa0, 0x0d, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
    0x02, // SHA-384
    0xa1, 0x1a, 0x30, 0x18, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, // MGF1
    0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, // with SHA-384
    0xa2, 0x03, 0x02, 0x01, 0x30, // 48 bytes of salt
    0x03, 0x82, 0x01, 0x0f, 0x00, 0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00,
];
/// The exponent, 65537.
const SPKI_TAIL: [u8; 5] = [0x02, 0x03, 0x01, 0x00, 0x01];
/// The same as ring takes it: without leading zeros.
const EXPONENT: [u8; 3] = [1, 0, 1];
/// The length of the whole.
pub(super) const SPKI_BYTES: usize = 342;

/// Why bytes are not a public key of their type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPublicKey {
    /// Not 49 bytes for 0x0001, or 342 for 0x0002.
    #[error("the key does not have the length of its type")]
    Length,
    /// Not a compressed point of P-384.
    #[error("the key is not a compressed point of P-384")]
    Point,
    /// Not a SubjectPublicKeyInfo with exactly the AlgorithmIdentifier of RFC 9578, 2048 bits and exponent 65537.
    #[error("the key is not an RSASSA-PSS key as RFC 9578 defines it")]
    Spki,
    /// The modulus has fewer than 2048 bits, or is even.
    #[error("the key's modulus is not an odd number of 2048 bits")]
    Modulus,
}

#[derive(Clone)]
pub(super) enum Form {
    Voprf(ProjectivePoint),
    // Boxed: ten times the size of the other.
    Rsa(Box<RsaForm>),
}

/// An RSA key as both libraries want it: blinding is the client's, verification everyone's.
#[derive(Clone)]
pub(super) struct RsaForm {
    pub(super) blinding: RsaPublicKey,
    verifying: RsaPublicKeyComponents<Vec<u8>>,
}

/// An issuer's public key. Equal keys have equal bytes.
#[derive(Clone)]
pub struct PublicKey {
    bytes: Vec<u8>,
    id: TokenKeyId,
    pub(super) form: Form,
}

impl PublicKey {
    /// Reads a `token-key`: 49 bytes of SEC 1, or the 342 bytes of a SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// Each of [`InvalidPublicKey`].
    pub fn parse(token_type: TokenType, bytes: &[u8]) -> Result<Self, InvalidPublicKey> {
        if bytes.len() != token_type.public_key_bytes() {
            return Err(InvalidPublicKey::Length);
        }
        let form = match token_type {
            TokenType::VoprfP384 => Form::Voprf(point(bytes)?),
            TokenType::BlindRsa2048 => Form::Rsa(Box::new(RsaForm::parse(bytes)?)),
        };
        Ok(Self { bytes: bytes.to_vec(), id: TokenKeyId::of(bytes), form })
    }

    /// The key of 0x0002 with this modulus.
    pub(super) fn of_modulus(modulus: &[u8]) -> Result<Self, InvalidPublicKey> {
        Self::parse(TokenType::BlindRsa2048, &[&SPKI_HEAD, modulus, &SPKI_TAIL].concat())
    }

    /// The type of its tokens.
    #[must_use]
    pub const fn token_type(&self) -> TokenType {
        match self.form {
            Form::Voprf(_) => TokenType::VoprfP384,
            Form::Rsa(_) => TokenType::BlindRsa2048,
        }
    }

    /// The `token-key` bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of those bytes.
    #[must_use]
    pub const fn id(&self) -> TokenKeyId {
        self.id
    }

    /// Whether the token's authenticator is this key's signature. Never for 0x0001, where that takes the secret.
    pub(super) fn verifies(&self, token: &Token) -> bool {
        match &self.form {
            Form::Voprf(_) => false,
            Form::Rsa(form) => {
                token.token_type == TokenType::BlindRsa2048
                    && form.verifying.verify(&RSA_PSS_2048_8192_SHA384, &token.input, &token.authenticator).is_ok()
            }
        }
    }
}

impl RsaForm {
    fn parse(spki: &[u8]) -> Result<Self, InvalidPublicKey> {
        let modulus = spki
            .strip_prefix(&SPKI_HEAD)
            .and_then(|rest| rest.strip_suffix(&SPKI_TAIL))
            .and_then(|modulus| <[u8; MODULUS_BYTES]>::try_from(modulus).ok())
            .ok_or(InvalidPublicKey::Spki)?;
        if modulus[0] & 0x80 == 0 || modulus[MODULUS_BYTES - 1] & 1 == 0 {
            return Err(InvalidPublicKey::Modulus);
        }
        let number = BoxedUint::from_be_slice(&modulus, 2048).map_err(|_| InvalidPublicKey::Modulus)?;
        let key = rsa::RsaPublicKey::new(number, BoxedUint::from(65_537_u32)).map_err(|_| InvalidPublicKey::Modulus)?;
        let verifying = RsaPublicKeyComponents { n: modulus.to_vec(), e: EXPONENT.to_vec() };
        Ok(Self { blinding: RsaPublicKey::new(key), verifying })
    }

    /// Whether the bytes, of the modulus' length, are a number below it.
    pub(super) fn exceeds(&self, number: &[u8]) -> bool {
        number.len() == MODULUS_BYTES && number < self.verifying.n.as_slice()
    }
}

fn point(bytes: &[u8]) -> Result<ProjectivePoint, InvalidPublicKey> {
    if !is_compressed(bytes) {
        return Err(InvalidPublicKey::Point);
    }
    Suite::deserialize_elem(bytes).map_err(|_| InvalidPublicKey::Point)
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?} {})", self.token_type(), self.id)
    }
}
