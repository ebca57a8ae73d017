//! From a policy's rule to integer bounds. Pure: node and centre get the same from the same.

use personalize::{Arm, FEATURES, FrameError};
use policies::{PrivacyUnit, Rho, TaskRule, TaskSpec, UnitRule};

use super::segment::{
    ARM_MEASURES, CELLS_MAX, DIAGONAL, SCALE_FACTOR, SCALE_PLAIN, SENSITIVITY_MAX, Segment, SegmentKind, triangle,
};
use super::{PlanInputs, TaskPlan};
use crate::release::blt;
use crate::release::gaussian::Variance;
use crate::release::threshold::{self, SparsePlan};

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
    /// δ is 0, or no number.
    #[error("a task's delta cannot be used")]
    Delta,
    /// The task is for another privacy unit.
    #[error("a task cannot protect this privacy unit")]
    Unit,
    /// A stream of no window, or of more than there are weights for.
    #[error("a task's horizon cannot be used")]
    Horizon,
    /// A segment passes [`CELLS_MAX`].
    #[error("a task has too many cells")]
    Cells,
    /// The tasks together pass the window's budget.
    #[error("the tasks together pass the window's budget")]
    OverBudget,
}

pub(super) fn freeze_task(rule: &TaskRule, inputs: &PlanInputs<'_>) -> Result<Option<TaskPlan>, PlanError> {
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
        TaskSpec::Transitions { pairs_max, sessions_max, .. } => {
            vec![transitions(pairs_max, sessions_max, rule, inputs)?]
        }
        TaskSpec::RunningTotals { clip, horizon_windows } => vec![totals(clip, horizon_windows, rule, inputs)?],
    };
    let delta = rule.spec.delta().ok_or(PlanError::Delta)?;
    Ok(Some(TaskPlan { kind: rule.spec.kind(), purpose: rule.purpose.clone(), rho: rule.rho, delta, segments }))
}

/// A row of a stream. A viewer of several windows would lose more than their charges together: for sessions alone.
fn totals(clip: f64, horizon: u32, rule: &TaskRule, inputs: &PlanInputs<'_>) -> Result<Segment, PlanError> {
    if inputs.unit.unit != PrivacyUnit::Session {
        return Err(PlanError::Unit);
    }
    let clip = integer(clip, SCALE_PLAIN)?;
    let of_window = clip.checked_mul(inputs.unit.sessions_per_unit()).ok_or(PlanError::Sensitivity)?;
    let (sensitivity, stream) = blt::bounds(of_window, horizon)?;
    let variance = Variance::for_rho(sensitivity, rule.rho).map_err(|_| PlanError::Rho)?;
    Ok(Segment {
        kind: SegmentKind::Totals,
        cells: ARM_MEASURES,
        clip,
        sensitivity,
        rho: rule.rho,
        scale: SCALE_PLAIN,
        variance,
        sparse: None,
        stream: Some(stream),
    })
}

/// A sparse segment: its cells are its noise samples, one for each pair that the counted sessions may have.
fn transitions(
    pairs_max: u32,
    sessions_max: u32,
    rule: &TaskRule,
    inputs: &PlanInputs<'_>,
) -> Result<Segment, PlanError> {
    let count = |count: u32| usize::try_from(count).map_err(|_| PlanError::Cells);
    let (pairs, sessions) = (count(pairs_max)?, count(sessions_max)?);
    let cells = pairs.checked_mul(sessions).filter(|cells| (1..=CELLS_MAX).contains(cells)).ok_or(PlanError::Cells)?;
    let items = u64::try_from(inputs.catalogue_items).map_err(|_| PlanError::Cells)?;
    if !(1..=CELLS_MAX as u64).contains(&items) {
        return Err(PlanError::Cells);
    }
    let bounds = threshold::bounds(pairs_max, inputs.unit.sessions_per_unit())?;
    if bounds.sensitivity == 0 || bounds.sensitivity > SENSITIVITY_MAX {
        return Err(PlanError::Sensitivity);
    }
    let variance = Variance::for_rho(bounds.sensitivity, rule.rho).map_err(|_| PlanError::Rho)?;
    let delta = rule.spec.delta().ok_or(PlanError::Delta)?;
    let noise = threshold::noise_bound(variance, bounds.keys, delta).map_err(|_| PlanError::Delta)?;
    let threshold = noise.checked_add(bounds.of_key).and_then(|tau| i64::try_from(tau).ok());
    Ok(Segment {
        kind: SegmentKind::Transitions,
        cells,
        clip: bounds.clip,
        sensitivity: bounds.sensitivity,
        rho: rule.rho,
        scale: SCALE_PLAIN,
        variance,
        sparse: Some(SparsePlan {
            universe: items * items,
            pairs_max: pairs,
            sessions_max: sessions,
            threshold: threshold.ok_or(PlanError::Delta)?,
        }),
        stream: None,
    })
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
    Ok(Segment { kind, cells, clip, sensitivity, rho, scale, variance, sparse: None, stream: None })
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
