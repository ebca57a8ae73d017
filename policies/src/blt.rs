//! The weights of a running total: a matrix C so that noise on C·x costs little, and noise on the totals is small.
//!
//! Dvijotham, McMahan, Pillutla, Steinke and Thakurta 2024 ("Efficient and Near-Optimal Noise Generation for Streaming
//! Differential Privacy") factorise the matrix of prefix sums A = B·C with a Buffered Linear Toeplitz C, whose first
//! column is cⱼ = Σᵢ αᵢ θᵢ^(j−1), c₀ = 1. The three pairs here are optimised for 365 windows and one participation: the
//! largest error of a total is 2.945 σ of one window's noise, where independent noise has 19.1 σ.
//!
//! What is used, and what sensitivities are computed from, are the integers Ĉⱼ = ⌊2¹² cⱼ⌋, not the cⱼ.

/// Ĉ₀: units of 1.
pub const SCALE: u64 = 1 << 12;
/// Rows of C at most.
pub const HORIZON_MAX: u32 = 1024;
/// θ of each buffer, in millionths.
const DECAY_PPM: [u128; 3] = [997_518, 958_212, 657_431];
/// α of each buffer, in millionths.
const WEIGHT_PPM: [u128; 3] = [67_646, 145_987, 276_580];
const PPM: u128 = 1_000_000;
/// Bits after the point while powers are computed.
const FRACTION: u32 = 60;

/// The first column of C for so many windows, [`HORIZON_MAX`] at most, in units of 1/[`SCALE`]. Integers alone: whoever
/// computes them gets the same.
#[must_use]
pub fn coefficients(horizon: u32) -> Vec<u64> {
    let mut buffers = WEIGHT_PPM.map(|weight| (weight << FRACTION) / PPM);
    let mut column = vec![SCALE];
    for _ in 1..horizon.clamp(1, HORIZON_MAX) {
        let sum: u128 = buffers.iter().sum();
        let coefficient = (sum * u128::from(SCALE)) >> FRACTION;
        column.push(u64::try_from(coefficient).expect("the weights together are below 1"));
        for (buffer, decay) in buffers.iter_mut().zip(DECAY_PPM) {
            *buffer = *buffer * decay / PPM;
        }
    }
    column
}

/// ΣĈⱼ²: the square of the L2 norm by which a contribution of norm 1 to one window moves all rows, the most over the
/// windows it may be in. The first window's column is the longest: the others are cut short by the end.
#[must_use]
pub fn column_square(horizon: u32) -> u128 {
    coefficients(horizon).into_iter().map(|coefficient| u128::from(coefficient).pow(2)).sum()
}

/// ΣĈⱼ: what a row is at most, where every window holds 1.
#[must_use]
pub fn column_sum(horizon: u32) -> u64 {
    coefficients(horizon).into_iter().sum()
}

/// ‖C‖ of the integers, in units of 1.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "reports only")]
pub fn column_norm(horizon: u32) -> f64 {
    (column_square(horizon) as f64).sqrt() / SCALE as f64
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "compared with floating point")]
mod tests {
    use super::*;

    /// The same by floating-point powers, truncated: never above the real coefficient, and at most one unit below.
    #[test]
    fn coefficients_are_the_published_ones_rounded_down() {
        let column = coefficients(HORIZON_MAX);
        assert_eq!((column.len(), column[0], column[1]), (1024, 4096, 2007));
        for (power, coefficient) in column.iter().skip(1).enumerate() {
            let pairs = WEIGHT_PPM.iter().zip(DECAY_PPM);
            let real = pairs.map(|(weight, decay)| *weight as f64 / 1e6 * (decay as f64 / 1e6).powi(power as i32));
            let gap = real.sum::<f64>() * SCALE as f64 - *coefficient as f64;
            assert!((-1e-9..1.0 + 1e-9).contains(&gap), "{power}: {gap}");
        }
        assert!(column.windows(2).all(|pair| pair[0] >= pair[1]));
    }

    #[test]
    fn norms_are_of_those_integers() {
        assert_eq!((column_square(1), column_sum(1)), (1 << 24, 4096));
        assert_eq!(column_square(2), (1 << 24) + 2007 * 2007);
        assert_eq!(column_sum(2), 4096 + 2007);
        // √2.941 of the real coefficients for 365 windows, a thousandth less by rounding down.
        assert!((1.713..1.715).contains(&column_norm(365)), "{}", column_norm(365));
        assert_eq!(coefficients(0), [4096]);
    }
}
