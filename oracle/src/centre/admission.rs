//! Admission: a node proves on its connection what it runs, and is believed there for a few minutes.
//!
//! Anyone may ask for a nonce and offer an attestation; both are bounded, and a nonce is used up before anything that
//! came with it is verified. What is given stands in the connection's scope ([`ConnectionScope`]) alone.

use std::sync::Arc;

use attest::admission::Connection;
use attest::challenge::{ChallengeError, Challenges};
use attest::ear::ResultFor;
use attest::{Admission, Attestation, Ear, NotAdmitted, Verdict};
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::CentreError;
use super::{Centre, blocking};
use crate::environment::{Entropy, EntropyError};
use crate::http::{ConnectionScope, JsonBody};

/// The party to which nonces are given: all nodes together, since who asks is not known yet.
const PARTY: &str = "nodes";

/// A nonce to attest with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdmissionChallenge {
    /// Stands in the attestation's binding. It serves once.
    pub nonce: String,
    /// When it ends, Unix milliseconds.
    pub expires_ms: u64,
}

/// The node is admitted on this connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdmissionGiven {
    /// The attestation result (draft-ietf-rats-ear), a JWS by the centre's attestation key.
    pub ear: String,
    /// When the admission ends, Unix milliseconds, if the connection does not end before.
    pub expires_ms: u64,
}

/// A fresh random generator, seeded by the operating system.
pub(super) fn generator() -> Result<ChaCha20Rng, CentreError> {
    Ok(ChaCha20Rng::from_seed(Entropy::Os.bytes()?))
}

/// The nonces of this process.
pub(super) fn challenges() -> Result<Challenges, EntropyError> {
    Ok(Challenges::new(&Entropy::Os.bytes()?, 1))
}

/// Gives out a nonce, for one attestation.
#[utoipa::path(
    post, path = "/v1/admission/challenges", operation_id = "challengeNode", tag = "admission",
    responses((status = 200, body = AdmissionChallenge))
)]
pub(super) async fn challenge(State(centre): State<Arc<Centre>>) -> Result<Response, CentreError> {
    let random = Entropy::Os.bytes()?;
    let (nonce, expires_ms) = centre.challenges.issue(PARTY, random, centre.clock.now_ms());
    Ok(([(CACHE_CONTROL, "no-store")], Json(AdmissionChallenge { nonce, expires_ms })).into_response())
}

/// Admits a node on this connection by its evidence.
///
/// The evidence covers the nonce, the node's keys and policy, and the exporter of this TLS connection under the label
/// `EXPORTER-siwa-admission-v1`. The nonce is used up whatever comes of it; the last attempt on a connection stands.
#[utoipa::path(
    post, path = "/v1/admission", operation_id = "admitNode", tag = "admission",
    request_body(content = Object, content_type = "application/json", description = "An attestation: binding and evidence"),
    responses((status = 200, body = AdmissionGiven), (status = 403, description = "problem: not-admitted"))
)]
pub(super) async fn admit(
    State(centre): State<Arc<Centre>>,
    scope: Option<Extension<ConnectionScope>>,
    JsonBody(attestation): JsonBody<Attestation>,
) -> Result<Response, CentreError> {
    let Some(Extension(scope)) = scope else { return Err(CentreError::NoConnection) };
    // Whatever was proved here before, the last attempt stands.
    scope.set(None);
    let given = Arc::clone(&centre).admit_on(scope, attestation).await;
    centre.metrics.admission(match &given {
        Ok(_) => "admitted",
        Err(CentreError::NotAdmitted { .. } | CentreError::Challenge(_)) => "refused",
        Err(_) => "failed",
    });
    given.map(|given| ([(CACHE_CONTROL, "no-store")], Json(given)).into_response())
}

impl Centre {
    async fn admit_on(
        self: Arc<Self>,
        scope: ConnectionScope,
        attestation: Attestation,
    ) -> Result<AdmissionGiven, CentreError> {
        let now_ms = self.clock.now_ms();
        // 1. The nonce, before anything else is looked at.
        let nonce = self.challenges.take(PARTY, &attestation.binding.nonce, now_ms).map_err(CentreError::Challenge)?;
        let told = nonce.as_str().to_owned();
        // 2. The evidence: signatures and logs take their time.
        let mut rng = generator()?;
        let (centre, connection) = (Arc::clone(&self), scope.clone());
        let appraised = blocking(move || {
            let in_force = centre.in_force();
            let connection = Connection {
                exporter: connection.exporter(),
                known: &centre.nodes,
                policies: in_force.sets(),
                enrolled_by: &[centre.attestation_key.verifying_key()],
            };
            Admission::by_attestation(&attestation, nonce, &connection, now_ms, &mut rng)
        })
        .await?;
        // 3. What it came to, for the log, the connection and the node.
        let (admission, verdict) = appraised.map_err(|refusal| refused(&refusal))?;
        let ear = self.result(&admission, &verdict, &told, now_ms)?;
        let given = AdmissionGiven { ear, expires_ms: admission.expires_ms() };
        tracing::info!(
            node = admission.node().as_str(),
            verdict = %verdict.id(),
            evidence = verdict.kind().as_str(),
            "node admitted"
        );
        scope.set(Some(admission));
        Ok(given)
    }

    fn result(
        &self,
        admission: &Admission,
        verdict: &Verdict,
        nonce: &str,
        now_ms: u64,
    ) -> Result<String, CentreError> {
        let seconds = admission.expires_ms().saturating_sub(now_ms) / 1000;
        let result = ResultFor {
            issuer: &self.name,
            audience: &self.name,
            subject: Some(admission.node().as_str()),
            nonce,
            seconds: u32::try_from(seconds).unwrap_or(u32::MAX),
            now_ms,
        };
        Ear::of(verdict, result).sign(&self.attestation_key).map_err(CentreError::Signing)
    }
}

fn refused(refusal: &NotAdmitted) -> CentreError {
    let sentences = refusal.sentences();
    let mut named = None;
    if let NotAdmitted::Verdict(verdict) | NotAdmitted::Tier { verdict, .. } = refusal {
        tracing::warn!(verdict = %verdict.id(), evidence = verdict.kind().as_str(), ?sentences, "node not admitted");
        named = Some(verdict.urn());
    } else {
        tracing::warn!(?sentences, "node not admitted");
    }
    CentreError::NotAdmitted { sentences: sentences.join(" "), verdict: named }
}

/// Why a nonce was refused, as a sentence of a refusal.
pub(super) fn challenge_sentence(error: ChallengeError) -> &'static str {
    match error {
        ChallengeError::Unknown => "The nonce is not one of this centre, or its time has run out.",
        ChallengeError::Used => "The nonce was used.",
        ChallengeError::Full => "More nonces were used lately than are remembered.",
    }
}
