//! Item qualities and popularity from noised counts.

use ndarray::{Array1, Array2};
use personalize::Catalogue;
use personalize::content::SLOTS;

use super::items;
use super::sums::Counts;

/// τ²: variance of items' rates around what popularity and content say.
const RATE_VARIANCE: f64 = 0.02;
/// Variance of one reward.
const REWARD_VARIANCE: f64 = 0.15;
/// Ridge on popularity's coefficients; content's get four times as much.
const RIDGE: f64 = 20.0;
/// Standard deviations of noise that are taken off an item's impressions: items that were never shown stay at 0.
const COUNT_THRESHOLD: f64 = 0.5;
/// Keeps a division by a noiseless zero finite.
const TINY: f64 = 1e-9;

fn shown(counts: &Counts) -> Vec<f64> {
    let threshold = COUNT_THRESHOLD * counts.impressions_variance.sqrt();
    counts.impressions.iter().map(|impressions| (impressions - threshold).max(0.0)).collect()
}

/// Each item's rate above c: the mean of its prior (rate explained by popularity and content, variance τ²) and its own
/// rate (variance from reward noise and the known noise of the release), weighted by their precisions.
pub(super) fn estimate(catalogue: &Catalogue, counts: &Counts, popularity: &[f64]) -> Vec<f64> {
    let shown = shown(counts);
    let rows: Vec<Vec<(usize, f64)>> = items(catalogue)
        .zip(popularity)
        .map(|(item, popularity)| {
            let mut row = vec![(0, 1.0), (1, *popularity), (2, popularity * popularity)];
            let content = catalogue.content().of_item(item).iter();
            row.extend(content.map(|entry| (3 + usize::from(entry.slot), f64::from(entry.value))));
            row
        })
        .collect();
    let coefficients = explained(counts, &shown, &rows);
    let items = shown.iter().zip(&counts.rewards).zip(&rows);
    items
        .map(|((impressions, rewards), row)| {
            let variance = impressions * REWARD_VARIANCE + counts.rewards_variance + TINY;
            let prior: f64 = row.iter().map(|(place, value)| coefficients[*place] * value).sum();
            let precision = impressions * impressions / variance;
            (prior / RATE_VARIANCE + impressions * rewards / variance) / (1.0 / RATE_VARIANCE + precision)
        })
        .collect()
}

/// Ridge regression of items' own rates on 1, popularity, popularity² and content, weighted by 1/(τ² + variance).
fn explained(counts: &Counts, shown: &[f64], rows: &[Vec<(usize, f64)>]) -> Array1<f64> {
    let dimensions = SLOTS + 3;
    let mut a = Array2::<f64>::zeros((dimensions, dimensions));
    let mut b = Array1::<f64>::zeros(dimensions);
    for ((impressions, rewards), row) in shown.iter().zip(&counts.rewards).zip(rows) {
        if *impressions <= 0.0 {
            continue;
        }
        let variance = impressions * REWARD_VARIANCE + counts.rewards_variance;
        let weight = impressions * impressions / (impressions * impressions * RATE_VARIANCE + variance + TINY);
        for (j, x) in row {
            b[*j] += weight * x * rewards / impressions;
            row.iter().for_each(|(k, other)| a[(*j, *k)] += weight * x * other);
        }
    }
    for (place, value) in a.diag_mut().iter_mut().enumerate() {
        *value += match place {
            0 => 1e-6,
            1 | 2 => RIDGE,
            _ => 4.0 * RIDGE,
        };
    }
    super::weights::solve(&a, &b).unwrap_or_else(|| Array1::zeros(dimensions))
}

/// Popularity from 0 to 1: the logarithm of impressions, as a share of the most shown item's.
pub(super) fn popularity(counts: &Counts) -> Vec<f64> {
    let shown = shown(counts);
    let most = shown.iter().copied().fold(1.0, f64::max);
    shown.iter().map(|impressions| (1.0 + impressions).ln() / (1.0 + most).ln()).collect()
}

/// Standard deviations by which Σ rewards² / σ² passes its mean N under pure noise, where its variance is 2N.
pub(super) fn signal_to_noise(counts: &Counts) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "items of a catalogue, below 2^18")]
    let items = counts.rewards.len() as f64;
    if counts.rewards_variance <= 0.0 {
        return f64::INFINITY;
    }
    let power: f64 = counts.rewards.iter().map(|rewards| rewards * rewards).sum();
    (power / counts.rewards_variance - items) / (2.0 * items).sqrt()
}
