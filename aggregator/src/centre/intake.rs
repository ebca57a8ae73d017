//! The door of the centre: a release passes every check here, or is refused with the reason.
//!
//! 1. Form: the one canonical form, within its bounds.
//! 2. Signature: by the key that the node was admitted with.
//! 3. Origin: the admitted node's name and region.
//! 4. Context: the policy set in force, the frame and its catalogue, a window that may be closed by now.
//! 5. Claims: the same [`WindowPlan::freeze`] that the node ran says which tasks there are, and each segment's
//!    cells, sensitivity, ρ, δ, threshold and scale. What the release claims is compared, never believed.
//! 6. Numbers: none beyond what bounded sums and their noise can reach.
//!
//! Then [`super::CentreStore::accept`] looks at duplicates and at the node's ledger, as far as the centre followed it.

use attest::Admission;
use personalize::Frame;
use policies::{Budget, Digest, TaskRule, UnitRule, WindowId};

use super::verified::{VerifiedRelease, VerifiedSegment};
use crate::release::cbor::Integers;
use crate::release::plan::UNITS_MAX;
use crate::release::wire::CborError;
use crate::release::{
    Envelope, PlanError, PlanInputs, ReleaseBody, ReleaseId, Segment, SegmentBody, SparseBody, SparsePlan, StreamBody,
    StreamPlan, TaskPlan, WindowPlan,
};

/// Why a release was refused. Nothing of it was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not in the one form.
    #[error("the release is not well-formed")]
    Malformed(#[source] CborError),
    /// Not signed by the admitted node's key.
    #[error("the signature is not the admitted node's")]
    Signature,
    /// Signed for another node.
    #[error("the release names another node")]
    Node,
    /// Signed for another region.
    #[error("the release names another region")]
    Region,
    /// Made under another policy set than the one in force.
    #[error("the release was made under another policy set")]
    Policy,
    /// Another catalogue than the frame's.
    #[error("the release names another catalogue")]
    Catalogue,
    /// Another frame.
    #[error("the release names another frame")]
    Frame,
    /// The window lies further ahead than clocks may differ.
    #[error("the window has not closed yet")]
    FutureWindow,
    /// Another privacy unit, quota or factor than the policy's.
    #[error("the release claims another privacy unit than the policy")]
    Unit,
    /// Policy and frame give no plan at all.
    #[error("the policy gives no plan for this window")]
    Plan(#[source] PlanError),
    /// The policy has no such task here for this tenant.
    #[error("the policy does not allow this task")]
    Task,
    /// Another purpose than the policy's.
    #[error("the release claims another purpose than the policy")]
    Purpose,
    /// Another ρ than the policy's, in all or of a segment.
    #[error("the release claims another rho than the policy")]
    Rho,
    /// Another δ than the policy's.
    #[error("the release claims another delta than the policy")]
    Delta,
    /// Another threshold than the recomputed one.
    #[error("the release claims another threshold than its task")]
    Threshold,
    /// Keys that are not rising, not pairs of the catalogue's items, not as many as numbers, or more than the sessions of
    /// a window have.
    #[error("the release has keys that its task cannot have")]
    Keys,
    /// A row of a stream that is longer than its horizon, or that began after the window or in another number of windows.
    #[error("the release has a place in its stream that it cannot have")]
    Stream,
    /// Other segments, or another number of cells.
    #[error("the release has other segments or cells than its task")]
    Cells,
    /// Another sensitivity than the policy's.
    #[error("the release claims another sensitivity than the policy")]
    Sensitivity,
    /// Another scale.
    #[error("the release claims another scale than its task")]
    Scale,
    /// Ledger sequences begin with 1.
    #[error("the release has no ledger sequence")]
    Sequence,
    /// A number that bounded sums and their noise do not reach.
    #[error("a value is outside of what the task can reach")]
    Value,
    /// Seeded or missing noise, where releases must be private.
    #[error("the release is marked as not private")]
    NotPrivate,
}

/// A release of sound form, signed by the admitted node. Its claims were not yet looked at.
pub struct OpenedRelease<'a> {
    body: ReleaseBody<Integers<'a>>,
    envelope: &'a [u8],
}

