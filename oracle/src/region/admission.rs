//! Getting calls to the centre admitted: evidence on the connection that carries them, or a token of a pinned key where
//! the config says so.
//!
//! An admission belongs to one connection and runs out: every call asks first whether this connection has one, and when
//! the centre says that it has none, attests and calls once more.

mod enrolment;

use std::sync::{Mutex, PoisonError};

use attest::binding::{BindingContext, NONCE_BYTES_MAX};
use attest::{AdmissionMode, Attestation, JwsError, NodeToken};
use axum::http::StatusCode;
use serde::Deserialize;

use super::node::Node;
use crate::attester::AttesterError;
use crate::centre::admission::{AdmissionChallenge, AdmissionGiven};
use crate::client::{Answer, Call, ClientError};
use crate::http::{Condition, Exporter};

/// Characters of a refusal's sentences that are kept.
const SENTENCES_CHARS_MAX: usize = 1000;

/// Why a call to the centre has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CentreCallError {
    /// The call itself.
    #[error("the centre did not answer")]
    Call(#[from] ClientError),
    /// The token could not be signed.
    #[error("a token for the centre could not be signed")]
    Token(#[source] JwsError),
    /// The centre does not admit this node: nothing was called.
    #[error("this node is not admitted")]
    Admission(#[from] AdmissionFailure),
}

impl CentreCallError {
    /// The status with which the call itself was answered, if it was.
    pub(crate) const fn status(&self) -> Option<u16> {
        match self {
            Self::Call(error) => error.status(),
            Self::Token(_) | Self::Admission(_) => None,
        }
    }

    /// The problem's name, where the call itself was refused with one of Siwa's.
    pub(crate) fn problem(&self) -> Option<&str> {
        match self {
            Self::Call(error) => error.problem(),
            Self::Token(_) | Self::Admission(_) => None,
        }
    }
}

/// Why this node is not admitted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdmissionFailure {
    /// The centre gave no answer to it.
    #[error("the centre did not answer to an attestation")]
    Centre(#[from] ClientError),
    /// There is no evidence.
    #[error("there is no evidence")]
    Attester(#[from] AttesterError),
    /// The centre said why.
    #[error("the centre refuses: {0}")]
    Refused(String),
}

/// An admission, and the connection that has it.
struct Admitted {
    exporter: Exporter,
    expires_ms: u64,
}

/// How the last attempt came out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Standing {
    #[default]
    Untried,
    Admitted,
    /// With the sentences.
    Refused(String),
    /// The centre was not reached.
    Failed,
    /// With why.
    NoEvidence(String),
}

/// Where a node stands with its centre.
#[derive(Default)]
pub(crate) struct Admissions {
    /// Its lock is held for a whole attempt.
    current: tokio::sync::Mutex<Option<Admitted>>,
    standing: Mutex<Standing>,
}

/// The part of a refusal that is kept for the operator.
#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    detail: String,
}

impl Node {
    /// Calls the centre. `call` is made anew where it must be sent again.
    pub(crate) async fn at_centre<'a>(&'a self, call: impl Fn() -> Call<'a>) -> Result<Answer, CentreCallError> {
        if self.centre.admission == AdmissionMode::PinnedKey {
            let now_ms = self.environment.clock.now_ms();
            let token = NodeToken::new(&self.name, &self.centre.name, now_ms);
            let token = token.sign(&self.node_key).map_err(CentreCallError::Token)?;
            return Ok(call().bearer(&token).send().await?);
        }
        self.be_admitted(false).await?;
        match call().send().await {
            Err(error) if error.problem() == Some("admission-required") => {
                self.be_admitted(true).await?;
                Ok(call().send().await?)
            }
            answer => Ok(answer?),
        }
    }

    /// Attests, unless the kept connection has an admission that holds. `anew`: in spite of one.
    async fn be_admitted(&self, anew: bool) -> Result<(), AdmissionFailure> {
        let mut current = self.admissions.current.lock().await;
        let outcome = self.renewed(current.take().filter(|_| !anew)).await;
        let (standing, event) = match &outcome {
            Ok((_, false)) => (Standing::Admitted, None),
            Ok((_, true)) => (Standing::Admitted, Some("admitted")),
            Err(AdmissionFailure::Refused(sentences)) => (Standing::Refused(sentences.clone()), Some("refused")),
            Err(AdmissionFailure::Centre(_)) => (Standing::Failed, Some("failed")),
            Err(AdmissionFailure::Attester(error)) => (Standing::NoEvidence(error.to_string()), Some("failed")),
        };
        *self.admissions.standing.lock().unwrap_or_else(PoisonError::into_inner) = standing;
        if let Some(event) = event {
            self.metrics.admissions.with_label_values(&[event]).inc();
        }
        *current = Some(outcome?.0);
        Ok(())
    }

    /// The admission of the kept connection, and whether it is a new one.
    async fn renewed(&self, held: Option<Admitted>) -> Result<(Admitted, bool), AdmissionFailure> {
        if let Some(held) = held {
            let exporter = self.centre.client.exporter().await?;
            if held.exporter == exporter && self.environment.clock.now_ms() < held.expires_ms {
                return Ok((held, false));
            }
        }
        Ok((self.attest_to_centre().await?, true))
    }

    /// A TPM shows with its evidence what the centre stated of its key: it is enrolled first, and once more where the
    /// centre refuses what may be an earlier policy's statement.
    async fn attest_to_centre(&self) -> Result<Admitted, AdmissionFailure> {
        let Some(tpm) = self.attester.tpm() else { return self.offer_evidence().await };
        if !tpm.is_enrolled(self.environment.clock.now_ms()) {
            self.enrol(tpm).await?;
        }
        match self.offer_evidence().await {
            Err(AdmissionFailure::Refused(_)) if tpm.may_enrol_anew(self.environment.clock.now_ms()) => {
                self.enrol(tpm).await?;
                self.offer_evidence().await
            }
            outcome => outcome,
        }
    }

    async fn offer_evidence(&self) -> Result<Admitted, AdmissionFailure> {
        let client = &self.centre.client;
        // 1. A nonce of the centre's.
        let challenge: AdmissionChallenge = client.post("/v1/admission/challenges").send().await?.json()?;
        if challenge.nonce.len() > NONCE_BYTES_MAX {
            return Err(ClientError::AnswerForm.into());
        }
        // 2. Evidence over it, the keys, and this connection.
        let exporter = client.exporter().await?;
        let binding = self.binding(challenge.nonce);
        let bound = binding.digest(BindingContext::Admission { exporter: &exporter });
        let evidence = self.attester.evidence(bound).await?;
        // 3. On that connection: another would refuse it.
        let attestation = Attestation { binding, evidence };
        let call = client.post("/v1/admission").json(&attestation).only_on(&exporter).any_status();
        let answer = call.send().await?;
        if answer.status == StatusCode::FORBIDDEN {
            return Err(AdmissionFailure::Refused(refusal_sentences(&answer)?));
        }
        let given: AdmissionGiven = answer.judged()?.json()?;
        tracing::info!(evidence = self.attester.kind().as_str(), "admitted by the centre");
        Ok(Admitted { exporter, expires_ms: given.expires_ms })
    }

    /// What `/readyz` says of it; nothing where a pinned key is enough.
    pub(super) fn admission_condition(&self) -> Option<Condition> {
        if self.centre.admission == AdmissionMode::PinnedKey {
            return None;
        }
        let standing = self.admissions.standing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let kind = self.attester.kind();
        Some(match standing {
            Standing::Admitted => Condition::met("admission"),
            Standing::Untried => Condition::degraded("admission", "this node has not attested yet"),
            Standing::Refused(sentences) => Condition::degraded(
                "admission",
                format!("the centre does not admit this node, whose evidence is of the kind {kind}: {sentences}"),
            ),
            Standing::Failed => {
                let told = "this node could not attest: the centre was not reached; its evidence is of the kind";
                Condition::degraded("admission", format!("{told} {kind}"))
            }
            Standing::NoEvidence(why) => {
                Condition::degraded("admission", format!("this node has no evidence of the kind {kind}: {why}"))
            }
        })
    }
}

/// What a refusal says, within bounds.
fn refusal_sentences(answer: &Answer) -> Result<String, ClientError> {
    let sentences = answer.json::<Refusal>()?.detail;
    Ok(sentences.chars().filter(|letter| !letter.is_control()).take(SENTENCES_CHARS_MAX).collect())
}

#[cfg(test)]
mod tests;
