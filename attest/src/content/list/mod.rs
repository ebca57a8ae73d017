//! Private lists: whether a clip stands in a list, without the asker learning the list or the node learning the clip.
//!
//! Who takes part: an *operator* has a list of identifiers (digests or ids of clips) and publishes an *epoch* of it, a
//! signed [`ListManifest`] and a file of padded [`Bucket`]s. A *node* holds the epoch's [`ListKey`] and evaluates blinded
//! elements. A *client* holds one identifier and ends with one bit: whether it is in the list.
//!
//! # How
//! The function is the VOPRF of RFC 9497 (mode 0x01) over ristretto255-SHA512. A list is the set of its members' *tags*,
//! the first [`TAG_BYTES`] bytes of the function's output, spread over 2^bits buckets by the first bits of an unkeyed
//! hash, SHA-256(`"bucket-v1"` ‖ identifier). A client
//! 1. verifies the manifest,
//! 2. fetches the one bucket that its identifier falls into and verifies it against the manifest's root,
//! 3. blinds the identifier ([`PendingCheck`]), has it evaluated, verifies the proof (DLEQ, RFC 9497 §2.2) against the
//!    key that stands in the manifest, and unblinds,
//! 4. looks for the tag in the bucket.
//!
//! # What is learned
//! Whoever serves the bucket learns the first bits (16 at most, fewer for short lists) of an unkeyed hash of the
//! identifier, and an address. Against a known catalogue that narrows: of a million clips about 15 share a bucket of 16
//! bits. The evaluating node learns that something was asked. Where both are one, or speak to each other, time ties the
//! two together: buckets are fetched from a cache or through a relay.
//!
//! The client learns tags that it cannot invert, and up to [`BATCH_ELEMENTS_MAX`] function values a token. The number of slots tells how full the
//! fullest bucket is, the manifest about how long the list is; how full any other bucket is stays hidden, since random
//! tags fill all to the same number. One who buys enough evaluations can try identifiers that it guesses: a token is
//! the price of each call.
//!
//! An identifier that is not in the list is found all the same with a probability of `slots` × 2^-64.

mod bucket;
pub mod fuzz;
mod identifier;
mod key;
mod manifest;
mod query;

pub use bucket::{Bucket, BucketError, BucketTree, Geometry, InvalidGeometry, Tag, bucket_path_bytes};
pub use identifier::{Identifier, InvalidIdentifier, InvalidListName, ListName};
pub use key::{BlindedElement, Evaluation, InvalidElement, InvalidListKey, ListKey, ListPublicKey};
pub use manifest::{EPOCH_SECONDS_MAX, ListExpectation, ListManifest, ManifestError};
pub use query::{CheckError, PendingCheck};

/// Bytes of an identifier.
pub const IDENTIFIER_BYTES_MAX: usize = 256;
/// Elements that one call evaluates.
pub const BATCH_ELEMENTS_MAX: usize = 16;
/// An element of ristretto255, `Ne` of RFC 9497 §4.1.
pub const ELEMENT_BYTES: usize = 32;
/// Two scalars, the proof of RFC 9497 §2.2.
pub const PROOF_BYTES: usize = 64;
/// Bytes of a function value that are kept.
pub const TAG_BYTES: usize = 8;
/// Bits of the unkeyed hash that choose a bucket.
pub const BITS_MAX: u8 = 16;
/// Tags of one bucket, padding included.
pub const SLOTS_MAX: u32 = 65_536;

/// ristretto255-SHA512 (RFC 9497 §4.1).
struct Suite;

impl voprf::CipherSuite for Suite {
    const ID: &'static str = "ristretto255-SHA512";
    type Group = voprf::Ristretto255;
    type Hash = sha2::Sha512;
}

#[cfg(test)]
mod tests;
