//! What a budget means: zero-concentrated differential privacy (zCDP) and its conversion to (ε, δ).
//!
//! Sources: Bun and Steinke 2016 (zCDP, composition by addition); Canonne, Kamath and Steinke 2020,
//! "The Discrete Gaussian for Differential Privacy" (Theorem 4: the discrete Gaussian spends what the
//! continuous one does; Proposition 12: the conversion); Harrison and Manurangsi 2025, "Exact zCDP
//! Characterizations for Fundamental Differentially Private Mechanisms" (Laplace, randomized response); Balle and Wang
//! 2018, "Improving the Gaussian Mechanism for Differential Privacy" (exact (ε, δ) of Gaussian noise).
//!
//! A scale is the noise's parameter divided by the sensitivity Δ: σ/Δ, or b/Δ for Laplace.

use crate::Rho;
use crate::pld::normal::gaussian_profile;

/// ln(α − 1) at the ends of the search for the best Rényi order α.
const LOG_ORDER_RANGE: (f64, f64) = (-30.0, 60.0);
/// Golden-section steps: the bracket shrinks by 0.618 each, so that 120 of them leave 90 · 10⁻²⁵.
const SEARCH_STEPS: u32 = 120;

/// The smallest ε for which ρ-zCDP gives (ε, δ), by Proposition 12 of Canonne, Kamath and Steinke 2020:
/// the infimum over α > 1 of `αρ + ln(1 − 1/α) + (ln(1/δ) − ln α)/(α − 1)`, and at least 0.
///
/// Infinite where no finite ε exists (δ not above 0, or ρ not finite), and 0 for δ ≥ 1.
#[must_use]
pub fn epsilon(rho: impl Into<f64>, delta: f64) -> f64 {
    let rho = rho.into();
    if rho == 0.0 || delta >= 1.0 {
        return 0.0;
    }
    if !(rho > 0.0 && rho.is_finite() && delta > 0.0) {
        return f64::INFINITY;
    }
    let log_inverse_delta = -delta.ln();
    // Every order gives a valid ε; the search only looks for the best. For a fixed ε the logarithm of δ
    // is convex in α, therefore ε has one minimum.
    let at = |log_order: f64| {
        let above_one = log_order.exp();
        let order = 1.0 + above_one;
        rho * order - (1.0 / above_one).ln_1p() + (log_inverse_delta - above_one.ln_1p()) / above_one
    };
    minimum(at, LOG_ORDER_RANGE).max(0.0)
}

/// The largest ρ whose [`epsilon`] at `delta` is at most `epsilon_max`; 0 where there is none.
#[must_use]
pub fn rho_for_epsilon(epsilon_max: f64, delta: f64) -> Rho {
    let fits = |picos: u64| Rho::from_picos(picos).is_ok_and(|rho| epsilon(rho, delta) <= epsilon_max);
    if fits(Rho::MAX.picos()) {
        return Rho::MAX;
    }
    // `low` fits (0 stands for "nothing released"), `high` does not.
    let (mut low, mut high) = (0, Rho::MAX.picos());
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle) { low = middle } else { high = middle }
    }
    Rho::from_picos(low).unwrap_or(Rho::ZERO)
}

/// Standard deviation of the Gaussian noise that spends `rho` at L2 sensitivity Δ: σ = Δ/√(2ρ).
/// Infinite for ρ = 0.
#[must_use]
pub fn sigma(sensitivity: f64, rho: impl Into<f64>) -> f64 {
    sensitivity / (2.0 * rho.into()).sqrt()
}

/// δ of Gaussian noise at ε, μ = Δ/σ: the exact privacy profile Φ(μ/2 − ε/μ) − e^ε Φ(−μ/2 − ε/μ) of Balle and Wang 2018
/// (theorem 8), rounded up; stable also where e^ε overflows. k releases with μ have √k·μ.
///
/// 1 for ε below 0 or μ infinite; where one is no number, 1 as well.
#[must_use]
pub fn delta_of_gaussian(epsilon: f64, mu: f64) -> f64 {
    if !(epsilon >= 0.0 && mu < f64::INFINITY) {
        return 1.0;
    }
    if mu <= 0.0 || epsilon == f64::INFINITY {
        return 0.0;
    }
    gaussian_profile(epsilon, mu).upper().min(1.0)
}

