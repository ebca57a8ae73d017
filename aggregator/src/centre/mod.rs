//! The centre's half: intake, merge, learner. What reaches it is already private.

pub mod intake;
pub mod learner;
pub mod merge;
pub mod store;
mod sum_bytes;
mod verified;

pub use intake::{Expectations, OpenedRelease, Refusal};
pub use merge::{MergeError, SumSegment, Symmetric, TaskSum};
pub use store::CentreStore;
pub use verified::{VerifiedRelease, VerifiedSegment};

#[cfg(test)]
mod tests;
