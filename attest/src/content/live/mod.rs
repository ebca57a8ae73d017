//! Live streams: whether each segment is the one that its source signed, and stands where it should (C2PA 2.3 §19).
//!
//! Who takes part: a *source* packages a stream as ISO BMFF and signs; whoever asks hands over the init segment and then
//! segments as a viewer gets them, which are hostile until they verify. Data flow: [`LiveStream::open`] verifies the init
//! segment's manifest and chooses the method by it; [`LiveStream::segment`] verifies one segment and says two things that
//! are independent of each other: whether its bytes are what the source signed ([`SegmentVerdict::integrity`]), and where
//! it stands ([`SegmentVerdict::order`]). Only a segment that is right in both ([`SegmentVerdict::accepted`]) changes the
//! stream's state: what is refused never moves it.
//!
//! Implemented:
//! - §18.25 session keys: each bound to the signer (`signerBinding`), for its validity period, from its
//!   `minSequenceNumber` on; ES256, ES384 and EdDSA.
//! - §19.4 verifiable segment information in `emsg` boxes, with new manifests and session keys within segments (§19.4.3)
//!   where the same signer's key signs them and a session key that the stream knew signs the segment that brings them:
//!   stricter than §19.4.4.1, by which a new key may introduce itself, and with which one stream of a signer could be
//!   put into another.
//! - §19.3 a manifest in each segment, with `c2pa.livevideo.segment` and the continuity method `c2pa.manifestId`; the
//!   neighbours of a segment are held against it on both sides, so that late segments are checked too.
//! - §19.7 validation, stricter in this: two messages, or two manifests, in a segment are refused, since a hash leaves out
//!   both; a hash may leave out nothing that holds media; all segments of a stream are by one signer's key.
//! - §18.6 `c2pa.hash.bmff.v3` over whole top-level boxes, and of manifests (§10, §11, §15): hashed assertions, the claim's
//!   signature, the certificate's chain and purpose.
//!
//! Not implemented: Merkle trees (§18.6.2), subsets and nested boxes as exclusions, manifests by URL (`manifestUri`: a node
//! fetches nothing for a stranger), PS256 and ES512, time-stamps and revocation (neither OCSP nor a list: a certificate is believed until it ends), ingredients
//! and update manifests, other continuity methods, `mfhd` against the number (§19.4.1 leaves it open), MPEG-TS and E-RTMP
//! (outside §19.1). Which stream comes first is for whoever opens: the first segment that is accepted names the stream of
//! §19.3, and nothing before it is known. A time-stamped signature of an expired certificate is refused: a live stream is signed now.

mod bmff_hash;
mod boxes;
mod cbor;
mod cose;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;
pub mod fuzz;
mod jumbf;
mod manifest;
mod moment;
mod segment_info;
mod sequence;
mod session_keys;
mod stream;
#[cfg(test)]
mod tests;

pub use bmff_hash::HashError;
pub use cose::CoseError;
pub use manifest::{ManifestError, Signer};
pub use sequence::{Order, Splice};
pub use session_keys::SessionKeyError;
pub use stream::{LiveStream, Method};

/// Bytes of an init segment at most.
pub const INIT_BYTES_MAX: usize = 1 << 20;
/// Bytes of a segment at most: ten seconds at 50 Mbit/s.
pub const SEGMENT_BYTES_MAX: usize = 64 << 20;
/// Bytes of a manifest store at most.
pub const MANIFEST_BYTES_MAX: usize = 512 << 10;
/// Bytes of segment information at most.
pub const SEGMENT_INFO_BYTES_MAX: usize = 16 << 10;
/// Boxes beside each other at most.
pub const BOXES_MAX: usize = 1024;
/// Session keys of a stream at most.
pub const SESSION_KEYS_MAX: usize = 16;
/// How many numbers back it is known whether a segment was seen.
pub const SEQUENCE_WINDOW: u64 = 512;

/// The scheme of event messages with segment information.
const SEGMENT_INFO_SCHEME: &str = "urn:c2pa:verifiable-segment-info";

/// Why a stream cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LiveError {
    /// More than [`INIT_BYTES_MAX`] bytes.
    #[error("the init segment is too long")]
    TooLong,
    /// Not boxes, or more than one manifest box or a broken one.
    #[error("the init segment's boxes are malformed")]
    Boxes,
    /// An init segment has no media (§19.7.1: `livevideo.init.invalid`).
    #[error("the init segment holds media")]
    Media,
    /// An init segment describes the tracks in one `moov` box.
    #[error("the init segment does not describe a movie")]
    NoMovie,
    /// No manifest.
    #[error("the init segment holds no manifest")]
    NoManifest,
    /// The manifest.
    #[error("{0}")]
    Manifest(#[from] ManifestError),
    /// The manifest lacks an assertion that the policy asks for.
    #[error("the manifest lacks an assertion that the policy asks for")]
    Required,
    /// The session keys.
    #[error("{0}")]
    SessionKeys(#[from] SessionKeyError),
}

/// Why a segment's bytes are not what its source signed, or not to be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// More than [`SEGMENT_BYTES_MAX`] bytes.
    #[error("the segment is too long")]
    TooLong,
    /// Not boxes, or a manifest box or event box that is broken or there twice.
    #[error("the segment's boxes are malformed")]
    Boxes,
    /// Nothing in the segment vouches for it (§19.7.1: `livevideo.segment.invalid`).
    #[error("the segment carries neither segment information nor a manifest")]
    Unsigned,
    /// The segment information's content.
    #[error("the segment information is malformed")]
    Information,
    /// The segment information's signature.
    #[error("the segment information's signature was refused: {0}")]
    Signature(CoseError),
    /// Signed by a key that no manifest of the stream brought.
    #[error("the session key is unknown")]
    UnknownKey,
    /// Below the session key's `minSequenceNumber`.
    #[error("the session key is for later segments")]
    BeforeKey,
    /// Signed, or checked, before the session key's validity.
    #[error("the session key is not yet valid")]
    KeyNotYetValid,
    /// Signed, or checked, after the session key's validity.
    #[error("the session key has expired")]
    KeyExpired,
    /// The signer's certificate ended (§19.7.3: `livevideo.sessionkey.invalid`).
    #[error("the signer's certificate has expired")]
    SignerExpired,
    /// The segment's hash.
    #[error("the segment's hash was refused: {0}")]
    Hash(#[from] HashError),
    /// The segment's manifest (§19.7.1: `livevideo.manifest.invalid`).
    #[error("the segment's manifest was refused: {0}")]
    Manifest(#[from] ManifestError),
    /// The segment's manifest has no live video assertion, or a malformed one (`livevideo.assertion.invalid`).
    #[error("the live video assertion is malformed")]
    Assertion,
    /// A continuity method other than `c2pa.manifestId`, or without what it needs (`livevideo.continuityMethod.invalid`).
    #[error("the continuity method is not supported")]
    ContinuityMethod,
    /// Session keys that the segment brings.
    #[error("{0}")]
    SessionKeys(#[from] SessionKeyError),
}

/// What is said of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentVerdict {
    /// Its number, where somebody whom the stream knows vouches for it.
    pub number: Option<u64>,
    /// Where it stands.
    pub order: Order,
    /// Whether its bytes are what was signed.
    pub integrity: Result<(), SegmentError>,
}

impl SegmentVerdict {
    /// Whether the segment is the stream's own, whole, and new. Only then did the stream's state change.
    #[must_use]
    pub const fn accepted(&self) -> bool {
        self.integrity.is_ok() && matches!(self.order, Order::InOrder | Order::Gap { .. } | Order::Reordered)
    }
}
