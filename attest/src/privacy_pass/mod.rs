//! Anonymous tokens: Privacy Pass (architecture RFC 9576, HTTP scheme RFC 9577, issuance RFC 9578).
//!
//! Who takes part: a *client* (a viewer's device) wants to show later that it was entitled to something, without
//! showing who it is. The *issuer* (the node) checks the entitlement by other means and answers a blinded
//! [`TokenRequest`] with [`IssuerKey::issue`]. The *origin* (this node again, or a platform) sends a
//! [`TokenChallenge`] and turns the [`Token`] that comes back into a [`VerifiedToken`] with [`redeem()`]. The
//! client's half is [`PendingToken`].
//!
//! Two types of token: [`TokenType::VoprfP384`], which only the holder of the issuer's secret can verify, and
//! [`TokenType::BlindRsa2048`], which anyone can who has the public key. Several requests travel together in the
//! generic batch of draft-ietf-privacypass-batched-tokens ([`BatchedTokenRequest`]).
//!
//! # What is hidden
//! An issuer that later sees a token cannot tell in which issuance it made it, among all issuances under the same
//! key: the request is blinded with a factor that never leaves the client. That is all. The anonymity set is those
//! clients that hold tokens of the same key ([`TokenKeyId`]) for the same challenge, so a key that is given to one
//! client, or a redemption context that is, identifies it: clients compare the key with what others see (the
//! directory), and a challenge without redemption context is the same for everyone. Addresses, connections and
//! times of issuance and redemption are not hidden here; that needs a relay (RFC 9458) and waiting.
//!
//! # What is not checked here
//! A token verifies any number of times. Whoever redeems must remember the nonces of spent tokens for as long as
//! their key is accepted. A request names its key by one byte, the *truncated* id: keys that are offered at the
//! same time must differ in it, and old keys must be retired.
//!
//! Everything that arrives is hostile until a parser here has returned; each has a named limit in bytes. Errors say
//! which check failed and hold nothing of the input. An issuer answers every [`IssueError`] with status 422
//! (RFC 9578 §5.2, §6.2).

use p384::NistP384;

mod batch;
mod challenge;
pub mod client;
pub mod directory;
pub mod fuzz;
pub mod header;
mod issuer_key;
mod public_key;
mod reader;
mod redeem;
mod wire;

pub use batch::{
    BATCH_REQUEST_BYTES_MAX, BATCH_REQUESTS_MAX, BATCH_RESPONSE_BYTES_MAX, BatchedTokenRequest, BatchedTokenResponse,
};
pub use challenge::{
    CHALLENGE_BYTES_MAX, ISSUER_NAME_BYTES_MAX, InvalidChallenge, ORIGIN_INFO_BYTES_MAX, TokenChallenge,
};
pub use client::{ClientError, PendingToken};
pub use directory::{DirectoryKey, IssuerDirectory};
pub use header::OfferedChallenge;
pub use issuer_key::{InvalidIssuerKey, IssueError, IssuerKey, issue_batch};
pub use public_key::{InvalidPublicKey, PublicKey};
pub use redeem::{RedeemError, RedeemKey, VerifiedToken, redeem};
pub use wire::{Token, TokenKeyId, TokenRequest, TokenResponse, WireError};

/// Body of a request for one token (RFC 9578 §8.3).
pub const MEDIA_TYPE_REQUEST: &str = "application/private-token-request";
/// Body of the answer to it.
pub const MEDIA_TYPE_RESPONSE: &str = "application/private-token-response";
/// Body of the issuer's directory.
pub const MEDIA_TYPE_DIRECTORY: &str = "application/private-token-issuer-directory";
/// Body of a [`BatchedTokenRequest`].
pub const MEDIA_TYPE_BATCH_REQUEST: &str = "application/private-token-generic-batch-request";
/// Body of a [`BatchedTokenResponse`].
pub const MEDIA_TYPE_BATCH_RESPONSE: &str = "application/private-token-generic-batch-response";
/// Where an issuer's directory stands (RFC 9578 §4).
pub const DIRECTORY_PATH: &str = "/.well-known/private-token-issuer-directory";

/// A compressed point of P-384, `Ne` of RFC 9497 §4.4.
const POINT_BYTES: usize = 49;
/// A scalar of P-384, `Ns`.
const SCALAR_BYTES: usize = 48;
/// An RSA modulus, and so a blinded message, a blind signature and a signature.
const MODULUS_BYTES: usize = 256;

/// How a token is made and verified (RFC 9578 §8.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenType {
    /// 0x0001: VOPRF over P-384 with SHA-384 (RFC 9497); verified with the issuer's secret.
    VoprfP384,
    /// 0x0002: RSABSSA-SHA384-PSS-Deterministic with 2048 bits (RFC 9474); verified with the public key.
    BlindRsa2048,
}

impl TokenType {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::VoprfP384 => 1,
            Self::BlindRsa2048 => 2,
        }
    }

    /// The type of this number, if it is one of ours.
    #[must_use]
    pub const fn from_code(code: u16) -> Option<Self> {
        match code {
            1 => Some(Self::VoprfP384),
            2 => Some(Self::BlindRsa2048),
            _ => None,
        }
    }

    /// Bytes of a token's authenticator, `Nk`: 48 or 256.
    #[must_use]
    pub const fn authenticator_bytes(self) -> usize {
        match self {
            Self::VoprfP384 => 48,
            Self::BlindRsa2048 => MODULUS_BYTES,
        }
    }

    /// Bytes of a blinded message: 49 or 256.
    #[must_use]
    pub const fn blinded_bytes(self) -> usize {
        match self {
            Self::VoprfP384 => POINT_BYTES,
            Self::BlindRsa2048 => MODULUS_BYTES,
        }
    }

    /// Bytes of a request: 52 or 259.
    #[must_use]
    pub const fn request_bytes(self) -> usize {
        3 + self.blinded_bytes()
    }

    /// Bytes of a response: 145 (point and proof) or 256.
    #[must_use]
    pub const fn response_bytes(self) -> usize {
        match self {
            Self::VoprfP384 => POINT_BYTES + 2 * SCALAR_BYTES,
            Self::BlindRsa2048 => MODULUS_BYTES,
        }
    }

    /// Bytes of a token: 146 or 354.
    #[must_use]
    pub const fn token_bytes(self) -> usize {
        wire::TOKEN_INPUT_BYTES + self.authenticator_bytes()
    }

    /// Bytes of a public key: 49 or 342.
    #[must_use]
    pub const fn public_key_bytes(self) -> usize {
        match self {
            Self::VoprfP384 => POINT_BYTES,
            Self::BlindRsa2048 => public_key::SPKI_BYTES,
        }
    }
}

/// Whether the bytes can be the one encoding of a point that RFC 9497 §4.4 has: 49 bytes, compressed. The
/// curve's decoder also takes other SEC 1 forms, among them the compact one (tag 5), which is as long.
fn is_compressed(point: &[u8]) -> bool {
    point.len() == POINT_BYTES && matches!(point[0], 2 | 3)
}

/// The suite of [`TokenType::VoprfP384`].
type Suite = NistP384;
/// The variant of [`TokenType::BlindRsa2048`].
type RsaSecretKey = blind_rsa_signatures::SecretKey<
    blind_rsa_signatures::Sha384,
    blind_rsa_signatures::PSS,
    blind_rsa_signatures::Deterministic,
>;
/// Its public half.
type RsaPublicKey = blind_rsa_signatures::PublicKey<
    blind_rsa_signatures::Sha384,
    blind_rsa_signatures::PSS,
    blind_rsa_signatures::Deterministic,
>;

#[cfg(test)]
mod tests;
