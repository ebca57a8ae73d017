//! The client's half, for the reference client, tests and measurements: blind, wait, unblind and check.

use blind_rsa_signatures::{BlindSignature, BlindingResult};
use rand_core::CryptoRng;
use voprf::{EvaluationElement, Proof, VoprfClient};
use zeroize::{Zeroize as _, Zeroizing};

use super::public_key::{Form, RsaForm};
use super::wire::{TOKEN_INPUT_BYTES, Token, TokenRequest, WireError, token_input};
use super::{
    BatchedTokenRequest, BatchedTokenResponse, POINT_BYTES, PublicKey, Suite, TokenChallenge, TokenType, is_compressed,
};
use crate::randomness::{Rng06, Rng10};

/// Why no token comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The challenge asks for another type than the key's.
    #[error("the challenge and the key are of different types")]
    TokenType,
    /// The token's input cannot be blinded under this key: for RSA, the key is not a product of large primes.
    #[error("the message cannot be blinded under this key")]
    Blind,
    /// A response's form is wrong.
    #[error("the response is malformed")]
    Wire(#[source] WireError),
    /// The response is no element, or its proof or signature does not verify: the issuer used another key.
    #[error("the response does not verify under the issuer's public key")]
    Response,
    /// A batch's answer has not as many responses as the batch had requests.
    #[error("the batch is answered with another number of responses")]
    BatchCount,
}

/// A token that was asked for and not yet answered. Holds the blinding factor: no `Debug`, no `Clone`, erased when
/// dropped, and good for one response.
pub struct PendingToken {
    input: [u8; TOKEN_INPUT_BYTES],
    key: PublicKey,
    blinding: Blinding,
}

enum Blinding {
    Voprf(Box<VoprfClient<Suite>>),
    Rsa(RsaBlinding),
}

struct RsaBlinding(BlindingResult);

impl Drop for RsaBlinding {
    fn drop(&mut self) {
        self.0.secret.0.zeroize();
    }
}

impl PendingToken {
    /// Draws a nonce and blinds a token for `challenge` under the issuer's `key` (RFC 9578 §5.1, §6.1).
    ///
    /// # Errors
    /// [`ClientError::TokenType`] or [`ClientError::Blind`].
    pub fn new(
        challenge: &TokenChallenge,
        key: &PublicKey,
        rng: &mut impl CryptoRng,
    ) -> Result<(TokenRequest, Self), ClientError> {
        let token_type = key.token_type();
        if challenge.token_type() != token_type {
            return Err(ClientError::TokenType);
        }
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        let input = token_input(token_type, &nonce, challenge.digest(), key.id());
        let (blinded, blinding) = match &key.form {
            Form::Voprf(_) => {
                let blind = VoprfClient::<Suite>::blind(&input, &mut Rng06(rng)).map_err(|_| ClientError::Blind)?;
                (blind.message.serialize().to_vec(), Blinding::Voprf(Box::new(blind.state)))
            }
            Form::Rsa(form) => {
                let mut blind = form.blinding.blind(&mut Rng10(rng), input).map_err(|_| ClientError::Blind)?;
                (std::mem::take(&mut blind.blind_message.0), Blinding::Rsa(RsaBlinding(blind)))
            }
        };
        let request = TokenRequest::new(token_type, key.id().truncated(), blinded);
        Ok((request, Self { input, key: key.clone(), blinding }))
    }

    /// The type that was asked for.
    #[must_use]
    pub const fn token_type(&self) -> TokenType {
        self.key.token_type()
    }

    /// Unblinds the issuer's response and checks its proof or signature (RFC 9578 §5.3, §6.3).
    ///
    /// # Errors
    /// [`ClientError::Wire`] or [`ClientError::Response`].
    pub fn finalize(self, response: &[u8]) -> Result<Token, ClientError> {
        let token_type = self.token_type();
        if response.len() != token_type.response_bytes() {
            return Err(ClientError::Wire(WireError::Length));
        }
        let authenticator = match (&self.blinding, &self.key.form) {
            (Blinding::Voprf(client), Form::Voprf(key)) => {
                let (evaluated, proof) = response.split_at(POINT_BYTES);
                if !is_compressed(evaluated) {
                    return Err(ClientError::Response);
                }
                let evaluated = EvaluationElement::deserialize(evaluated).map_err(|_| ClientError::Response)?;
                let proof = Proof::deserialize(proof).map_err(|_| ClientError::Response)?;
                let output = client.finalize(&self.input, &evaluated, &proof, *key);
                Zeroizing::new(output.map_err(|_| ClientError::Response)?.to_vec())
            }
            (Blinding::Rsa(blinding), Form::Rsa(key)) => unblind(&blinding.0, key, &self.input, response)?,
            _ => return Err(ClientError::TokenType),
        };
        Ok(Token { token_type, input: self.input, authenticator })
    }
}

fn unblind(
    blinding: &BlindingResult,
    key: &RsaForm,
    input: &[u8],
    response: &[u8],
) -> Result<Zeroizing<Vec<u8>>, ClientError> {
    // The library reduces: a response and the same plus the modulus would both do.
    if !key.exceeds(response) {
        return Err(ClientError::Response);
    }
    let signature = key.blinding.finalize(&BlindSignature(response.to_vec()), blinding, input);
    signature.map(|signature| Zeroizing::new(signature.0)).map_err(|_| ClientError::Response)
}

/// One request for each pair, in one batch.
///
/// # Errors
/// As [`PendingToken::new`], or [`ClientError::Wire`] when there are none or too many.
pub fn pending_batch<'a>(
    wanted: impl IntoIterator<Item = (&'a TokenChallenge, &'a PublicKey)>,
    rng: &mut impl CryptoRng,
) -> Result<(BatchedTokenRequest, Vec<PendingToken>), ClientError> {
    let mut requests = Vec::new();
    let mut pending = Vec::new();
    // One more than allowed is taken, for the batch to refuse.
    for (challenge, key) in wanted.into_iter().take(super::BATCH_REQUESTS_MAX + 1) {
        let (request, token) = PendingToken::new(challenge, key, rng)?;
        requests.push(request);
        pending.push(token);
    }
    let batch = BatchedTokenRequest::new(requests).map_err(ClientError::Wire)?;
    Ok((batch, pending))
}

/// The tokens of a batch's answer, in the order of its requests; `None` where the issuer refused one.
///
/// # Errors
/// As [`PendingToken::finalize`], [`ClientError::BatchCount`], or [`ClientError::TokenType`] when a response is of
/// another type than its request. One bad response spoils the batch: the issuer is not to be trusted with the rest.
pub fn finalize_batch(pending: Vec<PendingToken>, response: &[u8]) -> Result<Vec<Option<Token>>, ClientError> {
    let answer = BatchedTokenResponse::parse(response).map_err(ClientError::Wire)?;
    if answer.responses().len() != pending.len() {
        return Err(ClientError::BatchCount);
    }
    let finalize = |(token, response): (PendingToken, &Option<super::TokenResponse>)| match response {
        None => Ok(None),
        Some(response) if response.token_type() != token.token_type() => Err(ClientError::TokenType),
        Some(response) => token.finalize(response.as_bytes()).map(Some),
    };
    pending.into_iter().zip(answer.responses()).map(finalize).collect()
}
