//! The transparency log on disk and on the wire: publishing, serving, witnessing and reading it.
//!
//! Actors: the *centre* publishes what its store queued ([`Publisher`]) as static files (`folder`); *witnesses* cosign
//! its checkpoints ([`witness`]); *nodes* believe nothing that the log does not hold (`watch`); *anyone* reads all of
//! it again ([`LogReader`]). What is proved and how is in [`policies::log`]; what an entry says in [`aggregator::log`].
//!
//! Trust boundary: a reader believes the log's key and its witnesses', and computes everything else. The files may come
//! from anywhere, also from a copy.

mod builder;
mod cosign;
mod folder;
mod publisher;
mod reader;
mod source;
pub(crate) mod watch;
pub mod witness;

pub use cosign::WitnessLink;
pub use publisher::{LogError, LogOptions, Publisher};
pub use reader::{LogReadError, LogReader};
pub use source::{Location, SourceError};

pub(crate) use source::TileFetch;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
