//! Item qualities and popularity from noised counts.

use ndarray::{Array1, Array2};
use personalize::content::SLOTS;
use personalize::{Catalogue, ItemIndex};

use super::Settings;
use super::sums::Counts;

fn shown(counts: &Counts, settings: &Settings) -> Vec<f64> {
    let soft = settings.count_soft * counts.impressions_variance.sqrt();
    counts.impressions.iter().map(|n| (n - soft).max(0.0)).collect()
}

pub(super) fn estimate(settings: &Settings, catalogue: &Catalogue, counts: &Counts) -> Vec<f64> {
    let shown = shown(counts, settings);
    let popularity = popularity(counts, settings);
    // Each item's own rate and its information.
    let variance = |n: f64| n * settings.reward_variance + counts.rewards_variance;
    let information = shown.iter().map(|n| n * n / (variance(*n) + 1e-9)).collect::<Vec<_>>();
    let means = prior_means(settings, catalogue, counts, &shown, &popularity);
    (0..catalogue.len())
        .map(|i| {
            let own = shown[i] * counts.rewards[i] / (variance(shown[i]) + 1e-9);
            (means[i] / settings.tau2 + own) / (1.0 / settings.tau2 + information[i])
        })
        .collect()
}

/// Ridge of rate on [1, popularity, content].
fn prior_means(
    settings: &Settings,
    catalogue: &Catalogue,
    counts: &Counts,
    shown: &[f64],
    popularity: &[f64],
) -> Vec<f64> {
    let dim = SLOTS + 3;
    let mut a = Array2::<f64>::zeros((dim, dim));
    let mut b = Array1::<f64>::zeros(dim);
    let row = |i: usize| {
        let mut x = vec![(0, 1.0), (1, popularity[i]), (2, popularity[i] * popularity[i])];
        x.extend(
            catalogue
                .content()
                .of_item(ItemIndex(i as u32))
                .iter()
                .map(|e| (3 + usize::from(e.slot), f64::from(e.value))),
        );
        x
    };
    for i in 0..catalogue.len() {
        let n = shown[i];
        // weight: 1 / (τ² + variance of own rate), own rate = A/n
        let variance = n * settings.reward_variance + counts.rewards_variance;
        let weight = n * n / (n * n * settings.tau2 + variance + 1e-9);
        if n <= 0.0 {
            continue;
        }
        let rate = counts.rewards[i] / n;
        let x = row(i);
        for (j, xj) in &x {
            b[*j] += weight * xj * rate;
            for (k, xk) in &x {
                a[(*j, *k)] += weight * xj * xk;
            }
        }
    }
    for j in 0..dim {
        a[(j, j)] += if j == 0 {
            1e-6
        } else if j < 3 {
            settings.quality_ridge
        } else {
            4.0 * settings.quality_ridge
        };
    }
    let solution = super::weights::solve(&a, &b).unwrap_or_else(|| Array1::zeros(dim));
    (0..catalogue.len()).map(|i| row(i).iter().map(|(j, x)| solution[*j] * x).sum::<f64>()).collect()
}

pub(super) fn popularity(counts: &Counts, settings: &Settings) -> Vec<f64> {
    let shown = shown(counts, settings);
    let most = shown.iter().copied().fold(1.0, f64::max);
    shown.iter().map(|n| ((1.0 + n).ln() / (1.0 + most).ln()).powf(settings.pop_power)).collect()
}

pub(super) fn signal_to_noise(counts: &Counts) -> f64 {
    let n = counts.rewards.len() as f64;
    let power = counts.rewards.iter().map(|a| a * a).sum::<f64>();
    if counts.rewards_variance <= 0.0 {
        return f64::INFINITY;
    }
    (power / counts.rewards_variance - n) / (2.0 * n).sqrt()
}
