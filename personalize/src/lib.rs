//! Catalogue, session, features, ranking and the model artifact.
//!
//! A tenant's public [`Catalogue`] says what can be shown. A viewer's [`Session`] takes in signals and orders
//! candidates by a signed [`Model`] and by its own Gaussian belief ([`posterior`]), which never leaves it. What a
//! window's releases encode is fixed by the model's [`Frame`]. An ended session leaves a [`SessionRecord`]: the only
//! thing that the release path reads, and it never leaves the region.
//!
//! This crate knows no network, no clock and no noise; randomness is handed in.

#![expect(
    clippy::cast_precision_loss,
    reason = "counts here are at most ITEMS_MAX or CANDIDATES_MAX, which f32 holds exactly"
)]

pub mod catalogue;
pub mod content;
pub mod features;
pub mod frame;
pub mod model;
pub mod outcome;
pub mod posterior;
pub mod ranking;
pub mod session;

pub use catalogue::{Catalogue, CatalogueError, Item, ItemIndex};
pub use features::FEATURES;
pub use frame::{Frame, FrameError};
pub use model::{Mode, Model, ModelError, ModelParts, Provenance};
pub use outcome::{Arm, Outcome, PerceptualKpi, SessionRecord, Signal};
pub use ranking::{CANDIDATES_MAX, Ranked, Ranking};
pub use session::{Session, SessionError, SessionOptions};
