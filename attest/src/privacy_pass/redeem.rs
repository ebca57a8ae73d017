//! Redemption (RFC 9577 §2.2, RFC 9578 §5.4, §6.4): a [`Token`] becomes a [`VerifiedToken`].

use policies::Digest;

use super::wire::{Token, TokenKeyId};
use super::{IssuerKey, PublicKey, TokenType};

/// What a token is verified with: the issuer's key pair, or the public key of 0x0002.
#[derive(Clone, Copy)]
pub enum RedeemKey<'a> {
    /// Verifies both types.
    Issuer(&'a IssuerKey),
    /// Verifies 0x0002 alone.
    Public(&'a PublicKey),
}

impl RedeemKey<'_> {
    const fn public(&self) -> &PublicKey {
        match self {
            Self::Issuer(key) => key.public(),
            Self::Public(key) => key,
        }
    }
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RedeemError {
    /// No key with this type and id is accepted here, or the one given is public and the type needs the secret.
    #[error("the token was made with a key that is not accepted here")]
    UnknownKey,
    /// It answers a challenge that is not open here.
    #[error("the token answers another challenge")]
    Challenge,
    /// Its authenticator does not verify.
    #[error("the token's authenticator does not verify")]
    Authenticator,
}

/// A token whose key, challenge and authenticator were checked. It may have been spent before: whoever redeems
/// remembers ([`Self::key_id`], [`Self::nonce`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedToken {
    token_type: TokenType,
    key_id: TokenKeyId,
    nonce: [u8; 32],
    challenge: Digest,
}

impl VerifiedToken {
    /// How it was made.
    #[must_use]
    pub const fn token_type(&self) -> TokenType {
        self.token_type
    }

    /// The key that made it.
    #[must_use]
    pub const fn key_id(&self) -> TokenKeyId {
        self.key_id
    }

    /// What makes it one of a kind under its key.
    #[must_use]
    pub const fn nonce(&self) -> &[u8; 32] {
        &self.nonce
    }

    /// Digest of the challenge that it answers, one of those expected.
    #[must_use]
    pub const fn challenge_digest(&self) -> Digest {
        self.challenge
    }
}

/// Verifies a token. `key_of` finds an accepted key by type and id; `expected` are the digests of the challenges that
/// are open. Costs one evaluation for 0x0001, one RSA verification for 0x0002, and neither for a token that fails
/// before.
///
/// # Errors
/// Each of [`RedeemError`], in the order of its variants.
pub fn redeem<'k>(
    token: &Token,
    key_of: impl FnOnce(TokenType, &TokenKeyId) -> Option<RedeemKey<'k>>,
    expected: &[Digest],
) -> Result<VerifiedToken, RedeemError> {
    // 1. The type was known to the parser. The key is one that is accepted, and really the one that is claimed.
    let (token_type, key_id) = (token.token_type(), token.key_id());
    let key = key_of(token_type, &key_id).ok_or(RedeemError::UnknownKey)?;
    if key.public().token_type() != token_type || key.public().id() != key_id {
        return Err(RedeemError::UnknownKey);
    }
    if matches!((key, token_type), (RedeemKey::Public(_), TokenType::VoprfP384)) {
        return Err(RedeemError::UnknownKey);
    }
    // 2. The challenge is open.
    let challenge = token.challenge_digest();
    if !expected.contains(&challenge) {
        return Err(RedeemError::Challenge);
    }
    // 3. The authenticator is that key's for exactly these fields.
    let verifies = match key {
        RedeemKey::Issuer(key) => key.verifies(token),
        RedeemKey::Public(key) => key.verifies(token),
    };
    if !verifies {
        return Err(RedeemError::Authenticator);
    }
    Ok(VerifiedToken { token_type, key_id, nonce: token.nonce(), challenge })
}
