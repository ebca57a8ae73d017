//! From a profile to masses on a grid: connect the dots (Doroshenko, Ghazi, Kamath, Kumar and Manurangsi 2022).
//!
//! The exact profile is convex in x = e^ε. Lines between its values at the grid's points are above it, and are the
//! profile of masses at those points. The masses at and above the point i sum to where the line of the interval below
//! it meets x = 0:
//!
//! `S(i) = δ(i) + (δ(i−1) − δ(i)) / (1 − e^−h)`
//!
//! Whoever has more in every such sum has a larger profile, alone and composed with anything, since 1 − e^(ε−l) rises
//! with l. Each sum below is therefore an upper bound of the exact one; nothing else has to be right.

use super::profile::{Direction, Profile};

/// Points of one release's grid at most.
pub(super) const POINTS_MAX: u32 = 1 << 20;
/// Below the grid lies so little of the reverse profile; its mass is moved up to the first point.
const LOW_TAIL: f64 = 1e-12;

/// The grid's interval: a number of 24 significant bits, so that its multiples up to 2²⁹ are exact.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Interval(f64);

impl Interval {
    /// The largest such number that is not above the wish, which is a normal number above 0.
    pub(super) fn at_most(wish: f64) -> Self {
        Self(f64::from_bits(wish.to_bits() & !((1 << 29) - 1)))
    }

    pub(super) const fn length(self) -> f64 {
        self.0
    }

    /// The loss at a point of the grid.
    #[expect(clippy::cast_precision_loss, reason = "grids reach no further than 2^53")]
    pub(super) const fn loss(self, index: i64) -> f64 {
        index as f64 * self.0
    }

    /// The point at or below a loss.
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and grids are bounded")]
    pub(super) fn below(self, loss: f64) -> i64 {
        (loss / self.0).floor() as i64
    }
}

/// A loss distribution on the grid.
#[derive(Debug, Clone)]
pub(super) struct Masses {
    /// The grid's index of the first mass.
    pub(super) first: i64,
    /// The masses at consecutive points.
    pub(super) masses: Vec<f64>,
    /// The mass whose loss is infinite.
    pub(super) infinite: f64,
}

/// The losses between which nearly all of a release's mass lies: what is above has δ ≤ `tail`.
pub(super) fn range(profile: &Profile, direction: Direction, tail: f64) -> (f64, f64) {
    let high = reach(tail, |epsilon| profile.at(epsilon, direction).upper());
    let low = -reach(LOW_TAIL, |epsilon| profile.at(epsilon, direction.reversed()).upper());
    (low, high)
}

/// An ε, not far above the least, at which the profile is at most `delta`.
fn reach(delta: f64, profile: impl Fn(f64) -> f64) -> f64 {
    let mut high = 1e-12;
    while profile(high) > delta && high < 4096.0 {
        high *= 2.0;
    }
    let mut low = high / 2.0;
    for _ in 0..16 {
        let middle = f64::midpoint(low, high);
        if profile(middle) > delta { low = middle } else { high = middle }
    }
    high
}

/// The masses of a release, none of whose upper sums is below the exact one.
pub(super) fn connect_the_dots(
    profile: &Profile,
    direction: Direction,
    (low, high): (f64, f64),
    interval: Interval,
) -> Masses {
    let first = interval.below(low);
    let last = interval.below(high).max(first) + 1;
    let inverse = -1.0 / (-interval.length()).exp_m1();
    let at = |index: i64| profile.at(interval.loss(index), direction);
    // All that lies below the first point is lifted to it.
    let mut sum = 1.0_f64;
    let mut masses = Vec::new();
    let mut below = at(first);
    for index in first + 1..=last {
        let here = at(index);
        // The difference and the sum round by less than four units of δ each; the exact sums fall, so may these.
        let slack = 4.0 * f64::EPSILON * (below.value + here.value);
        let fall = (below.upper() - here.lower() + slack).max(0.0);
        let next = ((here.lower().max(0.0) + fall * inverse) * (1.0 + 8.0 * f64::EPSILON)).min(sum);
        masses.push(sum - next);
        (sum, below) = (next, here);
    }
    // Above the last point the profile is taken to stay as it is there: a loss without end.
    let infinite = below.upper().min(1.0);
    masses.push((sum - infinite).max(0.0));
    Masses { first, masses, infinite }
}

impl Masses {
    /// Mean square of the finite losses.
    pub(super) fn mean_square(&self, interval: Interval) -> f64 {
        (self.first..).zip(&self.masses).map(|(index, mass)| mass * interval.loss(index).powi(2)).sum()
    }

    /// ln Σ mass·e^(λ·loss), over finite losses.
    pub(super) fn log_moment(&self, interval: Interval, lambda: f64) -> f64 {
        let shift = lambda * interval.loss(if lambda >= 0.0 { self.last() } else { self.first });
        let terms = (self.first..).zip(&self.masses);
        let sum: f64 = terms.map(|(index, mass)| mass * (lambda * interval.loss(index) - shift).exp()).sum();
        shift + sum.ln()
    }

    /// The index of the last mass.
    pub(super) fn last(&self) -> i64 {
        self.first.saturating_add(i64::try_from(self.masses.len()).unwrap_or(i64::MAX)) - 1
    }
}
