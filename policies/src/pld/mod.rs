//! Privacy loss distributions: ε of many releases, nearly exact and never too small. For reports; the ledger adds ρ.
//!
//! The loss of an output y is ln P(y)/Q(y), of its probabilities on two neighbours; its distribution under P says
//! everything about (ε, δ), and independent releases convolve. The steps, each of which only errs upward:
//!
//! 1. the exact profile δ(ε) of one release, with a bound of its rounding (`profile`);
//! 2. masses on a grid, by connecting the dots; what is above the grid counts as an infinite loss (`grid`);
//! 3. the convolution, by Fourier transforms of tilted masses, with a bound of their error added to δ (`compose`);
//! 4. again on half the interval, until both figures agree.
//!
//! Sources: Doroshenko, Ghazi, Kamath, Kumar and Manurangsi 2022, "Connect the Dots: Tighter Discrete Approximations of
//! Privacy Loss Distributions"; Koskela, Jälkö and Honkela 2020 (composition by Fourier transforms); Zhu, Dong and
//! Wang 2022 (dominating pairs, Poisson subsampling in both directions). docs/accounting.md has the argument.

mod compose;
mod fourier;
mod grid;
mod lattice;
pub(crate) mod normal;
mod profile;

use self::compose::{Aim, Parts};
use self::grid::{Interval, POINTS_MAX, connect_the_dots, range};
use self::lattice::Lattice;
use self::profile::{Base, Direction, Profile};
use crate::zcdp::Mechanism;

/// Two figures, on an interval and on its half, that differ by no more are taken to be right: the error falls with the
/// square of the interval, so that the better of them is wrong by a third of this.
const AGREEMENT: f64 = 2e-3;
/// How often the interval is halved, or doubled, at most.
const INTERVALS_MAX: u32 = 8;
/// The share of δ that infinite losses may take.
const INFINITE_SHARE: f64 = 1e-4;

/// Why a composition has no figure. Holds nothing of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PldError {
    /// The scale is not in [`Noise::SCALES`].
    #[error("the noise's scale is not between 0.05 and 1,000,000 times the sensitivity")]
    Scale,
    /// The probability of sampling is not in [`Noise::SAMPLING`].
    #[error("the probability of sampling is not between 0.000001 and 1")]
    Sampling,
    /// More than [`Composition::PARTS_MAX`] kinds of release.
    #[error("there are too many kinds of release")]
    Parts,
    /// Nothing is released, or more than [`Composition::TIMES_MAX`] times.
    #[error("there are no releases, or more than 100,000,000")]
    Times,
    /// δ is not between [`Composition::DELTA_MIN`] and 1.
    #[error("δ is not between 1e-30 and 1")]
    Delta,
    /// ε is not between 0 and 10⁹.
    #[error("ε is not between 0 and 10^9")]
    Epsilon,
    /// The releases differ so much that no grid of bounded length fits them all.
    #[error("no grid fits these releases")]
    Grid,
}

/// The noise of one release, relative to what one unit can move.
#[derive(Debug, Clone)]
pub struct Noise {
    profile: Profile,
}

impl Noise {
    /// Scales of noise that have a figure: below, ε is too large to mean anything.
    pub const SCALES: std::ops::RangeInclusive<f64> = 0.05..=1e6;
    /// Probabilities of sampling that have a figure.
    pub const SAMPLING: std::ops::RangeInclusive<f64> = 1e-6..=1.0;
    /// Variance given away to bound discrete Gaussian noise by continuous: 3² of the integers' units.
    const SMOOTHING: f64 = 9.0;

    /// Noise at a scale: σ/Δ, or b/Δ. Discrete noise is on the integers with Δ = 1; at another Δ, discrete Laplace noise
    /// costs no more, and for discrete Gaussian noise there is [`Noise::of_integers`].
    ///
    /// # Errors
    /// [`PldError::Scale`].
    pub fn new(mechanism: Mechanism, scale: f64) -> Result<Self, PldError> {
        if !Self::SCALES.contains(&scale) {
            return Err(PldError::Scale);
        }
        let base = match mechanism {
            Mechanism::Gaussian => Base::Gaussian { mu: 1.0 / scale },
            Mechanism::Laplace => Base::Laplace { pure: 1.0 / scale },
            Mechanism::DiscreteLaplace => Base::RandomizedResponse { pure: 1.0 / scale },
            Mechanism::DiscreteGaussian if scale <= Lattice::SIGMA_MAX => Base::Lattice(Lattice::new(scale)),
            Mechanism::DiscreteGaussian => return Self::of_integers(scale, scale),
        };
        Ok(Self { profile: Profile { base, sampling: 1.0 } })
    }