/// The smallest ε at which Gaussian noise with μ = Δ/σ has δ, rounded up; infinite where there is none.
#[must_use]
pub fn epsilon_of_gaussian(mu: f64, delta: f64) -> f64 {
    if delta.is_nan() || delta <= 0.0 || mu.is_nan() || mu == f64::INFINITY {
        return f64::INFINITY;
    }
    falling(|epsilon| delta_of_gaussian(epsilon, mu) <= delta)
}

/// The smallest σ/Δ at which one release with Gaussian noise is (ε, δ)-private, rounded up: the analytic Gaussian
/// mechanism (Balle and Wang 2018, algorithm 1). k releases need √k times as much.
///
/// Infinite where δ is not above 0 or ε is below 0, and 0 for δ ≥ 1.
#[must_use]
pub fn sigma_for(epsilon: f64, delta: f64) -> f64 {
    if !(epsilon >= 0.0 && delta > 0.0) {
        return f64::INFINITY;
    }
    falling(|scale| delta >= 1.0 || scale > 0.0 && delta_of_gaussian(epsilon, 1.0 / scale) <= delta)
}

/// The least number from 0 up that fits, where all above one do; that which is returned does. Infinite where none does.
fn falling(fits: impl Fn(f64) -> bool) -> f64 {
    if fits(0.0) {
        return 0.0;
    }
    let mut high = 1e-9;
    while !fits(high) {
        high *= 2.0;
        if high > 1e18 {
            return f64::INFINITY;
        }
    }
    let mut low = if high > 1e-9 { high / 2.0 } else { 0.0 };
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return high;
        }
        if fits(middle) { high = middle } else { low = middle }
    }
}

/// A noise mechanism, as its accounting needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// Continuous Gaussian noise; the scale is σ/Δ.
    Gaussian,
    /// Discrete Gaussian noise on the integers; the scale is σ/Δ.
    DiscreteGaussian,
    /// Laplace noise, Δ in the L1 norm; the scale is b/Δ.
    Laplace,
    /// Discrete Laplace (two-sided geometric) noise on the integers, Δ in the L1 norm; the scale is b/Δ.
    DiscreteLaplace,
}

impl Mechanism {
    /// ρ of `compositions` independent releases at a scale, each of the same data.
    ///
    /// Gaussian: k/(2·scale²). Laplace: k·(ε₀ + e^(−ε₀) − 1) with ε₀ = 1/scale, the smallest ρ that is true of it.
    /// Discrete Laplace: k·ε₀·tanh(ε₀/2), what every ε₀-private mechanism spends at most, and this one at Δ = 1.
    /// Infinite for a scale that is not above 0.
    #[must_use]
    pub fn rho(self, scale: f64, compositions: u64) -> f64 {
        if compositions == 0 {
            return 0.0;
        }
        if scale.is_nan() || scale <= 0.0 {
            return f64::INFINITY;
        }
        #[expect(clippy::cast_precision_loss, reason = "beyond 2^53 compositions ρ is no useful figure")]
        let compositions = compositions as f64;
        match self {
            Self::Gaussian | Self::DiscreteGaussian => compositions / (2.0 * scale * scale),
            Self::Laplace => compositions * laplace_rho(1.0 / scale),
            Self::DiscreteLaplace => compositions / scale * (0.5 / scale).tanh() * (1.0 + 8.0 * f64::EPSILON),
        }
    }
}

/// ε₀ + e^(−ε₀) − 1. Near 0 the terms cancel, so that the series takes over; its alternating terms fall,
/// so that stopping after a positive one errs upward.
fn laplace_rho(pure: f64) -> f64 {
    if pure < 1e-3 { pure * pure / 2.0 * (1.0 - pure / 3.0 + pure * pure / 12.0) } else { pure + (-pure).exp_m1() }
}

