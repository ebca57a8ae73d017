//! Totals from the rows of a stream: post-processing of what was released.
//!
//! A row is y = Ĉ·x + z. With A the matrix of prefix sums and B = A·Ĉ⁻¹, B·y = A·x + B·z: every total so far is
//! unbiased, and its noise has the variance σ²·Σ bⱼ² of its row of B. A sliding window is the difference of two totals
//! of one stream; its noise has the variance of the difference of their rows of B, which share most of it.

use policies::blt;

/// Sums of the cells over some windows, in real units, with the standard deviation of each cell's noise.
#[derive(Debug, Clone, PartialEq)]
pub struct Total {
    /// One a cell.
    pub cells: Vec<f64>,
    /// Of each.
    pub sigma: f64,
}

/// The totals of one stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Totals {
    /// After each row, the sums of all windows so far.
    cells: Vec<Vec<f64>>,
    /// The first column of B.
    column: Vec<f64>,
    /// σ of a row's noise, in real units.
    sigma: f64,
}

/// The rows are not those of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("rows are of different length, or more than a stream has")]
pub struct NotAStream;

impl Totals {
    /// Totals of a stream's rows from its first on, without a gap. `scale` is a row's segment's, `variance` its noise's in
    /// integer units.
    ///
    /// # Errors
    /// More rows than a stream has, or of different length.
    #[expect(clippy::cast_precision_loss, reason = "reports are in floating point")]
    pub fn of(rows: &[Vec<i64>], scale: u64, variance: f64) -> Result<Self, NotAStream> {
        let windows =
            u32::try_from(rows.len()).ok().filter(|windows| *windows <= blt::HORIZON_MAX).ok_or(NotAStream)?;
        if rows.windows(2).any(|pair| pair[0].len() != pair[1].len()) {
            return Err(NotAStream);
        }
        let unit = scale as f64 * blt::SCALE as f64;
        let coefficients = blt::coefficients(windows).into_iter().map(|c| c as f64 / blt::SCALE as f64);
        let coefficients: Vec<f64> = coefficients.collect();
        // Ĉ·r = y by forward substitution; totals are the prefix sums of r. Ĉ⁻¹ has a bounded norm, so nothing grows.
        let mut estimates: Vec<Vec<f64>> = Vec::with_capacity(rows.len());
        let mut cells: Vec<Vec<f64>> = Vec::with_capacity(rows.len());
        for row in rows {
            let mut estimate: Vec<f64> = row.iter().map(|value| *value as f64 / unit).collect();
            for (earlier, coefficient) in estimates.iter().rev().zip(&coefficients[1..]) {
                estimate.iter_mut().zip(earlier).for_each(|(cell, value)| *cell -= coefficient * value);
            }
            let before = cells.last();
            let total = estimate.iter().enumerate().map(|(cell, value)| value + before.map_or(0.0, |sums| sums[cell]));
            cells.push(total.collect());
            estimates.push(estimate);
        }
        Ok(Self { cells, column: prefix_of_inverse(&coefficients[..rows.len()]), sigma: variance.sqrt() / unit })
    }

    /// After how many rows.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The sums of the first `windows` windows; nothing where there are fewer rows, or for 0.
    #[must_use]
    pub fn so_far(&self, windows: usize) -> Option<Total> {
        self.sliding(windows, windows)
    }

    /// The sums of the last `width` of the first `windows` windows: the difference of two totals.
    #[must_use]
    pub fn sliding(&self, windows: usize, width: usize) -> Option<Total> {
        let cells = self.cells.get(windows.checked_sub(1)?)?;
        let before = windows.checked_sub(width).filter(|_| width > 0)?;
        let earlier = before.checked_sub(1).and_then(|index| self.cells.get(index));
        let difference = |(cell, sum): (usize, &f64)| sum - earlier.map_or(0.0, |sums| sums[cell]);
        // Rows of B, the newest entry first: the earlier total's row is the same column, `width` entries later.
        let square = |age: usize| {
            let later = if age < width { 0.0 } else { self.column[age - width] };
            (self.column[age] - later).powi(2)
        };
        let variance: f64 = (0..windows).map(square).sum();
        Some(Total { cells: cells.iter().enumerate().map(difference).collect(), sigma: self.sigma * variance.sqrt() })
    }
}

/// The first column of A·Ĉ⁻¹, from that of Ĉ with Ĉ₀ = 1.
fn prefix_of_inverse(coefficients: &[f64]) -> Vec<f64> {
    let mut inverse: Vec<f64> = Vec::with_capacity(coefficients.len());
    for at in 0..coefficients.len() {
        let convolved: f64 = (1..=at).map(|lag| coefficients[lag] * inverse[at - lag]).sum();
        inverse.push(if at == 0 { 1.0 } else { -convolved });
    }
    let mut sum = 0.0;
    inverse
        .into_iter()
        .map(|value| {
            sum += value;
            sum
        })
        .collect()
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "statistics in floating point")]
mod tests;
