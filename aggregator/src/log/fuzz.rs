//! Body of the fuzz target of the log's entries.

use super::LogEntry;

/// Body of the fuzz target `log_entry`: any bytes as a leaf.
///
/// # Panics
/// When what reads does not write as it was.
pub fn entry(data: &[u8]) {
    let Ok(entry) = LogEntry::decode(data) else { return };
    assert_eq!(entry.encode(), data, "a leaf has one form");
    match &entry {
        LogEntry::Release(release) => {
            let _ = (release.id(), release.rho(), release.delta());
        }
        LogEntry::Ledger(ledger) => {
            let _ = ledger.head();
        }
        LogEntry::Policy(_) | LogEntry::Model(_) | LogEntry::KeyEpoch(_) => {}
    }
}
