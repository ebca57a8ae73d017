//! Against real SQLite files.

mod centre;
mod file;
mod identity;
mod intake;
mod ledger;
mod logged;
mod writer;

use std::path::PathBuf;

use aggregator::release::store::{ChargeEntry, ChargeLimits, CommitError, StoredRelease};
use aggregator::release::{ChargeRecord, Head, LedgerId, LedgerStore as _, Opening, ReleaseId, Span, StoreError};
use policies::{Delta, Digest, PrivacyUnit, Rho, TaskKind, TenantId, UnitRule};
use tempfile::TempDir;

use super::*;

/// A store in a folder that goes with it.
struct Scratch {
    folder: TempDir,
    store: Store,
}

impl Scratch {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create_sqlite(&folder.path().join("store.sqlite")).unwrap();
        Self { folder, store }
    }

    async fn with_ledger() -> Self {
        let scratch = Self::new();
        assert_eq!(scratch.store.initialise(LedgerId([7; 16])).await, Ok(true));
        scratch
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("store.sqlite")
    }

    /// Closes the store and opens it again, as a restart does.
    fn reopen(self) -> Self {
        let file = self.file();
        let Self { folder, store } = self;
        drop(store);
        Self { folder, store: Store::open_sqlite(&file).unwrap() }
    }
}

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

fn id(task: TaskKind, window: u64) -> ReleaseId {
    format!("demo/{task}/eu-west/node-1/{window}").parse().unwrap()
}

fn rho(picos: u64) -> Rho {
    Rho::from_picos(picos).unwrap()
}

/// The first second of a window of ten seconds in year 1.
fn second(window: u64) -> u64 {
    u64::from(UnitRule::SECONDS_PER_YEAR) + 10 * window
}

/// A charge of `picos` in year 1, whose budget is 100 a window and 250 a year.
fn entry(task: TaskKind, window: u64, picos: u64) -> ChargeEntry {
    let record = ChargeRecord {
        id: id(task, window),
        span: Span { from_s: second(window), until_s: second(window + 1) },
        purpose: "ranking".parse().unwrap(),
        unit: PrivacyUnit::ViewerWindow,
        policy: Digest::of(b"policy"),
        rho: rho(picos),
        delta: Delta::ZERO,
        opening: Opening([1; 16]),
    };
    let limits = ChargeLimits {
        window: rho(100),
        year: rho(250),
        delta_window: Delta::ZERO,
        purpose_window: None,
        purpose_year: None,
    };
    ChargeEntry { record, limits }
}

/// The same without a budget for years.
fn without_year(entry: ChargeEntry) -> ChargeEntry {
    ChargeEntry { limits: ChargeLimits { year: Rho::MAX, ..entry.limits }, ..entry }
}

/// Commits as a process does that has written nothing yet.
async fn charge(store: &Store, entry: ChargeEntry) -> Result<u64, CommitError> {
    store.commit_charge(entry, Head::empty(LedgerId([7; 16]))).await.map(|head| head.entries)
}

/// Entries of the whole ledger.
async fn entries(store: &Store) -> Result<u64, StoreError> {
    store.open().await.map(|state| state.head.entries)
}

fn noised(task: TaskKind, window: u64, sequence: u64, bytes: &[u8]) -> StoredRelease {
    StoredRelease { id: id(task, window), sequence, bytes: bytes.to_vec() }
}

const COUNTS: TaskKind = TaskKind::ItemCounts;
const GRAM: TaskKind = TaskKind::CoEngagement;
