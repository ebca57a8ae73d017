//! Columns as types, and errors of SQLite as errors of a store.

use std::str::FromStr;

use aggregator::release::{LedgerId, ReleaseId, StoreError};
use policies::{Digest, Rho, WindowId};
use rusqlite::types::FromSql;
use rusqlite::{Connection, ErrorCode, Row};

/// What SQLite reports, as what a store reports. The detail goes to the log; SQL holds no values there.
pub(super) fn failed(error: rusqlite::Error) -> StoreError {
    tracing::error!(%error, "the store failed");
    match error {
        rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::FromSqlConversionFailure(..) => StoreError::Corrupt,
        error => match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt,
            _ => StoreError::Unavailable,
        },
    }
}

/// A column's value.
pub(super) fn column<T: FromSql>(row: &Row<'_>, name: &str) -> Result<T, StoreError> {
    row.get(name).map_err(failed)
}

/// A column of text as what the text means.
pub(super) fn parsed<T: FromStr>(row: &Row<'_>, name: &str) -> Result<T, StoreError> {
    column::<String>(row, name)?.parse().map_err(|_| StoreError::Corrupt)
}

/// A column of exactly N bytes.
pub(super) fn array<const N: usize>(row: &Row<'_>, name: &str) -> Result<[u8; N], StoreError> {
    column::<Vec<u8>>(row, name)?.try_into().map_err(|_| StoreError::Corrupt)
}

/// A column that holds a digest.
pub(super) fn digest(row: &Row<'_>, name: &str) -> Result<Digest, StoreError> {
    array(row, name).map(Digest::from_bytes)
}

/// A column that holds a ledger's id.
pub(super) fn ledger_id(row: &Row<'_>, name: &str) -> Result<LedgerId, StoreError> {
    array(row, name).map(LedgerId)
}

/// A column that holds ρ in units of 10⁻¹².
pub(super) fn rho(row: &Row<'_>, name: &str) -> Result<Rho, StoreError> {
    Rho::from_picos(column(row, name)?).map_err(|_| StoreError::Corrupt)
}

/// The five columns that name a release.
pub(super) fn release_id(row: &Row<'_>) -> Result<ReleaseId, StoreError> {
    Ok(ReleaseId {
        tenant: parsed(row, "tenant")?,
        task: parsed(row, "task")?,
        region: parsed(row, "region")?,
        node: parsed(row, "node")?,
        window: WindowId(column(row, "window_id")?),
    })
}

/// Every row of a query, each made by `read`.
pub(super) fn all<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    let mut rows = statement.query(parameters).map_err(failed)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// The first row of a query, if there is one.
pub(super) fn first<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    let mut rows = statement.query(parameters).map_err(failed)?;
    rows.next().map_err(failed)?.map(read).transpose()
}
