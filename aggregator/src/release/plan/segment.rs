//! Parts of a release, and the constants that bound them.

use policies::Rho;

use crate::release::blt::StreamPlan;
use crate::release::gaussian::Variance;
use crate::release::threshold::SparsePlan;

/// Integer units of one reward, one impression, or one of an arm's measures.
pub const SCALE_PLAIN: u64 = 1 << 16;
/// Integer units of 1 in a vector whose products are released.
pub const SCALE_FACTOR: u64 = 1 << 12;
/// Multiplier of the diagonal of a symmetric matrix.
pub const DIAGONAL: u64 = 29;
/// Multiplier of its other cells, each sent once. 41² = 1681 ≤ 2·29² = 1682, so that
/// 29²·Σvᵢ⁴ + 41²·Σᵢ<ⱼ vᵢ²vⱼ² ≤ 29²·(Σvᵢ²)²: the norm of the whole is that of the diagonal alone.
pub const OFF_DIAGONAL: u64 = 41;
/// Measures of an arm: sessions, reward, start-up, rebuffering.
pub const ARM_MEASURES: usize = 4;
/// Start-up time that counts as 1, in milliseconds. What is longer counts as 1 too.
pub const STARTUP_MS: u32 = 10_000;
/// Cells of one segment at most.
pub const CELLS_MAX: usize = 1 << 20;
/// Units (viewers or sessions) that one window counts at most.
pub const UNITS_MAX: u64 = 1 << 22;
/// Largest Δ, so that |Σ| ≤ `UNITS_MAX`·Δ ≤ 2⁶² whatever the units contribute.
pub const SENSITIVITY_MAX: u64 = 1 << 40;

/// A part of a release with a sensitivity and a ρ of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SegmentKind {
    /// Σ(reward − base rate) of each item.
    Rewards,
    /// Impressions of each item.
    Impressions,
    /// Gram matrix of session vectors, upper triangle by rows.
    Gram,
    /// Mean second moments of features and reward, upper triangle by rows.
    Moments,
    /// [`ARM_MEASURES`] of each arm.
    Arms,
    /// Pairs (item, item liked next) that pass a threshold.
    Transitions,
    /// [`ARM_MEASURES`] of all sessions, weighted over the windows so far.
    Totals,
}

/// The text names no segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no segment of this name")]
pub struct UnknownSegment;

impl std::str::FromStr for SegmentKind {
    type Err = UnknownSegment;

    fn from_str(text: &str) -> Result<Self, UnknownSegment> {
        let kinds =
            [Self::Rewards, Self::Impressions, Self::Gram, Self::Moments, Self::Arms, Self::Transitions, Self::Totals];
        kinds.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownSegment)
    }
}

impl SegmentKind {
    /// The name in a release.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rewards => "rewards",
            Self::Impressions => "impressions",
            Self::Gram => "gram",
            Self::Moments => "moments",
            Self::Arms => "arms",
            Self::Transitions => "transitions",
            Self::Totals => "totals",
        }
    }

    /// Whether keys stand beside the numbers, because not all are released.
    #[must_use]
    pub const fn is_sparse(self) -> bool {
        matches!(self, Self::Transitions)
    }

    /// Whether it is a row of a stream.
    #[must_use]
    pub const fn is_stream(self) -> bool {
        matches!(self, Self::Totals)
    }

    /// Whether the cells are a symmetric matrix's upper triangle, with the multipliers [`DIAGONAL`] and [`OFF_DIAGONAL`].
    #[must_use]
    pub const fn is_triangle(self) -> bool {
        matches!(self, Self::Gram | Self::Moments)
    }
}

/// One part of a task, with everything that bounds and noises it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// What it holds.
    pub kind: SegmentKind,
    /// Length; of a sparse segment, the noise samples that are drawn, and so the keys that it may hold.
    pub cells: usize,
    /// L2 bound of one session's vector, in integer units.
    pub clip: u64,
    /// Δ: L2 bound of one unit's whole contribution, in integer units.
    pub sensitivity: u64,
    /// What this segment spends.
    pub rho: Rho,
    /// Integer units of 1; a triangle's multipliers come on top.
    pub scale: u64,
    /// σ² of its noise, in integer units.
    pub variance: Variance,
    /// What makes it sparse; none where every cell is released.
    pub sparse: Option<SparsePlan>,
    /// What makes it a row of a stream; none where a release stands for its window alone. A row's weights come on top of
    /// its scale ([`policies::blt::SCALE`]).
    pub stream: Option<StreamPlan>,
}

/// Cells of a symmetric matrix's upper triangle with the diagonal.
#[must_use]
pub const fn triangle(side: usize) -> usize {
    side * (side + 1) / 2
}
