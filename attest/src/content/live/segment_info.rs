//! Verifiable segment information (C2PA §19.4): what a session key says of a segment.

use super::SegmentError;
use super::bmff_hash::{BmffHash, HashError};
use super::boxes::Boxed;
use super::cbor::{self, Value};
use super::cose::Sign1;
use super::jumbf::LABEL_BYTES_MAX;
use super::manifest::sha256;

/// A `verifiable-segment-info`, not yet verified.
pub(super) struct SegmentInfo<'a> {
    pub(super) signature: Sign1<'a>,
    /// What is signed.
    pub(super) payload: &'a [u8],
    pub(super) kid: &'a [u8],
    pub(super) number: u64,
    pub(super) manifest_id: &'a str,
    map: Value<'a>,
}

impl<'a> SegmentInfo<'a> {
    /// Reads a message of an event box.
    pub(super) fn read(message: &'a [u8]) -> Result<Self, SegmentError> {
        let signature = Sign1::parse(message).map_err(SegmentError::Signature)?;
        let payload = signature.payload.ok_or(SegmentError::Information)?;
        let kid = signature.kid.ok_or(SegmentError::Information)?;
        let map = cbor::decode(payload).map_err(|_| SegmentError::Information)?;
        let number = map.field("sequenceNumber").and_then(Value::unsigned).ok_or(SegmentError::Information)?;
        let manifest_id = map.field("manifestId").and_then(Value::text).ok_or(SegmentError::Information)?;
        if manifest_id.is_empty() || manifest_id.len() > LABEL_BYTES_MAX {
            return Err(SegmentError::Information);
        }
        Ok(Self { signature, payload, kid, number, manifest_id, map })
    }

    /// Digest of what is signed.
    pub(super) fn digest(&self) -> [u8; 32] {
        sha256(self.payload)
    }

    /// Holds the boxes of the segment against its hash.
    pub(super) fn check_hash(&self, boxes: &[Boxed<'_>]) -> Result<(), HashError> {
        let hash = BmffHash::read(self.map.field("bmffHash").ok_or(HashError::Missing)?, None)?;
        // The hash cannot hold itself; one that does not say so was made for something else.
        if hash.leaves_out_segment_info() { hash.check(boxes) } else { Err(HashError::Exclusion) }
    }
}
