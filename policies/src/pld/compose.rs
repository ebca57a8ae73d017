//! The composition of loss distributions on one grid, by Fourier transforms of tilted masses.
//!
//! Tilting multiplies the mass at loss l by e^(λl − κ), κ ≈ ln Σ mass·e^(λl): the tail that δ is made of becomes the bulk,
//! and the transform's absolute error becomes a relative one. Composed, untilting is exact: e^(κ − λl).

use super::fourier::{Complexes, Fourier, raise};
use super::grid::{Interval, Masses};

/// ln of the tilted mass that may lie outside the transform's window, on either side.
const LOG_OUTSIDE: f64 = -37.0;
/// Numbers in a transform at most, 2 to this power.
const STAGES_MAX: u32 = 21;
const STAGES_MIN: u32 = 8;
/// Tilts that are tried at most, each a quarter of the last.
const TILTS_MAX: u32 = 8;
/// The share of δ that the bound of the transform's error may be before another tilt is tried.
const IMPRECISION_MAX: f64 = 1e-4;
/// A factor by which the total mass may have grown in the transform before its result is refused.
const GROWTH_MAX: f64 = 1.1;

/// What δ or ε the composition is asked for: where to aim the tilt.
#[derive(Debug, Clone, Copy)]
pub(super) enum Aim {
    Delta(f64),
    Epsilon(f64),
}

/// Masses, each with how often it is composed.
pub(super) struct Parts {
    pub(super) parts: Vec<(Masses, u64)>,
    pub(super) interval: Interval,
}

/// A composed profile, whose every value is an upper bound.
#[derive(Debug)]
struct Profile {
    interval: Interval,
    /// The index of the first number.
    first: i64,
    /// Tilted masses.
    tilted: Vec<f64>,
    lambda: f64,
    /// ln of what untilting multiplies by, at loss 0.
    log_scale: f64,
    /// δ that no ε lessens: infinite losses, and what lies beyond the window.
    constant: f64,
    /// The ℓ₂ norm of the error of `tilted`.
    error: f64,
    /// What `error` is multiplied by, after untilting at ε, to bound what it does to δ(ε).
    error_weight: f64,
}

#[expect(clippy::cast_precision_loss, reason = "counts are bounded by 10^8, and errors of 2^-53 are within the slack")]
const fn float(count: u64) -> f64 {
    count as f64
}

impl Parts {
    fn times(&self) -> u64 {
        self.parts.iter().map(|(_, times)| times).sum()
    }

    /// ln Σ mass·e^(λ·loss), over all compositions.
    fn log_moment(&self, lambda: f64) -> f64 {
        self.parts.iter().map(|(masses, times)| float(*times) * masses.log_moment(self.interval, lambda)).sum()
    }

    /// The tilt at which Chernoff's bound e^(log moment − λε) is about the best. Any would be sound.
    fn tilt(&self, aim: Aim) -> f64 {
        let square: f64 =
            self.parts.iter().map(|(masses, times)| float(*times) * masses.mean_square(self.interval)).sum();
        let (low, high) = (1e-3 / square.sqrt(), 0.5 / self.interval.length());
        let value = |log_lambda: f64| {
            let lambda = log_lambda.exp();
            match aim {
                Aim::Delta(delta) => (self.log_moment(lambda) - delta.ln()) / lambda,
                Aim::Epsilon(epsilon) => self.log_moment(lambda) - lambda * epsilon,
            }
        };
        if low < high { least(value, low.ln(), high.ln()).exp() } else { high }
    }

