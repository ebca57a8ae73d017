//! The normal distribution's tail, and the exact privacy profile of Gaussian noise, each with a bound of its rounding.
//!
//! `libm::erfc` states an error below one unit in the last place; so do `exp` and `exp_m1` of the platforms that Rust
//! builds for. Every bound below allows eight.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// A figure, and by how much it may be wrong either way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounded {
    pub(crate) value: f64,
    pub(crate) error: f64,
    /// An upper bound of the probability that the loss exceeds ε, to which both parts of the figure are no larger.
    pub(crate) tail: f64,
}

/// Added to every bound of an error, for what underflows.
pub(super) const FLOOR: f64 = 1e-60;

impl Bounded {
    /// Not below the exact figure.
    pub(crate) fn upper(self) -> f64 {
        self.value + self.error
    }

    /// Not above the exact figure.
    pub(crate) fn lower(self) -> f64 {
        self.value - self.error
    }
}

/// P(Z > x) of a standard normal Z.
pub(super) fn upper_tail(x: f64) -> f64 {
    0.5 * libm::erfc(x * FRAC_1_SQRT_2)
}

/// The standard normal density.
fn density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / (2.0 * PI).sqrt()
}

/// Mills' ratio, P(Z > x) over the density at x, for x ≥ 0.
fn mills(x: f64) -> f64 {
    // Beyond 30 the product would overflow. There the asymptotic series, whose terms alternate, is wrong by less than
    // the first term left out: 2·10⁻¹⁸ of the sum.
    if x < 30.0 {
        return (0.5 * x * x).exp() * (2.0 * PI).sqrt() * upper_tail(x);
    }
    let inverse_square = 1.0 / (x * x);
    let (mut sum, mut term) = (1.0, 1.0);
    for odd in [1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0] {
        term *= -odd * inverse_square;
        sum += term;
    }
    sum / x
}

/// δ(ε) of Gaussian noise with μ = Δ/σ: Φ(μ/2 − ε/μ) − e^ε Φ(−μ/2 − ε/μ) (Balle and Wang 2018, theorem 8).
///
/// With a = ε/μ − μ/2 and b = ε/μ + μ/2 the second term is φ(a)·mills(b), since e^ε φ(b) = φ(a): no e^ε overflows.
pub(crate) fn gaussian_profile(epsilon: f64, mu: f64) -> Bounded {
    if mu < SMALL && epsilon.abs() < 17.0 * mu {
        return small_profile(epsilon, mu);
    }
    let (a, b) = (epsilon / mu - mu / 2.0, epsilon / mu + mu / 2.0);
    let above = upper_tail(a);
    let other = if epsilon > 0.0 { density(a) * mills(b) } else { epsilon.exp() * upper_tail(b) };
    // a and b are wrong by 2u(|ε/μ| + μ/2) at most; a tail at x > 0 magnifies a relative error of x by 1 + x².
    let magnified = 1.0 + a.max(0.0).powi(2) + b.max(0.0).powi(2) + epsilon.abs();
    let error = 8.0 * f64::EPSILON * magnified * (above + other) + FLOOR;
    Bounded { value: (above - other).max(0.0), error, tail: above * (1.0 + 8.0 * f64::EPSILON * magnified) + FLOOR }
}

/// μ below which both terms of the profile are nearly equal, and their difference is had otherwise.
const SMALL: f64 = 0.02;

/// [`gaussian_profile`] at a small μ, with an error in proportion to μ: (Φ(b) − Φ(a)) − (e^ε − 1)·Φ(−b), the first of
/// which is an integral of the density over the short way from a to b, by Gauss and Legendre's rule of five points.
/// The rule is wrong by 4·10⁻¹³ μ¹¹ times the density's tenth derivative, which is about m¹⁰ of it at m = ε/μ: by less than
/// 10⁻¹⁷ of the integral for |m| ≤ 17. Beyond, all is below [`FLOOR`].
fn small_profile(epsilon: f64, mu: f64) -> Bounded {
    const POINTS: [(f64, f64); 3] = [
        (0.0, 0.568_888_888_888_888_9),
        (0.538_469_310_105_683_1, 0.478_628_670_499_366_47),
        (0.906_179_845_938_664, 0.236_926_885_056_189_08),
    ];
    let (middle, half) = (epsilon / mu, mu / 2.0);
    let at = |(point, weight): (f64, f64)| weight * (density(middle - half * point) + density(middle + half * point));
    let between = half * (at(POINTS[0]) / 2.0 + at(POINTS[1]) + at(POINTS[2]));
    let b = middle + half;
    let other = epsilon.exp_m1() * upper_tail(b);
    let error =
        8.0 * f64::EPSILON * ((1.0 + middle * middle) * between + (1.0 + b.max(0.0).powi(2)) * other.abs()) + FLOOR;
    let tail = upper_tail(middle - half) * (1.0 + 8.0 * f64::EPSILON * (1.0 + middle * middle)) + FLOOR;
    Bounded { value: (between - other).max(0.0), error, tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(actual: f64, expected: f64, relative: f64) {
        assert!((actual - expected).abs() <= relative * expected.abs(), "{actual:e} is not {expected:e}");
    }

    /// Both forms of the profile where they meet, within the larger bound of their errors.
    #[test]
    fn small_profile_continues_the_other() {
        for mu in [0.019_99, 0.01, 0.003] {
            for middle in [-16.0, -6.0, -1.0, -0.1, 0.0, 0.3, 2.0, 5.0, 8.0] {
                let small = small_profile(middle * mu, mu);
                let (a, b) = (middle - mu / 2.0, middle + mu / 2.0);
                let plain = upper_tail(a) - (middle * mu).exp() * upper_tail(b);
                let bound = 8.0 * f64::EPSILON * (1.0 + middle * middle) * upper_tail(a);
                assert!((small.value - plain).abs() <= bound, "{mu} {middle}: {} {plain}", small.value);
                assert!(small.error <= 4.0 * mu * bound + 2.0 * FLOOR || middle.abs() > 1.0, "{mu} {middle}");
            }
        }
    }

    /// Both forms of Mills' ratio where they meet, and against x/(x² + 1) < mills(x) < 1/x.
    #[test]
    fn mills_ratio_is_continuous_and_bounded() {
        close(mills(30.0 - 1e-12), mills(30.0), 1e-12);
        close(mills(0.0), (PI / 2.0).sqrt(), 1e-15);
        for x in [0.5, 1.0, 5.0, 20.0, 29.9, 30.1, 100.0, 1e6] {
            assert!(mills(x) > x / (x * x + 1.0) * (1.0 - 1e-15) && mills(x) < 1.0 / x, "{x}");
        }
    }
}
