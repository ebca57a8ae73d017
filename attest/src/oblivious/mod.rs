//! Oblivious HTTP (RFC 9458) around binary HTTP (RFC 9292): who asks is known to a relay, what is asked to a gateway,
//! and both to nobody.
//!
//! A *client* seals a binary request to the gateway's key ([`ClientContext`]); a *relay* of someone else passes it on
//! without the client's address; the *gateway* ([`Gateway`]) opens it and seals its answer to the same request
//! ([`Responder`]). Suite: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM (RFC 9180) and no other.
//!
//! What a relay sees is a message's length; hence both ways are padded with zeros (RFC 9292 §3.8) so that the whole has
//! one of a few lengths ([`padded_len`]). Fields that could name the client by the back door, and those of one hop, are
//! dropped. A message that a relay sends twice opens twice (RFC 9458 §6.5): what it asks for must not depend on being
//! asked once.
//!
//! Deviation from "randomness is an argument": the crates draw the client's ephemeral key and the response's nonce from
//! the system themselves, and offer no other way. They also copy plaintexts into memory that is not erased.

mod binary;
mod client;
pub mod fuzz;
mod gateway;

pub use binary::{InnerRequest, InnerResponse};
pub use client::ClientContext;
pub use gateway::{Gateway, GatewayKey, Responder};

/// The longest encapsulated request.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;
/// The longest encapsulated response.
pub const RESPONSE_BYTES_MAX: usize = 1024 * 1024;
/// What encapsulation adds to a request: header (7), encapsulated key (32), tag (16).
pub const REQUEST_OVERHEAD_BYTES: usize = HEADER_BYTES + 32 + 16;
/// What encapsulation adds to a response: nonce (16), tag (16).
pub const RESPONSE_OVERHEAD_BYTES: usize = 16 + 16;
/// The most fields of a message, counted before any is dropped.
pub const FIELDS_MAX: usize = 32;
/// The longest name of a field.
pub const FIELD_NAME_BYTES_MAX: usize = 64;
/// The longest value of a field. Tokens and credentials travel in fields.
pub const FIELD_VALUE_BYTES_MAX: usize = 16 * 1024;
/// The longest path and query.
pub const PATH_BYTES_MAX: usize = 2048;
/// The longest method.
pub const METHOD_BYTES_MAX: usize = 16;
/// The longest authority.
pub const AUTHORITY_BYTES_MAX: usize = 255;
/// The longest list of key configurations that a client reads.
pub const CONFIGS_BYTES_MAX: usize = 4096;
/// The most keys of a gateway: the one in use and those that clients may still have.
pub const KEYS_MAX: usize = 8;
/// The shortest message, padding included.
pub const PADDED_BYTES_MIN: usize = 1024;

/// Key id, KEM, KDF, AEAD (RFC 9458 §4.3).
const HEADER_BYTES: usize = 7;
/// DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, as they stand behind a key id.
const SUITE: [u8; 6] = [0x00, 0x20, 0x00, 0x01, 0x00, 0x01];

/// Why a message was refused. Holds nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ObliviousError {
    /// Longer than its kind's maximum, padded.
    #[error("the message is too long")]
    TooLong,
    /// Shorter than any encapsulated message.
    #[error("the message is too short")]
    TooShort,
    /// Sealed to a key that the gateway does not have (RFC 9458 §5.3: the client fetches the configuration anew).
    #[error("the message names an unknown key")]
    UnknownKey,
    /// Another KEM, KDF or AEAD.
    #[error("the message is of another cipher suite")]
    Suite,
    /// Does not open.
    #[error("the message does not open")]
    Refused,
    /// What was opened is not one binary HTTP message of the expected kind.
    #[error("the content is not a binary HTTP message")]
    Binary,
    /// Bytes other than zero behind the message (RFC 9292 §3.8).
    #[error("the padding is not zero")]
    Padding,
    /// A scheme other than `https`.
    #[error("the request's scheme is not https")]
    Scheme,
    /// The authority is too long, or not visible ASCII.
    #[error("the request's authority is not allowed")]
    Authority,
    /// The method is no token, too long, or `CONNECT`.
    #[error("the request's method is not allowed")]
    Method,
    /// The path does not begin with `/`, is too long, or not visible ASCII.
    #[error("the request's path is not allowed")]
    Path,
    /// A field's name is not a lower-case token, its value holds controls or outer white space, or one is too long.
    #[error("a field is not allowed")]
    Field,
    /// More than [`FIELDS_MAX`] fields.
    #[error("the message has too many fields")]
    TooManyFields,
    /// Not a final status.
    #[error("the response's status is not from 200 to 599")]
    Status,
    /// No list of key configurations, or none in it for the suite.
    #[error("the key configurations hold none that can be used")]
    Configs,
    /// A gateway's keys are none, too many, or two of one id.
    #[error("a gateway has 1 to 8 keys of distinct ids")]
    Keys,
    /// A stored key is of another version or length.
    #[error("the gateway's key cannot be read")]
    Secret,
}

/// The length to which a message of `bytes` is padded: the next power of two, [`PADDED_BYTES_MIN`] at least. Counted
/// with encapsulation, so that lengths on the wire are these exactly: 7 for requests and 11 for responses.
#[must_use]
pub fn padded_len(bytes: usize) -> usize {
    bytes.max(PADDED_BYTES_MIN).checked_next_power_of_two().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
