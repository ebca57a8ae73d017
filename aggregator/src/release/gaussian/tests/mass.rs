//! Every sampler against its exact probabilities: χ² of four million draws each, by fixed seeds.
//!
//! Probabilities are computed in integers ([`exp_minus`]) to 2⁻⁵⁴, far below what so many draws can tell apart. A test
//! fails where an exact sampler would give counts as unlike with probability below [`P_MIN`]; there are fewer than 100
//! of them here, so exact samplers fail with probability below 10⁻⁴, once: the seeds are fixed.

use std::fmt::Debug;

use super::{Bits, Gaussian, Variance, bits};
use crate::release::tests::statistics::chi_square_p;

const DRAWS: u32 = 4_000_000;
const P_MIN: f64 = 1e-6;
/// One, in the fixed-point numbers of [`exp_minus`].
const ONE: u128 = 1 << 62;

/// e^(−numerator/denominator) in units of 2⁻⁶², for parts below 2⁶⁰: e⁻¹ as often as it goes, by squaring, times the
/// alternating series of the rest. Each of at most 150 steps is truncated by one unit: the error is below 2⁻⁵⁴.
fn exp_minus(numerator: u128, denominator: u128) -> u128 {
    // γ^k/k!, until it is below a unit.
    let series = |numerator: u128, denominator: u128| {
        let (mut term, mut sum, mut k) = (ONE, 0u128, 0u128);
        while term > 0 {
            sum = if k % 2 == 0 { sum + term } else { sum - term };
            k += 1;
            term = term * numerator / denominator / k;
        }
        sum
    };
    let (mut whole, mut power, mut product) = (numerator / denominator, series(1, 1), ONE);
    while whole > 0 && product > 0 {
        if whole % 2 == 1 {
            product = (product * power) >> 62;
        }
        power = (power * power) >> 62;
        whole /= 2;
    }
    (product * series(numerator % denominator, denominator)) >> 62
}

/// Weights divided by their sum.
fn normalised(weights: &[u128]) -> Vec<f64> {
    let total = weights.iter().sum::<u128>() as f64;
    weights.iter().map(|weight| *weight as f64 / total).collect()
}

fn fits(observed: &[u64], probabilities: &[f64], what: impl Debug) {
    let p = chi_square_p(observed, probabilities);
    assert!(p > P_MIN, "{what:?}: p = {p:e}");
}

/// How often each value came; what lies beyond the last counts there.
fn tally(cells: usize, mut draw: impl FnMut() -> Option<u64>) -> Vec<u64> {
    let mut observed = vec![0u64; cells];
    for value in (0..DRAWS).filter_map(|_| draw()) {
        observed[usize::try_from(value).map_or(cells - 1, |value| value.min(cells - 1))] += 1;
    }
    observed
}

/// P(|X| = m), X of N_ℤ(0, n/d), for m up to twelve σ: weights e^(−m²d/2n), all but that of 0 twice.
fn gaussian_mass(variance: Variance) -> Vec<f64> {
    let (n, d) = variance.parts();
    let reach = 12 * (n / d + 1).isqrt() + 2;
    let weights: Vec<_> = (0..=reach).map(|m| exp_minus(m * m * d, 2 * n) * if m == 0 { 1 } else { 2 }).collect();
    normalised(&weights)
}

/// Magnitudes and signs of four million samples of σ² against the probabilities for another, or the same.
fn gaussian_p(variance: Variance, assumed: Variance, seed: u8) -> (f64, f64) {
    let (gaussian, mut bits, mass) = (Gaussian::new(variance), bits(seed), gaussian_mass(assumed));
    let mut signs = [0u64; 2];
    let observed = tally(mass.len(), || {
        let sample = gaussian.sample(&mut bits);
        signs[usize::from(sample < 0)] += u64::from(sample != 0);
        Some(sample.unsigned_abs())
    });
    (chi_square_p(&observed, &mass), chi_square_p(&signs, &[0.5, 0.5]))
}

