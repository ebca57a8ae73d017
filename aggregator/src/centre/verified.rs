//! Releases after every check of intake.

use policies::{Digest, PurposeId, Rho};

use crate::release::{LedgerId, ReleaseId, SegmentKind, Variance};

/// A release that intake verified: its numbers may be stored, added and learned from.
#[derive(Clone, PartialEq)]
pub struct VerifiedRelease {
    pub(super) id: ReleaseId,
    pub(super) ledger: LedgerId,
    pub(super) sequence: u64,
    pub(super) purpose: PurposeId,
    pub(super) policy: Digest,
    pub(super) frame: Digest,
    pub(super) model_version: u64,
    pub(super) rho: Rho,
    pub(super) delta: f64,
    pub(super) private: bool,
    pub(super) segments: Vec<VerifiedSegment>,
    pub(super) envelope: Vec<u8>,
}

/// One segment's noised numbers, with what the recomputed plan says of them.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedSegment {
    /// What it holds.
    pub kind: SegmentKind,
    /// Integer units of 1.
    pub scale: u64,
    /// Δ, in integer units.
    pub sensitivity: u64,
    /// σ² of each cell's noise, in integer units.
    pub variance: Variance,
    /// The noised sums, one a cell. Any may be negative.
    pub values: Vec<i64>,
}

impl VerifiedRelease {
    /// Its name.
    #[must_use]
    pub const fn id(&self) -> &ReleaseId {
        &self.id
    }

    /// The node's ledger.
    #[must_use]
    pub const fn ledger(&self) -> LedgerId {
        self.ledger
    }

    /// The number of its charge in that ledger.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The purpose it serves.
    #[must_use]
    pub const fn purpose(&self) -> &PurposeId {
        &self.purpose
    }

    /// Digest of the policy set in force.
    #[must_use]
    pub const fn policy(&self) -> Digest {
        self.policy
    }

    /// Digest of the frame that its encodings follow.
    #[must_use]
    pub const fn frame(&self) -> Digest {
        self.frame
    }

    /// The model that the frame was published with.
    #[must_use]
    pub const fn model_version(&self) -> u64 {
        self.model_version
    }

    /// What one unit lost by it.
    #[must_use]
    pub const fn rho(&self) -> Rho {
        self.rho
    }

    /// δ at which the policy states ε.
    #[must_use]
    pub const fn delta(&self) -> f64 {
        self.delta
    }

    /// False where the node says that noise was seeded or off.
    #[must_use]
    pub const fn is_private(&self) -> bool {
        self.private
    }

    /// The noised numbers.
    #[must_use]
    pub fn segments(&self) -> &[VerifiedSegment] {
        &self.segments
    }

    /// The signed bytes, verbatim.
    #[must_use]
    pub fn envelope(&self) -> &[u8] {
        &self.envelope
    }
}
