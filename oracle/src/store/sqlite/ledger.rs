//! The verbs of a node's ledger and outbox. Each runs inside a savepoint of the writer.

use aggregator::release::store::{
    Burned, ChargeEntry, CommitError, KeptCheckpoint, LedgerState, PersistError, Spent, StoredRelease,
};
use aggregator::release::{ChargeRecord, Head, LedgerEntry, LedgerId, ReleaseId, Span, StoreError};
use policies::{Delta, Digest, PurposeId, Rho, TenantId};
use rusqlite::{Connection, Row, named_params, params};

use super::columns::{all, column, digest, failed, first, ledger_id, release_id};
use super::ledger_check;

pub(in crate::store) fn initialise(connection: &Connection, id: LedgerId) -> Result<bool, StoreError> {
    let sql = "INSERT INTO ledger (singleton, id) VALUES (1, ?1) ON CONFLICT DO NOTHING";
    Ok(connection.execute(sql, params![id.0]).map_err(failed)? == 1)
}

/// Its name.
pub(super) fn name(connection: &Connection) -> Result<LedgerId, StoreError> {
    first(connection, "SELECT id FROM ledger", (), |row| ledger_id(row, "id"))?.ok_or(StoreError::MissingLedger)
}

/// Where it stands.
pub(super) fn head(connection: &Connection) -> Result<Head, StoreError> {
    let id = name(connection)?;
    let sql = "SELECT number, head FROM ledger_entries ORDER BY number DESC LIMIT 1";
    Ok(first(connection, sql, (), read_head)?.unwrap_or_else(|| Head::empty(id)))
}

fn read_head(row: &Row<'_>) -> Result<Head, StoreError> {
    Ok(Head { entries: column(row, "number")?, digest: digest(row, "head")? })
}

pub(in crate::store) fn head_at(connection: &Connection, entries: u64) -> Result<Option<Head>, StoreError> {
    if entries == 0 {
        return Ok(Some(Head::empty(name(connection)?)));
    }
    // No entry has a number that the file's integers do not hold.
    let Ok(number) = i64::try_from(entries) else { return Ok(None) };
    first(connection, "SELECT number, head FROM ledger_entries WHERE number = ?1", params![number], read_head)
}

/// Reads the ledger and proves the whole of it: one that contradicts itself is damaged.
pub(in crate::store) fn open(connection: &Connection) -> Result<LedgerState, StoreError> {
    let (id, head) = (name(connection)?, head(connection)?);
    ledger_check::examine(connection).map_err(|fault| match fault {
        ledger_check::LedgerFault::Store(error) => error,
        fault => {
            tracing::error!(%fault, "the ledger contradicts itself");
            StoreError::Corrupt
        }
    })?;
    Ok(LedgerState { id, head, checkpoint: checkpoint(connection)? })
}

pub(super) fn checkpoint(connection: &Connection) -> Result<Option<KeptCheckpoint>, StoreError> {
    first(connection, "SELECT entries, head, token FROM kept_checkpoint", (), |row| {
        let head = Head { entries: column(row, "entries")?, digest: digest(row, "head")? };
        Ok(KeptCheckpoint { head, token: column(row, "token")? })
    })
}

pub(in crate::store) fn keep_checkpoint(
    connection: &Connection,
    checkpoint: &KeptCheckpoint,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO kept_checkpoint (singleton, entries, head, token) VALUES (1, ?1, ?2, ?3) \
         ON CONFLICT DO UPDATE SET entries = excluded.entries, head = excluded.head, token = excluded.token \
         WHERE excluded.entries >= entries";
    let parameters = params![checkpoint.head.entries, checkpoint.head.digest.as_bytes(), checkpoint.token];
    connection.execute(sql, parameters).map_err(failed)?;
    Ok(())
}

/// Forgets the last checkpoint, so that the whole ledger is offered to the centre anew.
pub(in crate::store) fn forget_checkpoint(connection: &Connection) -> Result<bool, StoreError> {
    Ok(connection.execute("DELETE FROM kept_checkpoint", ()).map_err(failed)? == 1)
}

fn append(connection: &Connection, entry: &LedgerEntry) -> Result<Head, StoreError> {
    let bytes = entry.encode();
    let after = head(connection)?.after(&bytes);
    let sql = "INSERT INTO ledger_entries (number, bytes, head) VALUES (?1, ?2, ?3)";
    let parameters = params![after.entries, bytes, after.digest.as_bytes()];
    connection.prepare_cached(sql).and_then(|mut insert| insert.execute(parameters)).map_err(failed)?;
    Ok(after)
}

pub(in crate::store) fn burn_open_charges(connection: &Connection) -> Result<Burned, StoreError> {
    let sql = "SELECT * FROM charges WHERE state = 'open' ORDER BY sequence";
    let open = all(connection, sql, (), |row| Ok((column::<u64>(row, "sequence")?, release_id(row)?)))?;
    let mut standing = head(connection)?;
    for (sequence, _) in &open {
        standing = append(connection, &LedgerEntry::Burn(*sequence))?;
        let sql = "UPDATE charges SET state = 'burned' WHERE sequence = ?1";
        connection.execute(sql, params![sequence]).map_err(failed)?;
    }
    Ok(Burned { releases: open.into_iter().map(|(_, id)| id).collect(), head: standing })
}

