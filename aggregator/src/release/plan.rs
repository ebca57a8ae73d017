//! What a window releases, frozen when it opens. The centre recomputes it by the same function.

mod freeze;
mod segment;

use personalize::Frame;
use policies::{
    Budget, Delta, Digest, NodeId, PurposeId, RegionId, Rho, TaskKind, TaskRule, TenantId, UnitRule, WindowId,
};

pub use freeze::PlanError;
use freeze::freeze_task;
pub use segment::{
    ARM_MEASURES, CELLS_MAX, DIAGONAL, OFF_DIAGONAL, SCALE_FACTOR, SCALE_PLAIN, SENSITIVITY_MAX, STARTUP_MS, Segment,
    SegmentKind, UNITS_MAX, UnknownSegment, triangle,
};

use super::ReleaseId;

/// One release of the window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskPlan {
    /// What is measured.
    pub kind: TaskKind,
    /// What for.
    pub purpose: PurposeId,
    /// What is charged: the sum over the segments.
    pub rho: Rho,
    /// What is charged on top: the probability that the bound by ρ fails altogether. 0 but for sparse keysets.
    pub delta: Delta,
    /// Its parts.
    pub segments: Vec<Segment>,
}

/// Everything that a window's contributions, noise and charges follow, fixed before the first contribution.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowPlan {
    tenant: TenantId,
    region: RegionId,
    node: NodeId,
    window: WindowId,
    unit: UnitRule,
    budget: Budget,
    policy: Digest,
    frame: Frame,
    frame_digest: Digest,
    catalogue_items: usize,
    model_version: u64,
    tasks: Vec<TaskPlan>,
}

/// What a plan is made from: the policy in force and public inputs.
#[derive(Debug, Clone)]
pub struct PlanInputs<'a> {
    /// Whose viewers.
    pub tenant: TenantId,
    /// Where.
    pub region: RegionId,
    /// By which node.
    pub node: NodeId,
    /// When.
    pub window: WindowId,
    /// The region's privacy unit.
    pub unit: UnitRule,
    /// The region's budget.
    pub budget: Budget,
    /// Digest of the whole policy set.
    pub policy: Digest,
    /// The tasks granted to the tenant there.
    pub rules: &'a [TaskRule],
    /// Items of the catalogue that the frame names.
    pub catalogue_items: usize,
    /// What encodings follow, from the published model.
    pub frame: Frame,
    /// The model that the frame was published with. Detail; nothing follows from it.
    pub model_version: u64,
}

impl WindowPlan {
    /// Fixes what a window measures, bounds and spends. A pure function: node and centre get the same from the same.
    ///
    /// `co-engagement` is absent, and so uncharged, while the frame names no items.
    ///
    /// # Errors
    /// Says what in the policy or the frame cannot be used.
    pub fn freeze(inputs: PlanInputs<'_>) -> Result<Self, PlanError> {
        inputs.frame.check(inputs.catalogue_items)?;
        let mut tasks = Vec::new();
        let (mut total, mut failing) = (Rho::ZERO, Delta::ZERO);
        for kind in TaskKind::ALL {
            let mut rules = inputs.rules.iter().filter(|rule| rule.spec.kind() == kind);
            let Some(rule) = rules.next() else { continue };
            if rules.next().is_some() {
                return Err(PlanError::RepeatedTask);
            }
            if let Some(task) = freeze_task(rule, &inputs)? {
                total = total.checked_add(task.rho).ok_or(PlanError::OverBudget)?;
                failing = failing.checked_add(task.delta).ok_or(PlanError::OverBudget)?;
                tasks.push(task);
            }
        }
        let delta_limit = Delta::from_f64_up(inputs.budget.delta).unwrap_or(Delta::ZERO);
        if total > inputs.budget.rho_per_window || failing > delta_limit {
            return Err(PlanError::OverBudget);
        }
        Ok(Self {
            tenant: inputs.tenant,
            region: inputs.region,
            node: inputs.node,
            window: inputs.window,
            unit: inputs.unit,
            budget: inputs.budget,
            policy: inputs.policy,
            frame_digest: inputs.frame.digest(),
            frame: inputs.frame,
            catalogue_items: inputs.catalogue_items,
            model_version: inputs.model_version,
            tasks,
        })
    }

    /// Whose viewers.
    #[must_use]
    pub const fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Where.
    #[must_use]
    pub const fn region(&self) -> &RegionId {
        &self.region
    }

    /// By which node.
    #[must_use]
    pub const fn node(&self) -> &NodeId {
        &self.node
    }

    /// When.
    #[must_use]
    pub const fn window(&self) -> WindowId {
        self.window
    }

    /// The privacy unit.
    #[must_use]
    pub const fn unit(&self) -> &UnitRule {
        &self.unit
    }

    /// The budget that charges are held against.
    #[must_use]
    pub const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Digest of the policy set.
    #[must_use]
    pub const fn policy(&self) -> Digest {
        self.policy
    }

    /// What encodings follow.
    #[must_use]
    pub const fn frame(&self) -> &Frame {
        &self.frame
    }

    /// The frame's digest.
    #[must_use]
    pub const fn frame_digest(&self) -> Digest {
        self.frame_digest
    }

    /// Items of the catalogue.
    #[must_use]
    pub const fn catalogue_items(&self) -> usize {
        self.catalogue_items
    }

    /// The model that the frame was published with.
    #[must_use]
    pub const fn model_version(&self) -> u64 {
        self.model_version
    }

    /// The releases, in the order in which they are charged.
    #[must_use]
    pub fn tasks(&self) -> &[TaskPlan] {
        &self.tasks
    }

    /// One release.
    #[must_use]
    pub fn task(&self, kind: TaskKind) -> Option<&TaskPlan> {
        self.tasks.iter().find(|task| task.kind == kind)
    }

    /// A fault for a test to find: the plan with other segments than the policy gives.
    #[cfg(test)]
    pub(crate) fn planted(mut self, change: impl Fn(&mut Segment)) -> Self {
        self.tasks.iter_mut().flat_map(|task| &mut task.segments).for_each(change);
        self
    }

    /// The id of a task's release.
    #[must_use]
    pub fn release_id(&self, task: TaskKind) -> ReleaseId {
        ReleaseId {
            tenant: self.tenant.clone(),
            task,
            region: self.region.clone(),
            node: self.node.clone(),
            window: self.window,
        }
    }
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "statistics in floating point")]
mod tests;
