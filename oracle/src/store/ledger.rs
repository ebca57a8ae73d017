//! A node's ledger and outbox on whichever store there is.

use aggregator::release::store::{ChargeEntry, CommitError, LedgerState, PersistError, Spent, StoredRelease};
use aggregator::release::{LedgerId, LedgerStore, ReleaseId, StoreError};
use policies::{TenantId, WindowId};

use super::Store;
use super::sqlite::ledger;

impl LedgerStore for Store {
    async fn initialise(&self, id: LedgerId) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => store.run(move |connection| ledger::initialise(connection, id)).await,
        }
    }

    async fn open(&self) -> Result<LedgerState, StoreError> {
        match self {
            Self::Sqlite(store) => store.run(ledger::open).await,
        }
    }

    async fn burn_open_charges(&self) -> Result<Vec<ReleaseId>, StoreError> {
        match self {
            Self::Sqlite(store) => store.run(ledger::burn_open_charges).await,
        }
    }

    async fn commit_charge(&self, entry: ChargeEntry) -> Result<u64, CommitError> {
        match self {
            Self::Sqlite(store) => store.run(move |connection| ledger::commit_charge(connection, &entry)).await,
        }
    }

    async fn persist_noised(&self, release: StoredRelease) -> Result<(), PersistError> {
        match self {
            Self::Sqlite(store) => store.run(move |connection| ledger::persist_noised(connection, &release)).await,
        }
    }

    async fn unsent(&self, after: u64, limit: usize) -> Result<Vec<StoredRelease>, StoreError> {
        match self {
            Self::Sqlite(store) => store.run(move |connection| ledger::unsent(connection, after, limit)).await,
        }
    }

    async fn mark_sent(&self, id: &ReleaseId) -> Result<(), StoreError> {
        let id = id.clone();
        match self {
            Self::Sqlite(store) => store.run(move |connection| ledger::mark_sent(connection, &id)).await,
        }
    }

    async fn closed_window(&self, tenant: &TenantId) -> Result<Option<WindowId>, StoreError> {
        let tenant = tenant.clone();
        match self {
            Self::Sqlite(store) => store.run(move |connection| ledger::closed_window(connection, &tenant)).await,
        }
    }

    async fn close_window(&self, tenant: &TenantId, window: WindowId) -> Result<(), StoreError> {
        let tenant = tenant.clone();
        match self {
            Self::Sqlite(store) => store.run(move |connection| ledger::close_window(connection, &tenant, window)).await,
        }
    }

    async fn spent(&self, tenant: &TenantId, window: WindowId, year: u64) -> Result<Spent, StoreError> {
        let tenant = tenant.clone();
        match self {
            Self::Sqlite(store) => store.run(move |connection| ledger::spent(connection, &tenant, window, year)).await,
        }
    }
}
