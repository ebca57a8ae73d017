//! The verbs of a centre's catalogues.

use aggregator::centre::store::CatalogueSummary;
use aggregator::release::StoreError;
use policies::{Digest, TenantId};
use rusqlite::{Connection, Row, params};

use super::columns::{all, column, digest, failed, first};

pub(in crate::store) fn put(
    connection: &Connection,
    tenant: &TenantId,
    digest: Digest,
    items: u64,
    bytes: &[u8],
) -> Result<CatalogueSummary, StoreError> {
    let sql = "SELECT version, digest, items FROM catalogues WHERE tenant = ?1 ORDER BY version DESC LIMIT 1";
    let latest = first(connection, sql, params![tenant.as_str()], summary)?;
    if let Some(latest) = latest.filter(|latest| latest.digest == digest) {
        return Ok(latest);
    }
    let version = latest.map_or(0, |latest| latest.version).checked_add(1).ok_or(StoreError::Corrupt)?;
    let sql = "INSERT INTO catalogues (tenant, version, digest, items, bytes) VALUES (?1, ?2, ?3, ?4, ?5)";
    let parameters = params![tenant.as_str(), version, digest.as_bytes(), items, bytes];
    connection.execute(sql, parameters).map_err(failed)?;
    Ok(CatalogueSummary { version, digest, items })
}

fn summary(row: &Row<'_>) -> Result<CatalogueSummary, StoreError> {
    Ok(CatalogueSummary {
        version: column(row, "version")?,
        digest: digest(row, "digest")?,
        items: column(row, "items")?,
    })
}

pub(in crate::store) fn list(connection: &Connection, tenant: &TenantId) -> Result<Vec<CatalogueSummary>, StoreError> {
    let sql = "SELECT version, digest, items FROM catalogues WHERE tenant = ?1 ORDER BY version";
    all(connection, sql, params![tenant.as_str()], summary)
}

pub(in crate::store) fn bytes(
    connection: &Connection,
    tenant: &TenantId,
    version: u64,
) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT bytes FROM catalogues WHERE tenant = ?1 AND version = ?2";
    let parameters = params![tenant.as_str(), version];
    first(connection, sql, parameters, |row| column(row, "bytes"))
}
