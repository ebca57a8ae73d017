//! Audiences that drive nodes as a streaming platform would: from a log of slates, or synthetic.
//!
//! An audience knows what its viewers like; the service is told only what became of the item that it put first.

mod course;
mod drive;
mod slates;
mod synthetic;
mod tally;

pub(crate) use course::{Course, Outcome, Refused};
pub(crate) use drive::{Drive, Driver};
pub(crate) use slates::read_slates;
pub(crate) use synthetic::Synthetic;
pub(crate) use tally::{Mean, Tally};

/// One ranking decision: what is offered, and what the viewer would like of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    /// Indices into [`Audience::items`].
    pub(crate) candidates: Box<[u32]>,
    /// Those of the candidates that the viewer likes.
    pub(crate) liked: Box<[u32]>,
}

/// One session of one viewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Visit {
    /// The platform's pseudonym of the viewer.
    pub(crate) viewer: String,
    /// What the viewer is offered, in order.
    pub(crate) decisions: Vec<Decision>,
}

/// Visits in the order in which they take place.
pub(crate) struct Audience {
    /// Ids of the catalogue's items.
    pub(crate) items: Vec<String>,
    /// The sessions.
    pub(crate) visits: Vec<Visit>,
}