    /// Independent discrete Gaussian noise of at least `sigma` on each of at most 10⁹ integers, Δ in the L2 norm; `scale` is
    /// σ/Δ. Bounded by continuous noise of variance σ² − 9, rounded at random: that differs from the discrete noise by a
    /// factor of 1 ± 10⁻⁶⁷ (docs/accounting.md).
    ///
    /// # Errors
    /// [`PldError::Scale`], also where `sigma` is below 4.
    pub fn of_integers(scale: f64, sigma: f64) -> Result<Self, PldError> {
        let smooth = (1.0 - Self::SMOOTHING / (sigma * sigma)).max(0.0).sqrt() * (1.0 - 8.0 * f64::EPSILON);
        if sigma.is_nan() || sigma < 4.0 {
            return Err(PldError::Scale);
        }
        Self::new(Mechanism::Gaussian, scale * smooth)
    }

    /// The same noise on a Poisson sample: each unit takes part with this probability, on its own, and nobody learns which.
    /// For reports about mechanisms; no release of Siwa claims it.
    ///
    /// # Errors
    /// [`PldError::Sampling`].
    pub fn sampled(mut self, probability: f64) -> Result<Self, PldError> {
        if !Self::SAMPLING.contains(&probability) {
            return Err(PldError::Sampling);
        }
        self.profile.sampling = probability;
        Ok(self)
    }
}

/// Releases that concern the same unit, each kind with how often.
#[derive(Debug, Clone, Default)]
pub struct Composition {
    parts: Vec<(Profile, u64)>,
}

impl Composition {
    /// Kinds of release at most.
    pub const PARTS_MAX: usize = 64;
    /// Releases at most.
    pub const TIMES_MAX: u64 = 100_000_000;
    /// δ at least.
    pub const DELTA_MIN: f64 = 1e-30;
    /// ε that a δ is asked for at most.
    pub const EPSILON_MAX: f64 = 1e9;

    /// `times` releases with one kind of noise.
    ///
    /// # Errors
    /// [`PldError::Times`].
    pub fn of(noise: Noise, times: u64) -> Result<Self, PldError> {
        Self::default().and(noise, times)
    }

    /// Adds `times` releases. Order does not matter.
    ///
    /// # Errors
    /// [`PldError::Times`], [`PldError::Parts`].
    pub fn and(mut self, noise: Noise, times: u64) -> Result<Self, PldError> {
        let total = self.times().saturating_add(times);
        if times == 0 || total > Self::TIMES_MAX {
            return Err(PldError::Times);
        }
        if self.parts.len() >= Self::PARTS_MAX {
            return Err(PldError::Parts);
        }
        self.parts.push((noise.profile, times));
        Ok(self)
    }

    /// All of it `times` times over.
    ///
    /// # Errors
    /// [`PldError::Times`].
    pub fn repeated(mut self, times: u64) -> Result<Self, PldError> {
        if times == 0 || self.times().saturating_mul(times) > Self::TIMES_MAX {
            return Err(PldError::Times);
        }
        for (_, part) in &mut self.parts {
            *part *= times;
        }
        Ok(self)
    }

    /// Releases in total.
    #[must_use]
    pub fn times(&self) -> u64 {
        self.parts.iter().map(|(_, times)| times).sum()
    }

    /// The least ε ≥ 0 at δ: never below the exact one, and above it by 0.5 % at most, unless the releases differ so much
    /// that the grid cannot be fine enough.
    ///
    /// # Errors
    /// [`PldError::Delta`], [`PldError::Times`] where there are no releases, [`PldError::Grid`].
    pub fn epsilon(&self, delta: f64) -> Result<f64, PldError> {
        if !(Self::DELTA_MIN..1.0).contains(&delta) {
            return Err(PldError::Delta);
        }
        let figure = self.figure(Aim::Delta(delta), delta)?;
        Ok(self.pure().map_or(figure, |pure| pure.min(figure)))
    }

    /// δ at an ε ≥ 0: never below the exact one.
    ///
    /// # Errors
    /// [`PldError::Epsilon`], [`PldError::Times`] where there are no releases, [`PldError::Grid`].
    pub fn delta(&self, epsilon: f64) -> Result<f64, PldError> {
        if !(0.0..=Self::EPSILON_MAX).contains(&epsilon) {
            return Err(PldError::Epsilon);
        }
        // How much may be cut off depends on δ: it is found from above.
        let mut about = 1e-6;
        loop {
            if self.pure().is_some_and(|pure| epsilon >= pure) {
                return Ok(0.0);
            }
            let delta = self.figure(Aim::Epsilon(epsilon), about)?;
            if delta >= 0.1 * about || about <= Self::DELTA_MIN {
                return Ok(delta);
            }
            about = delta.max(Self::DELTA_MIN);
        }
    }

