//! The region's half: bounded contributions, mechanism, ledger, release.
//!
//! It imports nothing of [`crate::centre`].

mod bits;
pub mod gaussian;
pub mod id;
pub mod plan;
pub mod store;

pub use gaussian::{Gaussian, Variance};
pub use id::{LedgerId, ReleaseId};
pub use plan::{PlanError, PlanInputs, Segment, SegmentKind, TaskPlan, WindowPlan};
pub use store::{LedgerStore, StoreError};
