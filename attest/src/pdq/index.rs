//! Finds the nearest of many hashes, by multi-index hashing (Norouzi, Punjani, Fleet, "Fast Exact Search in Hamming Space
//! with Multi-Index Hashing", 2014).
//!
//! 256 bits are 16 pieces of 16 bits. Hashes that differ in at most 31 bits differ in at most one bit in some piece: for
//! each piece the entries with the same value and the 16 values next to it are looked at, about 40,000 of 10 million. The
//! answer is exact: every entry within the distance is met.

use super::PdqHash;

/// Bits that may differ at most: what one wrong bit a piece covers. It is also what the hash's authors advise.
pub const DISTANCE_MAX: u16 = 31;
/// Entries of an index at most.
pub const ENTRIES_MAX: usize = 50_000_000;
const PIECES: usize = 16;
const VALUES: usize = 1 << 16;

/// Entries by the value of one piece: those of value v are `entries[begins[v]..begins[v + 1]]`.
struct Piece {
    begins: Vec<u32>,
    entries: Vec<u32>,
}

/// Hashes that can be searched. 96 bytes an entry, and 4 MiB.
pub struct PdqIndex {
    hashes: Vec<PdqHash>,
    pieces: Vec<Piece>,
}

/// The nearest entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    /// Its place in the list; the first of several that are equally near.
    pub entry: usize,
    /// In how many bits it differs.
    pub distance: u16,
}

/// More than [`ENTRIES_MAX`] entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a list of pictures has {ENTRIES_MAX} entries at most")]
pub struct TooMany;

fn value(hash: &PdqHash, piece: usize) -> usize {
    usize::from(u16::try_from(hash.words()[piece / 4] >> (16 * (piece % 4)) & 0xffff).unwrap_or(0))
}

impl PdqIndex {
    /// An index of these hashes, by their places.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn new(hashes: Vec<PdqHash>) -> Result<Self, TooMany> {
        let count = u32::try_from(hashes.len()).ok().filter(|_| hashes.len() <= ENTRIES_MAX).ok_or(TooMany)?;
        let pieces = (0..PIECES).map(|piece| {
            // Counting sort: how many of each value, where each begins, then each entry to its place.
            let mut begins = vec![0_u32; VALUES + 1];
            for hash in &hashes {
                begins[value(hash, piece) + 1] += 1;
            }
            for at in 0..VALUES {
                begins[at + 1] += begins[at];
            }
            let mut next = begins.clone();
            let mut entries = vec![0; hashes.len()];
            for (hash, entry) in hashes.iter().zip(0..count) {
                let place = &mut next[value(hash, piece)];
                entries[*place as usize] = entry;
                *place += 1;
            }
            Piece { begins, entries }
        });
        let pieces = pieces.collect();
        Ok(Self { hashes, pieces })
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// The nearest entry within `distance_max` bits, which counts as [`DISTANCE_MAX`] if it is more.
    #[must_use]
    pub fn nearest(&self, hash: &PdqHash, distance_max: u16) -> Option<Match> {
        let mut best: Option<Match> = None;
        for (number, piece) in self.pieces.iter().enumerate() {
            let own = value(hash, number);
            let near = std::iter::once(own).chain((0..16).map(|bit| own ^ 1 << bit));
            for value in near {
                let (begin, end) = (piece.begins[value] as usize, piece.begins[value + 1] as usize);
                for entry in piece.entries[begin..end].iter().map(|entry| *entry as usize) {
                    let distance = self.hashes[entry].distance(hash);
                    let found = Match { entry, distance };
                    let nearer = |best: &Match| (found.distance, found.entry) < (best.distance, best.entry);
                    if distance <= distance_max.min(DISTANCE_MAX) && best.as_ref().is_none_or(nearer) {
                        best = Some(found);
                    }
                }
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::{RngCore as _, SeedableRng as _};

    fn random(rng: &mut ChaCha20Rng) -> PdqHash {
        PdqHash::from_words(std::array::from_fn(|_| rng.next_u64()))
    }

    /// Flips `bits` different bits.
    fn altered(hash: PdqHash, bits: u16, rng: &mut ChaCha20Rng) -> PdqHash {
        let mut words = *hash.words();
        let mut left = bits;
        while left > 0 {
            let bit = rng.next_u32() as usize % 256;
            if (words[bit / 64] ^ hash.words()[bit / 64]) >> (bit % 64) & 1 == 0 {
                words[bit / 64] ^= 1 << (bit % 64);
                left -= 1;
            }
        }
        PdqHash::from_words(words)
    }

    proptest! {
        /// The index answers as a look at every entry does.
        #[test]
        fn nothing_near_is_missed(seed: u64, bits in 0_u16..=40, distance_max in 0_u16..=31) {
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            let hashes: Vec<_> = (0..200).map(|_| random(&mut rng)).collect();
            let asked = altered(hashes[usize::from(bits)], bits, &mut rng);
            let index = PdqIndex::new(hashes.clone()).unwrap();
            let by_looking = hashes
                .iter()
                .enumerate()
                .map(|(entry, hash)| Match { entry, distance: hash.distance(&asked) })
                .filter(|found| found.distance <= distance_max)
                .min_by_key(|found| (found.distance, found.entry));
            prop_assert_eq!(index.nearest(&asked, distance_max), by_looking);
            prop_assert_eq!(by_looking.is_some(), bits <= distance_max);
        }
    }

    #[test]
    fn the_first_of_equals_and_no_more_than_the_bound() {
        let hash = PdqHash::from_words([7; 4]);
        let index = PdqIndex::new(vec![hash, hash]).unwrap();
        assert_eq!((index.len(), index.is_empty()), (2, false));
        assert_eq!(index.nearest(&hash, 0), Some(Match { entry: 0, distance: 0 }));
        let far = altered(hash, 32, &mut ChaCha20Rng::seed_from_u64(1));
        assert_eq!(index.nearest(&far, 256), None, "32 bits are past what the index finds");
        assert_eq!(PdqIndex::new(Vec::new()).unwrap().nearest(&hash, 31), None);
    }
}
