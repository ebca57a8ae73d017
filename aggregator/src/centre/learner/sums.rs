//! Sums of several frames brought to one.

use std::collections::HashMap;

use ndarray::Array2;
use personalize::frame::PPM;
use personalize::{Catalogue, FEATURES, Frame, ItemIndex};

use super::Statistics;
use crate::release::SegmentKind;

/// Statistics that do not fit the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StatisticsError {
    /// A sum's cells are not those that its frame and the catalogue ask for.
    #[error("a running sum does not fit the catalogue")]
    Shape,
    /// No release of item counts has arrived.
    #[error("there are no item counts to learn from")]
    NoCounts,
}

pub(super) struct Counts {
    pub(super) rewards: Vec<f64>,
    pub(super) impressions: Vec<f64>,
    pub(super) rewards_variance: f64,
    pub(super) impressions_variance: f64,
}

pub(super) struct Matrix {
    pub(super) values: Array2<f64>,
    pub(super) off_diagonal_variance: f64,
}

pub(super) fn counts(
    catalogue: &Catalogue,
    statistics: &Statistics,
    base_rate_ppm: u32,
) -> Result<Counts, StatisticsError> {
    let mut counts = Counts {
        rewards: vec![0.0; catalogue.len()],
        impressions: vec![0.0; catalogue.len()],
        rewards_variance: 0.0,
        impressions_variance: 0.0,
    };
    let mut any = false;
    for frame in &statistics.frames {
        let Some(sum) = &frame.item_counts else { continue };
        any = true;
        let shift = (f64::from(frame.frame.base_rate_ppm) - f64::from(base_rate_ppm)) / f64::from(PPM);
        let rewards = sum.segment(SegmentKind::Rewards).ok_or(StatisticsError::Shape)?;
        let impressions = sum.segment(SegmentKind::Impressions).ok_or(StatisticsError::Shape)?;
        if [rewards.values.len(), impressions.values.len()] != [catalogue.len(); 2] {
            return Err(StatisticsError::Shape);
        }
        for (place, (reward, shown)) in rewards.reals().zip(impressions.reals()).enumerate() {
            counts.rewards[place] += reward + shift * shown;
            counts.impressions[place] += shown;
        }
        counts.rewards_variance += rewards.real_variance() + shift * shift * impressions.real_variance();
        counts.impressions_variance += impressions.real_variance();
    }
    if any { Ok(counts) } else { Err(StatisticsError::NoCounts) }
}

pub(super) fn moments(statistics: &Statistics) -> Result<Option<Matrix>, StatisticsError> {
    let mut sum: Option<Matrix> = None;
    for task in statistics.frames.iter().filter_map(|frame| frame.ranker_moments.as_ref()) {
        let segment = task.segment(SegmentKind::Moments).and_then(|segment| segment.symmetric());
        let matrix = segment.filter(|matrix| matrix.side == FEATURES + 1).ok_or(StatisticsError::Shape)?;
        let values =
            Array2::from_shape_vec((matrix.side, matrix.side), matrix.values).map_err(|_| StatisticsError::Shape)?;
        let total =
            sum.get_or_insert_with(|| Matrix { values: Array2::zeros(values.dim()), off_diagonal_variance: 0.0 });
        total.values += &values;
        total.off_diagonal_variance += matrix.off_diagonal_variance;
    }
    Ok(sum)
}

pub(super) fn gram(statistics: &Statistics, target: &Frame) -> Result<Option<Matrix>, StatisticsError> {
    let places = target.top.iter().copied().zip(0..).collect::<HashMap<ItemIndex, usize>>();
    let side = target.top.len();
    let mut total = Matrix { values: Array2::zeros((side, side)), off_diagonal_variance: 0.0 };
    let mut any = false;
    for frame in &statistics.frames {
        let Some(task) = &frame.co_engagement else { continue };
        let segment = task.segment(SegmentKind::Gram).and_then(|segment| segment.symmetric());
        let matrix = segment.filter(|matrix| matrix.side == frame.frame.top.len()).ok_or(StatisticsError::Shape)?;
        let to = frame.frame.top.iter().map(|item| places.get(item).copied()).collect::<Vec<_>>();
        for (row, to_row) in to.iter().enumerate() {
            let Some(to_row) = to_row else { continue };
            for (column, to_column) in to.iter().enumerate() {
                let Some(to_column) = to_column else { continue };
                total.values[(*to_row, *to_column)] += matrix.values[row * matrix.side + column];
            }
        }
        any = true;
        total.off_diagonal_variance += matrix.off_diagonal_variance;
    }
    Ok(any.then_some(total))
}
