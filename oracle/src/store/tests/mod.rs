//! Against real SQLite files.

mod centre;
mod file;
mod identity;
mod intake;
mod ledger;
mod writer;

use std::path::PathBuf;

use aggregator::release::store::{ChargeEntry, StoredRelease};
use aggregator::release::{LedgerId, LedgerStore as _, ReleaseId};
use policies::{PrivacyUnit, Rho, TaskKind, TenantId, WindowId};
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

/// A charge of `picos` in year 1, whose budget is 100 a window and 250 a year.
fn entry(task: TaskKind, window: u64, picos: u64) -> ChargeEntry {
    ChargeEntry {
        id: id(task, window),
        purpose: "ranking".parse().unwrap(),
        unit: PrivacyUnit::ViewerWindow,
        year: 1,
        rho: rho(picos),
        delta: 1e-6,
        window_limit: rho(100),
        year_limit: rho(250),
    }
}

fn noised(task: TaskKind, window: u64, sequence: u64, bytes: &[u8]) -> StoredRelease {
    StoredRelease { id: id(task, window), sequence, bytes: bytes.to_vec() }
}

const COUNTS: TaskKind = TaskKind::ItemCounts;
const GRAM: TaskKind = TaskKind::CoEngagement;
const WINDOW: WindowId = WindowId(5);
