//! The verbs of policy bundles.

use aggregator::log::LogEntry;
use aggregator::release::StoreError;
use rusqlite::{Connection, Row, params};

use super::columns::{all, column, failed, first};
use super::log::append;
use crate::store::bundles::{BUNDLES_KEPT, KeepError, KeptBundle};

fn newest_version(connection: &Connection) -> Result<u64, StoreError> {
    let sql = "SELECT coalesce(max(version), 0) AS version FROM bundles";
    Ok(first(connection, sql, (), |row| column(row, "version"))?.unwrap_or(0))
}

pub(in crate::store) fn keep(connection: &Connection, bundle: &KeptBundle, now_ms: u64) -> Result<(), KeepError> {
    if newest_version(connection)? > bundle.version {
        return Err(KeepError::Older);
    }
    // The same version may have got more signatures: another note is another entry of the log.
    let sql = "INSERT INTO bundles (version, note, files, taken_ms) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT DO UPDATE SET note = excluded.note, logged = NULL WHERE note <> excluded.note";
    let parameters = params![bundle.version, bundle.note, bundle.files, now_ms];
    connection.execute(sql, parameters).map_err(failed)?;
    let sql = "DELETE FROM bundles WHERE version NOT IN (SELECT version FROM bundles ORDER BY version DESC LIMIT ?1)";
    connection.execute(sql, params![BUNDLES_KEPT]).map_err(failed)?;
    Ok(())
}

/// Keeps a bundle and appends its entry to the log, unless that was done for this note.
pub(in crate::store) fn log(
    connection: &Connection,
    bundle: &KeptBundle,
    entry: &LogEntry,
    now_ms: u64,
) -> Result<(), KeepError> {
    keep(connection, bundle, now_ms)?;
    let sql = "SELECT 1 AS one FROM bundles WHERE version = ?1 AND logged IS NULL";
    if first(connection, sql, params![bundle.version], |row| column::<u64>(row, "one"))?.is_some() {
        let ordinal = append(connection, entry)?;
        let sql = "UPDATE bundles SET logged = ?2 WHERE version = ?1";
        connection.execute(sql, params![bundle.version, ordinal]).map_err(failed)?;
    }
    Ok(())
}

pub(in crate::store) fn kept(connection: &Connection) -> Result<Vec<KeptBundle>, StoreError> {
    all(connection, "SELECT version, note, files, logged FROM bundles ORDER BY version", (), |row: &Row<'_>| {
        Ok(KeptBundle {
            version: column(row, "version")?,
            note: column(row, "note")?,
            files: column(row, "files")?,
            logged: column(row, "logged")?,
        })
    })
}
