//! Running sums of releases that encode alike, as the learner reads them.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use policies::{Digest, TaskKind, TenantId};

use super::verified::{VerifiedRelease, VerifiedSegment};
use crate::release::SegmentKind;
use crate::release::plan::{CELLS_MAX, DIAGONAL, OFF_DIAGONAL, triangle};

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
    /// The sums. Rows of streams are not among them: they add up by [`super::Totals`] alone, from the kept releases.
    pub segments: Vec<SumSegment>,
}

/// One segment's sum.
#[derive(Debug, Clone, PartialEq)]
pub struct SumSegment {
    /// What it holds.
    pub kind: SegmentKind,
    /// The noised sums, one a cell or key. Any may be negative.
    pub values: Vec<i64>,
    /// The rising keys of the sums; none where every cell is released. A key that a release did not hold counts 0 there,
    /// and where the union would pass [`CELLS_MAX`] keys, those of the smallest sums are let go.
    pub keys: Option<Vec<u64>>,
    /// Integer units of 1; a triangle's multipliers come on top.
    pub scale: u64,
    /// Σσ² over the releases, of each cell, in integer units squared; of a key, at most.
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

/// Segments that add up cell by cell.
fn addable(release: &VerifiedRelease) -> impl Iterator<Item = &VerifiedSegment> {
    release.segments().iter().filter(|segment| segment.stream.is_none())
}

impl TaskSum {
    /// The sum of one release.
    #[must_use]
    pub fn of(release: &VerifiedRelease) -> Self {
        let id = release.id();
        let segment = |segment: &VerifiedSegment| SumSegment {
            kind: segment.kind,
            values: segment.values.clone(),
            keys: segment.keys.clone(),
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
            segments: addable(release).map(segment).collect(),
        }
    }

    /// Adds one release.
    ///
    /// # Errors
    /// It does not add. The sum is as it was.
    pub fn add(&mut self, release: &VerifiedRelease) -> Result<(), MergeError> {
        let id = release.id();
        let alike = |(own, other): (&SumSegment, &VerifiedSegment)| {
            let sparse = own.keys.is_some() && other.keys.is_some();
            let dense = own.keys.is_none() && other.keys.is_none() && own.values.len() == other.values.len();
            own.kind == other.kind && own.scale == other.scale && (sparse || dense)
        };
        if (&self.tenant, self.kind, self.frame) != (&id.tenant, id.task, release.frame())
            || self.segments.len() != addable(release).count()
            || !self.segments.iter().zip(addable(release)).all(alike)
        {
            return Err(MergeError::Shape);
        }
        let pairs = self.segments.iter().zip(addable(release));
        let added: Option<Vec<_>> = pairs.map(|(own, other)| own.with(other)).collect();
        self.segments = added.ok_or(MergeError::Full)?;
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
    /// The sum with one more; nothing where a number would pass 64 bits. Both are dense and as long, or both sparse.
    fn with(&self, other: &VerifiedSegment) -> Option<Self> {
        let (keys, values) = match (&self.keys, &other.keys) {
            (Some(own_keys), Some(other_keys)) => {
                let own = own_keys.iter().copied().zip(self.values.iter().copied());
                let (keys, values) = union(own, other_keys.iter().copied().zip(other.values.iter().copied()))?;
                (Some(keys), values)
            }
            _ => {
                let pairs = self.values.iter().zip(&other.values);
                (None, pairs.map(|(sum, value)| sum.checked_add(*value)).collect::<Option<_>>()?)
            }
        };
        let noise_variance = self.noise_variance + other.variance.as_f64();
        Some(Self { kind: self.kind, values, keys, scale: self.scale, noise_variance })
    }

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

/// Keys of either with their sums, the [`CELLS_MAX`] largest of them.
fn union(
    own: impl Iterator<Item = (u64, i64)>,
    other: impl Iterator<Item = (u64, i64)>,
) -> Option<(Vec<u64>, Vec<i64>)> {
    let mut sums: BTreeMap<u64, i64> = own.collect();
    for (key, value) in other {
        let sum = sums.entry(key).or_insert(0);
        *sum = sum.checked_add(value)?;
    }
    let mut sums: Vec<(u64, i64)> = sums.into_iter().collect();
    if sums.len() > CELLS_MAX {
        sums.select_nth_unstable_by_key(CELLS_MAX, |(key, value)| (Reverse(*value), *key));
        sums.truncate(CELLS_MAX);
        sums.sort_unstable();
    }
    Some(sums.into_iter().unzip())
}
