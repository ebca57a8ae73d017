//! A session as bounded integer vectors: one sparse vector a segment, its L2 norm at most the segment's clip.
//!
//! Values are clipped as real numbers and quantised by truncation toward zero, which never lengthens a vector.
//! Whatever rounding did before, the last step checks Σx² ≤ clip² in integers; a vector that fails is not added.

use std::collections::BTreeMap;

use personalize::{Arm, FEATURES, Frame, ItemIndex, Outcome, PerceptualKpi, SessionRecord};

use super::plan::{ARM_MEASURES, DIAGONAL, OFF_DIAGONAL, SCALE_FACTOR, STARTUP_MS, Segment, SegmentKind, WindowPlan};

/// From this reward on an item counts as liked.
const LIKED: f32 = 0.5;
/// What a watched item that was not liked counts, against 1 for a liked one.
const NOT_LIKED: f64 = -0.5;
/// Clipped vectors are made shorter than their bound by this factor, so that rounding does not cost a session.
const SHORTER: f64 = 1.0 - 1.0 / (1u64 << 40) as f64;

/// Cells and their integers, by rising cell, none 0.
pub(super) type Sparse = Vec<(usize, i64)>;

/// A session cannot be encoded. None of it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotEncodable;

/// Places of the frame's items in the Gram, looked up by item.
pub(super) struct FramePlaces(Vec<(ItemIndex, usize)>);

impl FramePlaces {
    pub(super) fn of(frame: &Frame) -> Self {
        let mut places: Vec<_> = frame.top.iter().copied().zip(0..).collect();
        places.sort_unstable();
        Self(places)
    }

    fn place(&self, item: ItemIndex) -> Option<usize> {
        let found = self.0.binary_search_by_key(&item, |(item, _)| *item).ok()?;
        Some(self.0[found].1)
    }
}

/// The vectors of all segments of a plan, in its order.
pub(super) fn encode(
    plan: &WindowPlan,
    places: &FramePlaces,
    record: &SessionRecord,
) -> Result<Vec<Sparse>, NotEncodable> {
    check_record(plan, record)?;
    let segments = plan.tasks().iter().flat_map(|task| &task.segments);
    let vectors = segments.map(|segment| {
        let vector = match segment.kind {
            SegmentKind::Rewards => rewards(segment, plan.frame(), &record.outcomes),
            SegmentKind::Impressions => impressions(segment, &record.outcomes),
            SegmentKind::Gram => gram(plan.frame(), places, &record.outcomes),
            SegmentKind::Moments => moments(segment, &record.outcomes),
            SegmentKind::Arms => arms(segment, record),
            SegmentKind::Totals => all_arms(segment, record),
            SegmentKind::Transitions => transitions(segment, &record.outcomes),
        }?;
        within(vector, segment)
    });
    vectors.collect()
}

fn check_record(plan: &WindowPlan, record: &SessionRecord) -> Result<(), NotEncodable> {
    let sound = |outcome: &Outcome| {
        (0.0..=1.0).contains(&outcome.reward)
            && outcome.features.iter().all(|feature| feature.is_finite())
            && usize::try_from(outcome.item.0).is_ok_and(|item| item < plan.catalogue_items())
    };
    let own_catalogue = record.catalogue == Some(plan.frame().catalogue);
    if own_catalogue && record.outcomes.iter().all(sound) { Ok(()) } else { Err(NotEncodable) }
}

/// The last word: every cell inside the segment, every cell once, Σx² ≤ clip². In integers.
fn within(vector: Sparse, segment: &Segment) -> Result<Sparse, NotEncodable> {
    let square = |(_, value): &(usize, i64)| u128::from(value.unsigned_abs()).pow(2);
    let squares = vector.iter().try_fold(0u128, |sum, cell| sum.checked_add(square(cell)));
    let rising = vector.windows(2).all(|pair| pair[0].0 < pair[1].0);
    let universe = segment.sparse.map_or(segment.cells as u64, |sparse| sparse.universe);
    let inside = vector.last().is_none_or(|(cell, _)| (*cell as u64) < universe);
    let bounded = squares.is_some_and(|squares| squares <= u128::from(segment.clip).pow(2));
    if rising && inside && bounded { Ok(vector) } else { Err(NotEncodable) }
}