fn variance(numerator: u128, denominator: u128) -> Variance {
    Variance::new(numerator, denominator).unwrap()
}

/// σ below 1, whole and fractional, with parts that share no factor, up to 1,000.
#[test]
fn gaussian_samples_follow_the_exact_mass() {
    let variances = [(1, 10), (1, 3), (1, 1), (5, 2), (100, 7), (12_345, 67), (10_000, 1), (1_000_003, 1)];
    for (seed, (numerator, denominator)) in (1..).zip(variances) {
        let variance = variance(numerator, denominator);
        let (magnitude, sign) = gaussian_p(variance, variance, seed);
        assert!(magnitude > P_MIN && sign > P_MIN, "{numerator}/{denominator}: p = {magnitude:e}, {sign:e}");
    }
}

/// The test has power: neither 1 % less σ passes nor ½ % more, nor a denominator that is one off.
#[test]
fn another_variance_does_not_pass() {
    for (numerator, denominator) in [(9_801, 100), (10_100, 100), (100 * 67, 68)] {
        let (p, _) = gaussian_p(variance(numerator, denominator), variance(100, 1), 9);
        assert!(p < P_MIN * 1e-6, "{numerator}/{denominator}: {p:e}");
    }
}

/// Large σ, in 512 equally wide cells up to 8σ: the mass of a cell is the integral of the density, to 2⁻⁴⁰ of it.
#[test]
fn large_gaussian_samples_follow_the_density() {
    const CELLS: u32 = 512;
    const PER_CELL: u32 = 64;
    // Midpoint rule by 64 points a cell, exact to (8/512/64)²/24 of a cell's mass: 2.5·10⁻⁹.
    let point = |at: u32| exp_minus(u128::from(2 * at + 1).pow(2), 2 * u128::from(CELLS / 8 * PER_CELL * 2).pow(2));
    let cell = |cell: u32| (0..PER_CELL).map(|at| point(cell * PER_CELL + at)).sum::<u128>();
    let mass = normalised(&(0..CELLS).map(cell).collect::<Vec<_>>());
    for (seed, power) in [(20, 21u32), (21, 31), (22, 33), (23, 50)] {
        let (gaussian, mut bits) = (Gaussian::new(variance(1 << (2 * power), 1)), bits(seed));
        let width = 1u64 << (power - 6);
        let observed = tally(mass.len(), || {
            let sample = gaussian.sample(&mut bits);
            // Integers −w/2 … w/2 − 1 around 0 would make the first cell uneven: negatives count from −1.
            Some((if sample < 0 { !sample } else { sample }).unsigned_abs() / width)
        });
        fits(&observed, &mass, power);
    }
}

/// |Y| of the proposal, 0 twice as likely as in the discrete Laplace distribution: e^(−m/t)·(1 − e^(−1/t)).
#[test]
fn laplace_magnitudes_follow_the_exact_mass() {
    for (seed, scale) in (40..).zip([1u64, 2, 7, 100, 1_000]) {
        let gaussian = Gaussian::new(variance(u128::from(scale * scale), 1));
        let weights: Vec<_> = (0..=scale * 40).map(|m| exp_minus(m.into(), scale.into())).collect();
        let mut bits = bits(seed);
        let observed = tally(weights.len(), || gaussian.laplace_magnitude(&mut bits));
        fits(&observed, &normalised(&weights), scale);
    }
}

/// Four million coins of bias e^(−n/d), singly and by runs of two, so that neighbours are independent too.
fn coins(seed: u8, exponent: (u128, u128), mut toss: impl FnMut(&mut Bits<rand_chacha::ChaCha20Rng>) -> bool) {
    let mut bits = bits(seed);
    let mut pairs = [0u64; 4];
    for _ in 0..DRAWS / 2 {
        let pair = (toss(&mut bits), toss(&mut bits));
        pairs[usize::from(pair.0) * 2 + usize::from(pair.1)] += 1;
    }
    let heads = exp_minus(exponent.0, exponent.1);
    let tails = ONE - heads;
    let weights = [tails * tails, tails * heads, heads * tails, heads * heads].map(|weight| weight >> 62);
    fits(&pairs, &normalised(&weights), exponent);
}

