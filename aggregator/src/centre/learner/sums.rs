//! Sums of several frames, brought to one base rate and one list of items.

use std::collections::HashMap;

use ndarray::Array2;
use personalize::frame::PPM;
use personalize::{Catalogue, FEATURES, Frame, FrameError, ItemIndex, Model};

use super::Statistics;
use crate::centre::merge::{Symmetric, TaskSum};
use crate::release::SegmentKind;

/// Sums that do not belong together or to the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StatisticsError {
    /// A frame, or the last model's, points into another catalogue.
    #[error("a frame points into another catalogue")]
    OtherCatalogue,
    /// A frame breaks its bounds.
    #[error("a frame breaks its bounds")]
    Frame(#[from] FrameError),
    /// A sum's cells are not those of its task, frame and catalogue.
    #[error("a sum does not have its task's cells")]
    Shape,
    /// A sum is not a finite number.
    #[error("a sum is not finite")]
    NotFinite,
    /// There are no item counts at all.
    #[error("there are no item counts")]
    NoCounts,
}

/// Rewards and impressions of every item of the catalogue, in real units, and the variance of the noise of each.
pub(super) struct Counts {
    /// Σ(reward − base rate).
    pub(super) rewards: Vec<f64>,
    pub(super) impressions: Vec<f64>,
    pub(super) rewards_variance: f64,
    pub(super) impressions_variance: f64,
}

/// A symmetric matrix and the largest variance of the noise of an off-diagonal cell.
pub(super) struct Matrix {
    pub(super) values: Array2<f64>,
    pub(super) variance: f64,
}

/// Every frame keeps its bounds and points into the catalogue, and so does the last model's.
pub(super) fn check_frames(
    catalogue: &Catalogue,
    statistics: &Statistics,
    last: &Model,
) -> Result<(), StatisticsError> {
    let frames = statistics.frames.iter().map(|entry| &entry.frame).chain([last.frame()]);
    for frame in frames {
        if frame.catalogue != catalogue.digest() {
            return Err(StatisticsError::OtherCatalogue);
        }
        frame.check(catalogue.len())?;
    }
    Ok(())
}

/// Σ over frames f of A + (c_f − c)·B: what the rewards would have been, had all frames subtracted c.
pub(super) fn counts(
    catalogue: &Catalogue,
    statistics: &Statistics,
    base_rate_ppm: u32,
) -> Result<Counts, StatisticsError> {
    let zeros = || vec![0.0; catalogue.len()];
    let mut counts =
        Counts { rewards: zeros(), impressions: zeros(), rewards_variance: 0.0, impressions_variance: 0.0 };
    let mut any = false;
    for frame in &statistics.frames {
        let Some(sum) = &frame.item_counts else { continue };
        any = true;
        let shift = (f64::from(frame.frame.base_rate_ppm) - f64::from(base_rate_ppm)) / f64::from(PPM);
        let segment = |kind| sum.segment(kind).filter(|segment| segment.values.len() == catalogue.len());
        let rewards = segment(SegmentKind::Rewards).ok_or(StatisticsError::Shape)?;
        let impressions = segment(SegmentKind::Impressions).ok_or(StatisticsError::Shape)?;
        for (place, (reward, shown)) in rewards.reals().zip(impressions.reals()).enumerate() {
            counts.rewards[place] += reward + shift * shown;
            counts.impressions[place] += shown;
        }
        counts.rewards_variance += rewards.real_variance() + shift * shift * impressions.real_variance();
        counts.impressions_variance += impressions.real_variance();
    }
    let finite = counts.rewards.iter().chain(&counts.impressions).all(|value| value.is_finite());
    let known = counts.rewards_variance.is_finite() && counts.impressions_variance.is_finite();
    match (any, finite && known) {
        (false, _) => Err(StatisticsError::NoCounts),
        (true, false) => Err(StatisticsError::NotFinite),
        (true, true) => Ok(counts),
    }
}

/// Second moments of (features, reward) over all frames, or nothing where none were released.
pub(super) fn moments(statistics: &Statistics) -> Result<Option<Matrix>, StatisticsError> {
    let side = FEATURES + 1;
    let mut total = Matrix { values: Array2::zeros((side, side)), variance: 0.0 };
    let mut any = false;
    for task in statistics.frames.iter().filter_map(|frame| frame.ranker_moments.as_ref()) {
        let matrix = symmetric(task, SegmentKind::Moments, side)?;
        total.values.iter_mut().zip(&matrix.values).for_each(|(sum, value)| *sum += value);
        total.variance += matrix.off_diagonal_variance;
        any = true;
    }
    finite(total, any)
}

/// The Gram over the items of `target`, from all frames that share items with it; nothing where none was released.
///
/// Weights of other frames differ a little from the target's, and cells that fewer frames fill carry less noise than is
/// said: both only make the cut stricter.
pub(super) fn gram(statistics: &Statistics, target: &Frame) -> Result<Option<Matrix>, StatisticsError> {
    let rows = target.top.iter().copied().zip(0..).collect::<HashMap<ItemIndex, usize>>();
    let side = rows.len();
    let mut total = Matrix { values: Array2::zeros((side, side)), variance: 0.0 };
    let mut any = false;
    for frame in &statistics.frames {
        let Some(task) = &frame.co_engagement else { continue };
        let matrix = symmetric(task, SegmentKind::Gram, frame.frame.top.len())?;
        let to = frame.frame.top.iter().map(|item| rows.get(item).copied()).collect::<Vec<_>>();
        for (to_row, cells) in to.iter().zip(matrix.values.chunks_exact(matrix.side.max(1))) {
            let Some(to_row) = to_row else { continue };
            let mut sums = total.values.row_mut(*to_row);
            for (to_column, cell) in to.iter().zip(cells).filter_map(|(to, cell)| Some((to.as_ref()?, cell))) {
                sums[*to_column] += cell;
            }
        }
        total.variance += matrix.off_diagonal_variance;
        any = true;
    }
    finite(total, any && side > 0)
}

fn symmetric(task: &TaskSum, kind: SegmentKind, side: usize) -> Result<Symmetric, StatisticsError> {
    let matrix = task.segment(kind).and_then(|segment| segment.symmetric());
    matrix.filter(|matrix| matrix.side == side).ok_or(StatisticsError::Shape)
}

fn finite(matrix: Matrix, any: bool) -> Result<Option<Matrix>, StatisticsError> {
    if !matrix.variance.is_finite() || !matrix.values.iter().all(|value| value.is_finite()) {
        return Err(StatisticsError::NotFinite);
    }
    Ok(any.then_some(matrix))
}
