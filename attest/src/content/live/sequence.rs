//! Where a segment stands among those before it.

use std::collections::BTreeMap;

use super::SEQUENCE_WINDOW;

/// Where a segment stands in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// It follows the last one, or is the first that was seen.
    InOrder,
    /// It is further ahead: the segments from `missing_from` to `missing_to` have not been seen.
    Gap {
        /// The first that is missing.
        missing_from: u64,
        /// The last that is missing.
        missing_to: u64,
    },
    /// It was accepted before.
    Replay,
    /// It was missing, and comes after segments that follow it.
    Reordered,
    /// So far back that it is no longer known whether it was seen.
    Stale,
    /// It is not of this stream.
    Spliced(Splice),
    /// Nobody vouches for where it stands.
    Unknown,
}

/// What shows that a segment is not of this stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Splice {
    /// It belongs to another manifest.
    #[error("it belongs to another manifest")]
    Manifest,
    /// It is signed by a key that is none of this stream's.
    #[error("it is signed by a key of no session of this stream")]
    Key,
    /// It names another stream.
    #[error("it names another stream")]
    Stream,
    /// It does not continue the segment before it, or the one after it does not continue it.
    #[error("it does not continue the segment before it")]
    Chain,
    /// Its number was another segment's.
    #[error("another segment had its number")]
    Number,
}

/// What tells one segment from another, and how it is chained to its neighbours where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// Digest of what was signed of the segment.
    pub(super) signed: [u8; 32],
    /// Digests of the identifiers of its own manifest and of the one before it.
    pub(super) chained: Option<[[u8; 32]; 2]>,
}

/// The segments that were accepted, as far back as [`SEQUENCE_WINDOW`].
#[derive(Default)]
pub(super) struct Sequence {
    seen: BTreeMap<u64, Mark>,
}

impl Sequence {
    /// The number of the segment that is furthest ahead.
    pub(super) fn last(&self) -> Option<u64> {
        self.seen.last_key_value().map(|(number, _)| *number)
    }

    /// Where a segment would stand. Nothing changes.
    pub(super) fn place(&self, number: u64, mark: &Mark) -> Order {
        let Some(last) = self.last() else { return Order::InOrder };
        if let Some(seen) = self.seen.get(&number) {
            return if seen.signed == mark.signed { Order::Replay } else { Order::Spliced(Splice::Number) };
        }
        if number < floor(last) {
            return Order::Stale;
        }
        if !self.continues(number, mark) {
            return Order::Spliced(Splice::Chain);
        }
        match number.checked_sub(last) {
            Some(1) => Order::InOrder,
            Some(_) => Order::Gap { missing_from: last + 1, missing_to: number - 1 },
            None => Order::Reordered,
        }
    }

    /// Whether the neighbours that are known are chained with it.
    fn continues(&self, number: u64, mark: &Mark) -> bool {
        let Some([id, previous]) = mark.chained else { return true };
        let neighbour = |number: Option<u64>| number.and_then(|number| self.seen.get(&number)?.chained);
        let before = neighbour(number.checked_sub(1)).is_none_or(|[before, _]| before == previous);
        let after = neighbour(number.checked_add(1)).is_none_or(|[_, after]| after == id);
        before && after
    }

    /// Takes an accepted segment in.
    pub(super) fn accept(&mut self, number: u64, mark: Mark) {
        self.seen.insert(number, mark);
        if let Some(last) = self.last() {
            self.seen = self.seen.split_off(&floor(last));
        }
    }
}

const fn floor(last: u64) -> u64 {
    last.saturating_sub(SEQUENCE_WINDOW - 1)
}
