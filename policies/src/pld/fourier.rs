//! The discrete Fourier transform, by the radix-2 algorithm of Cooley and Tukey: plain enough that the bound of its
//! rounding error is a theorem about this code.

use std::f64::consts::PI;

/// Complex numbers, real and imaginary parts apart.
#[derive(Debug, Clone)]
pub(super) struct Complexes {
    pub(super) real: Vec<f64>,
    pub(super) imaginary: Vec<f64>,
}

impl Complexes {
    pub(super) fn filled(real: f64, length: usize) -> Self {
        Self { real: vec![real; length], imaginary: vec![0.0; length] }
    }

    /// Multiplies by another, point by point.
    pub(super) fn multiply(&mut self, other: &Self) {
        let own = self.real.iter_mut().zip(&mut self.imaginary);
        for ((real, imaginary), (other_real, other_imaginary)) in own.zip(other.real.iter().zip(&other.imaginary)) {
            (*real, *imaginary) = product((*real, *imaginary), (*other_real, *other_imaginary));
        }
    }
}

/// The product of two complex numbers.
#[inline]
fn product((a, b): (f64, f64), (c, d): (f64, f64)) -> (f64, f64) {
    (a * c - b * d, a * d + b * c)
}

/// Transforms of one length, a power of two.
#[derive(Debug)]
pub(super) struct Fourier {
    /// e^(−2πij/N) for j < N/2.
    roots: Complexes,
    stages: u32,
}

impl Fourier {
    /// Transforms of 2^`stages` numbers; one stage at least.
    #[expect(clippy::cast_precision_loss, reason = "lengths are below 2^32")]
    pub(super) fn new(stages: u32) -> Self {
        let half = 1_usize << (stages.max(1) - 1);
        let step = -PI / half as f64;
        let (imaginary, real) = (0..half).map(|index| (step * index as f64).sin_cos()).unzip();
        Self { roots: Complexes { real, imaginary }, stages: stages.max(1) }
    }

    /// Numbers in a transform.
    pub(super) const fn length(&self) -> usize {
        1 << self.stages
    }

    /// An upper bound of ‖computed − exact‖₂ / ‖exact‖₂ of one transform: Higham, "Accuracy and Stability of Numerical
    /// Algorithms", 2nd edition, theorem 24.2: tη/(1 − tη) for t stages, η = μ + γ₄(√2 + μ) where the roots are wrong
    /// by at most μ, and γ₄ = 4u/(1 − 4u), u = 2⁻⁵³.
    ///
    /// Here μ ≤ 10u: an angle below π rounds by 2u·π, sine and cosine by u each. So η ≤ 16u = 8·2⁻⁵², and 10 are taken.
    pub(super) fn error(&self) -> f64 {
        10.0 * f64::EPSILON * f64::from(self.stages)
    }

    /// Transforms in place, with e^(−2πi…).
    pub(super) fn forward(&self, numbers: &mut Complexes) {
        self.reorder(numbers);
        let length = self.length();
        for stage in 0..self.stages {
            let half = 1_usize << stage;
            let stride = length >> (stage + 1);
            let blocks = numbers.real.chunks_exact_mut(2 * half).zip(numbers.imaginary.chunks_exact_mut(2 * half));
            for (real, imaginary) in blocks {
                let (low_real, high_real) = real.split_at_mut(half);
                let (low_imaginary, high_imaginary) = imaginary.split_at_mut(half);
                let roots = self.roots.real.iter().zip(&self.roots.imaginary).step_by(stride);
                let lows = low_real.iter_mut().zip(low_imaginary);
                let highs = high_real.iter_mut().zip(high_imaginary);
                for (((low_r, low_i), (high_r, high_i)), (root_r, root_i)) in lows.zip(highs).zip(roots) {
                    let (turned_r, turned_i) = product((*high_r, *high_i), (*root_r, *root_i));
                    (*high_r, *high_i) = (*low_r - turned_r, *low_i - turned_i);
                    *low_r += turned_r;
                    *low_i += turned_i;
                }
            }
        }
    }

    /// Transforms back, in place: [`Fourier::forward`] of the parts exchanged, divided by the length, which is exact.
    #[expect(clippy::cast_precision_loss, reason = "a power of two")]
    pub(super) fn backward(&self, numbers: &mut Complexes) {
        std::mem::swap(&mut numbers.real, &mut numbers.imaginary);
        self.forward(numbers);
        std::mem::swap(&mut numbers.real, &mut numbers.imaginary);
        let scale = 1.0 / self.length() as f64;
        for number in numbers.real.iter_mut().chain(&mut numbers.imaginary) {
            *number *= scale;
        }
    }

    /// Exchanges each number with the one whose index has the bits reversed.
    fn reorder(&self, numbers: &mut Complexes) {
        for index in 0..self.length() {
            let other = index.reverse_bits() >> (usize::BITS - self.stages);
            if index < other {
                numbers.real.swap(index, other);
                numbers.imaginary.swap(index, other);
            }
        }
    }
}

/// Raises every number to a power of at least 1, by squaring. Each product rounds by less than √5 u, relative (Brent,
/// Percival and Zimmermann 2007), so that the power is wrong by less than 3u·(power − 1).
pub(super) fn raise(numbers: &mut Complexes, power: u64) {
    for (real, imaginary) in numbers.real.iter_mut().zip(&mut numbers.imaginary) {
        let (mut base, mut result) = ((*real, *imaginary), (1.0_f64, 0.0_f64));
        let mut left = power;
        loop {
            if left & 1 == 1 {
                result = product(result, base);
            }
            left >>= 1;
            if left == 0 {
                break;
            }
            base = product(base, base);
        }
        (*real, *imaginary) = result;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// There and back is the same, within the bound; Parseval's identity holds.
        #[test]
        fn inverse_and_norm(stages in 1u32..9, seed in prop::collection::vec(-1.0..1.0f64, 512)) {
            let fourier = Fourier::new(stages);
            let length = fourier.length();
            let original = Complexes { real: seed[..length].to_vec(), imaginary: seed.iter().rev().take(length).copied().collect() };
            let norm = |numbers: &Complexes| numbers.real.iter().chain(&numbers.imaginary).map(|x| x * x).sum::<f64>().sqrt();
            let mut numbers = original.clone();
            fourier.forward(&mut numbers);
            prop_assert!((norm(&numbers) / (length as f64).sqrt() - norm(&original)).abs() <= 1e-13 * norm(&original));
            fourier.backward(&mut numbers);
            let pairs = numbers.real.iter().zip(&original.real).chain(numbers.imaginary.iter().zip(&original.imaginary));
            let wrong = pairs.map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
            prop_assert!(wrong <= 3.0 * fourier.error() * norm(&original), "{wrong:e}");
        }

        /// A power in the frequencies is a repeated cyclic convolution.
        #[test]
        fn powers_convolve(values in prop::collection::vec(0.0..1.0f64, 8), power in 1u64..6) {
            let fourier = Fourier::new(3);
            let mut numbers = Complexes { real: values.clone(), imaginary: vec![0.0; 8] };
            fourier.forward(&mut numbers);
            raise(&mut numbers, power);
            fourier.backward(&mut numbers);
            let mut expected = values.clone();
            for _ in 1..power {
                expected = (0..8).map(|to| (0..8).map(|by| expected[(to + 8 - by) % 8] * values[by]).sum()).collect();
            }
            for (actual, expected) in numbers.real.iter().zip(&expected) {
                prop_assert!((actual - expected).abs() <= 1e-12 * (1.0 + expected), "{actual} {expected}");
            }
        }
    }
}
