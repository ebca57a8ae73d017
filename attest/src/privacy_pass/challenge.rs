//! What an origin asks for (RFC 9577 §2.1.1).

use policies::Digest;

use super::TokenType;
use super::reader::{Malformed, Reader};

/// An issuer's name: a host name, perhaps with a port.
pub const ISSUER_NAME_BYTES_MAX: usize = 255;
/// All origin names of a challenge with their commas. RFC 9577 allows 65,535 bytes; a header would not carry them.
pub const ORIGIN_INFO_BYTES_MAX: usize = 1024;
/// A serialised challenge: type, three lengths and their fields.
pub const CHALLENGE_BYTES_MAX: usize = 2 + 2 + ISSUER_NAME_BYTES_MAX + 1 + 32 + 2 + ORIGIN_INFO_BYTES_MAX;

/// Why bytes or fields are not a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChallenge {
    /// Over the limit, cut short, or followed by more.
    #[error("the challenge does not have the length it states")]
    Length,
    /// A type other than 0x0001 and 0x0002. A client ignores such a challenge (RFC 9577 §2.1).
    #[error("the challenge asks for a type of token that is not supported here")]
    TokenType,
    /// Empty, over its limit, or not visible ASCII.
    #[error("the issuer's name is not a host name")]
    IssuerName,
    /// Neither absent nor 32 bytes.
    #[error("the redemption context is neither empty nor 32 bytes")]
    RedemptionContext,
    /// Over its limit, or a name in it is empty or not visible ASCII.
    #[error("the origin info is not a list of host names")]
    OriginInfo,
}

impl From<Malformed> for InvalidChallenge {
    fn from(_: Malformed) -> Self {
        Self::Length
    }
}

/// What an origin asks for (RFC 9577 §2.1.1). A token is bound to its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenChallenge {
    token_type: TokenType,
    issuer_name: String,
    redemption_context: Option<[u8; 32]>,
    origin_info: Vec<String>,
}

impl TokenChallenge {
    /// A challenge from its fields. `redemption_context` binds the token to one occasion; without it, a token that
    /// was fetched in advance serves. `origin_info` names the origins where the token is good; none means any.
    ///
    /// # Errors
    /// [`InvalidChallenge::IssuerName`] or [`InvalidChallenge::OriginInfo`].
    pub fn new(
        token_type: TokenType,
        issuer_name: &str,
        redemption_context: Option<[u8; 32]>,
        origin_info: &[&str],
    ) -> Result<Self, InvalidChallenge> {
        if issuer_name.len() > ISSUER_NAME_BYTES_MAX || !is_name(issuer_name) {
            return Err(InvalidChallenge::IssuerName);
        }
        let commas = origin_info.len().saturating_sub(1);
        let bytes = origin_info.iter().fold(commas, |sum, name| sum.saturating_add(name.len()));
        if bytes > ORIGIN_INFO_BYTES_MAX || !origin_info.iter().all(|name| is_name(name)) {
            return Err(InvalidChallenge::OriginInfo);
        }
        let origin_info = origin_info.iter().map(|&name| name.to_owned()).collect();
        Ok(Self { token_type, issuer_name: issuer_name.to_owned(), redemption_context, origin_info })
    }

    /// Reads a serialised challenge.
    ///
    /// # Errors
    /// Each of [`InvalidChallenge`].
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidChallenge> {
        if bytes.len() > CHALLENGE_BYTES_MAX {
            return Err(InvalidChallenge::Length);
        }
        let mut reader = Reader::new(bytes);
        // An unknown type's fields may differ, so nothing after it is read.
        let token_type = TokenType::from_code(reader.u16()?).ok_or(InvalidChallenge::TokenType)?;
        let issuer_name = reader.vector_u16()?;
        let context_bytes = reader.u8()?;
        let redemption_context = match context_bytes {
            0 => None,
            32 => Some(reader.array()?),
            _ => return Err(InvalidChallenge::RedemptionContext),
        };
        let origin_info = reader.vector_u16()?;
        reader.end()?;
        let issuer_name = std::str::from_utf8(issuer_name).map_err(|_| InvalidChallenge::IssuerName)?;
        let origin_info = std::str::from_utf8(origin_info).map_err(|_| InvalidChallenge::OriginInfo)?;
        let names: Vec<&str> = if origin_info.is_empty() { Vec::new() } else { origin_info.split(',').collect() };
        Self::new(token_type, issuer_name, redemption_context, &names)
    }

    /// The serialised challenge.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(CHALLENGE_BYTES_MAX);
        bytes.extend_from_slice(&self.token_type.code().to_be_bytes());
        put_vector(&mut bytes, &self.issuer_name);
        match &self.redemption_context {
            None => bytes.push(0),
            Some(context) => {
                bytes.push(32);
                bytes.extend_from_slice(context);
            }
        }
        put_vector(&mut bytes, &self.origin_info.join(","));
        bytes
    }

    /// SHA-256 of the serialised challenge, as tokens carry it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }

    /// The type of token asked for.
    #[must_use]
    pub const fn token_type(&self) -> TokenType {
        self.token_type
    }

    /// The issuer whose tokens are good.
    #[must_use]
    pub fn issuer_name(&self) -> &str {
        &self.issuer_name
    }

    /// What binds the token to an occasion, if anything.
    #[must_use]
    pub const fn redemption_context(&self) -> Option<&[u8; 32]> {
        self.redemption_context.as_ref()
    }

    /// The origins where the token is good; none means any.
    #[must_use]
    pub fn origin_info(&self) -> &[String] {
        &self.origin_info
    }

    /// Whether the token is good at `origin`. A client answers no challenge that the origin which sent it is not
    /// named in (RFC 9577 §2.1).
    #[must_use]
    pub fn is_for(&self, origin: &str) -> bool {
        self.origin_info.is_empty() || self.origin_info.iter().any(|name| name.eq_ignore_ascii_case(origin))
    }
}

/// Whether this can be a host name with or without a port: visible ASCII, and no comma, which separates names.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
}

/// Appends a text with two bytes of length before it.
fn put_vector(bytes: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).expect("both texts of a challenge have limits below 2^16");
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
}
