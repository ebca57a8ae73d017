//! Catalogue, session, features, ranking and the model artifact.
//!
//! A tenant's public [`Catalogue`] says what can be shown. What a window's releases encode is fixed by its [`Frame`].
//! A session ends as a [`SessionRecord`]: the only thing that the release path reads, and it never leaves the region.
//!
//! This crate knows no network, no clock and no noise; randomness is handed in.

pub mod catalogue;
pub mod content;
pub mod features;
pub mod frame;
pub mod outcome;

pub use catalogue::{Catalogue, CatalogueError, Item, ItemIndex};
pub use features::FEATURES;
pub use frame::{Frame, FrameError};
pub use outcome::{Arm, Outcome, PerceptualKpi, SessionRecord, Signal};
