//! The verbs of a node's ledger and outbox. Each runs inside a savepoint of the writer.

use aggregator::release::store::{ChargeEntry, CommitError, LedgerState, PersistError, Spent, StoredRelease};
use aggregator::release::{LedgerId, ReleaseId, StoreError};
use policies::{Digest, Rho, TenantId, WindowId};
use rusqlite::{Connection, Row, named_params, params};

use super::columns::{all, column, digest, failed, first, ledger_id, release_id, rho, unit_name};

pub(in crate::store) fn initialise(connection: &Connection, id: LedgerId) -> Result<bool, StoreError> {
    let sql = "INSERT INTO ledger (singleton, id, last_sequence) VALUES (1, ?1, 0) ON CONFLICT DO NOTHING";
    Ok(connection.execute(sql, params![id.0]).map_err(failed)? == 1)
}

fn state(connection: &Connection) -> Result<LedgerState, StoreError> {
    let read =
        |row: &Row<'_>| Ok(LedgerState { id: ledger_id(row, "id")?, last_sequence: column(row, "last_sequence")? });
    first(connection, "SELECT id, last_sequence FROM ledger", (), read)?.ok_or(StoreError::MissingLedger)
}

/// Reads the ledger and proves that its sums are those of its charges: a ledger that contradicts itself is damaged.
pub(in crate::store) fn open(connection: &Connection) -> Result<LedgerState, StoreError> {
    let state = state(connection)?;
    let yes = |sql| connection.query_row(sql, (), |row| row.get::<_, bool>(0)).map_err(failed);
    let sequence_holds =
        yes("SELECT (SELECT last_sequence FROM ledger) = (SELECT coalesce(max(sequence), 0) FROM charges) \
         AND (SELECT count(*) FROM charges) = (SELECT last_sequence FROM ledger)")?;
    let sums_hold = yes("WITH years AS (SELECT tenant, year, sum(rho_picos) FROM charges GROUP BY tenant, year), \
         kept AS (SELECT tenant, year, rho_picos FROM spent_years) \
         SELECT NOT EXISTS (SELECT * FROM years EXCEPT SELECT * FROM kept) \
         AND NOT EXISTS (SELECT * FROM kept EXCEPT SELECT * FROM years)")?;
    let bytes_hold = yes(
        "SELECT NOT EXISTS (SELECT sequence FROM charges WHERE state = 'unsent' EXCEPT SELECT sequence FROM outbox) \
         AND NOT EXISTS (SELECT sequence FROM outbox EXCEPT SELECT sequence FROM charges WHERE state = 'unsent')",
    )?;
    if sequence_holds && sums_hold && bytes_hold { Ok(state) } else { Err(StoreError::Corrupt) }
}

pub(in crate::store) fn burn_open_charges(connection: &Connection) -> Result<Vec<ReleaseId>, StoreError> {
    state(connection)?;
    let sql = "SELECT * FROM charges WHERE state = 'open' ORDER BY sequence";
    let open = all(connection, sql, (), release_id)?;
    connection.execute("UPDATE charges SET state = 'burned' WHERE state = 'open'", ()).map_err(failed)?;
    Ok(open)
}

pub(in crate::store) fn commit_charge(connection: &Connection, entry: &ChargeEntry) -> Result<u64, CommitError> {
    let state = state(connection)?;
    let id = &entry.id;
    if charge(connection, id)?.is_some() {
        return Err(CommitError::AlreadyCharged);
    }
    let spent = spent(connection, &id.tenant, id.window, entry.year)?;
    let within = |spent: Rho, limit: Rho| spent.checked_add(entry.rho).filter(|sum| *sum <= limit);
    within(spent.window, entry.window_limit).ok_or(CommitError::OverWindowBudget)?;
    let year = within(spent.year, entry.year_limit).ok_or(CommitError::OverYearBudget)?;
    let sequence = state.last_sequence.checked_add(1).ok_or(StoreError::Corrupt)?;
    let sql = "INSERT INTO charges \
         (sequence, tenant, task, region, node, window_id, purpose, unit, year, rho_picos, delta, state) \
         VALUES (:sequence, :tenant, :task, :region, :node, :window, :purpose, :unit, :year, :rho, :delta, 'open')";
    let parameters = named_params! {
        ":sequence": sequence, ":tenant": id.tenant.as_str(), ":task": id.task.as_str(),
        ":region": id.region.as_str(), ":node": id.node.as_str(), ":window": id.window.0,
        ":purpose": entry.purpose.as_str(), ":unit": unit_name(entry.unit), ":year": entry.year,
        ":rho": entry.rho.picos(), ":delta": entry.delta,
    };
    connection.prepare_cached(sql).and_then(|mut insert| insert.execute(parameters)).map_err(failed)?;
    let sql = "INSERT INTO spent_years (tenant, year, rho_picos) VALUES (?1, ?2, ?3) \
         ON CONFLICT DO UPDATE SET rho_picos = excluded.rho_picos";
    let parameters = params![id.tenant.as_str(), entry.year, year.picos()];
    connection.prepare_cached(sql).and_then(|mut upsert| upsert.execute(parameters)).map_err(failed)?;
    connection.execute("UPDATE ledger SET last_sequence = ?1", params![sequence]).map_err(failed)?;
    close_window(connection, &id.tenant, id.window)?;
    Ok(sequence)
}

