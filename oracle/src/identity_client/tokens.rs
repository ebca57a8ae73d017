//! Anonymous tokens by Privacy Pass (RFC 9577, RFC 9578): asked for ahead of use, redeemed once.

use attest::key_epoch::{KeyKind, KeyUse};
use attest::privacy_pass::client::{finalize_batch, pending_batch};
use attest::privacy_pass::{
    IssuerDirectory, MEDIA_TYPE_BATCH_REQUEST, MEDIA_TYPE_REQUEST, OfferedChallenge, PendingToken, Token, TokenType,
    header,
};
use axum::http::StatusCode;
use axum::http::header::WWW_AUTHENTICATE;
use policies::TenantId;
use rand_chacha::ChaCha20Rng;
use serde::{Deserialize, Serialize};

use super::{IdentityClient, IdentityClientError, ServiceKeys, Way};
use crate::client::ClientError;

const TOKENS: &str = "/v1/identity/tokens";
const REDEEM: &str = "/v1/identity/tokens/redeem";

#[derive(Serialize)]
struct RedeemRequest<'a> {
    nonce: &'a str,
}

#[derive(Deserialize)]
struct Redeemed {
    answer: String,
}

impl IdentityClient {
    /// Tokens of one type for this tenant: 1 to 64, of which the issuer may refuse some. What it sees of them is
    /// blinded, so that fetched ahead of use they say nothing of when and by whom they are spent.
    ///
    /// # Errors
    /// A challenge or key that is not everyone's, a call that was refused, or a response that does not verify.
    pub(crate) async fn tokens(
        &self,
        keys: &ServiceKeys,
        access: &str,
        token_type: TokenType,
        count: usize,
    ) -> Result<Vec<Token>, IdentityClientError> {
        let offer = self.offer(token_type).await?;
        let directory = self.directory(keys).await?;
        check_offer(&offer, &self.tenant, keys, &directory, self.environment.clock.now_s())?;
        let mut rng = self.environment.rng()?;
        if count == 1 { self.one(access, &offer, &mut rng).await } else { self.batch(access, &offer, count, rng).await }
    }

    async fn one(
        &self,
        access: &str,
        offer: &OfferedChallenge,
        rng: &mut ChaCha20Rng,
    ) -> Result<Vec<Token>, IdentityClientError> {
        let (request, pending) = PendingToken::new(&offer.challenge, &offer.key, rng)?;
        let call = self.client.post(TOKENS).bearer(access).bytes(MEDIA_TYPE_REQUEST, request.to_bytes());
        Ok(vec![pending.finalize(&call.send().await?.body)?])
    }

    async fn batch(
        &self,
        access: &str,
        offer: &OfferedChallenge,
        count: usize,
        mut rng: ChaCha20Rng,
    ) -> Result<Vec<Token>, IdentityClientError> {
        let wanted = std::iter::repeat_n((&offer.challenge, &offer.key), count);
        let (batch, pending) = pending_batch(wanted, &mut rng)?;
        let call = self.client.post(TOKENS).bearer(access).bytes(MEDIA_TYPE_BATCH_REQUEST, batch.to_bytes());
        let tokens = finalize_batch(pending, &call.send().await?.body)?;
        Ok(tokens.into_iter().flatten().collect())
    }

    /// What the service asks for. It answers with a refusal, as RFC 9577 has it.
    async fn offer(&self, token_type: TokenType) -> Result<OfferedChallenge, IdentityClientError> {
        let path = format!("{TOKENS}/challenge?tenant={}", self.tenant);
        let answer = self.client.get(&path).any_status().send().await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            answer.judged()?;
            return Err(ClientError::AnswerForm.into());
        }
        let value = answer.headers.get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
        let offers = header::parse_www_authenticate(value.ok_or(ClientError::AnswerForm)?)?;
        let offer = offers.into_iter().find(|offer| offer.challenge.token_type() == token_type);
        offer.ok_or(IdentityClientError::NotOffered)
    }

    /// Spends a token on a signed answer for the platform, bound to the platform's `nonce` (1 to 128 bytes).
    ///
    /// # Errors
    /// A call that was refused.
    pub(crate) async fn redeem(way: &Way<'_>, token: &Token, nonce: &str) -> Result<String, IdentityClientError> {
        let authorization = header::format_authorization(token);
        let answer = way.post(REDEEM, Some(&authorization), &RedeemRequest { nonce }).await?;
        Ok(answer.json::<Redeemed>()?.answer)
    }
}

/// Whether a challenge and its key are those that every viewer of the tenant gets.
pub(super) fn check_offer(
    offer: &OfferedChallenge,
    tenant: &TenantId,
    keys: &ServiceKeys,
    directory: &IssuerDirectory,
    now_s: u64,
) -> Result<(), IdentityClientError> {
    // 1. This issuer's tokens, for this tenant; bound to no occasion, which would single out its holder.
    let challenge = &offer.challenge;
    let origin = format!("{tenant}.{}", keys.host());
    let only_here = challenge.origin_info().len() == 1 && challenge.is_for(&origin);
    if challenge.issuer_name() != keys.host() || !only_here || challenge.redemption_context().is_some() {
        return Err(IdentityClientError::Challenge);
    }
    // 2. The key that the directory lists (RFC 9578 §4, RFC 9577 §2.1).
    if !directory.keys().iter().any(|entry| entry.key == offer.key) {
        return Err(IdentityClientError::KeyNotListed);
    }
    // 3. The one key that issues now: another, though logged, would have a smaller crowd.
    let of = KeyUse { kind: KeyKind::of_token(challenge.token_type()), tenant: Some(tenant.clone()) };
    if !keys.issues(&of, offer.key.as_bytes(), now_s) {
        return Err(IdentityClientError::KeyNotLogged);
    }
    Ok(())
}
