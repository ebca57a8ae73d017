//! The discrete Gaussian distribution N_ℤ(0, σ²), sampled exactly.
//!
//! Canonne, Kamath and Steinke, "The Discrete Gaussian for Differential Privacy" (2020), algorithms 1 to 3:
//! every decision compares uniform integers, so the output has the distribution itself and no
//! approximation of it. No floating point is used.

use policies::Rho;
use rand_core::RngCore;

use super::bits::Bits;

/// σ² as a fraction in lowest terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variance {
    numerator: u128,
    denominator: u128,
}

/// No discrete Gaussian of this size is sampled here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the noise would be absent or too large: sigma squared is above 0 and at most 2^100, rho above 0")]
pub struct InvalidVariance;

/// Largest numerator and denominator of a fraction that is kept as it is.
const PART_MAX: u128 = 1 << 40;
/// Largest σ, where σ is an integer.
const SIGMA_MAX: u128 = 1 << 50;

impl Variance {
    /// σ² = numerator ÷ denominator.
    ///
    /// # Errors
    /// A part is 0 or above 2⁴⁰, unless σ is an integer up to 2⁵⁰.
    pub fn new(numerator: u128, denominator: u128) -> Result<Self, InvalidVariance> {
        if numerator == 0 || denominator == 0 {
            return Err(InvalidVariance);
        }
        let divisor = greatest_common_divisor(numerator, denominator);
        let variance = Self { numerator: numerator / divisor, denominator: denominator / divisor };
        let small = variance.numerator <= PART_MAX && variance.denominator <= PART_MAX;
        let root = variance.numerator.isqrt();
        let square = variance.denominator == 1 && root * root == variance.numerator && root <= SIGMA_MAX;
        if small || square { Ok(variance) } else { Err(InvalidVariance) }
    }

    /// The least σ² here that spends at most `rho` at L2 sensitivity `sensitivity`: σ² ≥ Δ²/(2ρ)
    /// (CKS 2020, theorem 4). Exact where the fraction is small; else σ² is the
    /// next higher integer up to 2⁴⁰, and above that σ is, which adds less than 2⁻²⁰ to it.
    ///
    /// # Errors
    /// ρ or Δ is 0, or σ is above 2⁵⁰.
    pub fn for_rho(sensitivity: u64, rho: Rho) -> Result<Self, InvalidVariance> {
        let square = u128::from(sensitivity).pow(2);
        let twice_rho = 2 * u128::from(rho.picos());
        if square == 0 || twice_rho == 0 {
            return Err(InvalidVariance);
        }
        // Δ² · 10¹² ÷ 2ρ in picos, cancelled before it is multiplied so that it fits.
        let scale = u128::from(Rho::PICOS_PER_UNIT);
        let first = greatest_common_divisor(square, twice_rho);
        let second = greatest_common_divisor(scale, twice_rho / first);
        let numerator = (square / first).checked_mul(scale / second).ok_or(InvalidVariance)?;
        let denominator = twice_rho / first / second;
        if let Ok(exact) = Self::new(numerator, denominator) {
            return Ok(exact);
        }
        let above = numerator.div_ceil(denominator);
        if above <= PART_MAX {
            return Self::new(above, 1);
        }
        let root = above.isqrt();
        let sigma = if root * root == above { root } else { root + 1 };
        Self::new(sigma.checked_mul(sigma).ok_or(InvalidVariance)?, 1)
    }

    /// σ² as floating point, for reports and for learning; never for noise.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "reports only")]
    pub fn as_f64(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }

    /// Numerator and denominator, in lowest terms.
    #[must_use]
    pub const fn parts(self) -> (u128, u128) {
        (self.numerator, self.denominator)
    }
}

/// A sampler of one σ².
///
/// Proposes Y from the discrete Laplace distribution of scale t = ⌊σ⌋ (at least 1; any t gives the same
/// output, this one is proposed well) and keeps it with probability exp(−(|Y| − σ²/t)² / 2σ²). With σ² = n/d that
/// exponent is (a·|Y| − b)² / c for integers a = d·t/g, b = n/g, c = 2·n·d·t²/g², g = gcd(d·t, n).
#[derive(Debug, Clone, Copy)]
pub struct Gaussian {
    scale: u64,
    multiplier: u128,
    offset: u128,
    divisor: u128,
}

impl Gaussian {
    /// A sampler of variance parameter `variance`.
    ///
    /// Nothing overflows: for a fraction, d·t² ≤ max(n, d) ≤ 2⁴⁰, so c ≤ 2⁸¹ and (64·a·t)² ≤ 2⁹²; for an integer σ,
    /// a = 1, b = t = σ ≤ 2⁵⁰, so c ≤ 2¹⁰¹ and (64·t)² ≤ 2¹¹².
    #[must_use]
    pub fn new(variance: Variance) -> Self {
        let Variance { numerator, denominator } = variance;
        let scale = (numerator / denominator).isqrt().max(1);
        let slope = denominator * scale;
        let divisor = greatest_common_divisor(slope, numerator);
        let (multiplier, offset) = (slope / divisor, numerator / divisor);
        let scale_word = u64::try_from(scale).expect("the scale is at most sigma, which is at most 2^50");
        Self { scale: scale_word, multiplier, offset, divisor: 2 * offset * multiplier * scale }
    }

    /// One sample.
    ///
    /// A proposal beyond 64 scales whose numbers overflow is drawn again. Such a one would be kept with probability
    /// below e⁻¹⁹⁰⁰, so this changes no probability by more.
    pub fn sample(&self, bits: &mut Bits<impl RngCore>) -> i64 {
        loop {
            let Some(magnitude) = self.laplace_magnitude(bits) else { continue };
            let negative = bits.coin();
            if negative && magnitude == 0 {
                continue;
            }
            let Some(square) = self.exponent(magnitude) else { continue };
            let Ok(value) = i64::try_from(magnitude) else { continue };
            if bits.exponential(square, self.divisor) {
                return if negative { -value } else { value };
            }
        }
    }

    /// (a·|Y| − b)², to be divided by c.
    fn exponent(&self, magnitude: u64) -> Option<u128> {
        let distance = u128::from(magnitude).checked_mul(self.multiplier)?.abs_diff(self.offset);
        distance.checked_mul(distance)
    }

    /// |Y| of the discrete Laplace distribution, 0 twice as likely as it should be: the caller refuses −0.
    fn laplace_magnitude(&self, bits: &mut Bits<impl RngCore>) -> Option<u64> {
        let remainder = loop {
            let uniform = bits.below(self.scale);
            if bits.exponential_fraction(uniform, self.scale) {
                break uniform;
            }
        };
        let mut quotient = 0u64;
        while bits.exponential_one() {
            quotient += 1;
        }
        self.scale.checked_mul(quotient)?.checked_add(remainder)
    }
}

fn greatest_common_divisor(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "statistics in floating point")]
mod tests;
