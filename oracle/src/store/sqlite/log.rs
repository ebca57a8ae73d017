//! The queue of the transparency log, and what a node has seen of one.

use aggregator::log::{ENTRY_BYTES_MAX, KeyEpochLogged, LogEntry, ModelLogged};
use aggregator::release::StoreError;
use policies::{RegionId, TenantId};
use rusqlite::{Connection, params};

use super::columns::{all, column, digest, failed, first};
use crate::store::log::{BringError, BroughtEpochs};

/// Appends an entry to the log, in the transaction of whoever calls, and says where it stands. It is published after
/// the commit.
pub(in crate::store) fn append(connection: &Connection, entry: &LogEntry) -> Result<u64, StoreError> {
    let bytes = entry.encode();
    if bytes.len() > ENTRY_BYTES_MAX {
        tracing::error!(bytes = bytes.len(), "an entry does not fit the log");
        return Err(StoreError::Corrupt);
    }
    let ordinal = size(connection)?;
    let sql = "INSERT INTO log_entries (ordinal, bytes) VALUES (?1, ?2)";
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    statement.execute(params![ordinal, bytes]).map_err(failed)?;
    Ok(ordinal)
}

/// How many entries there are. Rows are never deleted: the last one's place tells.
pub(in crate::store) fn size(connection: &Connection) -> Result<u64, StoreError> {
    let sql = "SELECT coalesce(max(ordinal) + 1, 0) AS entries FROM log_entries";
    first(connection, sql, (), |row| column(row, "entries"))?.ok_or(StoreError::Corrupt)
}

/// Up to `limit` entries from `from` on, without a gap.
pub(in crate::store) fn entries(connection: &Connection, from: u64, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
    let sql = "SELECT ordinal, bytes FROM log_entries WHERE ordinal >= ?1 ORDER BY ordinal LIMIT ?2";
    let read = |row: &rusqlite::Row<'_>| Ok((column::<u64>(row, "ordinal")?, column(row, "bytes")?));
    let rows = all(connection, sql, params![from, limit], read)?;
    let in_order = (from..).zip(rows).map(|(place, (ordinal, bytes))| (place == ordinal).then_some(bytes));
    in_order.collect::<Option<_>>().ok_or(StoreError::Corrupt)
}

/// Logs which model a tenant's nodes are pointed to.
pub(in crate::store) fn model(connection: &Connection, model: ModelLogged) -> Result<(), StoreError> {
    let (tenant, serial) = (model.tenant.clone(), model.serial);
    let ordinal = append(connection, &LogEntry::Model(model))?;
    let sql = "INSERT INTO logged_models (tenant, serial, ordinal) VALUES (?1, ?2, ?3)";
    connection.execute(sql, params![tenant.as_str(), serial, ordinal]).map_err(failed)?;
    Ok(())
}

/// Where a pointer stands in the log, with the entry.
pub(in crate::store) fn model_entry(
    connection: &Connection,
    tenant: &TenantId,
    serial: u64,
) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
    let sql =
        "SELECT ordinal, bytes FROM logged_models JOIN log_entries USING (ordinal) WHERE tenant = ?1 AND serial = ?2";
    let read = |row: &rusqlite::Row<'_>| Ok((column(row, "ordinal")?, column(row, "bytes")?));
    first(connection, sql, params![tenant.as_str(), serial], read)
}

/// Logs pointers that an earlier version, which had no log, left without an entry.
pub(in crate::store) fn log_earlier_pointers(connection: &Connection, now_ms: u64) -> Result<(), StoreError> {
    let sql = "SELECT p.tenant AS tenant, p.version AS version, p.serial AS serial, digest FROM pointers p \
         JOIN models USING (tenant, version) LEFT JOIN logged_models l ON l.tenant = p.tenant AND l.serial = p.serial \
         WHERE l.ordinal IS NULL ORDER BY p.tenant";
    let pointers = all(connection, sql, (), |row| {
        Ok(ModelLogged {
            tenant: super::columns::parsed(row, "tenant")?,
            version: column(row, "version")?,
            digest: digest(row, "digest")?,
            serial: column(row, "serial")?,
            logged_ms: now_ms,
        })
    })?;
    pointers.into_iter().try_for_each(|pointer| model(connection, pointer))
}

/// How many statements of a service's log of keys are known.
pub(in crate::store) fn epochs_known(
    connection: &Connection,
    region: &RegionId,
    issuer: &str,
) -> Result<u64, StoreError> {
    let sql = "SELECT coalesce(max(number) + 1, 0) AS known FROM logged_epochs WHERE region = ?1 AND issuer = ?2";
    let known = first(connection, sql, params![region.as_str(), issuer], |row| column(row, "known"))?;
    known.ok_or(StoreError::Corrupt)
}

/// Logs statements that are new; those that are known must be the same.
pub(in crate::store) fn bring_epochs(
    connection: &Connection,
    brought: &BroughtEpochs,
    now_ms: u64,
) -> Result<u64, BringError> {
    let BroughtEpochs { region, node, issuer, first: from, statements } = brought;
    for (number, statement) in (*from..).zip(statements) {
        let sql = "SELECT statement FROM logged_epochs WHERE region = ?1 AND issuer = ?2 AND number = ?3";
        let parameters = params![region.as_str(), issuer, number];
        match first(connection, sql, parameters, |row| digest(row, "statement"))? {
            Some(kept) if kept == *statement => continue,
            Some(_) => return Err(BringError::Conflict),
            None if epochs_known(connection, region, issuer)? != u64::from(number) => return Err(BringError::Gap),
            None => {}
        }
        let sql = "INSERT INTO logged_epochs (region, issuer, number, statement) VALUES (?1, ?2, ?3, ?4)";
        let parameters = params![region.as_str(), issuer, number, statement.as_bytes()];
        connection.execute(sql, parameters).map_err(failed)?;
        let entry = KeyEpochLogged {
            region: region.clone(),
            node: node.clone(),
            issuer: issuer.clone(),
            number,
            statement: *statement,
            logged_ms: now_ms,
        };
        append(connection, &LogEntry::KeyEpoch(entry))?;
    }
    Ok(epochs_known(connection, region, issuer)?)
}

/// The newest checkpoint that a node has kept of a log.
pub(in crate::store) fn seen(connection: &Connection, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
    first(connection, "SELECT note FROM log_seen WHERE key = ?1", params![key], |row| column(row, "note"))
}

/// Keeps a newer one.
pub(in crate::store) fn keep_seen(connection: &Connection, key: &str, note: &[u8]) -> Result<(), StoreError> {
    let sql = "INSERT INTO log_seen (key, note) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET note = excluded.note";
    connection.execute(sql, params![key, note]).map_err(failed)?;
    Ok(())
}

/// The highest serial of a tenant's pointer that this node has taken; 0 before the first.
pub(in crate::store) fn serial_seen(connection: &Connection, tenant: &TenantId) -> Result<u64, StoreError> {
    let sql = "SELECT serial FROM pointers_seen WHERE tenant = ?1";
    Ok(first(connection, sql, params![tenant.as_str()], |row| column(row, "serial"))?.unwrap_or(0))
}

/// Keeps a higher one.
pub(in crate::store) fn keep_serial(connection: &Connection, tenant: &TenantId, serial: u64) -> Result<(), StoreError> {
    let sql = "INSERT INTO pointers_seen (tenant, serial) VALUES (?1, ?2) \
         ON CONFLICT DO UPDATE SET serial = max(serial, excluded.serial)";
    connection.execute(sql, params![tenant.as_str(), serial]).map_err(failed)?;
    Ok(())
}
