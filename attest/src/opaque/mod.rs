//! Accounts whose passwords nobody but their owners ever see: OPAQUE-3DH (RFC 9807).
//!
//! Who takes part: a *client* holds the password; a *server* ([`OpaqueServer`]) holds one secret for all accounts and
//! an [`AccountRecord`] for each. Registration is request → response → upload, login is KE1 → KE2 → KE3. What a server
//! stores tests a guess of a password only together with its secret, and each guess costs the stretching anew for
//! each account.
//!
//! Configuration (RFC 9807 §7): ristretto255-SHA512 for OPRF and 3DH, HKDF and HMAC with SHA-512, Argon2id on the
//! client ([`Stretching`]), no identities (the public keys stand for them), [`CONTEXT`] empty. It is the one of npm
//! `@serenity-kit/opaque` 1.1.0.
//!
//! The session key is not used: TLS is the channel, and what the server answers a login with is an assertion.

use opaque_ke::key_exchange::tripledh::TripleDh;
use opaque_ke::{CipherSuite, Ristretto255, argon2};
use sha2::Sha512;

mod client;
pub mod fuzz;
mod server;

pub use client::{ClientLogin, ClientRegistration, Stretching};
pub use server::{AccountRecord, CredentialId, OpaqueServer, PendingLogin};

/// The application's context (RFC 9807 §6.4.2): empty for ever. It enters every login's transcript, so that another
/// value would refuse every account's password; `@serenity-kit/opaque` has the same and offers no other.
pub const CONTEXT: &[u8] = b"";

/// Registration request: the blinded password.
pub const REGISTRATION_REQUEST_BYTES: usize = 32;
/// Registration response: the evaluated element and the server's public key.
pub const REGISTRATION_RESPONSE_BYTES: usize = 64;
/// Registration upload: the client's public key, the masking key (64) and the envelope (nonce and 64 of MAC).
pub const REGISTRATION_UPLOAD_BYTES: usize = 192;
/// KE1: the blinded password, a nonce and a key share.
pub const KE1_BYTES: usize = 96;
/// KE2: the evaluated element, the masking nonce, the masked response (128), a nonce, a key share and a MAC (64).
pub const KE2_BYTES: usize = 320;
/// KE3: a MAC.
pub const KE3_BYTES: usize = 64;
/// The longest name of a user.
pub const USER_BYTES_MAX: usize = 128;
/// The longest password. OPAQUE takes up to 65,535 bytes; nobody types that many.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// The one configuration.
pub(crate) struct Suite;

impl CipherSuite for Suite {
    type OprfCs = Ristretto255;
    type KeyExchange = TripleDh<Ristretto255, Sha512>;
    type Ksf = argon2::Argon2<'static>;
}

/// Why a step of OPAQUE was refused. Holds nothing of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpaqueError {
    /// A message, record or secret has another length than its kind.
    #[error("the message has a wrong length")]
    Length,
    /// A message holds bytes that are no canonical ristretto255 element, or the identity.
    #[error("the message cannot be read")]
    Message,
    /// A user's name is empty or longer than [`USER_BYTES_MAX`].
    #[error("a user's name has 1 to 128 bytes")]
    UserName,
    /// A password is empty or longer than [`PASSWORD_BYTES_MAX`].
    #[error("a password has 1 to 1024 bytes")]
    Password,
    /// The parameters of Argon2id are out of bounds.
    #[error("the stretching's parameters are not allowed")]
    Stretching,
    /// The server's secret is of another version or damaged.
    #[error("the server's secret cannot be read")]
    Secret,
    /// An account's record is of another version or damaged.
    #[error("the account's record cannot be read")]
    Record,
    /// The login failed: no such account, a wrong password, another server or a changed message. Which, is not said.
    #[error("the login was refused")]
    Refused,
}

/// Whether a message has its kind's length, before any of it is read.
fn check_length(message: &[u8], bytes: usize) -> Result<(), OpaqueError> {
    if message.len() == bytes { Ok(()) } else { Err(OpaqueError::Length) }
}

#[cfg(test)]
mod tests;