/// The minimum of a function with one valley, by golden section.
fn minimum(f: impl Fn(f64) -> f64, (mut low, mut high): (f64, f64)) -> f64 {
    const RATIO: f64 = 0.618_033_988_749_894_8;
    let (mut left, mut right) = (high - RATIO * (high - low), low + RATIO * (high - low));
    let (mut at_left, mut at_right) = (f(left), f(right));
    for _ in 0..SEARCH_STEPS {
        if at_left <= at_right {
            (high, right, at_right) = (right, left, at_left);
            left = high - RATIO * (high - low);
            at_left = f(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + RATIO * (high - low);
            at_right = f(right);
        }
    }
    at_left.min(at_right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(actual: f64, expected: f64, digits: f64) {
        assert!((actual - expected).abs() <= digits * expected.abs(), "{actual} is not {expected}");
    }

    /// Figures of the tight conversion at δ = 10⁻⁶, computed apart from this code.
    #[test]
    fn conversion_agrees_with_published_figures() {
        for (rho, expected) in [(0.01, 0.6217), (0.1, 2.142), (1.0, 7.766), (0.02436, 1.0)] {
            close(epsilon(rho, 1e-6), expected, 2e-4);
        }
        close(epsilon(365.0 * 0.02436, 1e-6), 29.8, 2e-3);
    }

    /// The conversion is never below what Gaussian noise really gives (exact ε by its privacy profile).
    #[test]
    fn conversion_bounds_the_exact_epsilon() {
        let exact = [(1.0, [4.887, 19.42, 96.72]), (5.0, [0.8341, 2.922, 11.00])];
        for (scale, row) in exact {
            for (compositions, exact) in [1, 10, 100].into_iter().zip(row) {
                let rho = Mechanism::DiscreteGaussian.rho(scale, compositions);
                let converted = epsilon(rho, 1e-6);
                assert!(converted >= exact * 0.9999 && converted <= exact * 1.13, "{converted} for {exact}");
            }
        }
        // Laplace b = 1, 100 times: 71.55 by its privacy loss distribution.
        let laplace = epsilon(Mechanism::Laplace.rho(1.0, 100), 1e-6);
        assert!((71.55..=71.55 * 1.15).contains(&laplace), "{laplace}");
    }

    #[test]
    fn sigma_of_a_budget() {
        close(sigma(1.0, rho_for_epsilon(1.0, 1e-6)), 4.53, 1e-3);
        close(sigma(2.6, 0.5), 2.6, 1e-12);
        assert_eq!(sigma(1.0, Rho::ZERO), f64::INFINITY);
    }

    #[test]
    fn senseless_input_is_never_private() {
        for delta in [0.0, -1.0, f64::NAN] {
            assert_eq!(epsilon(0.1, delta), f64::INFINITY);
            assert_eq!(rho_for_epsilon(1.0, delta), Rho::ZERO);
        }
        assert_eq!(epsilon(f64::NAN, 1e-6), f64::INFINITY);
        assert_eq!(epsilon(f64::INFINITY, 1e-6), f64::INFINITY);
        assert_eq!(epsilon(0.0, 1e-6), 0.0);
        assert_eq!(rho_for_epsilon(f64::NAN, 1e-6), Rho::ZERO);
        assert_eq!(rho_for_epsilon(f64::INFINITY, 1e-6), Rho::MAX);
        assert_eq!(Mechanism::Gaussian.rho(0.0, 1), f64::INFINITY);
        assert_eq!(Mechanism::Laplace.rho(f64::NAN, 1), f64::INFINITY);
    }

    /// ρ·α bounds the Rényi divergence of two shifted Laplace distributions (closed form) at every order.
    #[test]
    fn laplace_rho_is_a_true_bound_and_no_looser() {
        for pure in [1e-4, 0.01, 0.5, 1.0, 3.0] {
            let rho = laplace_rho(pure);
            let divergence = |order: f64| {
                let up = order / (2.0 * order - 1.0) * ((order - 1.0) * pure).exp();
                let down = (order - 1.0) / (2.0 * order - 1.0) * (-order * pure).exp();
                (up + down).ln() / (order - 1.0)
            };
            for order in [1.001, 1.1, 2.0, 5.0, 20.0, 100.0] {
                assert!(divergence(order) <= order * rho * (1.0 + 1e-6), "{pure} {order}");
            }
            assert!(rho <= pure * pure / 2.0);
            close(divergence(1.000_1) / 1.000_1, rho, 1e-2);
        }
    }

    /// Figures of the exact profile, computed with 60 digits.
    #[test]
    fn gaussian_profile_is_exact_and_rounded_up() {
        let exact = [
            (1.0, 1.0, 0.126_936_737_506_643_95),
            (0.0, 0.001, 0.000_398_942_263_778_838_3),
            (0.01, 0.001, 7.512_025_722_358_202e-28),
            (1000.0, 40.0, 2.536_296_514_956_550_9e-7),
            (4.887, 1.0, 9.978_806_351_690_159e-7),
        ];
        for (epsilon, mu, exact) in exact {
            let delta = delta_of_gaussian(epsilon, mu);
            assert!(delta >= exact && delta <= exact * (1.0 + 1e-9), "{epsilon} {mu}: {delta:e}");
        }
        // Below 10⁻⁶⁰ there is only the bound.
        assert!((0.0..2e-60).contains(&delta_of_gaussian(2000.0, 30.0)));
        assert_eq!([delta_of_gaussian(-1.0, 1.0), delta_of_gaussian(f64::NAN, 1.0)], [1.0, 1.0]);
        assert_eq!([delta_of_gaussian(1.0, f64::NAN), delta_of_gaussian(1.0, f64::INFINITY)], [1.0, 1.0]);
        assert_eq!([delta_of_gaussian(1.0, 0.0), delta_of_gaussian(f64::INFINITY, 1.0)], [0.0, 0.0]);
    }

    #[test]
    fn calibration_is_exact_and_rounded_up() {
        // Roots of the exact profile, computed with 50 digits.
        let exact = [
            (1.0, 1e-5, 3.730_631_634_815_942),
            (1.0, 1e-6, 4.224_678_889_326_835),
            (10.0, 1e-9, 0.650_246_918_958_657_4),
            (0.1, 1e-6, 36.304_690_426_195_78),
        ];
        for (epsilon, delta, exact) in exact {
            let sigma: f64 = sigma_for(epsilon, delta);
            assert!(sigma >= exact && sigma <= exact * (1.0 + 1e-12), "{epsilon} {delta}: {sigma}");
            assert!(delta_of_gaussian(epsilon, 1.0 / sigma) <= delta);
            let back = epsilon_of_gaussian(1.0 / sigma, delta);
            close(back, epsilon, 1e-12);
        }
        assert_eq!([sigma_for(1.0, 0.0), sigma_for(-1.0, 0.1), sigma_for(f64::NAN, 0.1)], [f64::INFINITY; 3]);
        assert_eq!([epsilon_of_gaussian(1.0, 0.0), epsilon_of_gaussian(f64::NAN, 0.1)], [f64::INFINITY; 2]);
        assert_eq!([sigma_for(1.0, 1.0), epsilon_of_gaussian(0.0, 1e-6)], [0.0, 0.0]);
    }

    /// ρ·α bounds the Rényi divergence of randomized response (closed form) at every order, and is met at order 1.
    #[test]
    fn discrete_laplace_rho_is_a_true_bound_and_no_looser() {
        for pure in [0.01, 0.5, 1.0, 3.0, 10.0] {
            let rho = Mechanism::DiscreteLaplace.rho(1.0 / pure, 1);
            let with = 1.0 / (1.0 + (-pure).exp());
            let divergence = |order: f64| {
                let up = with * ((order - 1.0) * pure).exp();
                (up + (1.0 - with) * (-(order - 1.0) * pure).exp()).ln() / (order - 1.0)
            };
            for order in [1.001, 1.1, 2.0, 5.0, 20.0] {
                assert!(divergence(order) <= order * rho * (1.0 + 1e-6), "{pure} {order}");
            }
            close(divergence(1.000_01), rho, 1e-2);
            assert!(rho <= pure * pure / 2.0 && rho > Mechanism::Laplace.rho(1.0 / pure, 1));
        }
    }

    proptest! {
        #[test]
        fn inverse_is_the_largest_that_fits(epsilon_max in 0.01..50.0f64, log_delta in -12.0..-3.0f64) {
            let delta = 10f64.powf(log_delta);
            let rho = rho_for_epsilon(epsilon_max, delta);
            prop_assert!(epsilon(rho, delta) <= epsilon_max);
            let above = Rho::from_picos(rho.picos() + rho.picos() / 1_000_000 + 1).unwrap();
            prop_assert!(epsilon(above, delta) > epsilon_max);
        }

        #[test]
        fn more_rho_is_more_epsilon_and_less_delta_too(rho in 1e-6..100.0f64, log_delta in -12.0..-3.0f64) {
            let delta = 10f64.powf(log_delta);
            prop_assert!(epsilon(rho * 1.01, delta) > epsilon(rho, delta));
            prop_assert!(epsilon(rho, delta / 2.0) > epsilon(rho, delta));
            // The bound of Bun and Steinke 2016, which it improves.
            prop_assert!(epsilon(rho, delta) <= rho + 2.0 * (rho * -delta.ln()).sqrt());
        }
    }
}
