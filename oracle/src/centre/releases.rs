//! Intake: a node's release is admitted, verified, kept and added, exactly once.

use std::sync::Arc;

use aggregator::centre::CentreStore as _;
use aggregator::centre::VerifiedRelease;
use aggregator::centre::intake::{Expectations, OpenedRelease, Refusal};
use aggregator::centre::store::Acceptance;
use aggregator::release::plan::CELLS_MAX;
use attest::Admission;
use axum::Json;
use axum::extract::State;
use personalize::Frame;
use policies::{Digest, WindowId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::Caller;
use super::error::CentreError;
use super::tenant::Tenant;
use super::{Centre, blocking};
use crate::http::BytesBody;

/// Deterministic CBOR (RFC 8949 §4.2).
pub const MEDIA_TYPE: &str = "application/cbor";

/// How far a node's clock may run ahead of the centre's before its window counts as not closed yet.
const WINDOW_SKEW_MS: u64 = 30_000;
/// Bytes of a release besides its cells.
const RELEASE_HEAD_BYTES_MAX: usize = 64 << 10;
/// Bytes of a cell: a CBOR head and 64 bits.
const CELL_BYTES_MAX: usize = 9;

/// The centre has the release. The same reply, however often the same bytes are sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseReceipt {
    /// The release's id: tenant/task/region/node/window.
    pub release: String,
    /// SHA-256 of the bytes that are kept under it.
    #[schema(value_type = String)]
    pub digest: Digest,
}

/// Takes a release in.
///
/// The body is the signed envelope, deterministic CBOR. Sending the same bytes again gets the same reply; other bytes
/// under the same id are refused with 409.
#[utoipa::path(
    post, path = "/v1/releases", operation_id = "sendRelease", tag = "releases", security(("node" = [])),
    request_body(content = Vec<u8>, content_type = "application/cbor"),
    responses((status = 200, body = ReleaseReceipt))
)]
pub(super) async fn post(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    BytesBody(envelope): BytesBody,
) -> Result<Json<ReleaseReceipt>, CentreError> {
    let admission = caller.node()?;
    let taken = Arc::clone(&centre).take_in(admission, envelope.to_vec()).await;
    centre.metrics.intake(match &taken {
        Ok(_) => "accepted",
        Err(CentreError::Release(_)) => "refused",
        Err(CentreError::ReleaseConflict) => "conflict",
        Err(_) => "failed",
    });
    taken.map(Json)
}

/// The largest release that any policy allows, in bytes: rewards and impressions of every item, half of the largest
/// Gram, or a key and a number of every pair. Policies change while a listener stands.
pub(super) const RELEASE_BYTES_MAX: usize = RELEASE_HEAD_BYTES_MAX + 2 * CELLS_MAX * CELL_BYTES_MAX;

impl Centre {
    /// Verifies an admitted node's envelope and keeps it.
    async fn take_in(self: Arc<Self>, admission: Admission, envelope: Vec<u8>) -> Result<ReleaseReceipt, CentreError> {
        let receipt_digest = Digest::of(&envelope);
        let (opened_id, envelope) = {
            let centre = Arc::clone(&self);
            let admission = admission.clone();
            blocking(move || {
                let opened = OpenedRelease::open(&envelope, &admission).map_err(CentreError::Release)?;
                // Tenants are not secret from the nodes that serve them, and no other node comes this far.
                centre.tenant(&opened.id().tenant)?;
                Ok::<_, CentreError>((opened.id().clone(), envelope))
            })
            .await??
        };
        let receipt = ReleaseReceipt { release: opened_id.to_string(), digest: receipt_digest };
        // What was accepted once stays accepted, even if policy, frame or catalogue have moved on since.
        if let Some(kept) = self.store.release(&opened_id).await? {
            return if kept == envelope { Ok(receipt) } else { Err(CentreError::ReleaseConflict) };
        }
        let centre = Arc::clone(&self);
        let verified = blocking(move || centre.verify(&admission, &envelope)).await??;
        let tenant = self.tenant(&opened_id.tenant)?;
        let reading = tenant.intake.read().await;
        let now_ms = self.clock.now_ms();
        let acceptance = self.store.accept(&verified, now_ms).await?;
        drop(reading);
        match acceptance {
            Acceptance::New => {
                self.metrics.accepted(&opened_id, verified.envelope().len(), verified.rho());
                self.arrivals.note(&opened_id, now_ms);
                Ok(receipt)
            }
            Acceptance::Duplicate => Ok(receipt),
            Acceptance::Conflict => Err(CentreError::ReleaseConflict),
            Acceptance::LedgerChanged => Err(CentreError::LedgerChanged),
            Acceptance::SequenceRegress => Err(CentreError::SequenceRegress),
            Acceptance::NotCharged => Err(CentreError::NotCharged),
            Acceptance::Burned => Err(CentreError::Burned),
            Acceptance::ChargeDiffers(field) => Err(CentreError::ChargeDiffers(field)),
            Acceptance::DoesNotAdd => Err(CentreError::DoesNotAdd),
        }
    }

    /// Looks up what the release names, and compares.
    fn verify(&self, admission: &Admission, envelope: &[u8]) -> Result<VerifiedRelease, CentreError> {
        let opened = OpenedRelease::open(envelope, admission).map_err(CentreError::Release)?;
        let id = opened.id();
        let refused = |reason| Err(CentreError::Release(reason));
        let in_force = self.in_force();
        let policies = in_force.sets().iter().find(|set| set.digest() == opened.policy());
        let Some(policies) = policies else { return refused(Refusal::Policy) };
        let Some(region) = policies.region(&id.region) else { return refused(Refusal::Policy) };
        let tenant = self.tenant(&id.tenant)?;
        let Some(catalogue) = tenant.catalogue_of(opened.catalogue()) else { return refused(Refusal::Catalogue) };
        let Some(frame) = self.frame(tenant, opened.catalogue(), opened.frame()) else {
            return refused(Refusal::Frame);
        };
        let rules = policies.tasks_for(&id.region, &id.tenant);
        let latest_ms = self.clock.now_ms().saturating_add(WINDOW_SKEW_MS);
        let expected = Expectations {
            policy: policies.digest(),
            unit: &region.unit,
            budget: &region.budget,
            rules: &rules,
            catalogue_items: catalogue.len(),
            frame: &frame,
            latest_window: WindowId(latest_ms / 1000 / u64::from(region.unit.window_seconds.max(1))),
            measurement: self.measurement,
        };
        opened.verify(&expected).map_err(CentreError::Release)
    }

    /// The frame with this digest: a published model's, or one that a region starts from.
    pub(super) fn frame(&self, tenant: &Tenant, catalogue: Digest, frame: Digest) -> Option<Frame> {
        let mut initial = self.base_rates(&tenant.id).into_iter().map(|ppm| Frame::initial(catalogue, ppm));
        tenant.frame_of(frame).or_else(|| initial.find(|initial| initial.digest() == frame))
    }
}
