//! Running sums of releases that encode alike, as the learner reads them.

use policies::{Digest, TaskKind, TenantId};

use super::verified::{VerifiedRelease, VerifiedSegment};
use crate::release::SegmentKind;
use crate::release::plan::{DIAGONAL, OFF_DIAGONAL, triangle};

/// The sum of a tenant's releases of one task under one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskSum {
    /// Whose.
    pub tenant: TenantId,
    /// What was measured.
    pub kind: TaskKind,
    /// The digest of the frame that all of them follow.
    pub frame: Digest,
    /// Distinct windows, as far as they were accepted in rising order: a window that comes late is not counted.
    pub windows: u64,
    /// The highest window among them.
    pub last_window: u64,
    /// Releases.
    pub releases: u64,
    /// Whether every one of them is private.
    pub private: bool,
    /// The sums.
    pub segments: Vec<SumSegment>,
}

/// One segment's sum.
#[derive(Debug, Clone, PartialEq)]
pub struct SumSegment {
    /// What it holds.
    pub kind: SegmentKind,
    /// The noised sums, one a cell. Any may be negative.
    pub values: Vec<i64>,
    /// Integer units of 1; a triangle's multipliers come on top.
    pub scale: u64,
    /// Σσ² over the releases, of each cell, in integer units squared.
    pub noise_variance: f64,
}

/// A symmetric matrix in real units, noise included.
#[derive(Debug, Clone, PartialEq)]
pub struct Symmetric {
    /// Rows and columns.
    pub side: usize,
    /// All side² cells by rows; both halves are filled.
    pub values: Vec<f64>,
    /// Variance of the noise of a diagonal cell.
    pub diagonal_variance: f64,
    /// Variance of the noise of any other cell; (i, j) and (j, i) carry the same noise.
    pub off_diagonal_variance: f64,
}

/// A release does not add to a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// Tenant, task, frame, cells or scales differ.
    #[error("the release does not fit the running sum")]
    Shape,
    /// A cell would pass 64 bits.
    #[error("the running sum is full")]
    Full,
}

impl TaskSum {
    /// The sum of one release.
    #[must_use]
    pub fn of(release: &VerifiedRelease) -> Self {
        let id = release.id();
        let segment = |segment: &VerifiedSegment| SumSegment {
            kind: segment.kind,
            values: segment.values.clone(),
            scale: segment.scale,
            noise_variance: segment.variance.as_f64(),
        };
        Self {
            tenant: id.tenant.clone(),
            kind: id.task,
            frame: release.frame(),
            windows: 1,
            last_window: id.window.0,
            releases: 1,
            private: release.is_private(),
            segments: release.segments().iter().map(segment).collect(),
        }
    }

    /// Adds one release.
    ///
    /// # Errors
    /// It does not add. The sum is as it was.
    pub fn add(&mut self, release: &VerifiedRelease) -> Result<(), MergeError> {
        let id = release.id();
        let alike = |(own, other): (&SumSegment, &VerifiedSegment)| {
            own.kind == other.kind && own.scale == other.scale && own.values.len() == other.values.len()
        };
        if (&self.tenant, self.kind, self.frame) != (&id.tenant, id.task, release.frame())
            || self.segments.len() != release.segments().len()
            || !self.segments.iter().zip(release.segments()).all(alike)
        {
            return Err(MergeError::Shape);
        }
        let pairs = self.segments.iter().zip(release.segments());
        let fits = |(a, b): (&i64, &i64)| a.checked_add(*b).is_some();
        if !pairs.into_iter().all(|(own, other)| own.values.iter().zip(&other.values).all(fits)) {
            return Err(MergeError::Full);
        }
        for (own, other) in self.segments.iter_mut().zip(release.segments()) {
            own.values.iter_mut().zip(&other.values).for_each(|(sum, value)| *sum += value);
            own.noise_variance += other.variance.as_f64();
        }
        self.windows += u64::from(id.window.0 > self.last_window);
        self.last_window = self.last_window.max(id.window.0);
        self.releases += 1;
        self.private &= release.is_private();
        Ok(())
    }

    /// One segment's sum.
    #[must_use]
    pub fn segment(&self, kind: SegmentKind) -> Option<&SumSegment> {
        self.segments.iter().find(|segment| segment.kind == kind)
    }
}

impl SumSegment {
    /// The cells in real units (value ÷ scale). For a segment that is not a triangle.
    #[expect(clippy::cast_precision_loss, reason = "learning works in floating point")]
    pub fn reals(&self) -> impl Iterator<Item = f64> + '_ {
        let scale = self.scale as f64;
        self.values.iter().map(move |value| *value as f64 / scale)
    }

    /// Variance of the noise of a cell of [`SumSegment::reals`].
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "learning works in floating point")]
    pub fn real_variance(&self) -> f64 {
        self.noise_variance / (self.scale as f64).powi(2)
    }

    /// The matrix whose upper triangle this is; nothing for a segment that is not a triangle.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "learning works in floating point")]
    pub fn symmetric(&self) -> Option<Symmetric> {
        let side = ((8 * self.values.len() + 1).isqrt() - 1) / 2;
        if !self.kind.is_triangle() || triangle(side) != self.values.len() {
            return None;
        }
        let diagonal = (self.scale * DIAGONAL) as f64;
        let off_diagonal = (self.scale * OFF_DIAGONAL) as f64;
        let mut values = vec![0.0; side * side];
        let mut cells = self.values.iter();
        for row in 0..side {
            for (column, cell) in (row..side).zip(&mut cells) {
                let value = *cell as f64 / if row == column { diagonal } else { off_diagonal };
                values[row * side + column] = value;
                values[column * side + row] = value;
            }
        }
        let diagonal_variance = self.noise_variance / diagonal.powi(2);
        let off_diagonal_variance = self.noise_variance / off_diagonal.powi(2);
        Some(Symmetric { side, values, diagonal_variance, off_diagonal_variance })
    }
}