/// Real values × `scale`, made at most `clip` long, truncated toward zero.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "bounded by the clip, below 2^40")]
fn quantise(values: &[f64], scale: u64, clip: u64) -> Result<Vec<i64>, NotEncodable> {
    let norm = values.iter().map(|value| value * value).sum::<f64>().sqrt() * scale as f64;
    if !norm.is_finite() {
        return Err(NotEncodable);
    }
    let factor = if norm > clip as f64 { clip as f64 / norm * SHORTER } else { 1.0 };
    Ok(values.iter().map(|value| (value * scale as f64 * factor).trunc() as i64).collect())
}

fn by_item(segment: &Segment, items: &BTreeMap<ItemIndex, f64>) -> Result<Sparse, NotEncodable> {
    let values: Vec<f64> = items.values().copied().collect();
    let integers = quantise(&values, segment.scale, segment.clip)?;
    let cells = items.keys().map(|item| usize::try_from(item.0).unwrap_or(usize::MAX));
    Ok(cells.zip(integers).filter(|(_, value)| *value != 0).collect())
}

/// Σ(reward − base rate) of each item.
fn rewards(segment: &Segment, frame: &Frame, outcomes: &[Outcome]) -> Result<Sparse, NotEncodable> {
    let base_rate = f64::from(frame.base_rate_ppm) / 1e6;
    let mut items = BTreeMap::new();
    for outcome in outcomes {
        *items.entry(outcome.item).or_insert(0.0) += f64::from(outcome.reward) - base_rate;
    }
    by_item(segment, &items)
}

/// Impressions of each item, repeats included.
fn impressions(segment: &Segment, outcomes: &[Outcome]) -> Result<Sparse, NotEncodable> {
    let mut items = BTreeMap::new();
    for outcome in outcomes {
        *items.entry(outcome.item).or_insert(0.0) += 1.0;
    }
    by_item(segment, &items)
}

/// Upper triangle of vvᵀ, v over the frame's items: 1 for a liked item and −½ for another that was shown, each by its
/// weight, of unit norm. An item that is there twice counts as liked if it was once.
fn gram(frame: &Frame, places: &FramePlaces, outcomes: &[Outcome]) -> Result<Sparse, NotEncodable> {
    let mut liked = BTreeMap::new();
    for outcome in outcomes {
        if let Some(place) = places.place(outcome.item) {
            *liked.entry(place).or_insert(false) |= outcome.reward >= LIKED;
        }
    }
    let signed = |(place, liked): (&usize, &bool)| {
        (if *liked { 1.0 } else { NOT_LIKED }) * f64::from(frame.weights_ppm[*place]) / 1e6
    };
    let values: Vec<f64> = liked.iter().map(signed).collect();
    let norm = values.iter().map(|value| value * value).sum::<f64>().sqrt();
    let unit: Vec<f64> = values.iter().map(|value| value / norm * SHORTER).collect();
    let integers = quantise(&unit, SCALE_FACTOR, SCALE_FACTOR)?;
    let vector: Sparse = liked.into_keys().zip(integers).filter(|(_, value)| *value != 0).collect();
    Ok(outer_product(&vector, frame.top.len()))
}

