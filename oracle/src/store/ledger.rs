//! A node's ledger and outbox on whichever store there is.

use aggregator::release::store::{
    Burned, ChargeEntry, CommitError, KeptCheckpoint, LedgerState, PersistError, Spent, StoredRelease,
};
use aggregator::release::{Head, LedgerId, LedgerStore, ReleaseId, Span, StoreError};
use policies::{PurposeId, TenantId};

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

    async fn burn_open_charges(&self) -> Result<Burned, StoreError> {
        match self {
            Self::Sqlite(store) => store.run(ledger::burn_open_charges).await,
        }
    }

    async fn commit_charge(&self, entry: ChargeEntry, known: Head) -> Result<Head, CommitError> {
        match self {
            Self::Sqlite(store) => store.run(move |connection| ledger::commit_charge(connection, &entry, known)).await,
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

    async fn closed_until(&self, tenant: &TenantId) -> Result<Option<u64>, StoreError> {
        let tenant = tenant.clone();
        match self {
            Self::Sqlite(store) => store.run(move |connection| ledger::closed_until(connection, &tenant)).await,
        }
    }

    async fn close_until(&self, tenant: &TenantId, until_s: u64) -> Result<(), StoreError> {
        let tenant = tenant.clone();
        match self {
            Self::Sqlite(store) => store.run(move |connection| ledger::close_until(connection, &tenant, until_s)).await,
        }
    }

    async fn spent(&self, tenant: &TenantId, purpose: Option<&PurposeId>, span: Span) -> Result<Spent, StoreError> {
        let (tenant, purpose) = (tenant.clone(), purpose.cloned());
        match self {
            Self::Sqlite(store) => {
                store.run(move |connection| ledger::spent(connection, &tenant, purpose.as_ref(), span)).await
            }
        }
    }

    async fn entries(&self, after: u64, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        match self {
            Self::Sqlite(store) => store.run(move |connection| ledger::entries(connection, after, limit)).await,
        }
    }

    async fn head_at(&self, entries: u64) -> Result<Option<Head>, StoreError> {
        match self {
            Self::Sqlite(store) => store.run(move |connection| ledger::head_at(connection, entries)).await,
        }
    }

    async fn keep_checkpoint(&self, checkpoint: KeptCheckpoint) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.run(move |connection| ledger::keep_checkpoint(connection, &checkpoint)).await,
        }
    }
}
