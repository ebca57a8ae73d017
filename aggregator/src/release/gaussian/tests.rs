mod mass;

use super::*;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

fn bits(seed: u8) -> Bits<ChaCha20Rng> {
    Bits::new(ChaCha20Rng::from_seed([seed; 32]))
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
