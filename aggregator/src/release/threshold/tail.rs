//! How far noise reaches but for probability δ, in integers and never too near.
//!
//! For t ≥ 1 and X of the discrete Gaussian N_ℤ(0, σ²):
//!
//! 1. Σₖ e^(−k²/2σ²) over all integers is at least σ√(2π) (Poisson summation: every other term of the dual sum is positive).
//! 2. (t + j)² ≥ t² + 2tj, so Σ over k ≥ t of e^(−k²/2σ²) is at most e^(−t²/2σ²) ÷ (1 − e^(−t/σ²)).
//! 3. e^y ≥ 1 + y, so 1 ÷ (1 − e^(−y)) ≤ (1 + y)/y.
//!
//! Together P(X ≥ t) ≤ e^(−t²/2σ²) · (σ² + t) ÷ (t·σ·√(2π)). Both sides are compared as base-2 logarithms in units of
//! 2⁻³², each rounded to the side that makes t larger.

use policies::Delta;

use crate::release::gaussian::Variance;

/// Bits after the point of a logarithm.
const FRACTION: u32 = 32;
/// log₂ e, rounded down.
const LOG_E_DOWN: u128 = 6_196_328_018;
/// log₂ √(2π), rounded down.
const LOG_ROOT_TWO_PI_DOWN: i128 = 5_694_044_580;
/// Multiples of σ that are searched: beyond 64 σ the bound is below e⁻²⁰⁴⁸.
const SIGMAS_MAX: u128 = 64;

/// δ is 0 or nothing can be owned: no threshold follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a threshold needs a delta above 0, and at least one key")]
pub struct NoThreshold;

/// A t so that `keys` · P(N_ℤ(0, σ²) ≥ t) ≤ δ, the least by the bound above. A pure function of integers: node and centre
/// get the same.
///
/// # Errors
/// δ or `keys` is 0, or δ is below every bound within 64 σ (it never is at σ ≥ 1 and 64-bit `keys`).
pub fn noise_bound(variance: Variance, keys: u64, delta: Delta) -> Result<u64, NoThreshold> {
    if delta == Delta::ZERO || keys == 0 {
        return Err(NoThreshold);
    }
    let (sigma_up, bits) = sigma_up(variance);
    let narrow = |value: u128| u64::try_from(value).map_err(|_| NoThreshold);
    // `high` holds, `low` does not; 0 never does, since half of the noise is at least 0.
    let (mut low, mut high) = (0, narrow(((sigma_up * SIGMAS_MAX) >> bits) + 1)?);
    let holds = |t| holds(variance, (sigma_up, bits), keys, delta, t);
    if !holds(high) {
        return Err(NoThreshold);
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if holds(middle) { high = middle } else { low = middle }
    }
    Ok(high)
}

/// Whether `keys` times the bound at t is at most δ, for t of at least 1.
fn holds(variance: Variance, (sigma_up, bits): (u128, u32), keys: u64, delta: Delta, t: u64) -> bool {
    let (numerator, denominator) = variance.parts();
    let t = u128::from(t);
    // keys · (σ² + t) · 10¹⁸, over δ · t · σ · √(2π).
    let above = log_up(u128::from(keys)) + log_up(numerator + t * denominator) - log_down(denominator)
        + log_up(u128::from(Delta::ONE.attos()));
    let sigma = (log_down(numerator) - log_up(denominator)) / 2 - 1;
    let below = log_down(u128::from(delta.attos())) + log_down(t) + sigma + LOG_ROOT_TWO_PI_DOWN;
    // t/σ in units of 2⁻²⁰, rounded down, then log₂ e^(t²/2σ²) rounded down.
    let ratio = (t << (bits + 20)) / sigma_up;
    let exponent = (ratio * ratio * LOG_E_DOWN) >> 41;
    i128::try_from(exponent).is_ok_and(|exponent| above - below <= exponent)
}

/// σ rounded up, and how many of its bits stand after the point.
fn sigma_up(variance: Variance) -> (u128, u32) {
    let (numerator, denominator) = variance.parts();
    let bits = (numerator.leading_zeros().saturating_sub(1) / 2).min(20);
    let square = (numerator << (2 * bits)).div_ceil(denominator);
    (square.isqrt() + 1, bits)
}

/// log₂ of a number above 0 in units of 2⁻³², rounded down.
fn log_down(value: u128) -> i128 {
    let whole = 127 - value.leading_zeros();
    // A mantissa from 1 to 2 with 63 bits after the point; every cut makes it smaller, and the logarithm with it.
    let mut mantissa = if whole > 63 { value >> (whole - 63) } else { value << (63 - whole) };
    let mut log = i128::from(whole);
    for _ in 0..FRACTION {
        mantissa = (mantissa * mantissa) >> 63;
        log <<= 1;
        if mantissa >> 64 == 1 {
            mantissa >>= 1;
            log |= 1;
        }
    }
    log
}

