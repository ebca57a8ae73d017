//! Private lists on disk: `siwa list` makes and builds them, nodes serve them.
//!
//! ```text
//! TENANT/LIST/list.json              whose, which, what it says, and the key that signs its manifests
//! TENANT/LIST/current                the number of the epoch in force
//! TENANT/LIST/epochs/N/manifest.jwt  what is signed about epoch N
//! TENANT/LIST/epochs/N/key.sealed    the key of its function, sealed
//! TENANT/LIST/epochs/N/buckets.bin   its buckets with their paths, one after another, each of the same length
//! TENANT/LIST/build/                 a build under way, or one that was interrupted
//! ```
//!
//! The key that signs manifests lies outside of this folder, as a PEM file of its own: who serves a list has its function's
//! key, sealed under the operator's, and cannot sign a manifest. A node that finds a signing key here does not start.
//!
//! An epoch's folder appears whole, by a rename, and is never changed; the two before it stay, for calls under way, and
//! earlier ones go, their keys with them. Identifiers stand in none of these files.

pub(crate) mod build;
mod epoch;
mod exposed;
mod files;
mod folder;
pub(crate) mod sample;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use epoch::ListEpoch;
pub(crate) use exposed::{DEPTH_MAX, check_unexposed};
pub(crate) use folder::{ListFolder, ListFolderError};
