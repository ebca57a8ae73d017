//! What a window releases, frozen when it opens. The centre recomputes it by the same function.

use personalize::{Arm, FEATURES, Frame, FrameError};
use policies::{
    Budget, Digest, NodeId, PurposeId, RegionId, Rho, TaskKind, TaskRule, TaskSpec, TenantId, UnitRule, WindowId,
};

use super::ReleaseId;
use super::gaussian::Variance;

/// Integer units of one reward, one impression, or one of an arm's measures.
pub const SCALE_PLAIN: u64 = 1 << 16;
/// Integer units of 1 in a vector whose products are released.
pub const SCALE_FACTOR: u64 = 1 << 12;
/// Multiplier of the diagonal of a symmetric matrix.
pub const DIAGONAL: u64 = 29;
/// Multiplier of its other cells, each sent once. 41² = 1681 ≤ 2·29² = 1682, so that
/// 29²·Σvᵢ⁴ + 41²·Σᵢ<ⱼ vᵢ²vⱼ² ≤ 29²·(Σvᵢ²)²: the norm of the whole is that of the diagonal alone.
pub const OFF_DIAGONAL: u64 = 41;
/// Measures of an arm: sessions, reward, start-up, rebuffering.
pub const ARM_MEASURES: usize = 4;
/// Start-up time that counts as 1, in milliseconds. What is longer counts as 1 too.
pub const STARTUP_MS: u32 = 10_000;
/// Cells of one segment at most.
pub const CELLS_MAX: usize = 1 << 20;
/// Units (viewers or sessions) that one window counts at most.
pub const UNITS_MAX: u64 = 1 << 22;
/// Largest Δ, so that |Σ| ≤ `UNITS_MAX`·Δ ≤ 2⁶² whatever the units contribute.
pub const SENSITIVITY_MAX: u64 = 1 << 40;

/// A part of a release with a sensitivity and a ρ of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SegmentKind {
    /// Σ(reward − base rate) of each item.
    Rewards,
    /// Impressions of each item.
    Impressions,
    /// Gram matrix of session vectors, upper triangle by rows.
    Gram,
    /// Mean second moments of features and reward, upper triangle by rows.
    Moments,
    /// [`ARM_MEASURES`] of each arm.
    Arms,
}

/// The text names no segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no segment of this name")]
pub struct UnknownSegment;

impl std::str::FromStr for SegmentKind {
    type Err = UnknownSegment;

    fn from_str(text: &str) -> Result<Self, UnknownSegment> {
        let kinds = [Self::Rewards, Self::Impressions, Self::Gram, Self::Moments, Self::Arms];
        kinds.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownSegment)
    }
}

impl SegmentKind {
    /// The name in a release.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rewards => "rewards",
            Self::Impressions => "impressions",
            Self::Gram => "gram",
            Self::Moments => "moments",
            Self::Arms => "arms",
        }
    }

    /// Whether the cells are a symmetric matrix's upper triangle, with the multipliers [`DIAGONAL`] and [`OFF_DIAGONAL`].
    #[must_use]
    pub const fn is_triangle(self) -> bool {
        matches!(self, Self::Gram | Self::Moments)
    }
}

/// One part of a task, with everything that bounds and noises it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// What it holds.
    pub kind: SegmentKind,
    /// Length.
    pub cells: usize,
    /// L2 bound of one session's vector, in integer units.
    pub clip: u64,
    /// Δ: L2 bound of one unit's whole contribution, in integer units.
    pub sensitivity: u64,
    /// What this segment spends.
    pub rho: Rho,
    /// Integer units of 1; a triangle's multipliers come on top.
    pub scale: u64,
    /// σ² of its noise, in integer units.
    pub variance: Variance,
}

/// One release of the window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskPlan {
    /// What is measured.
    pub kind: TaskKind,
    /// What for.
    pub purpose: PurposeId,
    /// What is charged: the sum over the segments.
    pub rho: Rho,
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