    /// Mean and standard deviation of the tilted loss, and the weights that are nowhere below the tilted masses.
    fn tilted(&self, lambda: f64) -> Tilted {
        let mut tilted = Tilted { weights: Vec::new(), log_scale: 0.0, deviation: 0.0 };
        let mut variance = 0.0;
        for (masses, times) in &self.parts {
            let log_scale = masses.log_moment(self.interval, lambda);
            let far = self.interval.loss(masses.first.abs().max(masses.last().abs()));
            // The exponent and its parts round by a unit each, the exponential and two products by another.
            let up = 1.0 + f64::EPSILON * (8.0 + 2.0 * (lambda * far + log_scale.abs()));
            let terms = (masses.first..).zip(&masses.masses);
            let weight = |(index, mass): (i64, &f64)| {
                let weight = mass * (lambda * self.interval.loss(index) - log_scale).exp() * up;
                if *mass > 0.0 { weight.max(1e-300) } else { 0.0 }
            };
            let weights: Vec<f64> = terms.map(weight).collect();
            let at = |index: usize| self.interval.length() * index as f64;
            let mean: f64 = weights.iter().enumerate().map(|(index, weight)| weight * at(index)).sum();
            let square: f64 =
                weights.iter().enumerate().map(|(index, weight)| weight * (at(index) - mean).powi(2)).sum();
            variance += float(*times) * square;
            tilted.log_scale += float(*times) * log_scale;
            tilted.weights.push(weights);
        }
        tilted.deviation = variance.sqrt();
        tilted
    }

    /// Losses between which nearly all tilted mass lies, by Chernoff's bound on either side.
    fn window(&self, lambda: f64, tilted: &Tilted) -> (i64, i64) {
        let sum = |end: fn(&Masses) -> i64| -> i64 {
            let ends = self.parts.iter().map(|(masses, times)| {
                let times = i64::try_from(*times).unwrap_or(i64::MAX);
                end(masses).saturating_mul(times)
            });
            ends.fold(0, i64::saturating_add)
        };
        let (mut low, mut high) = (sum(|masses| masses.first), sum(Masses::last));
        let deviation = tilted.deviation.max(self.interval.length());
        for step in [2.0, 4.0, 6.0, 8.0, 10.0, 16.0, 32.0, 64.0] {
            let theta = step / deviation;
            let above = (self.log_moment(lambda + theta) - tilted.log_scale - LOG_OUTSIDE) / theta;
            let below = (tilted.log_scale + LOG_OUTSIDE - self.log_moment(lambda - theta)) / theta;
            if above.is_finite() {
                high = high.min(self.interval.below(above).saturating_add(1));
            }
            if below.is_finite() {
                low = low.max(self.interval.below(below));
            }
        }
        (low.min(high), high)
    }

    /// What is aimed at: an upper bound of the least ε at δ, or of δ at ε. Nothing where the window is too long for a
    /// transform, or its error too large to be of use.
    pub(super) fn figure(&self, aim: Aim) -> Option<f64> {
        let mut lambda = self.tilt(aim);
        let mut best: Option<f64> = None;
        for _ in 0..TILTS_MAX {
            let profile = self.compose(lambda)?;
            let (figure, precise) = match aim {
                Aim::Delta(delta) => profile.epsilon(delta),
                Aim::Epsilon(epsilon) => profile.delta(epsilon),
            };
            best = Some(best.map_or(figure, |best| best.min(figure)));
            if precise {
                break;
            }
            // Skewed losses, or a large δ: the window lies above the figure. Less of a tilt moves it down.
            let toward = match aim {
                Aim::Delta(_) if figure < f64::INFINITY => self.tilt(Aim::Epsilon(figure)),
                _ => lambda,
            };
            lambda = toward.min(lambda / 4.0);
        }
        best
    }

