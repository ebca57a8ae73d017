//! Intake refuses each lie with its own word; what it lets pass adds up.

mod intake;
mod merge;
