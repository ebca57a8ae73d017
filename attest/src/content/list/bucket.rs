//! Buckets: as many tags in each, in ascending order, and the path by which one bucket is verified against the root.
//!
//! Form: `slots` × 8 bytes of tags ‖ `bits` × 32 bytes, the siblings on the way from the bucket's leaf to the root. A leaf is
//! SHA-256(0x00 ‖ the bucket's number, 4 bytes ‖ tags), a node SHA-256(0x01 ‖ left ‖ right), as RFC 9162 §2.1.1 separates
//! the two; the tree has 2^bits leaves, so that each path has one length.

use policies::Digest;

use super::identifier::bucket_of;
use super::{BITS_MAX, Identifier, SLOTS_MAX, TAG_BYTES};

/// Members that a bucket holds on average at least, where there are as many: fewer buckets for a short list, so that the
/// bucket that is asked for says less.
const MEMBERS_A_BUCKET: u64 = 64;
/// Slots come in steps of this many: the fullest bucket's exact load is nobody's business.
const SLOTS_STEP: u32 = 16;
const LEAF: &[u8] = &[0];
const NODE: &[u8] = &[1];
const DIGEST_BYTES: usize = 32;

/// The first bytes of a function value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag([u8; TAG_BYTES]);

impl Tag {
    /// A tag of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; TAG_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; TAG_BYTES] {
        &self.0
    }

    /// The beginning of an output of the function, which has 64 bytes.
    pub(super) fn of_output(output: &[u8]) -> Self {
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&output[..TAG_BYTES]);
        Self(tag)
    }
}

/// A number of bits or slots that no list has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a list has up to {BITS_MAX} bits, and buckets of 1 to {SLOTS_MAX} slots")]
pub struct InvalidGeometry;

/// How many buckets there are, and how many tags are in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    bits: u8,
    slots: u32,
}

impl Geometry {
    /// 2^`bits` buckets of `slots` tags.
    ///
    /// # Errors
    /// [`InvalidGeometry`].
    pub const fn new(bits: u8, slots: u32) -> Result<Self, InvalidGeometry> {
        if bits <= BITS_MAX && slots > 0 && slots <= SLOTS_MAX {
            Ok(Self { bits, slots })
        } else {
            Err(InvalidGeometry)
        }
    }

    /// The bits for a list of so many members: 0, with one bucket, up to [`BITS_MAX`].
    #[must_use]
    pub fn bits_for(members: u64) -> u8 {
        let buckets = (members / MEMBERS_A_BUCKET).max(1);
        u8::try_from(buckets.ilog2()).map_or(BITS_MAX, |bits| bits.min(BITS_MAX))
    }

    /// `bits` bits, and slots for a fullest bucket of `fullest` members.
    ///
    /// # Errors
    /// [`InvalidGeometry`]: the fullest bucket is too full.
    pub fn fitting(bits: u8, fullest: u32) -> Result<Self, InvalidGeometry> {
        let slots = fullest.max(1).checked_next_multiple_of(SLOTS_STEP).ok_or(InvalidGeometry)?;
        Self::new(bits, slots)
    }

    /// Bits of the unkeyed hash that choose a bucket.
    #[must_use]
    pub const fn bits(&self) -> u8 {
        self.bits
    }

    /// Tags in each bucket.
    #[must_use]
    pub const fn slots(&self) -> u32 {
        self.slots
    }

    /// Number of buckets, 65,536 at most.
    #[must_use]
    pub const fn buckets(&self) -> u32 {
        1 << self.bits
    }

    /// The bucket that `identifier` falls into.
    #[must_use]
    pub fn bucket(&self, identifier: &Identifier) -> u32 {
        self.bucket_of_prefix(identifier.prefix())
    }

    /// The bucket of an identifier with this [`Identifier::prefix`].
    #[must_use]
    pub const fn bucket_of_prefix(&self, prefix: u16) -> u32 {
        bucket_of(prefix, self.bits)
    }

    /// Bytes of a bucket's tags.
    #[must_use]
    pub const fn tags_bytes(&self) -> usize {
        self.slots as usize * TAG_BYTES
    }

    /// Bytes of a bucket with its path: 513 KiB at most.
    #[must_use]
    pub const fn bucket_bytes(&self) -> usize {
        self.tags_bytes() + bucket_path_bytes(self.bits)
    }
}

/// Bytes of a path where there are 2^`bits` buckets.
#[must_use]
pub const fn bucket_path_bytes(bits: u8) -> usize {
    bits as usize * DIGEST_BYTES
}

