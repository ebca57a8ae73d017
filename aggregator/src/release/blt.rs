//! Running totals: rows of Ĉ·x + z, one a window, from which totals of all windows so far follow with little noise.
//!
//! x are the windows' raw sums, z is discrete Gaussian noise drawn anew for each row, and Ĉ is the integer matrix of
//! [`policies::blt`]: lower triangular, Toeplitz. The row of window t is Σ_{s ≤ t} Ĉ_{t−s}·x_s + z_t, exact in
//! integers. All that follows from rows (the centre's B = A·Ĉ⁻¹) is post-processing. `docs/mechanisms.md` has the proof.
//!
//! A [`Stream`] holds the raw sums of its earlier windows. It never holds noise: none can be used twice, whatever copy of a
//! stream is taken up. It lives in memory alone, and ends with the process; then another begins, with rows of its own.

use policies::blt;
use zeroize::Zeroizing;

use super::plan::{PlanError, SENSITIVITY_MAX, Segment, UNITS_MAX};
use super::wire::StreamBody;
use super::{ReleaseId, Variance};

/// What makes a segment a row of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamPlan {
    /// Rows of a stream at most.
    pub horizon: u32,
    /// The largest absolute row that bounded sums can reach, without noise.
    pub reach: u64,
}

/// Δ and the reach of rows, where a unit moves one window's sums by `of_window` at most.
pub(super) fn bounds(of_window: u64, horizon: u32) -> Result<(u64, StreamPlan), PlanError> {
    if !(1..=blt::HORIZON_MAX).contains(&horizon) {
        return Err(PlanError::Horizon);
    }
    let square = u128::from(of_window).pow(2).checked_mul(blt::column_square(horizon)).ok_or(PlanError::Sensitivity)?;
    let root = square.isqrt();
    let sensitivity = u64::try_from(root + u128::from(root * root < square)).map_err(|_| PlanError::Sensitivity)?;
    let reach = UNITS_MAX.checked_mul(of_window).and_then(|sum| sum.checked_mul(blt::column_sum(horizon)));
    // Room for the noise is left in 64 bits.
    let reach = reach.filter(|reach| *reach <= 1 << 62).ok_or(PlanError::Sensitivity)?;
    if sensitivity == 0 || sensitivity > SENSITIVITY_MAX {
        return Err(PlanError::Sensitivity);
    }
    Ok((sensitivity, StreamPlan { horizon, reach }))
}

/// One tenant's raw sums of the windows that were released as rows so far. Secret: in memory only, erased when dropped,
/// without `Debug` or `Clone`.
#[derive(Default)]
pub struct Stream(Option<Begun>);

struct Begun {
    scope: Scope,
    first: u64,
    last: u64,
    coefficients: Vec<u64>,
    /// One vector a window, by rising window.
    rows: Vec<Zeroizing<Vec<i64>>>,
}

/// Rows belong together only where all of this is the same: what an earlier window was charged covers later rows of the
/// same noise alone.
#[derive(PartialEq, Eq)]
struct Scope {
    series: (policies::TenantId, policies::RegionId, policies::NodeId, policies::TaskKind),
    bounds: (u64, u64, u64, Variance, u32, usize),
}

impl Scope {
    fn of(id: &ReleaseId, segment: &Segment, horizon: u32) -> Self {
        let Segment { clip, sensitivity, scale, variance, cells, .. } = *segment;
        Self {
            series: (id.tenant.clone(), id.region.clone(), id.node.clone(), id.task),
            bounds: (clip, sensitivity, scale, variance, horizon, cells),
        }
    }
}

impl Stream {
    /// A stream that has not begun.
    #[must_use]
    pub const fn new() -> Self {
        Self(None)
    }

    /// Ends it: the next row begins another. For when a row was drawn and cannot be kept.
    pub fn end(&mut self) {
        self.0 = None;
    }

    /// Rows so far.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.0.as_ref().map_or(0, |begun| begun.rows.len())
    }

    /// The row of a window, on noise that was drawn before; and where it stands. A stream that is full, of another scope,
    /// or not before this window ends, and another begins.
    pub(super) fn row(
        &mut self,
        (id, segment, plan): (&ReleaseId, &Segment, StreamPlan),
        sums: Zeroizing<Vec<i64>>,
        mut noise: Vec<i64>,
    ) -> (Vec<i64>, StreamBody) {
        let scope = Scope::of(id, segment, plan.horizon);
        let begun = match self.0.take() {
            Some(begun) if begun.takes(&scope, id.window.0) => begun,
            _ => Begun::new(scope, id.window.0, plan.horizon),
        };
        let begun = self.0.insert(begun);
        begun.rows.push(sums);
        begun.last = id.window.0;
        for (cell, sample) in noise.iter_mut().enumerate() {
            let newest_first = begun.rows.iter().rev().zip(&begun.coefficients);
            let products = newest_first.map(|(row, coefficient)| i128::from(row[cell]) * i128::from(*coefficient));
            let sum: i128 = products.sum();
            // Within the reach, below 2⁶²; noise beyond what is left of 64 bits is cut after it was added.
            let sum = i64::try_from(sum).expect("1024 rows of UNITS_MAX clipped sessions are within the plan's reach");
            *sample = sample.saturating_add(sum);
        }
        let step = u32::try_from(begun.rows.len() - 1).expect("a stream has as many rows as its horizon at most");
        (noise, StreamBody { first: begun.first, step })
    }
}

impl Begun {
    fn new(scope: Scope, first: u64, horizon: u32) -> Self {
        Self { scope, first, last: first, coefficients: blt::coefficients(horizon), rows: Vec::new() }
    }

    fn takes(&self, scope: &Scope, window: u64) -> bool {
        self.scope == *scope && self.last < window && self.rows.len() < self.coefficients.len()
    }
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "statistics in floating point")]
mod tests;
