//! The wire forms of one token's life: request, response, token (RFC 9578 §5, §6; RFC 9577 §2.2).

use std::fmt;

use policies::Digest;
use zeroize::Zeroizing;

use super::TokenType;
use super::reader::{Malformed, Reader};

/// A token without its authenticator: type, nonce, challenge digest, key id. The input that is signed.
pub(super) const TOKEN_INPUT_BYTES: usize = 2 + 32 + 32 + 32;

/// Why bytes are not a request, response, batch or token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Too short, too long for the type, or a length that disagrees with what follows.
    #[error("the message does not have the length of its type")]
    Length,
    /// A type other than 0x0001 and 0x0002, or not the one that was asked for.
    #[error("the type of token is not supported here")]
    TokenType,
    /// A batch with no request, or with more than the limit.
    #[error("a batch has 1 to {} requests", super::BATCH_REQUESTS_MAX)]
    BatchCount,
    /// The byte that says whether a batch's response is present is neither 0 nor 1.
    #[error("the batch marks a response neither absent nor present")]
    Presence,
}

impl From<Malformed> for WireError {
    fn from(_: Malformed) -> Self {
        Self::Length
    }
}

/// SHA-256 of an issuer's public key in its wire form (RFC 9578 §5.5, §6.5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenKeyId([u8; 32]);

impl TokenKeyId {
    /// An id that was stored, or read from a token.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The id of these key bytes.
    pub(super) fn of(key: &[u8]) -> Self {
        Self(*Digest::of(key).as_bytes())
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The last byte, which is all that a request says of its key. Keys in use together must differ in it.
    #[must_use]
    pub const fn truncated(&self) -> u8 {
        self.0[31]
    }
}

impl fmt::Display for TokenKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Digest::from_bytes(self.0), f)
    }
}

impl fmt::Debug for TokenKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A client's request for one token (RFC 9578 §5.1, §6.1): a blinded message, and a byte of the key's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    token_type: TokenType,
    truncated_key_id: u8,
    blinded: Vec<u8>,
}

impl TokenRequest {
    pub(super) fn new(token_type: TokenType, truncated_key_id: u8, blinded: Vec<u8>) -> Self {
        debug_assert_eq!(blinded.len(), token_type.blinded_bytes());
        Self { token_type, truncated_key_id, blinded }
    }

    /// Reads a request. That the blinded message is an element is checked when it is answered.
    ///
    /// # Errors
    /// [`WireError::TokenType`] or [`WireError::Length`].
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let request = Self::read(&mut reader)?;
        reader.end()?;
        Ok(request)
    }

    /// Reads one request of several.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let token_type = TokenType::from_code(reader.u16()?).ok_or(WireError::TokenType)?;
        let truncated_key_id = reader.u8()?;
        let blinded = reader.take(token_type.blinded_bytes())?.to_vec();
        Ok(Self { token_type, truncated_key_id, blinded })
    }

    /// The serialised request.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.token_type.request_bytes());
        self.put(&mut bytes);
        bytes
    }

    pub(super) fn put(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.token_type.code().to_be_bytes());
        bytes.push(self.truncated_key_id);
        bytes.extend_from_slice(&self.blinded);
    }

    /// The type of token asked for.
    #[must_use]
    pub const fn token_type(&self) -> TokenType {
        self.token_type
    }

    /// [`TokenKeyId::truncated`] of the key under which it is asked for.
    #[must_use]
    pub const fn truncated_key_id(&self) -> u8 {
        self.truncated_key_id
    }

    pub(super) fn blinded(&self) -> &[u8] {
        &self.blinded
    }
}

/// An issuer's answer to one request: an evaluated point with its proof, or a blind signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenResponse {
    token_type: TokenType,
    bytes: Vec<u8>,
}

impl TokenResponse {
    pub(super) fn new(token_type: TokenType, bytes: Vec<u8>) -> Self {
        debug_assert_eq!(bytes.len(), token_type.response_bytes());
        Self { token_type, bytes }
    }

    /// Reads one response of several.
    pub(super) fn read(token_type: TokenType, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self { token_type, bytes: reader.take(token_type.response_bytes())?.to_vec() })
    }

    /// The type of token it is for, which the bytes of a single response do not say.
    #[must_use]
    pub const fn token_type(&self) -> TokenType {
        self.token_type
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, for a body.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// A token as a client presents it (RFC 9577 §2.2), unverified. No `Debug`: until it is spent, it is a bearer secret.
pub struct Token {
    pub(super) token_type: TokenType,
    pub(super) input: [u8; TOKEN_INPUT_BYTES],
    pub(super) authenticator: Zeroizing<Vec<u8>>,
}

impl Token {
    /// Reads a token.
    ///
    /// # Errors
    /// [`WireError::TokenType`] or [`WireError::Length`].
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let token_type = TokenType::from_code(reader.u16()?).ok_or(WireError::TokenType)?;
        if bytes.len() != token_type.token_bytes() {
            return Err(WireError::Length);
        }
        let mut reader = Reader::new(bytes);
        let input = reader.array()?;
        let authenticator = Zeroizing::new(reader.take(token_type.authenticator_bytes())?.to_vec());
        Ok(Self { token_type, input, authenticator })
    }

    /// The serialised token.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([&self.input, self.authenticator.as_slice()].concat())
    }

    /// How it was made.
    #[must_use]
    pub const fn token_type(&self) -> TokenType {
        self.token_type
    }

    /// The client's random 32 bytes.
    #[must_use]
    pub fn nonce(&self) -> [u8; 32] {
        self.field(2)
    }

    /// Digest of the challenge that it answers.
    #[must_use]
    pub fn challenge_digest(&self) -> Digest {
        Digest::from_bytes(self.field(34))
    }

    /// The key that it claims.
    #[must_use]
    pub fn key_id(&self) -> TokenKeyId {
        TokenKeyId(self.field(66))
    }

    fn field(&self, at: usize) -> [u8; 32] {
        let mut field = [0; 32];
        field.copy_from_slice(&self.input[at..at + 32]);
        field
    }
}

/// What is blinded and signed (RFC 9578 §5.1, §6.1): the token up to its authenticator.
pub(super) fn token_input(
    token_type: TokenType,
    nonce: &[u8; 32],
    challenge: Digest,
    key: TokenKeyId,
) -> [u8; TOKEN_INPUT_BYTES] {
    let mut input = [0; TOKEN_INPUT_BYTES];
    input[..2].copy_from_slice(&token_type.code().to_be_bytes());
    input[2..34].copy_from_slice(nonce);
    input[34..66].copy_from_slice(challenge.as_bytes());
    input[66..].copy_from_slice(key.as_bytes());
    input
}
