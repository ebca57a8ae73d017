//! Enrolling the node's TPM at its centre, in two calls: what the TPM is, and what it gave back.

use axum::http::StatusCode;

use super::{AdmissionFailure, refusal_sentences};
use crate::attester::AttesterError;
use crate::attester::tpm::TpmAttester;
use crate::centre::enrolment::{EnrolmentAnswer, EnrolmentAsked, EnrolmentChallenge, EnrolmentGiven};
use crate::client::{Answer, ClientError};
use crate::region::node::Node;

/// Bytes of a challenge's id at most.
const ID_BYTES_MAX: usize = 64;

impl Node {
    /// Gets a statement of the centre that the attestation key lives in a TPM, for the evidence from now on.
    pub(super) async fn enrol(&self, tpm: &TpmAttester) -> Result<(), AdmissionFailure> {
        let client = &self.centre.client;
        // 1. The TPM's keys, and who vouches for it; a secret that is encrypted for it.
        let request = tpm.enrolment_request().await.map_err(AttesterError::from)?;
        let asked = EnrolmentAsked { region: self.region.clone(), tpm: request };
        let answer = client.post("/v1/admission/enrolments").json(&asked).any_status().send().await?;
        let challenge: EnrolmentChallenge = given(answer)?.json()?;
        let is_id = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'-' | b'_');
        if challenge.id.is_empty() || challenge.id.len() > ID_BYTES_MAX || !challenge.id.bytes().all(is_id) {
            return Err(ClientError::AnswerForm.into());
        }
        // 2. The secret, which the TPM gives back; the statement.
        let secret = tpm.activate(challenge.credential).await.map_err(AttesterError::from)?;
        let path = format!("/v1/admission/enrolments/{}", challenge.id);
        let call = client.post(&path).json(&EnrolmentAnswer { secret: secret.to_vec().into() }).any_status();
        let EnrolmentGiven { enrolment } = given(call.send().await?)?.json()?;
        if enrolment.len() > attest::jws::TOKEN_BYTES_MAX {
            return Err(ClientError::AnswerForm.into());
        }
        tpm.enrolled(enrolment, self.environment.clock.now_ms()).await;
        tracing::info!("the TPM's key is enrolled at the centre");
        Ok(())
    }
}

/// The answer, unless it is a refusal that says why.
fn given(answer: Answer) -> Result<Answer, AdmissionFailure> {
    if answer.status == StatusCode::FORBIDDEN {
        return Err(AdmissionFailure::Refused(refusal_sentences(&answer)?));
    }
    Ok(answer.judged()?)
}
