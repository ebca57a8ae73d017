//! Anonymous tokens: issuance of one and of batches, and redemption, beside the issuer's key alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use attest::privacy_pass::client::{finalize_batch, pending_batch};
use attest::privacy_pass::header::format_authorization;
use attest::privacy_pass::{
    BATCH_REQUESTS_MAX, MEDIA_TYPE_BATCH_REQUEST, MEDIA_TYPE_REQUEST, PendingToken, Token, TokenChallenge,
    TokenRequest, TokenType,
};
use axum::body::Bytes;
use axum::http::HeaderValue;
use rand_chacha::ChaCha20Rng;
use rand_core::{OsRng, SeedableRng as _, TryRngCore as _};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PSS_SHA384, RsaKeyPair};

use super::cpu::Work;
use super::service::{Account, Service, TENANT};
use crate::cli::bench::load::{Asked, Request};
use crate::client::{Client, ClientError};
use crate::region::identity::redeem::challenge;
use crate::region::identity::ring::TokenKey;

const ISSUE: &str = "/v1/identity/tokens";
const REDEEM: &str = "/v1/identity/tokens/redeem";
/// Tokens that are made for each second that is asked for: making one takes longer than spending it, so that the run
/// may end before its time.
const MINTED_A_SECOND: u64 = 5000;
/// Threads that make tokens before they are redeemed.
const MINTING_THREADS: u64 = 2;

/// The key that issues now, and what its tokens answer.
fn issuer(service: &Service, token_type: TokenType) -> anyhow::Result<(Arc<TokenKey>, TokenChallenge)> {
    let now_s = service.node.environment.clock.now_s();
    let tenant = TENANT.parse()?;
    let key = service.identity.ring.load().issues(&tenant, token_type, now_s).cloned().context("no key issues now")?;
    let challenge = challenge(service.identity.issuer_host(), &tenant, token_type);
    Ok((key, challenge))
}

pub(super) fn generator() -> anyhow::Result<ChaCha20Rng> {
    let mut seed = [0; 32];
    OsRng.try_fill_bytes(&mut seed)?;
    Ok(ChaCha20Rng::from_seed(seed))
}

/// One request over and over, in the name of some accounts: an issuer remembers nothing of what it signed.
pub(super) struct Issuance {
    media_type: &'static str,
    body: Bytes,
    accounts: Arc<[Account]>,
    next: AtomicUsize,
}

impl Issuance {
    fn new(service: &Service, media_type: &'static str, body: Vec<u8>) -> Self {
        let (body, accounts) = (body.into(), Arc::clone(&service.accounts));
        Self { media_type, body, accounts, next: AtomicUsize::new(0) }
    }

    /// One token of 0x0002 a call. The first is checked whole.
    pub(super) async fn of_one(service: &Service) -> anyhow::Result<Self> {
        let (key, challenge) = issuer(service, TokenType::BlindRsa2048)?;
        let (request, pending) = PendingToken::new(&challenge, key.key.public(), &mut OsRng.unwrap_err())?;
        let issuance = Self::new(service, MEDIA_TYPE_REQUEST, request.to_bytes());
        pending.finalize(&issuance.example(service).await?)?;
        Ok(issuance)
    }

    /// As many tokens of 0x0001 a call as a batch may have. The first are checked whole.
    pub(super) async fn of_batches(service: &Service) -> anyhow::Result<Self> {
        let (key, challenge) = issuer(service, TokenType::VoprfP384)?;
        let wanted = std::iter::repeat_n((&challenge, key.key.public()), BATCH_REQUESTS_MAX);
        let (batch, pending) = pending_batch(wanted, &mut OsRng.unwrap_err())?;
        let issuance = Self::new(service, MEDIA_TYPE_BATCH_REQUEST, batch.to_bytes());
        let tokens = finalize_batch(pending, &issuance.example(service).await?)?;
        anyhow::ensure!(tokens.iter().all(Option::is_some), "a token of the batch was refused");
        Ok(issuance)
    }

    async fn example(&self, service: &Service) -> anyhow::Result<Bytes> {
        let client = Client::new(service.client_options())?;
        Ok(self.next().send(&client).await?.body)
    }

    fn next(&self) -> Request {
        let account = &self.accounts[self.next.fetch_add(1, Ordering::Relaxed) % self.accounts.len()];
        let authorization = Some(account.access.clone());
        Request { path: ISSUE, media_type: self.media_type, body: self.body.clone(), authorization }
    }
}

impl Asked for Issuance {
    type State = ();