#[test]
fn exponential_coins_are_exact() {
    coins(60, (1, 1), Bits::exponential_one);
    for (seed, (numerator, denominator)) in (61..).zip([(1u64, 2u64), (1, 3), (999, 1_000), (2, 7)]) {
        coins(seed, (numerator.into(), denominator.into()), |bits| bits.exponential_fraction(numerator, denominator));
    }
    for (seed, (numerator, denominator)) in (70..).zip([(5, 2), (1, 3), (1, 1), (3, 1), (47, 10)]) {
        coins(seed, (numerator, denominator), |bits| bits.exponential(numerator, denominator));
        // The same fraction in more than 64 bits, as for a large σ.
        let (above, below) = (numerator * ((1 << 90) + 1), denominator * ((1 << 90) + 1));
        coins(seed + 10, (numerator, denominator), |bits| bits.exponential(above, below));
    }
    // ½ and e^(−½) again, of bounds that are no multiples of a power of two.
    coins(90, (1, 2), |bits| bits.exponential((1 << 80) + 7, 2 * ((1 << 80) + 7)));
    let mut bits = bits(91);
    assert!((0..1_000).all(|_| bits.exponential(0, 7) && bits.exponential_fraction(0, 7)), "e⁰ is 1");
}

#[test]
fn fair_coins_are_fair() {
    let mut bits = bits(95);
    let mut runs = [0u64; 8];
    for _ in 0..DRAWS {
        let run = [bits.coin(), bits.coin(), bits.coin()];
        runs[run.iter().fold(0, |run, coin| run * 2 + usize::from(*coin))] += 1;
    }
    fits(&runs, &[0.125; 8], "three coins");
}

/// Small bounds by value, large ones by twelve equal parts. Of 3·2⁶² also by the remainder of 3, of which a sampler that
/// refuses no uneven rest would give 0 half of the time.
#[test]
fn uniform_integers_are_uniform() {
    for (seed, bound) in (100..).zip([2u64, 3, 7, 12, 1_000]) {
        let mut bits = bits(seed);
        let parts = usize::try_from(bound).unwrap();
        let observed = tally(parts, || Some(bits.below(bound)));
        fits(&observed, &vec![1.0 / bound as f64; parts], bound);
    }
    for (seed, bound) in (110..).zip([3u64 << 62, 2_432_902_008_176_640_000, (1 << 63) + 4, u64::MAX - 3]) {
        let mut bits = bits(seed);
        assert_eq!(bound % 12, 0);
        fits(&tally(12, || Some(bits.below(bound) / (bound / 12))), &[1.0 / 12.0; 12], bound);
    }
    let mut bits = bits(120);
    fits(&tally(3, || Some(bits.below(3 << 62) % 3)), &[1.0 / 3.0; 3], "the remainder of 3");
}

/// The integers agree with floating point where that is good, and with e⁻¹ to all their digits.
#[test]
fn the_exponential_is_exact() {
    // e⁻¹ = 0.36787944117144232159552377016146086745… × 2⁶².
    assert!(exp_minus(1, 1).abs_diff(1_696_544_475_317_221_318) < 64);
    for (numerator, denominator) in [(0, 1), (1, 3), (5, 2), (72, 1), (1 << 59, 3 << 58), (12_345, 67)] {
        let exact = (-(numerator as f64) / denominator as f64).exp();
        let fixed = exp_minus(numerator, denominator) as f64 / ONE as f64;
        assert!((fixed - exact).abs() < 2f64.powi(-50), "{numerator}/{denominator}: {fixed} {exact}");
    }
}
