//! What viewers' devices prove of themselves: a nonce for one use, and a short-lived result for evidence that was made
//! for it. The result tells a platform what stands behind the device's word; it names neither the device nor its viewer.

use std::sync::Arc;

use attest::challenge::Challenges;
use attest::device::DEVICE_EVIDENCE_BYTES_MAX;
use attest::ear::ResultFor;
use attest::{DeviceEvidence, Ear, Verdict, appraise_device};
use axum::Json;
use axum::extract::{DefaultBodyLimit, State};
use axum::middleware::map_response;
use policies::rules::{Status, Tier};
use policies::{Profile, Question};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::identity::no_store;
use crate::environment::{Entropy, EntropyError};
use crate::http::JsonBody;
use crate::region::metrics::IdentityEvent;
use crate::region::node::Node;
use crate::region::policies::InForce;
use crate::region::refusal::Refusal;
use crate::region::tenant::Tenant;

/// Evidence that is looked at at a time, of about a millisecond each; beyond it, 503.
const APPRAISING_MAX: usize = 32;
/// How long a result is good for: long enough to begin a session with it.
const RESULT_SECONDS: u32 = 300;

/// Nonces for devices, and how many are looked at at a time.
pub(crate) struct Devices {
    challenges: Challenges,
    appraising: Arc<Semaphore>,
}

impl Devices {
    pub(crate) fn new(entropy: &Entropy, tenants: usize) -> Result<Self, EntropyError> {
        let challenges = Challenges::new(&entropy.bytes()?, tenants);
        Ok(Self { challenges, appraising: Arc::new(Semaphore::new(APPRAISING_MAX)) })
    }
}

/// The routes for devices.
pub(super) fn routes() -> OpenApiRouter<Arc<Node>> {
    OpenApiRouter::new()
        .routes(routes!(challenge))
        .routes(routes!(appraise))
        .layer(DefaultBodyLimit::max(DEVICE_EVIDENCE_BYTES_MAX))
        .layer(map_response(no_store))
}

/// Whose viewer's device wants to prove something.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceChallengeRequest {
    /// The platform.
    tenant: String,
}

/// A nonce to make evidence for.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeviceChallenge {
    /// For one use. Its characters are Android's attestation challenge and WebAuthn's challenge, and their SHA-256 is
    /// App Attest's hash of the client's data.
    nonce: String,
    /// Unix ms at which the nonce ends.
    expires_ms: u64,
}

/// `POST /v1/attestation/challenges`
#[utoipa::path(post, path = "/v1/attestation/challenges", request_body = DeviceChallengeRequest, responses(
    (status = 200, body = DeviceChallenge),
    (status = 403, description = "problem: devices-not-granted"),
    (status = 422, description = "problem: tenant-unknown"),
))]
pub(crate) async fn challenge(
    State(node): State<Arc<Node>>,
    JsonBody(request): JsonBody<DeviceChallengeRequest>,
) -> Result<Json<DeviceChallenge>, Refusal> {
    let tenant = node.tenant_with_devices(&request.tenant)?;
    let random = node.environment.entropy.bytes().map_err(|_| Refusal::NoEntropy)?;
    let now_ms = node.environment.clock.now_ms();
    let (nonce, expires_ms) = node.devices.challenges.issue(tenant.id.as_str(), random, now_ms);
    Ok(Json(DeviceChallenge { nonce, expires_ms }))
}

/// A device's evidence.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceRequest {
    /// The platform.
    tenant: String,
    /// The nonce of `POST /v1/attestation/challenges`. It is used up, whatever comes of it.
    nonce: String,
    /// `{"kind": "android", "chain": [..]}`, `{"kind": "app-attest", "key_id", "attestation"}` or
    /// `{"kind": "web-authn", "attestation_object", "client_data"}`; bytes are base64url without padding.
    #[schema(value_type = Object)]
    evidence: DeviceEvidence,
}

/// What a device's evidence came to.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeviceAppraised {
    /// `affirming`, or `warning`.
    #[schema(value_type = String)]
    status: Status,
    /// What stands behind the evidence: `software`, `development` or `hardware`.
    #[schema(value_type = String)]
    tier: Tier,
    /// The policy's profile that was applied.
    profile: String,
    /// What kept it from being affirmed, in plain words.
    warnings: Vec<String>,
    /// For the platform: an attestation result (draft-ietf-rats-ear) as a compact JWS of type `siwa-ear+jwt`, signed by
    /// a key of `/.well-known/jwks.json`.
    ear: String,
    /// Unix seconds at which the result ends.
    expires_s: u64,
}

