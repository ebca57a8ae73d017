//! Durable verbs of the transparency log: the centre's queue of entries, and what a node has seen.
//!
//! Whatever is to be logged is appended in the transaction of what it speaks of (`sqlite::log::append`), so that neither
//! is ever without the other.

use aggregator::release::StoreError;
use policies::{Digest, NodeId, RegionId, TenantId};

use super::Store;
use super::sqlite::log;

/// Consecutive statements of a region's log of keys, by their digests.
#[derive(Debug, Clone)]
pub(crate) struct BroughtEpochs {
    /// The region.
    pub(crate) region: RegionId,
    /// The node that brings them.
    pub(crate) node: NodeId,
    /// The identity service.
    pub(crate) issuer: String,
    /// The number of the first.
    pub(crate) first: u32,
    /// SHA-256 of each.
    pub(crate) statements: Vec<Digest>,
}

/// Statements were not taken. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BringError {
    /// Another statement is known under this number.
    #[error("another statement is known under this number")]
    Conflict,
    /// Statements before it are not known.
    #[error("statements before it are not known")]
    Gap,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// How many entries the log has.
    pub(crate) async fn log_size(&self) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(log::size).await,
        }
    }

    /// Up to `limit` entries from `from` on.
    pub(crate) async fn log_entries(&self, from: u64, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(move |connection| log::entries(connection, from, limit)).await,
        }
    }

    /// Appends an entry that speaks of nothing else in the store.
    #[cfg(test)]
    pub(crate) async fn log_append(&self, entry: aggregator::log::LogEntry) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(store) => store.run(move |connection| log::append(connection, &entry)).await,
        }
    }

    /// Appends many such entries in one transaction.
    #[cfg(test)]
    pub(crate) async fn log_append_all(&self, entries: Vec<aggregator::log::LogEntry>) -> Result<(), StoreError> {
        let all = move |connection: &rusqlite::Connection| {
            entries.iter().try_for_each(|entry| log::append(connection, entry).map(|_| ()))
        };
        match self {
            Self::Sqlite(store) => store.run(all).await,
        }
    }

    /// Where the pointer with this serial stands in the log, with its entry.
    pub(crate) async fn logged_model(
        &self,
        tenant: &TenantId,
        serial: u64,
    ) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let tenant = tenant.clone();
        match self {
            Self::Sqlite(store) => store.read(move |connection| log::model_entry(connection, &tenant, serial)).await,
        }
    }

    /// Logs pointers that an earlier version left without an entry.
    pub(crate) async fn log_earlier_pointers(&self, now_ms: u64) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.run(move |connection| log::log_earlier_pointers(connection, now_ms)).await,
        }
    }

    /// Logs statements of a region's keys that are new, and says how many of the service's are known.
    pub(crate) async fn bring_epochs(&self, brought: BroughtEpochs, now_ms: u64) -> Result<u64, BringError> {
        match self {
            Self::Sqlite(store) => store.run(move |connection| log::bring_epochs(connection, &brought, now_ms)).await,
        }
    }

    /// The newest checkpoint that this node has kept of the log with this key.
    pub(crate) async fn checkpoint_seen(&self, key: String) -> Result<Option<Vec<u8>>, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(move |connection| log::seen(connection, &key)).await,
        }
    }

    /// Keeps a newer one.
    pub(crate) async fn keep_checkpoint_seen(&self, key: String, note: Vec<u8>) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.run(move |connection| log::keep_seen(connection, &key, &note)).await,
        }
    }

    /// The highest serial of a tenant's pointer that this node has taken; 0 before the first.
    pub(crate) async fn serial_seen(&self, tenant: &TenantId) -> Result<u64, StoreError> {
        let tenant = tenant.clone();
        match self {
            Self::Sqlite(store) => store.read(move |connection| log::serial_seen(connection, &tenant)).await,
        }
    }

    /// Keeps a higher one.
    pub(crate) async fn keep_serial(&self, tenant: &TenantId, serial: u64) -> Result<(), StoreError> {
        let tenant = tenant.clone();
        match self {
            Self::Sqlite(store) => store.run(move |connection| log::keep_serial(connection, &tenant, serial)).await,
        }
    }
}
