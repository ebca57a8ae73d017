//! Bounded contributions, noise, ledger and release; intake, merge and learner.

pub mod centre;
pub mod release;
