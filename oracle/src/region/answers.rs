//! Signed answers of a node: whoever asked with a nonce gets the result as a JWS for itself alone.

use attest::{Answer, Confidence, Pseudonym};
use policies::{Digest, TenantId};
use serde::Serialize;

use super::node::Node;
use super::sessions::SessionId;

/// Bytes of a nonce at most.
pub(crate) const NONCE_BYTES_MAX: usize = 128;

/// What was asked, and by whom.
pub(crate) struct Question<'a> {
    /// Who may rely on the answer.
    pub(crate) tenant: &'a TenantId,
    /// The viewer it speaks of, unless it came anonymously.
    pub(crate) subject: Option<Pseudonym>,
    /// The question's nonce.
    pub(crate) nonce: String,
    /// The question's bytes.
    pub(crate) input: &'a [u8],
    /// Which question it is.
    pub(crate) check: &'a str,
    /// For how long the answer says something.
    pub(crate) seconds: u64,
}

/// Why there is no signed answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// The operating system gave no randomness.
    NoEntropy,
    /// The answer is too long to be read by anyone.
    NotSigned,
}

impl Node {
    /// `result` as a signed answer to `question`.
    pub(crate) fn answer<R: Serialize>(&self, question: Question<'_>, result: R) -> Result<String, Unanswered> {
        let iat = self.environment.clock.now_s();
        let id: [u8; 16] = self.environment.entropy.bytes().map_err(|_| Unanswered::NoEntropy)?;
        let answer = Answer {
            iss: self.name.to_string(),
            aud: question.tenant.to_string(),
            sub: question.subject.map(|subject| subject.to_string()),
            iat,
            exp: iat + question.seconds,
            jti: SessionId(id).to_string(),
            nonce: question.nonce,
            input: Digest::of(question.input),
            policy: self.policy(),
            check: question.check.to_owned(),
            result,
            confidence: Confidence::CERTAIN,
        };
        answer.sign(&self.answer_key).map_err(|_| Unanswered::NotSigned)
    }
}
