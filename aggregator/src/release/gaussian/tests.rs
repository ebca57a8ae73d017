use super::*;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

fn bits(seed: u8) -> Bits<ChaCha20Rng> {
    Bits::new(ChaCha20Rng::from_seed([seed; 32]))
}

/// χ² that a fair sampler passes with probability 10⁻⁶ (Wilson and Hilferty 1931).
fn chi_square_limit(degrees: f64) -> f64 {
    let part = 2.0 / (9.0 * degrees);
    degrees * (1.0 - part + 4.753 * part.sqrt()).powi(3)
}

/// χ² of counts against probabilities; neighbouring cells are pooled until 20 are expected.
fn chi_square(observed: &[u64], probabilities: &[f64], samples: f64) -> (f64, f64) {
    let (mut statistic, mut cells, mut pool) = (0.0, 0.0, (0.0, 0.0));
    for (count, probability) in observed.iter().zip(probabilities) {
        pool = (pool.0 + *count as f64, pool.1 + probability * samples);
        if pool.1 >= 20.0 {
            statistic += (pool.0 - pool.1).powi(2) / pool.1;
            cells += 1.0;
            pool = (0.0, 0.0);
        }
    }
    statistic += if pool.1 > 0.0 { (pool.0 - pool.1).powi(2) / pool.1 } else { 0.0 };
    (statistic, cells)
}

/// χ² of one million samples against the probability mass exp(−x²/2σ²) ÷ Σ, and its limit.
fn against_mass(variance: Variance, assumed: f64, seed: u8) -> (f64, f64) {
    const SAMPLES: usize = 1_000_000;
    let reach = (assumed.sqrt() * 12.0).ceil() as i64 + 2;
    let weight = |x: i64| (-(x as f64).powi(2) / (2.0 * assumed)).exp();
    let total: f64 = (-reach..=reach).map(weight).sum();
    let probabilities: Vec<f64> = (-reach..=reach).map(|x| weight(x) / total).collect();
    let (gaussian, mut bits) = (Gaussian::new(variance), bits(seed));
    let mut observed = vec![0u64; probabilities.len()];
    for _ in 0..SAMPLES {
        observed[usize::try_from(gaussian.sample(&mut bits) + reach).unwrap()] += 1;
    }
    let (statistic, cells) = chi_square(&observed, &probabilities, SAMPLES as f64);
    (statistic, chi_square_limit(cells))
}

#[test]
fn samples_follow_the_exact_mass() {
    for (seed, (numerator, denominator)) in (1..).zip([(1, 3), (1, 1), (5, 2), (100, 7), (10_000, 1), (12_345, 67)]) {
        let variance = Variance::new(numerator, denominator).unwrap();
        let (statistic, limit) = against_mass(variance, variance.as_f64(), seed);
        assert!(statistic < limit, "{numerator}/{denominator}: {statistic} of {limit}");
    }
}

/// The test has power: a tenth less σ does not pass, nor 3 % more.
#[test]
fn another_variance_does_not_pass() {
    let variance = Variance::new(100, 1).unwrap();
    for factor in [0.81, 1.06] {
        let (statistic, limit) = against_mass(variance, 100.0 * factor, 9);
        assert!(statistic > limit, "{factor}: {statistic} of {limit}");
    }
}

/// Large σ, where mass and density agree: sixteenths of the normal distribution are equally likely.
#[test]
fn large_samples_follow_the_normal_quantiles() {
    // Φ⁻¹(k/16), k = 9..15.
    const QUANTILES: [f64; 7] =
        [0.157_310_685, 0.318_639_364, 0.488_776_411, 0.674_489_750, 0.887_146_559, 1.150_349_380, 1.534_120_544];
    for (seed, power) in [(20, 21u32), (21, 31), (22, 33), (23, 50)] {
        let sigma = 1u128 << power;
        let (gaussian, mut bits) = (Gaussian::new(Variance::new(sigma * sigma, 1).unwrap()), bits(seed));
        let mut observed = [0u64; 16];
        for _ in 0..400_000 {
            let sample = gaussian.sample(&mut bits);
            let place = QUANTILES.iter().filter(|q| sample.unsigned_abs() as f64 > **q * sigma as f64).count();
            observed[if sample < 0 { 7 - place } else { 8 + place }] += 1;
        }
        let (statistic, cells) = chi_square(&observed, &[1.0 / 16.0; 16], 400_000.0);
        assert!(statistic < chi_square_limit(cells - 1.0), "2^{power}: {statistic}");
    }
}

#[test]
fn the_coin_of_one_over_e_is_exact() {
    let mut bits = bits(30);
    let heads = (0..4_000_000).filter(|_| bits.exponential_one()).count() as f64 / 4e6;
    let truth = (-1f64).exp();
    assert!((heads - truth).abs() < 4.9 * (truth * (1.0 - truth) / 4e6).sqrt(), "{heads}");
}

#[test]
fn refuses_what_it_cannot_sample() {
    for (numerator, denominator) in [(0, 1), (1, 0), ((1 << 40) + 1, 1), (1, (1 << 40) + 1), (1 << 102, 1)] {
        assert_eq!(Variance::new(numerator, denominator), Err(InvalidVariance), "{numerator}/{denominator}");
    }
    assert_eq!(Variance::for_rho(0, Rho::MAX), Err(InvalidVariance));
    assert_eq!(Variance::for_rho(1, Rho::ZERO), Err(InvalidVariance));
    assert_eq!(Variance::for_rho(1 << 40, Rho::from_picos(1).unwrap()), Err(InvalidVariance));
    assert_eq!(Variance::for_rho(1, Rho::from_picos(500_000_000_000).unwrap()).map(Variance::parts), Ok((1, 1)));
    assert_eq!(Variance::for_rho(3, Rho::from_picos(1_000_000_000_000).unwrap()).map(Variance::parts), Ok((9, 2)));
}

proptest! {
    /// σ² ≥ Δ²/(2ρ), exactly, and never more than the promised rounding above it. All numbers fit.
    #[test]
    fn noise_is_never_less_than_rho_needs(sensitivity in 1u64..=1 << 40, picos in 1u64..=1_000_000_000_000_000_000) {
        let rho = Rho::from_picos(picos).unwrap();
        if let Ok(variance) = Variance::for_rho(sensitivity, rho) {
            let (numerator, denominator) = variance.parts();
            let needed = (sensitivity as f64).powi(2) / (2.0 * rho.as_f64());
            prop_assert!(variance.as_f64() >= needed * (1.0 - 1e-12));
            prop_assert!(variance.as_f64() <= needed.ceil().max(needed * (1.0 + 2f64.powi(-19))) * (1.0 + 1e-12));
            // Exact where the product fits: numerator · 2ρ ≥ denominator · Δ² · 10¹².
            let left = numerator.checked_mul(2 * u128::from(picos));
            let right = u128::from(sensitivity).pow(2).checked_mul(1_000_000_000_000).and_then(|x| x.checked_mul(denominator));
            if let (Some(left), Some(right)) = (left, right) {
                prop_assert!(left >= right);
            }
            let sample = Gaussian::new(variance).sample(&mut bits(40));
            prop_assert!((sample.unsigned_abs() as f64) < 64.0 * variance.as_f64().sqrt() + 64.0);
        }
    }
}
