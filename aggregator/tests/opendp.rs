//! What is drawn and accounted here, against an implementation by others: OpenDP.
//!
//! OpenDP draws from the operating system, so that the tests of distributions are statistical ones: each fails for equal
//! distributions with probability below [`P_MIN`], all of them together below 10⁻⁵.
#![expect(clippy::unwrap_used, reason = "a peer that refuses fails the test")]
#![expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "statistics in floating point")]

use aggregator::release::{Bits, Gaussian, Variance};
use opendp::combinators::make_zCDP_to_approxDP;
use opendp::domains::{AtomDomain, VectorDomain};
use opendp::measurements::make_gaussian;
use opendp::metrics::L2Distance;
use policies::Rho;
use policies::zcdp::{Mechanism, epsilon};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

#[path = "../src/release/tests/statistics.rs"]
mod statistics;

const P_MIN: f64 = 1e-6;
const DRAWS: usize = 200_000;

/// Samples of OpenDP's discrete Gaussian of this σ.
fn theirs(sigma: f64) -> Vec<i64> {
    let domain = VectorDomain::new(AtomDomain::<i64>::default());
    let noise = make_gaussian(domain, L2Distance::<i64>::default(), sigma, None).unwrap();
    noise.invoke(&vec![0; DRAWS]).unwrap()
}

/// As many of ours.
fn ours(numerator: u128, denominator: u128, seed: u8) -> Vec<i64> {
    let gaussian = Gaussian::new(Variance::new(numerator, denominator).unwrap());
    let mut bits = Bits::new(ChaCha20Rng::from_seed([seed; 32]));
    (0..DRAWS).map(|_| gaussian.sample(&mut bits)).collect()
}

/// The probability that two equal samplers differ so much or more: χ² of two samples of one size, in cells of a tenth of σ
/// (at least one integer) that hold at least 40 samples together.
fn same_distribution(one: &[i64], other: &[i64], sigma: f64) -> f64 {
    let width = (sigma / 10.0).ceil() as i64;
    let mut cells = std::collections::BTreeMap::<i64, (f64, f64)>::new();
    one.iter().for_each(|sample| cells.entry(sample.div_euclid(width)).or_default().0 += 1.0);
    other.iter().for_each(|sample| cells.entry(sample.div_euclid(width)).or_default().1 += 1.0);
    let (mut statistic, mut degrees, mut pool) = (0.0, -1.0, (0.0, 0.0));
    for cell in cells.values() {
        pool = (pool.0 + cell.0, pool.1 + cell.1);
        if pool.0 + pool.1 >= 40.0 {
            statistic += (pool.0 - pool.1).powi(2) / (pool.0 + pool.1);
            degrees += 1.0;
            pool = (0.0, 0.0);
        }
    }
    statistics::chi_square_tail(statistic, degrees)
}

#[test]
fn both_draw_from_one_distribution() {
    // σ² = n/d, and σ, which floating point holds exactly.
    for (seed, (numerator, denominator, sigma)) in
        (1..).zip([(1, 4, 0.5), (1, 1, 1.0), (9, 4, 1.5), (9, 1, 3.0), (10_000, 1, 100.0), (1 << 40, 1, 1_048_576.0)])
    {
        let p = same_distribution(&ours(numerator, denominator, seed), &theirs(sigma), sigma);
        assert!(p > P_MIN, "σ = {sigma}: p = {p:e}");
    }
}

/// The comparison has power: a twentieth less σ is another distribution.
#[test]
fn another_sigma_is_another_distribution() {
    let p = same_distribution(&ours(9_025, 1, 30), &theirs(100.0), 100.0);
    assert!(p < P_MIN, "p = {p:e}");
}

/// ρ of noise of this σ at this Δ, by OpenDP, whose rounding is upward.
fn their_rho(sigma: f64, sensitivity: i64) -> f64 {
    let domain = VectorDomain::new(AtomDomain::<i64>::default());
    make_gaussian(domain, L2Distance::<i64>::default(), sigma, None).unwrap().map(&sensitivity).unwrap()
}

/// The ε of such noise at δ, by OpenDP.
fn their_epsilon(sigma: f64, delta: f64) -> f64 {
    let domain = VectorDomain::new(AtomDomain::<i64>::default());
    let noise = make_gaussian(domain, L2Distance::<i64>::default(), sigma, None).unwrap();
    make_zCDP_to_approxDP(noise).unwrap().map(&1).unwrap().epsilon(delta).unwrap()
}

/// What floating point loses on the way to σ and back, relative.
const SLACK: f64 = 1e-9;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// The noise that a policy's ρ buys spends no more than that by OpenDP's account, and no less but for the rounding
    /// that [`Variance::for_rho`] promises.
    #[test]
    fn noise_spends_what_is_charged(sensitivity in 1i64..=1 << 30, picos in 1_000_000u64..=10_000_000_000_000) {
        let rho = Rho::from_picos(picos).unwrap();
        let variance = Variance::for_rho(sensitivity.unsigned_abs(), rho).unwrap().as_f64();
        let spent = their_rho(variance.sqrt(), sensitivity);
        prop_assert!(spent <= rho.as_f64() * (1.0 + SLACK), "{spent} of {rho}");
        let rounding = (1.0 + 1.0 / variance) * (1.0 + 2f64.powi(-19));
        prop_assert!(spent * rounding >= rho.as_f64() * (1.0 - SLACK), "{spent} of {rho}");
    }

    /// ρ of a scale, and ε of ρ at δ, are OpenDP's: never below by more than the slack, nor above.
    #[test]
    fn conversions_agree(log_scale in -0.5..3.0f64, log_delta in -12.0..-3.0f64) {
        let (scale, delta) = (10f64.powf(log_scale), 10f64.powf(log_delta));
        let rho = Mechanism::DiscreteGaussian.rho(scale, 1);
        let theirs = their_rho(scale, 1);
        prop_assert!((rho / theirs - 1.0).abs() <= SLACK, "{rho} {theirs}");
        let (ours, theirs) = (epsilon(rho, delta), their_epsilon(scale, delta));
        prop_assert!(ours >= theirs * (1.0 - SLACK), "{ours} is below {theirs}");
        prop_assert!(ours <= theirs * (1.0 + SLACK), "{ours} is above {theirs}");
    }
}