/// One row of the list of charges.
struct Charge {
    sequence: u64,
    state: String,
    digest: Option<Digest>,
}

fn charge(connection: &Connection, id: &ReleaseId) -> Result<Option<Charge>, StoreError> {
    let sql = "SELECT sequence, state, digest FROM charges \
         WHERE tenant = ?1 AND task = ?2 AND region = ?3 AND node = ?4 AND window_id = ?5";
    let parameters = params![id.tenant.as_str(), id.task.as_str(), id.region.as_str(), id.node.as_str(), id.window.0];
    first(connection, sql, parameters, |row| {
        let has_bytes = column::<Option<Vec<u8>>>(row, "digest")?.is_some();
        Ok(Charge {
            sequence: column(row, "sequence")?,
            state: column(row, "state")?,
            digest: has_bytes.then(|| digest(row, "digest")).transpose()?,
        })
    })
}

pub(in crate::store) fn persist_noised(connection: &Connection, release: &StoredRelease) -> Result<(), PersistError> {
    let charge = charge(connection, &release.id)?.filter(|charge| charge.sequence == release.sequence);
    let charge = charge.ok_or(PersistError::NotCharged)?;
    let of_these = Digest::of(&release.bytes);
    match (charge.state.as_str(), charge.digest) {
        ("open", None) => {}
        ("unsent" | "sent", Some(kept)) if kept == of_these => return Ok(()),
        ("unsent" | "sent", Some(_)) => return Err(PersistError::AlreadyPersisted),
        ("burned", None) => return Err(PersistError::NotCharged),
        _ => return Err(StoreError::Corrupt.into()),
    }
    let sql = "INSERT INTO outbox (sequence, bytes) VALUES (?1, ?2)";
    connection.execute(sql, params![release.sequence, release.bytes]).map_err(failed)?;
    let sql = "UPDATE charges SET state = 'unsent', digest = ?2 WHERE sequence = ?1";
    connection.execute(sql, params![release.sequence, of_these.as_bytes()]).map_err(failed)?;
    Ok(())
}

pub(in crate::store) fn unsent(
    connection: &Connection,
    after: u64,
    limit: usize,
) -> Result<Vec<StoredRelease>, StoreError> {
    let sql = "SELECT charges.*, bytes FROM charges JOIN outbox USING (sequence) \
         WHERE state = 'unsent' AND sequence > ?1 ORDER BY sequence LIMIT ?2";
    all(connection, sql, params![after, limit], |row| {
        let (sequence, bytes): (_, Vec<u8>) = (column(row, "sequence")?, column(row, "bytes")?);
        // The same bytes for ever: what the disk changed must not leave under a signature's name.
        if digest(row, "digest")? != Digest::of(&bytes) {
            return Err(StoreError::Corrupt);
        }
        Ok(StoredRelease { id: release_id(row)?, sequence, bytes })
    })
}

pub(in crate::store) fn mark_sent(connection: &Connection, id: &ReleaseId) -> Result<(), StoreError> {
    let Some(charge) = charge(connection, id)?.filter(|charge| charge.state == "unsent") else { return Ok(()) };
    connection.execute("DELETE FROM outbox WHERE sequence = ?1", params![charge.sequence]).map_err(failed)?;
    let sql = "UPDATE charges SET state = 'sent' WHERE sequence = ?1";
    connection.execute(sql, params![charge.sequence]).map_err(failed)?;
    Ok(())
}

pub(in crate::store) fn closed_window(
    connection: &Connection,
    tenant: &TenantId,
) -> Result<Option<WindowId>, StoreError> {
    let sql = "SELECT window_id FROM closed_windows WHERE tenant = ?1";
    let read = |row: &Row<'_>| column(row, "window_id").map(WindowId);
    first(connection, sql, params![tenant.as_str()], read)
}

pub(in crate::store) fn close_window(
    connection: &Connection,
    tenant: &TenantId,
    window: WindowId,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO closed_windows (tenant, window_id) VALUES (?1, ?2) \
         ON CONFLICT DO UPDATE SET window_id = max(window_id, excluded.window_id)";
    connection.execute(sql, params![tenant.as_str(), window.0]).map_err(failed)?;
    Ok(())
}

pub(in crate::store) fn spent(
    connection: &Connection,
    tenant: &TenantId,
    window: WindowId,
    year: u64,
) -> Result<Spent, StoreError> {
    let sum = |sql, number: u64| first(connection, sql, params![tenant.as_str(), number], |row| rho(row, "rho_picos"));
    let of_window = "SELECT coalesce(sum(rho_picos), 0) AS rho_picos FROM charges WHERE tenant = ?1 AND window_id = ?2";
    let of_year = "SELECT rho_picos FROM spent_years WHERE tenant = ?1 AND year = ?2";
    Ok(Spent { window: sum(of_window, window.0)?.unwrap_or_default(), year: sum(of_year, year)?.unwrap_or_default() })
}
