//! Intake refuses each lie with its own word; what it lets pass adds up.

pub(super) mod intake;
mod merge;
mod sparse;
