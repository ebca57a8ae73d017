//! The secret halves of keys: how each kind is made, kept and read.

use std::collections::BTreeSet;

use attest::SigningKey;
use attest::key_epoch::{Epoch, EpochLog, KeyKind, KeyUse};
use attest::oblivious::GatewayKey;
use attest::privacy_pass::{IssuerKey, TokenType};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::FolderError;

/// A key's secret half, opened.
pub(crate) enum Secret {
    /// Issues and redeems anonymous tokens.
    Token(IssuerKey),
    /// Opens oblivious requests.
    Oblivious(Box<GatewayKey>),
    /// Signs credentials.
    Credential(SigningKey),
}

/// The secret half as it is sealed, and the public half as it is published.
type Generated = (Zeroizing<Vec<u8>>, Vec<u8>);

/// A new key of this use.
pub(super) fn generate(
    of: &KeyUse,
    log: &EpochLog,
    now_s: u64,
    rng: &mut impl CryptoRng,
) -> Result<Generated, FolderError> {
    match of.kind {
        KeyKind::TokenVoprf => token_key(TokenType::VoprfP384, of, log, now_s, rng),
        KeyKind::TokenBlindRsa => token_key(TokenType::BlindRsa2048, of, log, now_s, rng),
        KeyKind::Oblivious => {
            let key = GatewayKey::generate(oblivious_id(log.epochs().len()), rng);
            Ok((key.to_secret_bytes(), key.config()))
        }
        KeyKind::Credential => {
            let key = SigningKey::generate(rng);
            Ok((key.to_pkcs8_der(), key.verifying_key().as_bytes().to_vec()))
        }
    }
}

/// A token key whose one-byte id no key of its use has: requests name their key by it (RFC 9578 §5.1).
fn token_key(
    token_type: TokenType,
    of: &KeyUse,
    log: &EpochLog,
    now_s: u64,
    rng: &mut impl CryptoRng,
) -> Result<Generated, FolderError> {
    /// Far more than it takes while only a few keys are in use.
    const TRIES: usize = 64;
    let truncated = |public: &[u8]| policies::Digest::of(public).as_bytes()[31];
    let others = log.live(of.kind, now_s).filter(|epoch| epoch.serves(of));
    let taken: BTreeSet<u8> = others.map(|epoch| truncated(&epoch.public_bytes())).collect();
    for _ in 0..TRIES {
        let key = IssuerKey::generate(token_type, rng);
        let public = key.public().as_bytes().to_vec();
        if !taken.contains(&truncated(&public)) {
            return Ok((key.to_secret_bytes(), public));
        }
    }
    Err(FolderError::Generate(of.kind.as_str()))
}

/// The one-byte id by which oblivious requests name their key. Those in use at a time are few and follow each other.
#[expect(clippy::cast_possible_truncation, reason = "the low byte is what is meant")]
const fn oblivious_id(number: usize) -> u8 {
    number as u8
}

/// The secret, if it is of the epoch's kind and its public half is the one that the log names.
pub(super) fn parse(epoch: &Epoch, bytes: &[u8]) -> Option<Secret> {
    let token = |token_type| {
        let key = IssuerKey::from_secret_bytes(token_type, bytes).ok()?;
        let public = key.public().as_bytes().to_vec();
        Some((Secret::Token(key), public))
    };
    let (secret, public) = match epoch.kind {
        KeyKind::TokenVoprf => token(TokenType::VoprfP384)?,
        KeyKind::TokenBlindRsa => token(TokenType::BlindRsa2048)?,
        KeyKind::Oblivious => {
            let key = GatewayKey::from_secret_bytes(bytes).ok()?;
            let public = key.config();
            (Secret::Oblivious(Box::new(key)), public)
        }
        KeyKind::Credential => {
            let key = SigningKey::from_pkcs8_der(bytes).ok()?;
            let public = key.verifying_key().as_bytes().to_vec();
            (Secret::Credential(key), public)
        }
    };
    (public == epoch.public_bytes()).then_some(secret)
}