pub(in crate::store) fn commit_charge(
    connection: &Connection,
    entry: &ChargeEntry,
    known: Head,
) -> Result<Head, CommitError> {
    if head_at(connection, known.entries)? != Some(known) {
        return Err(CommitError::Replaced);
    }
    let record = &entry.record;
    let (id, span) = (&record.id, record.span);
    if charge(connection, id)?.is_some() {
        return Err(CommitError::AlreadyCharged);
    }
    let all = spent(connection, &id.tenant, None, span)?;
    let of_purpose = spent(connection, &id.tenant, Some(&record.purpose), span)?;
    entry.limits.admit(record, &all, &of_purpose)?;
    let head = append(connection, &LedgerEntry::Charge(record.clone()))?;
    put_charge(connection, head.entries, record)?;
    close_until(connection, &id.tenant, span.until_s)?;
    Ok(head)
}

fn put_charge(connection: &Connection, sequence: u64, record: &ChargeRecord) -> Result<(), StoreError> {
    let (id, span) = (&record.id, record.span);
    let sql = "INSERT INTO charges (sequence, tenant, task, region, node, window_id, purpose, from_s, until_s, year, \
         rho_picos, delta_attos, state) VALUES (:sequence, :tenant, :task, :region, :node, :window, :purpose, :from, \
         :until, :year, :rho, :delta, 'open')";
    let parameters = named_params! {
        ":sequence": sequence, ":tenant": id.tenant.as_str(), ":task": id.task.as_str(),
        ":region": id.region.as_str(), ":node": id.node.as_str(), ":window": id.window.0,
        ":purpose": record.purpose.as_str(), ":from": span.from_s, ":until": span.until_s, ":year": span.year(),
        ":rho": record.rho.picos(), ":delta": record.delta.attos(),
    };
    connection.prepare_cached(sql).and_then(|mut insert| insert.execute(parameters)).map_err(failed)?;
    let sql = "INSERT INTO spent_years (tenant, purpose, year, rho_picos) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT DO UPDATE SET rho_picos = rho_picos + excluded.rho_picos";
    let parameters = params![id.tenant.as_str(), record.purpose.as_str(), span.year(), record.rho.picos()];
    connection.prepare_cached(sql).and_then(|mut upsert| upsert.execute(parameters)).map_err(failed)?;
    Ok(())
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

pub(in crate::store) fn closed_until(connection: &Connection, tenant: &TenantId) -> Result<Option<u64>, StoreError> {
    let sql = "SELECT until_s FROM closed_times WHERE tenant = ?1";
    first(connection, sql, params![tenant.as_str()], |row| column(row, "until_s"))
}

pub(in crate::store) fn close_until(
    connection: &Connection,
    tenant: &TenantId,
    until_s: u64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO closed_times (tenant, until_s) VALUES (?1, ?2) \
         ON CONFLICT DO UPDATE SET until_s = max(until_s, excluded.until_s)";
    connection.execute(sql, params![tenant.as_str(), until_s]).map_err(failed)?;
    Ok(())
}

pub(in crate::store) fn spent(
    connection: &Connection,
    tenant: &TenantId,
    purpose: Option<&PurposeId>,
    span: Span,
) -> Result<Spent, StoreError> {
    // `until_s` comes first in the index: of all charges, those that end before the span begins are not read.
    let of_window = "SELECT coalesce(sum(rho_picos), 0) AS rho, coalesce(sum(delta_attos), 0) AS delta FROM charges \
         WHERE tenant = ?1 AND until_s > ?2 AND from_s < ?3 AND (?4 IS NULL OR purpose = ?4)";
    let purpose = purpose.map(PurposeId::as_str);
    let parameters = params![tenant.as_str(), span.from_s, span.until_s, purpose];
    let read = |row: &Row<'_>| Ok((column(row, "rho")?, column(row, "delta")?));
    let (window, delta): (u64, u64) = first(connection, of_window, parameters, read)?.unwrap_or_default();
    let of_year = "SELECT coalesce(sum(rho_picos), 0) AS rho FROM spent_years \
         WHERE tenant = ?1 AND year = ?2 AND (?3 IS NULL OR purpose = ?3)";
    let year = first(connection, of_year, params![tenant.as_str(), span.year(), purpose], |row| column(row, "rho"))?;
    // What is beyond a type's most is at it: nothing more fits either way.
    let rho = |picos: u64| Rho::from_picos(picos).unwrap_or(Rho::MAX);
    let delta = Delta::from_attos(delta).unwrap_or(Delta::ONE);
    Ok(Spent { window: rho(window), year: rho(year.unwrap_or_default()), delta })
}

pub(in crate::store) fn entries(connection: &Connection, after: u64, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
    let sql = "SELECT bytes FROM ledger_entries WHERE number > ?1 ORDER BY number LIMIT ?2";
    all(connection, sql, params![after, limit], |row| column(row, "bytes"))
}