/// No plan can be made; the window takes no contribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The frame breaks its bounds.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The frame names more items than the policy allows.
    #[error("the frame names more items than the policy's items_max")]
    FrameTooLarge,
    /// Two rules of one kind.
    #[error("two tasks of one kind")]
    RepeatedTask,
    /// A clip, norm or share is not a number above 0 (a share: 1 to 99), or too small to count.
    #[error("a task's clip, norm or share cannot be used")]
    Clip,
    /// Δ passes [`SENSITIVITY_MAX`].
    #[error("a task's sensitivity is too large")]
    Sensitivity,
    /// ρ is 0, or so small that σ passes what the sampler draws.
    #[error("a task's rho is too small")]
    Rho,
    /// A segment passes [`CELLS_MAX`].
    #[error("a task has too many cells")]
    Cells,
    /// The tasks together pass the window's budget.
    #[error("the tasks together pass the window's budget")]
    OverBudget,
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
        let mut total = Rho::ZERO;
        for kind in TaskKind::ALL {
            let mut rules = inputs.rules.iter().filter(|rule| rule.spec.kind() == kind);
            let Some(rule) = rules.next() else { continue };
            if rules.next().is_some() {
                return Err(PlanError::RepeatedTask);
            }
            if let Some(task) = freeze_task(rule, &inputs)? {
                total = total.checked_add(task.rho).ok_or(PlanError::OverBudget)?;
                tasks.push(task);
            }
        }
        if total > inputs.budget.rho_per_window {
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

fn freeze_task(rule: &TaskRule, inputs: &PlanInputs<'_>) -> Result<Option<TaskPlan>, PlanError> {
    let segment = |kind, cells, clip, rho, scale| bound(&inputs.unit, kind, cells, clip, rho, scale);
    let segments = match rule.spec {
        TaskSpec::ItemCounts { clip, impressions_clip, rewards_percent, .. } => {
            let (rewards, impressions) = split(rule.rho, rewards_percent)?;
            let (items, scale) = (inputs.catalogue_items, SCALE_PLAIN);
            vec![
                segment(SegmentKind::Rewards, items, integer(clip, scale)?, rewards, scale)?,
                segment(SegmentKind::Impressions, items, integer(impressions_clip, scale)?, impressions, scale)?,
            ]
        }
        TaskSpec::CoEngagement { items_max } => {
            let items = inputs.frame.top.len();
            if items == 0 {
                return Ok(None);
            }
            if items > usize::try_from(items_max).unwrap_or(usize::MAX) {
                return Err(PlanError::FrameTooLarge);
            }
            let square = SCALE_FACTOR * SCALE_FACTOR;
            vec![segment(SegmentKind::Gram, triangle(items), DIAGONAL * square, rule.rho, square)?]
        }
        TaskSpec::RankerMoments { norm } => {
            let clip = integer(norm, SCALE_FACTOR)?;
            let clip = clip.checked_mul(clip).and_then(|square| square.checked_mul(DIAGONAL));
            let clip = clip.ok_or(PlanError::Sensitivity)?;
            vec![segment(SegmentKind::Moments, triangle(FEATURES + 1), clip, rule.rho, SCALE_FACTOR * SCALE_FACTOR)?]
        }
        TaskSpec::ArmReward { clip } => {
            let cells = Arm::ALL.len() * ARM_MEASURES;
            vec![segment(SegmentKind::Arms, cells, integer(clip, SCALE_PLAIN)?, rule.rho, SCALE_PLAIN)?]
        }
    };
    Ok(Some(TaskPlan { kind: rule.spec.kind(), purpose: rule.purpose.clone(), rho: rule.rho, segments }))
}

/// Cells of a symmetric matrix's upper triangle with the diagonal.
#[must_use]
pub const fn triangle(side: usize) -> usize {
    side * (side + 1) / 2
}

fn bound(
    unit: &UnitRule,
    kind: SegmentKind,
    cells: usize,
    clip: u64,
    rho: Rho,
    scale: u64,
) -> Result<Segment, PlanError> {
    if cells == 0 || cells > CELLS_MAX {
        return Err(PlanError::Cells);
    }
    let sensitivity = clip.checked_mul(unit.sessions_per_unit()).ok_or(PlanError::Sensitivity)?;
    if sensitivity == 0 || sensitivity > SENSITIVITY_MAX {
        return Err(PlanError::Sensitivity);
    }
    let variance = Variance::for_rho(sensitivity, rho).map_err(|_| PlanError::Rho)?;
    Ok(Segment { kind, cells, clip, sensitivity, rho, scale, variance })
}

/// A clip in integer units, rounded down: a smaller clip only bounds more.
fn integer(clip: f64, scale: u64) -> Result<u64, PlanError> {
    #[expect(clippy::cast_precision_loss, reason = "the scales are powers of two below 2^53")]
    let units = (clip * scale as f64).floor();
    #[expect(clippy::cast_precision_loss, reason = "a power of two")]
    let most = SENSITIVITY_MAX as f64;
    if !(1.0..=most).contains(&units) {
        return Err(if units > most { PlanError::Sensitivity } else { PlanError::Clip });
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be a whole number from 1 to 2^40"
    )]
    Ok(units as u64)
}

/// ρ of the first part, rounded down, and of the rest; they add up exactly.
fn split(rho: Rho, percent: u8) -> Result<(Rho, Rho), PlanError> {
    if !(1..=99).contains(&percent) {
        return Err(PlanError::Clip);
    }
    let first = rho.picos() / 100 * u64::from(percent) + rho.picos() % 100 * u64::from(percent) / 100;
    let part = |picos| Rho::from_picos(picos).map_err(|_| PlanError::Rho);
    Ok((part(first)?, part(rho.picos() - first)?))
}
