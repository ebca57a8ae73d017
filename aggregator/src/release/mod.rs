//! The region's half: bounded contributions, mechanism, ledger, release.
//!
//! It imports nothing of [`crate::centre`].

pub mod accumulator;
mod bits;
pub mod blt;
pub mod cbor;
pub mod chain;
mod encoding;
pub mod gaussian;
pub mod id;
pub mod ledger;
pub mod noise;
pub mod outgoing;
pub mod plan;
pub mod store;
pub mod threshold;
pub mod wire;

pub use accumulator::{ClosedTask, ClosedWindow, Contributed, WindowAccumulator};
pub use bits::Bits;
pub use blt::{Stream, StreamPlan};
pub use chain::{ChargeRecord, Head, LedgerEntry, Opening, Span};
pub use gaussian::{Gaussian, Variance};
pub use id::{LedgerId, ReleaseId};
pub use ledger::{Charge, CountersignError, Countersigned, Ledger, SeenCharge};
pub use noise::{EntropyError, Noise};
pub use outgoing::{Release, WrongCharge};
pub use plan::{PlanError, PlanInputs, Segment, SegmentKind, TaskPlan, WindowPlan};
pub use store::{
    Burned, ChargeEntry, ChargeLimits, CommitError, KeptCheckpoint, LedgerState, LedgerStore, PersistError, Spent,
    StoreError, StoredRelease,
};
pub use threshold::SparsePlan;
pub use wire::{Envelope, ReleaseBody, SegmentBody, SparseBody, StreamBody};

#[cfg(test)]
pub(crate) mod tests;
