//! The centre's half: intake, merge, learner. What reaches it is already private.

pub mod follow;
pub mod intake;
pub mod learner;
pub mod merge;
pub mod store;
mod sum_bytes;
pub mod totals;
mod verified;

pub use follow::{FollowError, Followed, Offer};
pub use intake::{Expectations, OpenedRelease, Refusal};
pub use merge::{MergeError, SumSegment, Symmetric, TaskSum};
pub use store::{CentreStore, ChargeField};
pub use totals::{NotAStream, Total, Totals};
pub use verified::{VerifiedRelease, VerifiedSegment};

#[cfg(test)]
mod tests;
