//! Following a node's ledger: the centre keeps every entry, in order, and believes none that does not go on from what it has.
//!
//! A node offers where its ledger stands, and the entries after some point that it believes the centre to have. Of those
//! the centre knows some already, where an answer was lost; they must be the same. What the centre cannot explain it
//! refuses, and the node then releases nothing:
//!
//! | refusal | what happened |
//! |---|---|
//! | [`FollowError::RolledBack`] | the node's ledger is shorter than what the centre has seen: an older file was put back |
//! | [`FollowError::Forked`] | it has other entries: an older file was put back and written on, or the file was changed |
//! | [`FollowError::OtherLedger`] | another ledger was made for the node |
//! | [`FollowError::Behind`] | the centre has less than it once confirmed: the *centre's* file was put back, or is new |

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use policies::{NodeId, RegionId};

use crate::log::{LedgerLogged, LogEntry};
use crate::release::chain::ENTRY_BYTES_MAX;
use crate::release::store::StoreError;
use crate::release::{Head, LedgerEntry, LedgerId};

/// Entries of one offer at most.
pub const OFFER_ENTRIES_MAX: usize = 256;
/// Entries of one leaf of the log: as many of the longest as fit.
pub const LEAF_ENTRIES_MAX: usize = 64;

/// What an admitted node says of its ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The admitted node's region.
    pub region: RegionId,
    /// The admitted node.
    pub node: NodeId,
    /// Its ledger.
    pub ledger: LedgerId,
    /// Where the whole ledger stands at the node.
    pub head: Head,
    /// Entries before the first one here.
    pub after: u64,
    /// Consecutive entries, as they are encoded.
    pub entries: Vec<Vec<u8>>,
}

/// What the centre has of a node's ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Followed {
    /// The ledger that it pinned.
    pub ledger: LedgerId,
    /// How far it has it.
    pub head: Head,
}

/// An offer was refused. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// Too many entries, or the offer contradicts itself.
    #[error("the offer of ledger entries is not well-formed")]
    Malformed,
    /// An entry is not in its one form.
    #[error("a ledger entry is not well-formed")]
    Entry,
    /// A charge of another node or region.
    #[error("a charge names another node or region")]
    Foreign,
    /// A charge of a release that was charged before.
    #[error("a release is charged twice")]
    ChargedTwice,
    /// A burn of what is no open charge.
    #[error("an entry burns what is no charge without a release")]
    NoCharge,
    /// Another ledger is pinned for this node.
    #[error("the node's ledger is not the one it was known by")]
    OtherLedger,
    /// The node's ledger has fewer entries than the centre has of it.
    #[error("the node's ledger was put back to an earlier state")]
    RolledBack,
    /// The node's ledger has other entries than the centre has.
    #[error("the node's ledger has other entries than this centre has seen")]
    Forked,
    /// The node's first entry does not follow what the centre has.
    #[error("this centre has fewer entries of the ledger than the node says it confirmed")]
    Behind,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Entries that go on from what the centre has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// New entries with their bytes, in order; the first has the number after [`Followed::head`]'s.
    pub entries: Vec<(LedgerEntry, Vec<u8>)>,
    /// Where the centre stands after each.
    pub heads: Vec<Head>,
}

impl Offer {
    /// What is new in the offer, given what the centre has (nothing: it never heard of the node) and a way to read its
    /// entries by their numbers:
    ///
    /// 1. the offer is bounded and does not contradict itself;
    /// 2. the ledger is the pinned one;
    /// 3. it is not shorter than what the centre has;
    /// 4. its entries begin no later than what the centre has ends;
    /// 5. what the centre has already, it has the same;
    /// 6. new entries are well-formed and of this node;
    /// 7. where the centre comes to the end of the ledger, it comes to the node's head.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn check(
        &self,
        followed: Option<Followed>,
        kept: impl Fn(u64) -> Result<Option<Vec<u8>>, StoreError>,
    ) -> Result<News, FollowError> {
        let count = u64::try_from(self.entries.len()).map_err(|_| FollowError::Malformed)?;
        let end = self.after.checked_add(count).ok_or(FollowError::Malformed)?;
        if self.entries.len() > OFFER_ENTRIES_MAX || end > self.head.entries {
            return Err(FollowError::Malformed);
        }
        let followed = followed.unwrap_or(Followed { ledger: self.ledger, head: Head::empty(self.ledger) });
        if followed.ledger != self.ledger {
            return Err(FollowError::OtherLedger);
        }
        if self.head.entries < followed.head.entries {
            return Err(FollowError::RolledBack);
        }
        if self.after > followed.head.entries {
            return Err(FollowError::Behind);
        }
        let mut news = News { entries: Vec::new(), heads: Vec::new() };
        let mut head = followed.head;
        for (number, bytes) in (self.after + 1..).zip(&self.entries) {
            if number <= followed.head.entries {
                if kept(number)?.as_ref() != Some(bytes) {
                    return Err(FollowError::Forked);
                }
                continue;
            }
            news.entries.push((self.entry(bytes)?, bytes.clone()));
            head = head.after(bytes);
            news.heads.push(head);
        }
        if head.entries == self.head.entries && head != self.head {
            return Err(FollowError::Forked);
        }
        Ok(news)
    }

    fn entry(&self, bytes: &[u8]) -> Result<LedgerEntry, FollowError> {
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(FollowError::Entry);
        }
        let entry = LedgerEntry::decode(bytes).map_err(|_| FollowError::Entry)?;
        match &entry {
            LedgerEntry::Charge(charge) if charge.id.node != self.node || charge.id.region != self.region => {
                Err(FollowError::Foreign)
            }
            _ => Ok(entry),
        }
    }
}

/// The leaves of the log that tell of new entries, after `before`.
#[must_use]
pub fn leaves(offer: &Offer, before: Head, news: &News, logged_ms: u64) -> Vec<LogEntry> {
    let mut leaves = Vec::new();
    let mut first = before.entries + 1;
    for (entries, heads) in news.entries.chunks(LEAF_ENTRIES_MAX).zip(news.heads.chunks(LEAF_ENTRIES_MAX)) {
        let Some(head) = heads.last() else { break };
        leaves.push(LogEntry::Ledger(LedgerLogged {
            region: offer.region.clone(),
            node: offer.node.clone(),
            ledger: offer.ledger,
            first,
            entries: entries.iter().map(|(_, bytes)| STANDARD.encode(bytes)).collect(),
            head: head.digest,
            logged_ms,
        }));
        first = head.entries + 1;
    }
    leaves
}

#[cfg(test)]
mod tests;
