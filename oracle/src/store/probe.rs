//! Looks into a store past its verbs, for tests: nothing of it counts as a commit.

use aggregator::centre::TaskSum;
use policies::TenantId;
use rusqlite::Row;

use super::Store;
use super::sqlite::releases;
use aggregator::release::StoreError;

pub(crate) use super::sqlite::fault;

impl Store {
    /// Every row of a query.
    pub(crate) async fn rows<T: Send + 'static>(
        &self,
        sql: &'static str,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Vec<T> {
        let Self::Sqlite(store) = self;
        let rows = store.read(move |connection| {
            let mut statement = connection.prepare_cached(sql).map_err(|_| StoreError::Corrupt)?;
            let rows = statement.query_map((), |row| read(row)).and_then(Iterator::collect);
            rows.map_err(|_| StoreError::Corrupt)
        });
        rows.await.unwrap()
    }

    /// The centre's sums of a tenant.
    pub(crate) async fn sums_of(&self, tenant: &TenantId) -> Vec<TaskSum> {
        let (Self::Sqlite(store), tenant) = (self, tenant.clone());
        store.read(move |connection| releases::sums(connection, &tenant)).await.unwrap()
    }
}
