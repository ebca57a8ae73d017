//! Bodies of the fuzz targets: each reads hostile bytes, goes on with a fixed key as far as they lead, and asserts
//! that what was read is written as it stood. None may panic otherwise.

use std::sync::LazyLock;

use policies::Digest;
use rand_core::{CryptoRng, RngCore};

use super::header::{
    WWW_AUTHENTICATE_BYTES_MAX, format_authorization, format_www_authenticate, parse_authorization,
    parse_www_authenticate,
};
use super::{
    BatchedTokenRequest, BatchedTokenResponse, IssuerDirectory, IssuerKey, PendingToken, PublicKey, RedeemError,
    RedeemKey, Token, TokenChallenge, TokenRequest, TokenType, issue_batch, redeem,
};

/// A key pair that anyone can compute: its seed is a counter.
static ISSUER: LazyLock<IssuerKey> =
    LazyLock::new(|| IssuerKey::generate(TokenType::VoprfP384, &mut FixedGenerator::new(0)));

/// The same bytes for the same seed, so that a finding can be repeated. Never for a key that guards something.
pub(crate) struct FixedGenerator {
    seed: u64,
    counter: u64,
}

impl FixedGenerator {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed, counter: 0 }
    }
}

impl RngCore for FixedGenerator {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            self.counter += 1;
            let block = Digest::of_parts(&[&self.seed.to_be_bytes(), &self.counter.to_be_bytes()]);
            chunk.copy_from_slice(&block.as_bytes()[..chunk.len()]);
        }
    }
}

impl CryptoRng for FixedGenerator {}

/// Body of the fuzz target `privacy_pass_token_request`: a request, which is answered if it is for the fixed key.
///
/// # Panics
/// When a request is not written as it was read.
pub fn token_request(data: &[u8]) {
    if let Ok(request) = TokenRequest::parse(data) {
        assert_eq!(request.to_bytes(), data, "a request has one encoding");
        if let Ok(response) = ISSUER.issue(&request, &mut FixedGenerator::new(1)) {
            assert_eq!(response.as_bytes().len(), TokenType::VoprfP384.response_bytes());
        }
    }
}

/// Body of the fuzz target `privacy_pass_batched_request`: a batch, which is answered.
///
/// # Panics
/// When a batch or its answer is not written as it was read.
pub fn batched_request(data: &[u8]) {
    if let Ok(batch) = BatchedTokenRequest::parse(data) {
        assert_eq!(batch.to_bytes(), data, "a batch has one encoding");
        let key_of = |token_type, truncated| {
            let public = ISSUER.public();
            (public.token_type() == token_type && public.id().truncated() == truncated).then_some(&*ISSUER)
        };
        let answer = issue_batch(&batch, key_of, &mut FixedGenerator::new(1));
        assert_eq!(BatchedTokenResponse::parse(&answer.to_bytes()), Ok(answer));
    }
}

/// Body of the fuzz target `privacy_pass_response`: a response, read by a client that asked for one token, and by one
/// that asked for a batch.
///
/// # Panics
/// When a batch's answer is not written as it was read.
pub fn response(data: &[u8]) {
    let challenge = TokenChallenge::new(TokenType::VoprfP384, "issuer.example", None, &[]);
    let challenge = challenge.expect("the fixed challenge is one");
    let pending = PendingToken::new(&challenge, ISSUER.public(), &mut FixedGenerator::new(2));
    let (_, pending) = pending.expect("any input can be blinded on the curve");
    drop(pending.finalize(data));
    if let Ok(answer) = BatchedTokenResponse::parse(data) {
        assert_eq!(answer.to_bytes(), data, "an answer has one encoding");
    }
}

/// Body of the fuzz target `privacy_pass_token`: a token, which is redeemed with the fixed key.
///
/// # Panics
/// When a token is not written as it was read, or verifies as another's.
pub fn token(data: &[u8]) {
    if let Ok(token) = Token::parse(data) {
        assert_eq!(token.to_bytes().as_slice(), data, "a token has one encoding");
        let challenge = token.challenge_digest();
        match redeem(&token, |_, _| Some(RedeemKey::Issuer(&ISSUER)), &[challenge]) {
            Ok(verified) => assert_eq!(verified.key_id(), ISSUER.public().id()),
            Err(error) => assert_ne!(error, RedeemError::Challenge, "the token's own challenge is expected"),
        }
    }
}

/// Body of the fuzz target `privacy_pass_challenge`.
///
/// # Panics
/// When a challenge is not written as it was read.
pub fn challenge(data: &[u8]) {
    if let Ok(challenge) = TokenChallenge::parse(data) {
        assert_eq!(challenge.to_bytes(), data, "a challenge has one encoding");
        assert_eq!(challenge.digest(), Digest::of(data));
    }
}

/// Body of the fuzz target `privacy_pass_www_authenticate`.
///
/// # Panics
/// When what was read does not survive being written.
pub fn www_authenticate(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(offers) = parse_www_authenticate(text) {
        // Quotes and padding that the input lacked may carry it over the limit.
        let written = format_www_authenticate(&offers);
        if written.len() <= WWW_AUTHENTICATE_BYTES_MAX {
            assert_eq!(parse_www_authenticate(&written), Ok(offers));
        }
    }
}

/// Body of the fuzz target `privacy_pass_authorization`.
///
/// # Panics
/// When what was read does not survive being written.
pub fn authorization(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(token) = parse_authorization(text) {
        let again = parse_authorization(&format_authorization(&token)).map(|token| token.to_bytes());
        assert_eq!(again, Ok(token.to_bytes()));
    }
}

/// Body of the fuzz target `privacy_pass_directory`.
///
/// # Panics
/// When what was read does not survive being written.
pub fn directory(data: &[u8]) {
    if let Ok(directory) = IssuerDirectory::parse(data) {
        assert_eq!(IssuerDirectory::parse(directory.to_json().as_bytes()), Ok(directory));
    }
}

/// Body of the fuzz target `privacy_pass_public_key`: a key of either type, under which a client then asks.
///
/// # Panics
/// When a key is not written as it was read.
pub fn public_key(data: &[u8]) {
    for token_type in [TokenType::VoprfP384, TokenType::BlindRsa2048] {
        if let Ok(key) = PublicKey::parse(token_type, data) {
            assert_eq!(key.as_bytes(), data, "a key has one encoding");
            let challenge = TokenChallenge::new(token_type, "issuer.example", None, &[]);
            let challenge = challenge.expect("the fixed challenge is one");
            drop(PendingToken::new(&challenge, &key, &mut FixedGenerator::new(3)));
        }
    }
}