/// Mean over outcomes of zzᵀ, z = (features, reward) clipped to the norm that the segment's clip comes from.
fn moments(segment: &Segment, outcomes: &[Outcome]) -> Result<Sparse, NotEncodable> {
    let count = i64::try_from(outcomes.len()).map_err(|_| NotEncodable)?;
    let norm = (segment.clip / DIAGONAL).isqrt();
    let mut sums = vec![0i64; segment.cells];
    for outcome in outcomes {
        let mut reals = [0.0; FEATURES + 1];
        reals.iter_mut().zip(outcome.features).for_each(|(real, feature)| *real = f64::from(feature));
        reals[FEATURES] = f64::from(outcome.reward);
        let vector: Sparse = quantise(&reals, SCALE_FACTOR, norm)?.into_iter().enumerate().collect();
        for (cell, value) in outer_product(&vector, FEATURES + 1) {
            sums[cell] = sums[cell].checked_add(value).ok_or(NotEncodable)?;
        }
    }
    // Each product's norm is within the clip, so their mean's is; division truncates toward zero.
    Ok(sums.into_iter().map(|sum| sum / count.max(1)).enumerate().filter(|(_, value)| *value != 0).collect())
}

/// One session's measures, in its arm's cells.
fn arms(segment: &Segment, record: &SessionRecord) -> Result<Sparse, NotEncodable> {
    let arm = Arm::ALL.iter().position(|arm| *arm == record.arm).ok_or(NotEncodable)?;
    let integers = quantise(&measures(&record.outcomes, record.kpi), segment.scale, segment.clip)?;
    Ok((arm * ARM_MEASURES..).zip(integers).filter(|(_, value)| *value != 0).collect())
}

/// One session's measures, whatever its arm.
fn all_arms(segment: &Segment, record: &SessionRecord) -> Result<Sparse, NotEncodable> {
    let integers = quantise(&measures(&record.outcomes, record.kpi), segment.scale, segment.clip)?;
    Ok(integers.into_iter().enumerate().filter(|(_, value)| *value != 0).collect())
}

/// The session's first different pairs (item, item liked next), each 1: an item and the one whose first signal came next,
/// where that one was liked. The key is the first item × the catalogue's items + the second.
fn transitions(segment: &Segment, outcomes: &[Outcome]) -> Result<Sparse, NotEncodable> {
    let plan = segment.sparse.ok_or(NotEncodable)?;
    let unit = i64::try_from(segment.scale).map_err(|_| NotEncodable)?;
    let items = plan.universe.isqrt();
    let mut keys = BTreeMap::new();
    for pair in outcomes.windows(2) {
        let (watched, next) = (pair[0].item, &pair[1]);
        if keys.len() < plan.pairs_max && next.reward >= LIKED && watched != next.item {
            let key = u64::from(watched.0) * items + u64::from(next.item.0);
            keys.insert(usize::try_from(key).map_err(|_| NotEncodable)?, unit);
        }
    }
    Ok(keys.into_iter().collect())
}

/// 1, mean reward, start-up time by [`STARTUP_MS`], and the share of playback that stood still; each 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "a mean of few outcomes")]
fn measures(outcomes: &[Outcome], kpi: PerceptualKpi) -> [f64; ARM_MEASURES] {
    let reward = outcomes.iter().map(|outcome| f64::from(outcome.reward)).sum::<f64>() / outcomes.len().max(1) as f64;
    let startup = f64::from(kpi.startup_ms.min(STARTUP_MS)) / f64::from(STARTUP_MS);
    let played = f64::from(kpi.rebuffer_ms) + f64::from(kpi.watched_ms);
    let rebuffer = if played > 0.0 { f64::from(kpi.rebuffer_ms) / played } else { 0.0 };
    [1.0, reward, startup, rebuffer]
}

/// Upper triangle of vvᵀ with its multipliers, exact. Entries of v are at most 2²⁰ and `side` counts their places.
fn outer_product(vector: &[(usize, i64)], side: usize) -> Sparse {
    let mut cells = Vec::with_capacity(vector.len() * (vector.len() + 1) / 2);
    for (index, (row, first)) in vector.iter().enumerate() {
        let row_start = row * (2 * side - row + 1) / 2;
        for (column, second) in &vector[index..] {
            let multiplier = if row == column { DIAGONAL } else { OFF_DIAGONAL };
            cells.push((row_start + column - row, multiplier.cast_signed() * first * second));
        }
    }
    cells
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "small numbers")]
mod tests;
