//! Like-rates and popularity of items from noised counts.
//!
//! With A the noised sum of centred rewards of an item, n its impressions, v the variance of one reward and σ² that of
//! A's noise, A ~ N(n·q, n·v + σ²). The quality q has the prior N(m, τ²), so its posterior mean is
//!
//! ```text
//! q = (m/τ² + n·A/(n·v + σ²)) / (1/τ² + n²/(n·v + σ²))
//! ```
//!
//! (empirical Bayes with known noise; Efron and Morris 1975). The prior mean m is itself a ridge regression, over items,
//! of A/n on popularity and content: what items like this one are worth. Impressions are read as max(0, n − σₙ/2): an item
//! that noise alone shows is taken for one that was not shown.

use ndarray::{Array1, Array2};
use personalize::content::SLOTS;
use personalize::{Catalogue, ItemIndex};

use super::sums::Counts;
use super::{items, weights};

/// v: variance of one reward about its item's rate.
const REWARD_VARIANCE: f64 = 0.2;
/// τ²: variance of items' qualities about what their content and popularity say.
const QUALITY_VARIANCE: f64 = 0.02;
/// Ridge of the prior mean's popularity terms, in units of 1/τ², and of its content terms.
const RIDGE: [f64; 2] = [20.0, 80.0];
/// Keeps divisions by a variance of 0 finite: item counts without noise, of an item that was not shown.
const TINY: f64 = 1e-9;
/// 1, popularity, popularity², content.
const REGRESSORS: usize = SLOTS + 3;

/// Impressions without what noise alone shows, and what they say of popularity.
pub(super) struct Shown {
    impressions: Vec<f64>,
    /// Log impressions, the most shown item's being 1.
    pub(super) popularity: Vec<f64>,
}

impl Shown {
    pub(super) fn of(counts: &Counts) -> Self {
        let soft = counts.impressions_variance.sqrt() / 2.0;
        let impressions = counts.impressions.iter().map(|shown| (shown - soft).max(0.0)).collect::<Vec<_>>();
        let most = impressions.iter().copied().fold(1.0, f64::max);
        let popularity = impressions.iter().map(|shown| shown.ln_1p() / most.ln_1p()).collect();
        Self { impressions, popularity }
    }
}

/// Like-rate less base rate of each item, within ±1; nothing where arithmetic breaks down.
pub(super) fn estimate(catalogue: &Catalogue, counts: &Counts, shown: &Shown) -> Option<Vec<f64>> {
    let means = prior_means(catalogue, counts, shown)?;
    let posterior = |(place, mean): (usize, f64)| {
        let (own, information) = own_estimate(counts, shown, place);
        ((mean / QUALITY_VARIANCE + own * information) / (1.0 / QUALITY_VARIANCE + information)).clamp(-1.0, 1.0)
    };
    Some(means.into_iter().enumerate().map(posterior).collect())
}

/// By how many standard deviations the rewards exceed pure noise, in the better of two tests.
///
/// 1. All items: under noise alone ΣA²/σ² has mean N and variance 2N.
/// 2. What popularity and content explain: with Z the regressors times impressions, which carry noise of their own,
///    AᵀZ(ZᵀZ)⁻¹ZᵀA/σ² has as mean the number k of regressors, and variance 2k. It finds an early signal that N items drown.
pub(super) fn signal_to_noise(catalogue: &Catalogue, counts: &Counts, shown: &Shown) -> Option<f64> {
    let power = counts.rewards.iter().map(|sum| sum * sum).sum::<f64>();
    if power == 0.0 {
        return Some(0.0);
    }
    let mut matrix = Array2::zeros((REGRESSORS, REGRESSORS));
    let mut target = Array1::zeros(REGRESSORS);
    for (place, item) in items(catalogue) {
        let impressions = shown.impressions[place];
        let row = regressors(catalogue, item, shown.popularity[place]);
        add(&mut matrix, &mut target, &row, impressions * impressions, counts.rewards[place] / impressions.max(TINY));
    }
    let used = matrix.diag().iter().filter(|value| **value > 0.0).count();
    let ridge = matrix.diag().sum() * TINY + TINY;
    matrix.diag_mut().mapv_inplace(|value| value + ridge);
    let explained = target.dot(&weights::solve(&matrix, &target)?);
    let deviations = |power: f64, cells: f64| (power / counts.rewards_variance - cells) / (2.0 * cells).sqrt();
    Some(deviations(power, count(counts.rewards.len())).max(deviations(explained, count(used.max(1)))))
}

#[expect(clippy::cast_precision_loss, reason = "at most ITEMS_MAX items")]
fn count(items: usize) -> f64 {
    items as f64
}

/// A/n and n²/(n·v + σ²) of one item.
fn own_estimate(counts: &Counts, shown: &Shown, place: usize) -> (f64, f64) {
    let shown = shown.impressions[place];
    if shown <= 0.0 {
        return (0.0, 0.0);
    }
    (counts.rewards[place] / shown, shown * shown / (shown * REWARD_VARIANCE + counts.rewards_variance + TINY))
}

fn prior_means(catalogue: &Catalogue, counts: &Counts, shown: &Shown) -> Option<Vec<f64>> {
    let ridge = |place: usize| match place {
        0 => TINY,
        1 | 2 => RIDGE[0],
        _ => RIDGE[1],
    };
    let mut matrix = Array2::from_diag(&Array1::from_shape_fn(REGRESSORS, ridge));
    let mut target = Array1::zeros(REGRESSORS);
    for (place, item) in items(catalogue) {
        let (own, information) = own_estimate(counts, shown, place);
        if information > 0.0 {
            // An item's own rate scatters about the prior mean by τ² and by its own error.
            let weight = 1.0 / (QUALITY_VARIANCE + 1.0 / information);
            add(&mut matrix, &mut target, &regressors(catalogue, item, shown.popularity[place]), weight, own);
        }
    }
    let solution = weights::solve(&matrix, &target)?;
    let mean = |(place, item): (usize, ItemIndex)| {
        let row = regressors(catalogue, item, shown.popularity[place]);
        row.iter().map(|(column, value)| solution[*column] * value).sum()
    };
    Some(items(catalogue).map(mean).collect())
}

/// One observation of weight `weight` into the normal equations.
fn add(matrix: &mut Array2<f64>, target: &mut Array1<f64>, row: &[(usize, f64)], weight: f64, observed: f64) {
    for (column, value) in row {
        target[*column] += weight * value * observed;
        row.iter().for_each(|(other, factor)| matrix[(*column, *other)] += weight * value * factor);
    }
}

/// (1, popularity, popularity², content), sparse.
fn regressors(catalogue: &Catalogue, item: ItemIndex, popularity: f64) -> Vec<(usize, f64)> {
    let content = catalogue.content().of_item(item).iter();
    let content = content.map(|entry| (3 + usize::from(entry.slot), f64::from(entry.value)));
    [(0, 1.0), (1, popularity), (2, popularity * popularity)].into_iter().chain(content).collect()
}
