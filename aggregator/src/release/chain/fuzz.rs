//! Body of the fuzz target of ledger entries.

use super::{Head, LedgerEntry};
use crate::release::LedgerId;

/// Body of the fuzz target `ledger_entry`: any bytes as an entry of a ledger.
///
/// # Panics
/// When an entry reads from other bytes than it is written as.
pub fn entry(data: &[u8]) {
    if let Ok(entry) = LedgerEntry::decode(data) {
        assert_eq!(entry.encode(), data, "one entry, one form");
        let head = Head::empty(LedgerId([0; 16])).after(data);
        assert_eq!(head.entries, 1);
    }
}
