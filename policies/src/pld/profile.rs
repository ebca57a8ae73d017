//! Privacy profiles: δ as a function of ε, of one release, with a bound of the rounding.
//!
//! A profile is the hockey-stick divergence sup over events S of P(S) − e^ε Q(S), of the output's distributions on two
//! neighbours. All base mechanisms here are symmetric: exchanging P and Q changes nothing. Poisson subsampling is not.

use super::lattice::Lattice;
use super::normal::{Bounded, FLOOR, gaussian_profile};

const EPS: f64 = f64::EPSILON;

/// Which of the two neighbours has the unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// P is with the unit, Q without.
    Remove,
    /// P is without the unit, Q with.
    Add,
}

impl Direction {
    pub(super) const fn reversed(self) -> Self {
        match self {
            Self::Remove => Self::Add,
            Self::Add => Self::Remove,
        }
    }
}

/// The mechanism before subsampling.
#[derive(Debug, Clone)]
pub(super) enum Base {
    /// Gaussian noise, μ = Δ/σ.
    Gaussian { mu: f64 },
    /// Laplace noise, ε₀ = Δ/b.
    Laplace { pure: f64 },
    /// Randomized response at ε₀: what discrete Laplace noise is at Δ = 1, and what bounds it at any other.
    RandomizedResponse { pure: f64 },
    /// Discrete Gaussian noise on the integers, Δ = 1.
    Lattice(Lattice),
}

impl Base {
    fn at(&self, epsilon: f64) -> Bounded {
        match self {
            Self::Gaussian { mu } => gaussian_profile(epsilon, *mu),
            Self::Laplace { pure } => pure_profile(epsilon, *pure, -((epsilon - pure) / 2.0).exp_m1()),
            Self::RandomizedResponse { pure } => {
                pure_profile(epsilon, *pure, -(epsilon - pure).exp_m1() / (1.0 + (-pure).exp()))
            }
            Self::Lattice(lattice) => lattice.profile(epsilon),
        }
    }
}

/// The profile of an ε₀-private mechanism whose profile between −ε₀ and ε₀ is `inside`.
fn pure_profile(epsilon: f64, pure: f64, inside: f64) -> Bounded {
    // ε₀ itself is a rounded quotient: just beyond it the profile may still be above 0.
    let rounding = 8.0 * EPS * (epsilon.abs() + pure);
    if epsilon >= pure {
        let near = epsilon <= pure * (1.0 + 8.0 * EPS);
        let error = if near { rounding } else { 0.0 } + FLOOR;
        return Bounded { value: 0.0, error, tail: if near { 1.0 } else { 0.0 } };
    }
    let value = if epsilon <= -pure { -epsilon.exp_m1() } else { inside };
    Bounded { value, error: rounding + FLOOR, tail: 1.0 }
}

/// One release: a base mechanism on a Poisson sample of the units.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    pub(super) base: Base,
    /// The probability with which each unit is in the sample; 1 for all.
    pub(super) sampling: f64,
}

impl Profile {
    /// Whether both directions are the same.
    pub(super) fn is_symmetric(&self) -> bool {
        self.sampling >= 1.0
    }

    /// The ε that bounds every loss, rounded up, where there is one.
    pub(super) fn pure(&self) -> Option<f64> {
        match self.base {
            Base::Laplace { pure } | Base::RandomizedResponse { pure } if self.is_symmetric() => {
                Some(pure * (1.0 + 8.0 * EPS))
            }
            Base::Laplace { pure } | Base::RandomizedResponse { pure } => {
                Some((self.sampling * (pure * (1.0 + 8.0 * EPS)).exp_m1()).ln_1p() * (1.0 + 16.0 * EPS))
            }
            Base::Gaussian { .. } | Base::Lattice(_) => None,
        }
    }

    /// δ at ε. With a sample the pair is ((1 − q)Q + qP, Q), in one order or the other (Zhu, Dong and Wang 2022,
    /// theorem 11); e^ε is then that of the base mechanism, moved.
    pub(super) fn at(&self, epsilon: f64, direction: Direction) -> Bounded {
        let q = self.sampling;
        if self.is_symmetric() {
            return self.base.at(epsilon);
        }
        let above_one = epsilon.exp_m1();
        match direction {
            // (1 − q)Q + qP − e^ε Q = q(P − xQ) with x = 1 + (e^ε − 1)/q.
            Direction::Remove => {
                let x = (above_one + q) / q;
                let moved = 4.0 * EPS * (above_one.abs() + q);
                if x <= 0.0 {
                    return Bounded { value: -above_one, error: moved + FLOOR, tail: 1.0 };
                }
                let base = self.base.at(x.ln());
                let value = q * base.value;
                let error = q * base.error + moved * base.tail / x.max(1.0) + 4.0 * EPS * value;
                Bounded { value, error, tail: 1.0 }
            }
            // Q − e^ε((1 − q)Q + qP) = w(Q − xP) with w = 1 − (1 − q)e^ε and x = q e^ε / w.
            Direction::Add => {
                let part = q * epsilon.exp();
                let weight = part - above_one;
                let moved = 4.0 * EPS * (above_one.abs() + part);
                if weight <= 0.0 {
                    let error = if weight >= -moved { 2.0 * moved } else { 0.0 } + FLOOR;
                    return Bounded { value: 0.0, error, tail: 1.0 };
                }
                let base = self.base.at((part / weight).ln());
                let value = weight * base.value;
                let error = weight * base.error + moved * base.tail + 4.0 * EPS * value;
                Bounded { value, error: error + FLOOR, tail: 1.0 }
            }
        }
    }
}
