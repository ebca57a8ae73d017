//! The tree: hashing (RFC 6962 §2.1), appending, proofs and how they are checked (RFC 9162 §2.1.3.2, §2.1.4.2).
//!
//! A range of leaves that a proof speaks of is a concatenation of complete subtrees, the largest first; whoever makes a
//! proof reads the hashes of those ([`HashReader`]) and no leaf.

use std::ops::Range;

use crate::Digest;

/// Hashes in a proof: one a level, of a tree of fewer than 2⁶³ leaves.
pub const PROOF_HASHES_MAX: usize = 63;
/// Leaves of a tree: what an i64 counts, so that every store and every other implementation can.
pub const LEAVES_MAX: u64 = i64::MAX.cast_unsigned();

/// A proof does not show what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The place or size asked about is not in the tree.
    #[error("there is no such place in the tree")]
    Range,
    /// It has too few or too many hashes for this place and size.
    #[error("the proof is not as long as its tree is high")]
    Length,
    /// Its hashes lead to another root.
    #[error("the proof leads to another root")]
    Root,
}

/// The hash of a leaf: SHA-256(0x00 ‖ leaf).
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> Digest {
    Digest::of_parts(&[&[0], leaf])
}

/// The hash of an inner node: SHA-256(0x01 ‖ left ‖ right).
#[must_use]
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    Digest::of_parts(&[&[1], left.as_bytes(), right.as_bytes()])
}

/// The root of a tree without leaves: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Digest {
    Digest::of(b"")
}

/// A complete subtree: the leaves from `index`·2^`level` on, 2^`level` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subtree {
    /// Its height; 0 for a leaf. At most 62.
    pub level: u8,
    /// Its place among the subtrees of this height, from 0.
    pub index: u64,
}

/// Gives hashes of complete subtrees of a tree.
pub trait HashReader {
    /// Why a hash could not be had.
    type Error;

    /// The hash of a complete subtree.
    ///
    /// # Errors
    /// It cannot be read.
    fn hash(&self, subtree: Subtree) -> Result<Digest, Self::Error>;
}

/// Checks that the leaf with this hash stands at `index` in the tree of `size` leaves with this root (RFC 9162 §2.1.3.2).
///
/// # Errors
/// The first check that fails.
pub fn verify_inclusion(
    leaf: &Digest,
    index: u64,
    size: u64,
    proof: &[Digest],
    root: &Digest,
) -> Result<(), ProofError> {
    if index >= size || size > LEAVES_MAX {
        return Err(ProofError::Range);
    }
    let (mut place, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if place & 1 == 1 || place == last {
            hash = node_hash(sibling, &hash);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    match (last, hash == *root) {
        (0, true) => Ok(()),
        (0, false) => Err(ProofError::Root),
        _ => Err(ProofError::Length),
    }
}

/// Checks that the tree of `to` leaves begins with the leaves of the tree of `from` (RFC 9162 §2.1.4.2). Every tree
/// extends the empty one, and itself, with a proof of no hashes.
///
/// # Errors
/// The first check that fails.
pub fn verify_consistency(
    (from, from_root): (u64, &Digest),
    (to, to_root): (u64, &Digest),
    proof: &[Digest],
) -> Result<(), ProofError> {
    if from > to || to > LEAVES_MAX {
        return Err(ProofError::Range);
    }
    if from == 0 || from == to {
        let same = if from == 0 { *from_root == empty_root() } else { from_root == to_root };
        let same = same && (to != 0 || *to_root == empty_root());
        return match (proof.is_empty(), same) {
            (false, _) => Err(ProofError::Length),
            (true, false) => Err(ProofError::Root),
            (true, true) => Ok(()),
        };
    }
    let mut hashes = proof.iter();
    let first = if from.is_power_of_two() { from_root } else { hashes.next().ok_or(ProofError::Length)? };
    let (mut place, mut last) = (from - 1, to - 1);
    while place & 1 == 1 {
        place >>= 1;
        last >>= 1;
    }
    let (mut old, mut new) = (*first, *first);
    for hash in hashes {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if place & 1 == 1 || place == last {
            old = node_hash(hash, &old);
            new = node_hash(hash, &new);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, hash);
        }
        place >>= 1;
        last >>= 1;
    }
    match (last, old == *from_root && new == *to_root) {
        (0, true) => Ok(()),
        (0, false) => Err(ProofError::Root),
        _ => Err(ProofError::Length),
    }
}

/// The ranges of leaves whose hashes prove inclusion, the leaf's sibling first (RFC 9162 §2.1.3.1). None where there is
/// no such leaf.
#[must_use]
pub fn inclusion_ranges(index: u64, size: u64) -> Vec<Range<u64>> {
    let (mut low, mut high, mut ranges) = (0, size, Vec::new());
    if index >= size {
        return ranges;
    }
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            ranges.push(middle..high);
            high = middle;
        } else {
            ranges.push(low..middle);
            low = middle;
        }
    }
    ranges.reverse();
    ranges
}