    /// ε at δ = 0, rounded up, where there is one.
    fn pure(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "at most 10^8")]
        let one = |(profile, times): &(Profile, u64)| profile.pure().map(|pure| pure * *times as f64);
        let sum: Option<f64> = self.parts.iter().map(one).sum();
        sum.map(|sum| sum * (1.0 + 256.0 * f64::EPSILON))
    }

    /// The figure on ever finer grids, until two agree.
    fn figure(&self, aim: Aim, delta: f64) -> Result<f64, PldError> {
        if self.parts.is_empty() {
            return Err(PldError::Times);
        }
        let grids = self.directions().map(|direction| self.grid(direction, INFINITE_SHARE * delta));
        let grids: Vec<Grid> = grids.collect();
        let mut wish = grids.iter().map(|grid| grid.interval).fold(f64::INFINITY, f64::min);
        let finest = grids.iter().map(|grid| grid.finest).fold(0.0, f64::max);
        let mut best: Option<f64> = None;
        for _ in 0..2 * INTERVALS_MAX {
            wish = wish.max(finest);
            let Some(now) = self.on(Interval::at_most(wish), &grids, aim) else {
                // Too long a transform: coarser, unless a coarser one was had already.
                if best.is_some() {
                    break;
                }
                wish *= 2.0;
                continue;
            };
            let agreed = best.is_some_and(|best| (best - now).abs() <= AGREEMENT * now);
            best = Some(best.map_or(now, |best| best.min(now)));
            if agreed || now == 0.0 || wish <= finest {
                break;
            }
            wish /= 2.0;
        }
        best.ok_or(PldError::Grid)
    }

    /// The figure on one grid, the larger of both directions.
    fn on(&self, interval: Interval, grids: &[Grid], aim: Aim) -> Option<f64> {
        let mut worst = 0.0_f64;
        for grid in grids {
            let parts = self.parts.iter().zip(&grid.ranges);
            let masses = parts
                .map(|((profile, times), range)| (connect_the_dots(profile, grid.direction, *range, interval), *times));
            worst = worst.max(Parts { parts: masses.collect(), interval }.figure(aim)?);
        }
        Some(worst)
    }

    fn directions(&self) -> impl Iterator<Item = Direction> {
        let symmetric = self.parts.iter().all(|(profile, _)| profile.is_symmetric());
        [Direction::Remove, Direction::Add].into_iter().take(if symmetric { 1 } else { 2 })
    }

    /// How the losses of one direction spread, and the interval to begin with. Infinite losses may be `infinite` in all.
    fn grid(&self, direction: Direction, infinite: f64) -> Grid {
        #[expect(clippy::cast_precision_loss, reason = "at most 10^8")]
        let total = self.times() as f64;
        let points = f64::from(POINTS_MAX);
        let (mut finest, mut square, mut ranges, mut steps) = (0.0_f64, 0.0, Vec::new(), 0.5_f64);
        for (profile, times) in &self.parts {
            let (low, high) = range(profile, direction, infinite / total);
            finest = finest.max((high - low) / points);
            #[expect(clippy::cast_precision_loss, reason = "at most 10^8")]
            let share = *times as f64 / total;
            square += share * mean_square(profile, direction, (low, high));
            ranges.push((low, high));
            if profile.pure().is_some() {
                // Its losses have atoms at both ends; on their way to the next point of the grid they move at random,
                // which only many releases average out.
                steps = steps.min(0.002 * high * (total.sqrt() / 8.0).max(1.0));
            }
        }
        // The mean loss grows by a twelfth of the interval's square with each release, the mean square by a sixth.
        let deviation = square.sqrt();
        let interval = deviation * 0.05_f64.min(0.01 * total.sqrt());
        // Between two points the profile is linear in e^ε: that asks for a short interval where the whole is narrow.
        steps = steps.min((0.01 * deviation * total.sqrt()).max(0.05));
        Grid { direction, ranges, interval: interval.min(steps), finest }
    }
}

/// What a grid has to hold.
struct Grid {
    direction: Direction,
    ranges: Vec<(f64, f64)>,
    interval: f64,
    finest: f64,
}

/// Mean square of the loss of one release, on a grid that is fine enough for it.
fn mean_square(profile: &Profile, direction: Direction, (low, high): (f64, f64)) -> f64 {
    let mut wish = (high - low) / 1024.0;
    loop {
        let interval = Interval::at_most(wish);
        let square = connect_the_dots(profile, direction, (low, high), interval).mean_square(interval);
        let fine = 0.1 * square.sqrt();
        if wish <= fine || wish * f64::from(POINTS_MAX) <= 4.0 * (high - low) {
            return square;
        }
        wish = fine.max(wish / 16.0);
    }
}

#[cfg(test)]
mod tests;
