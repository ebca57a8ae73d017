//! Everything durable: a node's ledger and outbox, its accounts and spent tokens, a centre's releases, sums, models and
//! catalogues.
//!
//! The libraries state what must be durable as verbs ([`LedgerStore`](aggregator::release::LedgerStore),
//! [`CentreStore`](aggregator::centre::CentreStore)); here they are carried out. One store file belongs to one process
//! and one role. What a verb reports as done survives `kill -9` and power loss before its future resolves.
//!
//! A file that is missing, damaged, of another program or in use by another process is an error, never a fresh start:
//! a budget that was spent must not come back. [`Store::create_sqlite`] is called by `siwa ledger init`, by
//! `siwa identity init` and by a centre's start; nothing else makes a file.

pub(crate) mod admin;
pub(crate) mod bundles;
mod centre;
pub(crate) mod identity;
mod ledger;
pub(crate) mod log;
#[cfg(test)]
pub(crate) mod probe;
mod sqlite;

use std::path::Path;

#[cfg(test)]
use aggregator::release::Head;
use aggregator::release::StoreError;

pub use bundles::KeepError;
pub use sqlite::OpenError;
use sqlite::Sqlite;
#[cfg(test)]
pub(crate) use sqlite::ledger_check::LedgerFault;
pub(crate) use sqlite::ledger_report::{LedgerFile, LedgerReport, SpentRow};

/// A store. Clones share it; the last one to be dropped closes it, after what is queued was done.
#[derive(Clone)]
pub enum Store {
    /// A SQLite file with one writer thread.
    Sqlite(Sqlite),
}

impl Store {
    /// Opens an existing file, and brings its schema up to this version.
    ///
    /// # Errors
    /// See [`OpenError`]. A missing file is one.
    pub fn open_sqlite(file: &Path) -> Result<Self, OpenError> {
        Sqlite::open(file).map(Self::Sqlite)
    }

    /// Opens a file, and makes it if there is none.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn create_sqlite(file: &Path) -> Result<Self, OpenError> {
        Sqlite::create(file).map(Self::Sqlite)
    }

    /// What its ledger has spent.
    pub(crate) async fn ledger_report(&self) -> Result<LedgerReport, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(sqlite::ledger_report::report).await,
        }
    }

    /// Forgets what the centre has confirmed, so that the whole ledger is offered to it anew.
    pub(crate) async fn forget_checkpoint(&self) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => store.run(sqlite::ledger::forget_checkpoint).await,
        }
    }

    /// Holds the whole ledger against itself, and says where it contradicts itself.
    #[cfg(test)]
    pub(crate) async fn examine_ledger(&self) -> Result<Head, LedgerFault> {
        match self {
            Self::Sqlite(store) => store.run(sqlite::ledger_check::examine).await,
        }
    }

    /// Transactions committed since the store was opened. One may hold several verbs.
    #[must_use]
    pub fn commits(&self) -> u64 {
        match self {
            Self::Sqlite(store) => store.commits(),
        }
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
