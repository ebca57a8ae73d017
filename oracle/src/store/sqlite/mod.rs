//! SQLite: one file, one connection, one thread that writes.

pub(super) mod accounts;
pub(super) mod bundles;
pub(super) mod catalogues;
mod columns;
#[cfg(test)]
pub(crate) mod fault;
pub(super) mod followed;
pub(super) mod ledger;
pub(super) mod ledger_check;
pub(super) mod ledger_report;
pub(super) mod log;
pub(super) mod models;
mod open;
pub(super) mod releases;
pub(super) mod tokens;
mod writer;

use std::path::Path;
use std::sync::Arc;

use aggregator::release::StoreError;
use rusqlite::Connection;

pub use open::OpenError;
use writer::Writer;

/// A SQLite file that this process alone has open.
#[derive(Clone)]
pub struct Sqlite(Arc<Writer>);

impl Sqlite {
    pub(super) fn open(file: &Path) -> Result<Self, OpenError> {
        Self::of(open::existing(file)?)
    }

    pub(super) fn create(file: &Path) -> Result<Self, OpenError> {
        Self::of(open::existing_or_new(file)?)
    }

    fn of(connection: Connection) -> Result<Self, OpenError> {
        Ok(Self(Arc::new(Writer::start(connection).map_err(OpenError::Io)?)))
    }

    pub(super) fn commits(&self) -> u64 {
        self.0.commits()
    }

    /// Runs `verb` on the writer thread, all of it or nothing. Resolves after what it wrote is durable.
    pub(super) async fn run<T, E>(
        &self,
        verb: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.0.run(verb).await
    }

    /// Runs `verb`, which only reads. It sees what was committed.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.0.read(verb).await
    }
}