/// The ranges of leaves whose hashes prove consistency, in the proof's order (RFC 9162 §2.1.4.1). None where the sizes
/// are equal, or the first is 0 or the larger.
#[must_use]
pub fn consistency_ranges(from: u64, to: u64) -> Vec<Range<u64>> {
    let (mut low, mut high, mut ranges) = (0, to, Vec::new());
    if from == 0 || from >= to {
        return ranges;
    }
    while from < high {
        let middle = low + split(high - low);
        if from <= middle {
            ranges.push(middle..high);
            high = middle;
        } else {
            ranges.push(low..middle);
            low = middle;
        }
    }
    // The old tree itself is what the verifier has.
    if low > 0 {
        ranges.push(low..high);
    }
    ranges.reverse();
    ranges
}

/// The largest power of two below `leaves`, which are at least two.
const fn split(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}

/// The complete subtrees that a range of a proof consists of, the largest first.
#[must_use]
pub fn subtrees(range: &Range<u64>) -> Vec<Subtree> {
    let (mut low, mut found) = (range.start, Vec::new());
    while low < range.end {
        let level = (range.end - low).ilog2();
        found.push(Subtree { level: u8::try_from(level).expect("a u64 has 64 bits"), index: low >> level });
        low += 1 << level;
    }
    found
}

/// The hash of a range of a proof, or of a whole tree (`0..size`).
///
/// # Errors
/// The reader's.
pub fn range_hash<R: HashReader>(range: &Range<u64>, reader: &R) -> Result<Digest, R::Error> {
    let mut hash = None;
    for subtree in subtrees(range).into_iter().rev() {
        let left = reader.hash(subtree)?;
        hash = Some(hash.map_or(left, |right| node_hash(&left, &right)));
    }
    Ok(hash.unwrap_or_else(empty_root))
}

/// The hashes of a proof: of [`inclusion_ranges`] or [`consistency_ranges`].
///
/// # Errors
/// The reader's.
pub fn proof<R: HashReader>(ranges: &[Range<u64>], reader: &R) -> Result<Vec<Digest>, R::Error> {
    ranges.iter().map(|range| range_hash(range, reader)).collect()
}

/// What must be kept of a tree to append to it: the hashes of its complete subtrees, one for each bit of its size.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// The largest first.
    hashes: Vec<Digest>,
}

impl Frontier {
    /// The frontier of the tree of `size` leaves that a reader has.
    ///
    /// # Errors
    /// The reader's.
    pub fn read<R: HashReader>(size: u64, reader: &R) -> Result<Self, R::Error> {
        let hashes = subtrees(&(0..size)).into_iter().map(|subtree| reader.hash(subtree)).collect::<Result<_, _>>()?;
        Ok(Self { size, hashes })
    }

    /// Leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf by its hash, and tells of every subtree that it completes, itself first.
    pub fn append(&mut self, leaf: Digest, mut completed: impl FnMut(Subtree, Digest)) {
        let (mut hash, mut index, mut level) = (leaf, self.size, 0);
        completed(Subtree { level, index }, hash);
        while index & 1 == 1
            && let Some(left) = self.hashes.pop()
        {
            hash = node_hash(&left, &hash);
            index >>= 1;
            level += 1;
            completed(Subtree { level, index }, hash);
        }
        self.hashes.push(hash);
        self.size += 1;
    }

    /// The tree's root.
    #[must_use]
    pub fn root(&self) -> Digest {
        let folded = self.hashes.iter().rev().copied().reduce(|right, left| node_hash(&left, &right));
        folded.unwrap_or_else(empty_root)
    }
}