    fn compose(&self, lambda: f64) -> Option<Profile> {
        let tilted = self.tilted(lambda);
        let (first, last) = self.window(lambda, &tilted);
        let needed = u64::try_from(last.saturating_sub(first)).ok()?.saturating_add(2);
        let stages = needed.checked_next_power_of_two()?.trailing_zeros().max(STAGES_MIN);
        if stages > STAGES_MAX {
            return None;
        }
        let fourier = Fourier::new(stages);
        let (numbers, error) = self.convolve(&fourier, &tilted.weights)?;
        let length = numbers.len();
        let cyclic = |index: i64| usize::try_from(index.rem_euclid(i64::try_from(length).unwrap_or(i64::MAX)));
        let start = cyclic(first).ok()?;
        // True masses are not below 0: what is, is error.
        let tilted_masses = numbers[start..].iter().chain(&numbers[..start]).map(|mass| mass.max(0.0)).collect();
        let beyond = self.interval.loss(first.saturating_add(i64::try_from(length).ok()?));
        // Of the tilted mass, e^LOG_OUTSIDE at most has come around from above the window; the rest of 1.1 is rounding.
        let outside = 1.1 * (tilted.log_scale - lambda * beyond + LOG_OUTSIDE).exp();
        let infinite: f64 = self.parts.iter().map(|(masses, times)| float(*times) * masses.infinite).sum();
        // Σ over l > ε of e^(−2λ(l − ε)) is at most the geometric series from the next point, whose first term is 1.
        let series = 1.0 / -(-2.0 * lambda * self.interval.length()).exp_m1();
        Some(Profile {
            interval: self.interval,
            first,
            tilted: tilted_masses,
            lambda,
            log_scale: tilted.log_scale,
            constant: (infinite + outside) * (1.0 + 1e-9) + 1e-300,
            error,
            error_weight: series.sqrt() * (1.0 + 1e-9),
        })
    }

    /// The cyclic convolution of all weights, and a bound of its error in the ℓ₂ norm.
    fn convolve(&self, fourier: &Fourier, weights: &[Vec<f64>]) -> Option<(Vec<f64>, f64)> {
        let length = fourier.length();
        let root = float(u64::try_from(length).ok()?).sqrt();
        let mut product = Complexes::filled(1.0, length);
        let (mut log_growth, mut transforms, mut norm_max) = (0.0, 0.0, 0.0_f64);
        for ((masses, times), weights) in self.parts.iter().zip(weights) {
            let mut numbers = Complexes::filled(0.0, length);
            let start = usize::try_from(masses.first.rem_euclid(i64::try_from(length).ok()?)).ok()?;
            for (index, weight) in weights.iter().enumerate() {
                numbers.real[(start + index) % length] += weight;
            }
            // Numbers that fell on the same place were added; that rounds by far less than one stage.
            let norm = numbers.real.iter().map(|x| x * x).sum::<f64>().sqrt();
            let total: f64 = numbers.real.iter().sum();
            let wrong = fourier.error() * norm;
            log_growth += float(*times) * (total + root * wrong).max(1.0).ln();
            transforms += float(*times) * wrong;
            norm_max = norm_max.max(norm);
            fourier.forward(&mut numbers);
            raise(&mut numbers, *times);
            product.multiply(&numbers);
        }
        fourier.backward(&mut product);
        let growth = log_growth.exp();
        // docs/accounting.md has the derivation: errors of the forward transforms, of the products, of the way back.
        let products = 2.0 * f64::EPSILON * float(self.times() + 2 * u64::try_from(self.parts.len()).ok()?);
        let error = 1.01 * growth * (transforms + (products + fourier.error()) * norm_max) + 1e-290;
        (growth <= GROWTH_MAX).then_some((product.real, error))
    }
}

struct Tilted {
    weights: Vec<Vec<f64>>,
    /// Σ κ over all compositions.
    log_scale: f64,
    /// Standard deviation of the tilted, composed loss.
    deviation: f64,
}

impl Profile {
    /// What the transform's error may add to δ at a loss, with the δ that no ε lessens.
    fn added(&self, epsilon: f64) -> f64 {
        let error = self.error * self.error_weight * (self.log_scale - self.lambda * epsilon).min(700.0).exp();
        self.constant + error * (1.0 + 1e-9)
    }