    async fn prepare(&self, _: &Client, (): &mut ()) -> Result<(), ClientError> {
        Ok(())
    }

    fn request(&self, (): &mut ()) -> Option<Request> {
        Some(self.next())
    }
}

/// [`IssuerKey::issue`](attest::privacy_pass::IssuerKey::issue) with the node's own key.
pub(super) fn issue_primitive(service: &Service, token_type: TokenType, duration: Duration) -> anyhow::Result<Work> {
    let (key, challenge) = issuer(service, token_type)?;
    let (request, _) = PendingToken::new(&challenge, key.key.public(), &mut OsRng.unwrap_err())?;
    let request = TokenRequest::parse(&request.to_bytes())?;
    let mut rng = generator()?;
    Work::during(duration, || {
        std::hint::black_box(key.key.issue(&request, &mut rng)?);
        Ok(())
    })
}

/// Makes tokens of 0x0002 as their key's holder can: signed, not blinded.
struct Mint {
    key: Arc<TokenKey>,
    pair: RsaKeyPair,
    challenge: TokenChallenge,
}

impl Mint {
    fn new(service: &Service) -> anyhow::Result<Self> {
        let (key, challenge) = issuer(service, TokenType::BlindRsa2048)?;
        let pair = RsaKeyPair::from_pkcs8(&key.key.to_secret_bytes());
        let pair = pair.map_err(|_| anyhow::anyhow!("ring does not take the issuer's key"))?;
        Ok(Self { key, pair, challenge })
    }

    fn token(&self) -> anyhow::Result<Token> {
        let mut nonce = [0; 32];
        OsRng.try_fill_bytes(&mut nonce)?;
        let code = TokenType::BlindRsa2048.code().to_be_bytes();
        let mut token = [&code[..], &nonce, self.challenge.digest().as_bytes(), self.key.id.as_bytes()].concat();
        let mut signature = vec![0; self.pair.public().modulus_len()];
        let signed = self.pair.sign(&RSA_PSS_SHA384, &SystemRandom::new(), &token, &mut signature);
        signed.map_err(|_| anyhow::anyhow!("ring does not sign with the issuer's key"))?;
        token.extend_from_slice(&signature);
        Ok(Token::parse(&token)?)
    }
}

/// Tokens that are spent one after the other.
pub(super) struct Redemptions {
    tokens: Vec<HeaderValue>,
    next: AtomicUsize,
}

impl Redemptions {
    /// Makes tokens for a run of `duration` at most.
    pub(super) fn mint(service: &Service, duration: Duration) -> anyhow::Result<Self> {
        let count = u64::try_from(duration.as_millis())?.saturating_mul(MINTED_A_SECOND) / 1000;
        let mint = Mint::new(service)?;
        let part = || {
            let header = |token: &Token| HeaderValue::try_from(format_authorization(token).as_str());
            let tokens = (0..count.div_ceil(MINTING_THREADS)).map(|_| Ok(header(&mint.token()?)?));
            tokens.collect::<anyhow::Result<Vec<_>>>()
        };
        let parts = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..MINTING_THREADS).map(|_| scope.spawn(part)).collect();
            let parts =
                threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| anyhow::bail!("minting panicked")));
            parts.collect::<anyhow::Result<Vec<_>>>()
        })?;
        Ok(Self { tokens: parts.concat(), next: AtomicUsize::new(0) })
    }

    /// The next token, as `Authorization`.
    pub(super) fn next(&self) -> Option<HeaderValue> {
        self.tokens.get(self.next.fetch_add(1, Ordering::Relaxed)).cloned()
    }
}

impl Asked for Redemptions {
    type State = ();

    async fn prepare(&self, _: &Client, (): &mut ()) -> Result<(), ClientError> {
        Ok(())
    }

    fn request(&self, (): &mut ()) -> Option<Request> {
        let token = self.next()?;
        let request = Request::json(REDEEM, Bytes::from_static(br#"{"nonce":"bench"}"#));
        Some(Request { authorization: Some(token), ..request })
    }
}

/// [`IssuerKey::verifies`](attest::privacy_pass::IssuerKey::verifies) for 0x0002: ring's RSA verification.
pub(super) fn verify_primitive(service: &Service, duration: Duration) -> anyhow::Result<Work> {
    let mint = Mint::new(service)?;
    let token = mint.token()?;
    Work::during(duration, || {
        anyhow::ensure!(mint.key.key.verifies(std::hint::black_box(&token)), "a token does not verify");
        Ok(())
    })
}