/// Why a bucket is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BucketError {
    /// There is no bucket of this number.
    #[error("the list has no bucket of this number")]
    Number,
    /// Not the length of this list's buckets.
    #[error("the bucket has another length than this list's")]
    Length,
    /// Tags and path do not lead to the manifest's root: altered, another bucket, or another epoch's.
    #[error("the bucket is not the one that the manifest commits to")]
    Root,
    /// The tags do not ascend.
    #[error("the bucket's tags do not ascend")]
    Order,
}

/// A verified bucket. No `Debug`: it is for one question.
pub struct Bucket(Vec<Tag>);

impl Bucket {
    /// Verifies bucket `number` of a list.
    ///
    /// # Errors
    /// The first check that fails, in the order of [`BucketError`].
    pub fn verify(bytes: &[u8], geometry: &Geometry, number: u32, root: &Digest) -> Result<Self, BucketError> {
        // 1. There is such a bucket, and it has the length of all.
        if number >= geometry.buckets() {
            return Err(BucketError::Number);
        }
        if bytes.len() != geometry.bucket_bytes() {
            return Err(BucketError::Length);
        }
        // 2. The path leads to the root.
        let (tags, path) = bytes.split_at(geometry.tags_bytes());
        let mut digest = BucketTree::leaf(number, tags);
        let mut place = number;
        for sibling in path.chunks_exact(DIGEST_BYTES) {
            let (left, right) = if place.is_multiple_of(2) { (&digest[..], sibling) } else { (sibling, &digest[..]) };
            digest = node(left, right);
            place /= 2;
        }
        if digest != *root.as_bytes() {
            return Err(BucketError::Root);
        }
        // 3. Each tag once, in order: nothing shows which are padding.
        let (tags, _) = tags.as_chunks::<TAG_BYTES>();
        if !tags.is_sorted_by(|one, next| one < next) {
            return Err(BucketError::Order);
        }
        Ok(Self(tags.iter().map(|tag| Tag(*tag)).collect()))
    }

    /// Whether a tag is in it. Compares all, so that the time does not tell where.
    #[must_use]
    pub fn holds(&self, tag: &Tag) -> bool {
        let wanted = u64::from_be_bytes(tag.0);
        let found = self.0.iter().fold(0, |found, own| found | u8::from(u64::from_be_bytes(own.0) == wanted));
        std::hint::black_box(found) != 0
    }
}

/// The tree over all buckets of an epoch, 4 MiB for 65,536.
pub struct BucketTree {
    /// From the leaves to the root.
    levels: Vec<Vec<[u8; DIGEST_BYTES]>>,
}

impl BucketTree {
    /// The digest of bucket `number` with these tags.
    #[must_use]
    pub fn leaf(number: u32, tags: &[u8]) -> [u8; DIGEST_BYTES] {
        digest(&[LEAF, &number.to_be_bytes(), tags])
    }

    /// A tree over these leaves, the first bucket's first.
    ///
    /// # Errors
    /// [`InvalidGeometry`]: as many leaves as no list has buckets.
    pub fn new(leaves: Vec<[u8; DIGEST_BYTES]>) -> Result<Self, InvalidGeometry> {
        if !leaves.len().is_power_of_two() || leaves.len() > 1 << BITS_MAX {
            return Err(InvalidGeometry);
        }
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let (pairs, _) = below.as_chunks::<2>();
            levels.push(pairs.iter().map(|[left, right]| node(left, right)).collect());
        }
        Ok(Self { levels })
    }

    /// What a manifest commits to.
    #[must_use]
    pub fn root(&self) -> Digest {
        Digest::from_bytes(self.levels.last().map_or([0; DIGEST_BYTES], |top| top[0]))
    }

    /// The path of bucket `number`, which is one of the tree's.
    ///
    /// # Panics
    /// When there is no such bucket.
    #[must_use]
    pub fn path(&self, number: u32) -> Vec<u8> {
        let below_root = &self.levels[..self.levels.len() - 1];
        below_root.iter().zip(0..).flat_map(|(level, height)| level[(number as usize >> height) ^ 1]).collect()
    }
}

fn node(left: &[u8], right: &[u8]) -> [u8; DIGEST_BYTES] {
    digest(&[NODE, left, right])
}

fn digest(parts: &[&[u8]]) -> [u8; DIGEST_BYTES] {
    *Digest::of_parts(parts).as_bytes()
}
