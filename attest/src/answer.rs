//! Signed answers: what a node states to a platform, as a JWS of type `siwa-answer+jwt`.

use policies::Digest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::jws::{self, JwsError, Typ};
use crate::keys::{SigningKey, VerifyingKey};
use crate::time::{OutOfLife, check_life};

/// An answer lives a day at most; longer statements are renewed.
pub const LIFETIME_SECONDS_MAX: u64 = 24 * 3600;

/// How sure an answer is: a finite number from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Confidence(f64);

/// The number is not finite or not from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a confidence is a number from 0 to 1")]
pub struct InvalidConfidence;

impl Confidence {
    /// Nothing is left open, as for an answer that a check decides.
    pub const CERTAIN: Self = Self(1.0);
}

impl TryFrom<f64> for Confidence {
    type Error = InvalidConfidence;

    fn try_from(value: f64) -> Result<Self, InvalidConfidence> {
        if (0.0..=1.0).contains(&value) { Ok(Self(value)) } else { Err(InvalidConfidence) }
    }
}

impl From<Confidence> for f64 {
    fn from(confidence: Confidence) -> Self {
        confidence.0
    }
}

/// An answer's claims (RFC 7519). `R` is the check's own result. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer<R> {
    /// The node that answers.
    pub iss: String,
    /// The tenant that asked; nobody else may rely on it.
    pub aud: String,
    /// The viewer's pairwise pseudonym; absent where the question came without one, or anonymously.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// When it was made.
    pub iat: u64,
    /// From when on it says nothing.
    pub exp: u64,
    /// The answer's own id.
    pub jti: String,
    /// The question's nonce.
    pub nonce: String,
    /// Digest of the question's bytes.
    pub input: Digest,
    /// Digest of the policy in force.
    pub policy: Digest,
    /// Which question was answered.
    pub check: String,
    /// The result.
    pub result: R,
    /// How sure it is.
    pub confidence: Confidence,
}

/// What the relying party knows of the answer that it waits for.
#[derive(Debug, Clone, Copy)]
pub struct AnswerExpectation<'a> {
    /// The node asked.
    pub issuer: &'a str,
    /// The tenant itself.
    pub audience: &'a str,
    /// The nonce sent.
    pub nonce: &'a str,
    /// Digest of the bytes sent.
    pub input: Digest,
}

/// Why an answer was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The token itself.
    #[error("the answer's token was refused")]
    Jws(#[from] JwsError),
    /// Another node's answer.
    #[error("the answer is from another node")]
    Issuer,
    /// Made for someone else.
    #[error("the answer is for someone else")]
    Audience,
    /// Answers another question.
    #[error("the answer belongs to another question")]
    Question,
    /// Made in the future.
    #[error("the answer is not yet valid")]
    NotYetValid,
    /// Its time has passed.
    #[error("the answer has expired")]
    Expired,
    /// Lives longer than [`LIFETIME_SECONDS_MAX`], or not at all.
    #[error("the answer's lifetime is not allowed")]
    Lifetime,
}

impl From<OutOfLife> for AnswerError {
    fn from(reason: OutOfLife) -> Self {
        match reason {
            OutOfLife::NotYetValid => Self::NotYetValid,
            OutOfLife::Expired => Self::Expired,
            OutOfLife::Lifetime => Self::Lifetime,
        }
    }
}

impl<R: Serialize> Answer<R> {
    /// The answer as a compact JWS.
    ///
    /// # Errors
    /// As [`jws::sign`].
    pub fn sign(&self, key: &SigningKey) -> Result<String, JwsError> {
        jws::sign(Typ::Answer, self, key)
    }
}

impl<R: DeserializeOwned> Answer<R> {
    /// Verifies an answer by the node's key, then that it answers what was asked, now.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify(
        token: &str,
        key: &VerifyingKey,
        expected: AnswerExpectation<'_>,
        now_ms: u64,
    ) -> Result<Self, AnswerError> {
        let answer = Self::verify_own(token, key, expected.issuer, expected.audience, now_ms)?;
        if answer.nonce != expected.nonce || answer.input != expected.input {
            return Err(AnswerError::Question);
        }
        Ok(answer)
    }

    /// Verifies an answer that `issuer` gave to `audience` and that comes back to it: which question it answered is for
    /// the audience to know.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify_own(
        token: &str,
        key: &VerifyingKey,
        issuer: &str,
        audience: &str,
        now_ms: u64,
    ) -> Result<Self, AnswerError> {
        let answer: Self = jws::verify(token, Typ::Answer, key)?;
        if answer.iss != issuer {
            return Err(AnswerError::Issuer);
        }
        if answer.aud != audience {
            return Err(AnswerError::Audience);
        }
        check_life(answer.iat, answer.exp, LIFETIME_SECONDS_MAX, now_ms)?;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests;