/// log₂ of a number above 0 in units of 2⁻³², rounded up. What [`log_down`] leaves away is less than one unit by its
/// last digit, and less than 2⁻⁵⁰ units by the cuts before.
fn log_up(value: u128) -> i128 {
    log_down(value) + 2
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "compared with floating point")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// P(X ≥ t) by adding the masses up.
    fn exact(variance: Variance, t: u64) -> f64 {
        let mass = |k: f64| (-k * k / (2.0 * variance.as_f64())).exp();
        let reach = (12.0 * variance.as_f64().sqrt()) as u64 + 2;
        let all = 1.0 + 2.0 * (1..t + reach).map(|k| mass(k as f64)).sum::<f64>();
        (t..t + reach).map(|k| mass(k as f64)).sum::<f64>() / all
    }

    fn delta(value: f64) -> Delta {
        Delta::from_f64_up(value).unwrap()
    }

    #[test]
    fn logarithms_are_bracketed() {
        assert_eq!((log_down(1), log_down(2), log_down(1 << 100)), (0, 1 << 32, 100 << 32));
        for value in [3u128, 10, 1_000_000_007, u128::from(u64::MAX), 10u128.pow(30), u128::MAX] {
            let real = (value as f64).log2() * 2f64.powi(32);
            assert!((log_down(value) as f64) <= real + 1e-4 && (log_up(value) as f64) >= real - 1e-4, "{value}");
            assert!((log_up(value) as f64) - real <= 2.001, "{value}");
        }
        assert_eq!(LOG_E_DOWN, (std::f64::consts::LOG2_E * 2f64.powi(32)).floor() as u128);
        let root = (2.0 * std::f64::consts::PI).log2() / 2.0 * 2f64.powi(32);
        assert_eq!(LOG_ROOT_TWO_PI_DOWN, root.floor() as i128);
    }

    /// Against the exact tail: never above δ, and at most 2 % (or one step) beyond the least t there is.
    #[test]
    fn the_bound_is_true_and_tight() {
        for (numerator, denominator) in [(1, 4), (1, 1), (9, 2), (400, 1), (123_457, 3)] {
            let variance = Variance::new(numerator, denominator).unwrap();
            for probability in [0.05, 1e-3, 1e-6, 1e-9, 1e-12] {
                for keys in [1, 8, 1000] {
                    let t = noise_bound(variance, keys, delta(probability)).unwrap();
                    assert!(keys as f64 * exact(variance, t) <= probability, "{variance:?} {probability} {keys}");
                    let nearer = t - 1 - (t / 50).max(u64::from(t > 2));
                    let tight = nearer == 0 || keys as f64 * exact(variance, nearer) > probability;
                    assert!(tight || probability > 0.01, "{variance:?} {probability} {keys}: {t}");
                }
            }
        }
    }

    /// Normal quantiles: 6.00 σ at 10⁻⁹, 4.75 σ at 10⁻⁶, whatever the size of σ.
    #[test]
    fn large_noise_is_normal() {
        for bits in [20, 30, 40, 50] {
            let variance = Variance::new(1 << (2 * bits), 1).unwrap();
            for (probability, quantile) in [(1e-9, 5.998), (1e-6, 4.753)] {
                let t = noise_bound(variance, 1, delta(probability)).unwrap() as f64;
                let sigmas = t / 2f64.powi(bits);
                assert!((quantile..quantile * 1.01).contains(&sigmas), "{bits} {sigmas}");
            }
        }
    }

    #[test]
    fn nothing_follows_from_nothing() {
        let variance = Variance::new(4, 1).unwrap();
        assert_eq!(noise_bound(variance, 0, delta(0.1)), Err(NoThreshold));
        assert_eq!(noise_bound(variance, 1, Delta::ZERO), Err(NoThreshold));
    }

    proptest! {
        #[test]
        fn it_rises_as_delta_falls_and_keys_rise(
            numerator in 1u128..1 << 40, denominator in 1u128..1 << 40, keys in 1u64..1 << 40,
            attos in 1u64..1_000_000_000_000_000_000,
        ) {
            let variance = Variance::new(numerator, denominator).unwrap();
            let bound = |keys, attos| noise_bound(variance, keys, Delta::from_attos(attos).unwrap());
            if let Ok(bound_here) = bound(keys, attos) {
                prop_assert!(bound_here >= 1);
                prop_assert!(bound(keys + 1, attos).is_ok_and(|more| more >= bound_here));
                prop_assert!(attos == 1 || bound(keys, attos - 1).is_ok_and(|more| more >= bound_here));
            } else {
                // Only where σ is so small that 64 σ are less than a step.
                prop_assert!(variance.as_f64() < 1.0);
            }
        }
    }
}