/// `POST /v1/attestation/devices`
///
/// The evidence is compared with the profiles that the tenant's grant names. Nothing of it is kept.
#[utoipa::path(post, path = "/v1/attestation/devices", request_body = DeviceRequest, responses(
    (status = 200, body = DeviceAppraised),
    (status = 403, description = "problem: devices-not-granted"),
    (status = 422, description = "problem: tenant-unknown, challenge-refused, device-refused"),
    (status = 503, description = "problem: devices-busy"),
))]
pub(crate) async fn appraise(
    State(node): State<Arc<Node>>,
    JsonBody(request): JsonBody<DeviceRequest>,
) -> Result<Json<DeviceAppraised>, Refusal> {
    // 1. The policy lets this tenant's devices prove something, and there is room to look.
    let tenant = Arc::clone(node.tenant_with_devices(&request.tenant)?);
    let permit = Arc::clone(&node.devices.appraising).try_acquire_owned().map_err(|_| Refusal::DevicesBusy)?;
    let mut rng = node.environment.rng().map_err(|_| Refusal::NoEntropy)?;
    // 2. The nonce is ours, for this tenant, in time, and nobody used it. It is used up before anything is verified.
    let now_ms = node.environment.clock.now_ms();
    let taken = node.devices.challenges.take(tenant.id.as_str(), &request.nonce, now_ms);
    let nonce = taken.map_err(|error| Refusal::Identity(error.into()))?;
    // 3. The evidence, away from the threads that serve. Who hangs up meanwhile still holds the permit.
    let (appraiser, asked) = (Arc::clone(&node), Arc::clone(&tenant));
    let verdict = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let in_force = appraiser.in_force();
        let profiles: Vec<&Profile> = appraiser.device_profiles(&asked, &in_force).collect();
        appraise_device(&request.evidence, nonce, &profiles, in_force.digest(), now_ms, &mut rng)
    });
    let verdict = verdict.await.map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "evidence of a device was not appraised");
        Refusal::NotAppraised
    })?;
    // 4. What came of it.
    let sentences: Vec<String> = verdict.failing().map(|claim| claim.sentence.clone()).collect();
    if verdict.status() == Status::Contraindicated {
        node.metrics.identity(&tenant.id, IdentityEvent::DeviceRefused, 1);
        return Err(Refusal::DeviceRefused { why: sentences.join(" "), verdict: verdict.urn() });
    }
    let (ear, expires_s) = node.device_result(&tenant, &verdict, &request.nonce, now_ms)?;
    node.metrics.identity(&tenant.id, IdentityEvent::DeviceAccepted, 1);
    let profile = verdict.profile().unwrap_or_default().to_owned();
    let (status, tier) = (verdict.status(), verdict.tier());
    Ok(Json(DeviceAppraised { status, tier, profile, warnings: sentences, ear, expires_s }))
}

impl Node {
    /// The tenant that a device names, if the policy lets its devices prove something.
    fn tenant_with_devices(&self, name: &str) -> Result<&Arc<Tenant>, Refusal> {
        let tenant = self.tenant_named(name).map_err(Refusal::Identity)?;
        if self.device_profiles(tenant, &self.in_force()).next().is_some() {
            Ok(tenant)
        } else {
            Err(Refusal::DevicesNotGranted)
        }
    }

    /// The profiles that the tenant's viewers' devices may show.
    fn device_profiles<'p>(&self, tenant: &Tenant, in_force: &'p InForce) -> impl Iterator<Item = &'p Profile> {
        let profiles = in_force.policies().profiles().values();
        profiles.filter(|profile| {
            self.allows(tenant, |tenant, region| Question::Device(tenant, region, profile.name.clone()))
        })
    }

    /// The signed result, and its end.
    fn device_result(
        &self,
        tenant: &Tenant,
        verdict: &Verdict,
        nonce: &str,
        now_ms: u64,
    ) -> Result<(String, u64), Refusal> {
        let result = Ear::of(
            verdict,
            ResultFor {
                issuer: self.name.as_str(),
                audience: tenant.id.as_str(),
                subject: None,
                nonce,
                seconds: RESULT_SECONDS,
                now_ms,
            },
        );
        let ear = result.sign(&self.answer_key).map_err(|_| Refusal::NotSigned)?;
        Ok((ear, result.exp))
    }
}

#[cfg(test)]
mod tests;
