//! Discrete Gaussian noise on the integers, Δ = 1: its masses, summed from the tails.

use super::normal::{Bounded, FLOOR};

/// Standard deviations on either side within which the mass is summed: beyond, it is below 10⁻³⁰⁰.
const WIDTH: f64 = 37.5;

/// N_ℤ(0, σ²), as sums of its masses.
#[derive(Debug, Clone)]
pub(super) struct Lattice {
    variance: f64,
    sigma: f64,
    /// P(X ≤ x) for x from −`reach` up.
    cumulative: Vec<f64>,
    reach: i64,
}

impl Lattice {
    /// σ at most: the sums of one σ take `75 σ` numbers.
    pub(super) const SIGMA_MAX: f64 = 1_000.0;

    /// The distribution of noise with 0 < σ ≤ [`Lattice::SIGMA_MAX`].
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "σ is at most 1,000")]
    pub(super) fn new(sigma: f64) -> Self {
        let sigma = sigma.min(Self::SIGMA_MAX);
        let variance = sigma * sigma;
        let reach = (WIDTH * sigma).ceil() as i64;
        let mut cumulative = Vec::new();
        // From the far tail inward, compensated, so that each sum is right to a few units in its last place.
        let (mut sum, mut lost) = (0.0, 0.0);
        for x in -reach..=reach {
            let distance = x as f64;
            let term = (-distance * distance / (2.0 * variance)).exp() - lost;
            let next = sum + term;
            lost = (next - sum) - term;
            sum = next;
            cumulative.push(sum);
        }
        for part in &mut cumulative {
            *part /= sum;
        }
        Self { variance, sigma, cumulative, reach }
    }

    /// P(X ≤ x).
    fn at_most(&self, x: i64) -> f64 {
        let index = usize::try_from(x.saturating_add(self.reach));
        index.map_or(0.0, |index| self.cumulative.get(index).copied().unwrap_or(1.0))
    }

    /// δ at ε: the loss (1 − 2x)/(2σ²) of P = N_ℤ(0, σ²) against Q = N_ℤ(1, σ²) exceeds ε for x < 1/2 − εσ².
    #[expect(clippy::cast_possible_truncation, reason = "clamped to the sums' reach")]
    #[expect(clippy::cast_precision_loss, reason = "the reach is below 2^16")]
    pub(super) fn profile(&self, epsilon: f64) -> Bounded {
        let reach = self.reach as f64;
        let bound = (0.5 - epsilon * self.variance).clamp(-reach - 2.0, reach + 2.0);
        let last = bound.ceil() as i64 - 1;
        let above = self.at_most(last);
        let other = epsilon.min(700.0).exp() * self.at_most(last - 1);
        // A mass at x carries a relative error of x²/σ² + 4 units. Whether x is in the sum may be misjudged only where
        // its loss is ε to within the rounding: then it adds a rounding's worth.
        let distance = (1.0 - last as f64).max(0.0) / self.sigma;
        let magnified = 6.0 + 2.0 * distance * distance + epsilon.abs() + 1.0 / self.variance;
        let tail = self.at_most(last + 1);
        let error = 8.0 * f64::EPSILON * magnified * (tail + other) + FLOOR;
        Bounded { value: (above - other).max(0.0), error, tail: tail + FLOOR }
    }
}