    /// δ on the grid from the last point down, as pairs of index and δ, until `enough` says so of a δ.
    /// Returns the last two pairs: that before it was enough, and the one that was.
    fn descend(&self, lowest: i64, enough: impl Fn(f64) -> bool) -> ((i64, f64), (i64, f64)) {
        let steps = float(u64::try_from(self.tilted.len()).unwrap_or(u64::MAX));
        // Each step multiplies and adds positive numbers: four roundings; untilting rounds its exponent.
        let exponent = self.log_scale.abs() + self.lambda * self.interval.loss(self.end()).abs();
        let up = 1.0 + f64::EPSILON * (8.0 * steps + 4.0 * exponent + 64.0);
        let (factor, rest) = ((-self.interval.length()).exp(), -(-self.interval.length()).exp_m1());
        let (mut delta, mut lower, mut index) = (0.0, 0.0, self.end());
        let mut previous = (index, self.added(self.interval.loss(index)));
        loop {
            let here = (index, delta * up + self.added(self.interval.loss(index)));
            if enough(here.1) || index <= lowest {
                return (previous, here);
            }
            let mass = usize::try_from(index.saturating_sub(self.first)).ok().and_then(|at| self.tilted.get(at));
            let untilt = (self.log_scale - self.lambda * self.interval.loss(index)).min(700.0).exp();
            let here_lower = lower + mass.copied().unwrap_or(0.0) * untilt;
            // δ(l − h) = δ(l) + (1 − e^−h)·Σ over l' ≥ l of mass·e^(l − l').
            delta += rest * here_lower;
            lower = factor * here_lower;
            previous = here;
            index -= 1;
        }
    }

    fn end(&self) -> i64 {
        self.first.saturating_add(i64::try_from(self.tilted.len()).unwrap_or(i64::MAX))
    }

    /// An upper bound of δ at ε ≥ 0, and whether it is precise.
    fn delta(&self, epsilon: f64) -> (f64, bool) {
        let index = self.interval.below(epsilon);
        if index < self.first {
            return (1.0, false);
        }
        if index >= self.end() {
            return (self.added(epsilon).min(1.0), true);
        }
        let ((_, above), (at, below)) = self.descend(index, |_| false);
        // Between two points δ is linear in e^ε; the error is taken as it is at the lower one.
        let above = above - self.added(self.interval.loss(at + 1)) + self.added(self.interval.loss(at));
        let past = (epsilon - self.interval.loss(at)).max(0.0).exp_m1() / self.interval.length().exp_m1();
        let delta = below + (above - below) * past.min(1.0) * (1.0 - 4.0 * f64::EPSILON);
        let precise = self.added(epsilon) - self.constant <= IMPRECISION_MAX * delta;
        ((delta * (1.0 + 8.0 * f64::EPSILON)).min(1.0), precise)
    }

    /// An upper bound of the least ε ≥ 0 at δ, infinite where there is none; and whether it is precise.
    fn epsilon(&self, delta: f64) -> (f64, bool) {
        let ((_, above), (index, below)) = self.descend(self.first.max(0), |here| here > delta);
        let loss = self.interval.loss(index);
        if below <= delta {
            return (self.interval.loss(self.first.max(0)), self.first <= 0);
        }
        if index == self.end() {
            return (f64::INFINITY, true);
        }
        let above = above - self.added(self.interval.loss(index + 1)) + self.added(loss);
        // The share of the way from the upper point, where δ is reached, down to the lower, where it is passed.
        let past = if above < delta { (below - delta) / (below - above) } else { 1.0 };
        let step = (past * (1.0 + 16.0 * f64::EPSILON) * self.interval.length().exp_m1()).ln_1p();
        let precise = self.added(loss) - self.constant <= IMPRECISION_MAX * delta;
        ((loss + step.min(self.interval.length())) * (1.0 + 4.0 * f64::EPSILON), precise)
    }
}

/// Where a function with one valley is least, roughly: golden section to a hundredth.
fn least(f: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    const RATIO: f64 = 0.618_033_988_749_894_8;
    let (mut left, mut right) = (high - RATIO * (high - low), low + RATIO * (high - low));
    let (mut at_left, mut at_right) = (f(left), f(right));
    while high - low > 0.05 {
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
    f64::midpoint(low, high)
}