/// What the centre knows, to compare claims with. Looked up by what [`OpenedRelease`] names.
#[derive(Debug, Clone)]
pub struct Expectations<'a> {
    /// Digest of the policy set in force.
    pub policy: Digest,
    /// The region's privacy unit.
    pub unit: &'a UnitRule,
    /// The region's budget.
    pub budget: &'a Budget,
    /// The tasks granted to the tenant in the region.
    pub rules: &'a [TaskRule],
    /// Items of the frame's catalogue.
    pub catalogue_items: usize,
    /// The frame that [`OpenedRelease::frame`] names.
    pub frame: &'a Frame,
    /// The highest window that may have closed, clock skew included.
    pub latest_window: WindowId,
    /// Whether releases that are not private are taken: only where a whole installation measures.
    pub measurement: bool,
}

impl<'a> OpenedRelease<'a> {
    /// Checks 1 to 3.
    ///
    /// # Errors
    /// `Malformed`, `Signature`, `Node` or `Region`.
    pub fn open(envelope: &'a [u8], admission: &Admission) -> Result<Self, Refusal> {
        let decoded = Envelope::decode(envelope).map_err(Refusal::Malformed)?;
        let body = decoded.verified_body(admission.key()).ok_or(Refusal::Signature)?;
        let body = ReleaseBody::decode(body).map_err(Refusal::Malformed)?;
        if body.id.node != *admission.node() {
            return Err(Refusal::Node);
        }
        if body.id.region != *admission.region() {
            return Err(Refusal::Region);
        }
        Ok(Self { body, envelope })
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> &ReleaseId {
        &self.body.id
    }

    /// The policy set that it names.
    #[must_use]
    pub const fn policy(&self) -> Digest {
        self.body.policy
    }

    /// The catalogue that it names.
    #[must_use]
    pub const fn catalogue(&self) -> Digest {
        self.body.catalogue
    }

    /// The frame that it names.
    #[must_use]
    pub const fn frame(&self) -> Digest {
        self.body.frame
    }

    /// Checks 4 to 6.
    ///
    /// # Errors
    /// Any other [`Refusal`].
    pub fn verify(self, expected: &Expectations<'_>) -> Result<VerifiedRelease, Refusal> {
        let body = &self.body;
        check_context(body, expected)?;
        let plan = WindowPlan::freeze(PlanInputs {
            tenant: body.id.tenant.clone(),
            region: body.id.region.clone(),
            node: body.id.node.clone(),
            window: body.id.window,
            unit: expected.unit.clone(),
            budget: expected.budget.clone(),
            policy: expected.policy,
            rules: expected.rules,
            catalogue_items: expected.catalogue_items,
            frame: expected.frame.clone(),
            model_version: body.model_version,
        })
        .map_err(Refusal::Plan)?;
        let task = plan.task(body.id.task).ok_or(Refusal::Task)?;
        check_task(body, task)?;
        let pairs = task.segments.iter().zip(&body.segments);
        let segments = pairs
            .map(|(planned, claimed)| verify_segment(body.id.window, planned, claimed))
            .collect::<Result<_, _>>()?;
        Ok(VerifiedRelease {
            id: body.id.clone(),
            unit: body.unit.clone(),
            catalogue: body.catalogue,
            ledger: body.ledger,
            sequence: body.sequence,
            purpose: body.purpose.clone(),
            policy: body.policy,
            frame: body.frame,
            model_version: body.model_version,
            rho: body.rho,
            delta_charged: task.delta,
            delta: expected.budget.delta,
            private: body.private,
            segments,
            planned: task.segments.clone(),
            envelope: self.envelope.to_vec(),
        })
    }
}

fn check_context<V>(body: &ReleaseBody<V>, expected: &Expectations<'_>) -> Result<(), Refusal> {
    if body.policy != expected.policy {
        return Err(Refusal::Policy);
    }
    if body.catalogue != expected.frame.catalogue {
        return Err(Refusal::Catalogue);
    }
    if body.frame != expected.frame.digest() {
        return Err(Refusal::Frame);
    }
    if body.id.window > expected.latest_window {
        return Err(Refusal::FutureWindow);
    }
    if body.unit != *expected.unit {
        return Err(Refusal::Unit);
    }
    if body.sequence == 0 {
        return Err(Refusal::Sequence);
    }
    if !body.private && !expected.measurement {
        return Err(Refusal::NotPrivate);
    }
    Ok(())
}

fn check_task(body: &ReleaseBody<Integers<'_>>, task: &TaskPlan) -> Result<(), Refusal> {
    if body.purpose != task.purpose {
        return Err(Refusal::Purpose);
    }
    if body.rho != task.rho {
        return Err(Refusal::Rho);
    }
    if body.delta != task.delta {
        return Err(Refusal::Delta);
    }
    if body.segments.len() != task.segments.len() {
        return Err(Refusal::Cells);
    }
    Ok(())
}

fn verify_segment(
    window: WindowId,
    planned: &Segment,
    claimed: &SegmentBody<Integers<'_>>,
) -> Result<VerifiedSegment, Refusal> {
    let dense = planned.sparse.is_none();
    if claimed.kind != planned.kind || dense && claimed.values.len() != planned.cells {
        return Err(Refusal::Cells);
    }
    if claimed.sensitivity != planned.sensitivity {
        return Err(Refusal::Sensitivity);
    }
    if claimed.rho != planned.rho {
        return Err(Refusal::Rho);
    }
    if claimed.scale != planned.scale {
        return Err(Refusal::Scale);
    }
    let values = claimed.values.to_vec();
    // The units' sums, and 64 σ of noise: beyond that a sound node is with probability below e⁻²⁰⁰⁰.
    let (numerator, denominator) = planned.variance.parts();
    let sigma = numerator.div_ceil(denominator).isqrt() + 1;
    let sums = match planned.stream {
        Some(plan) => u128::from(plan.reach),
        None => u128::from(UNITS_MAX) * u128::from(planned.sensitivity),
    };
    let reach = sums + 64 * sigma;
    if values.iter().any(|value| u128::from(value.unsigned_abs()) > reach) {
        return Err(Refusal::Value);
    }
    let keys = match (planned.sparse, &claimed.sparse) {
        (None, None) => None,
        (Some(plan), Some(sparse)) => Some(verify_keys(plan, planned.cells, sparse, &values)?),
        // The decoder tells the two forms apart by the kind.
        _ => return Err(Refusal::Cells),
    };
    if let (Some(plan), Some(stream)) = (planned.stream, claimed.stream) {
        verify_place(window, plan, stream)?;
    }
    let Segment { kind, scale, rho, sensitivity, variance, .. } = *planned;
    Ok(VerifiedSegment { kind, scale, rho, sensitivity, variance, values, keys, stream: claimed.stream })
}

/// A row's place: within the horizon, and no more rows before it than windows.
fn verify_place(window: WindowId, plan: StreamPlan, place: StreamBody) -> Result<(), Refusal> {
    let before = window.0.checked_sub(place.first).ok_or(Refusal::Stream)?;
    let step = u64::from(place.step);
    let fits = step < u64::from(plan.horizon) && step <= before && (step == 0) == (before == 0);
    if fits { Ok(()) } else { Err(Refusal::Stream) }
}

/// A sparse segment's keys: no more than noise was drawn for, rising, known, each with a number that passed.
fn verify_keys(
    plan: SparsePlan,
    cells: usize,
    claimed: &SparseBody<Integers<'_>>,
    values: &[i64],
) -> Result<Vec<u64>, Refusal> {
    if claimed.threshold != plan.threshold {
        return Err(Refusal::Threshold);
    }
    let keys = claimed.keys.to_vec();
    if keys.len() != values.len() || keys.len() > cells || !keys.is_sorted_by(|one, next| one < next) {
        return Err(Refusal::Keys);
    }
    let items = plan.universe.isqrt();
    let known = |key: i64| {
        let key = u64::try_from(key).ok()?;
        // No session likes an item next after itself.
        (key < plan.universe && key / items != key % items).then_some(key)
    };
    let keys = keys.into_iter().map(known).collect::<Option<Vec<u64>>>().ok_or(Refusal::Keys)?;
    if values.iter().any(|value| *value < plan.threshold) {
        return Err(Refusal::Value);
    }
    Ok(keys)
}
