//! Releases after every check of intake.

use policies::{Delta, Digest, PurposeId, Rho, UnitRule};

use crate::log::{LogEntry, ReleaseLogged, SegmentLogged};
use crate::release::chain::Span;
use crate::release::{ChargeRecord, LedgerId, ReleaseId, Segment, SegmentKind, StreamBody, Variance};

use super::store::ChargeField;

/// A release that intake verified: its numbers may be stored, added and learned from.
#[derive(Clone, PartialEq)]
pub struct VerifiedRelease {
    pub(super) id: ReleaseId,
    pub(super) unit: UnitRule,
    pub(super) catalogue: Digest,
    pub(super) ledger: LedgerId,
    pub(super) sequence: u64,
    pub(super) purpose: PurposeId,
    pub(super) policy: Digest,
    pub(super) frame: Digest,
    pub(super) model_version: u64,
    pub(super) rho: Rho,
    pub(super) delta_charged: Delta,
    pub(super) delta: f64,
    pub(super) private: bool,
    pub(super) segments: Vec<VerifiedSegment>,
    pub(super) planned: Vec<Segment>,
    pub(super) envelope: Vec<u8>,
}

/// One segment's noised numbers, with what the recomputed plan says of them.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedSegment {
    /// What it holds.
    pub kind: SegmentKind,
    /// Integer units of 1.
    pub scale: u64,
    /// ρ that it spends.
    pub rho: Rho,
    /// Δ, in integer units.
    pub sensitivity: u64,
    /// σ² of each cell's noise, in integer units.
    pub variance: Variance,
    /// The noised sums, one a cell or key. Any may be negative.
    pub values: Vec<i64>,
    /// The rising keys of the sums; none where every cell is released.
    pub keys: Option<Vec<u64>>,
    /// Where the row stands, for a row of a stream.
    pub stream: Option<StreamBody>,
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

    /// What was charged beside ρ.
    #[must_use]
    pub const fn delta_charged(&self) -> Delta {
        self.delta_charged
    }

    /// The privacy unit.
    #[must_use]
    pub const fn unit(&self) -> &UnitRule {
        &self.unit
    }

    /// Digest of the catalogue that its cells speak of.
    #[must_use]
    pub const fn catalogue(&self) -> Digest {
        self.catalogue
    }

    /// The plan's segments: what the node and this centre both derived from the policy.
    #[must_use]
    pub fn planned(&self) -> &[Segment] {
        &self.planned
    }

    /// The leaf of the log that tells of it.
    #[must_use]
    pub fn logged(&self, accepted_ms: u64) -> LogEntry {
        let segment = |segment: &Segment| SegmentLogged {
            kind: segment.kind.as_str().to_owned(),
            cells: segment.cells as u64,
            sensitivity: segment.sensitivity,
            rho_picos: segment.rho.picos(),
            scale: segment.scale,
        };
        LogEntry::Release(Box::new(ReleaseLogged {
            tenant: self.id.tenant.clone(),
            task: self.id.task,
            region: self.id.region.clone(),
            node: self.id.node.clone(),
            window: self.id.window,
            purpose: self.purpose.clone(),
            unit: (&self.unit).into(),
            policy: self.policy,
            catalogue: self.catalogue,
            frame: self.frame,
            ledger: self.ledger,
            sequence: self.sequence,
            rho_picos: self.rho.picos(),
            delta_attos: self.delta_charged.attos(),
            stated_delta: self.delta,
            private: self.private,
            segments: self.planned.iter().map(segment).collect(),
            digest: Digest::of(&self.envelope),
            accepted_ms,
        }))
    }

    /// Whether a charge of the node's ledger is this release's.
    ///
    /// # Errors
    /// What differs first.
    pub fn check_charge(&self, charge: &ChargeRecord) -> Result<(), ChargeField> {
        let same = |same: bool, field| if same { Ok(()) } else { Err(field) };
        same(charge.id == self.id, ChargeField::Id)?;
        same(Span::of(&self.unit, self.id.window) == Some(charge.span), ChargeField::Span)?;
        same(charge.purpose == self.purpose, ChargeField::Purpose)?;
        same(charge.unit == self.unit.unit, ChargeField::Unit)?;
        same(charge.policy == self.policy, ChargeField::Policy)?;
        same(charge.rho == self.rho, ChargeField::Rho)?;
        same(charge.delta == self.delta_charged, ChargeField::Delta)
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
