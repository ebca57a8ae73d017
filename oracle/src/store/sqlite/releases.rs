//! The verbs of a centre's intake: releases as they came, pinned ledgers, running sums.

use aggregator::centre::store::{Acceptance, ReleaseSummary};
use aggregator::centre::{TaskSum, VerifiedRelease};
use aggregator::release::{ReleaseId, StoreError};
use policies::{Digest, TaskKind, TenantId};
use rusqlite::{Connection, Row, named_params, params};

use super::columns::{all, column, digest, failed, first, parsed, release_id, rho};
use super::{followed, log};

pub(in crate::store) fn accept(
    connection: &Connection,
    release: &VerifiedRelease,
    now_ms: u64,
) -> Result<Acceptance, StoreError> {
    if let Some(kept) = envelope(connection, release.id())? {
        let same = kept == release.envelope();
        return Ok(if same { Acceptance::Duplicate } else { Acceptance::Conflict });
    }
    if let Some(refusal) = followed::refusal(connection, release)? {
        return Ok(refusal);
    }
    let id = release.id();
    let sum = match sum(connection, &id.tenant, id.task, release.frame())? {
        None => TaskSum::of(release),
        Some(mut sum) => match sum.add(release) {
            Ok(()) => sum,
            Err(_) => return Ok(Acceptance::DoesNotAdd),
        },
    };
    put_sum(connection, &sum)?;
    put_release(connection, release, now_ms)?;
    log::append(connection, &release.logged(now_ms))?;
    followed::note_accepted(connection, release)?;
    Ok(Acceptance::New)
}

fn put_release(connection: &Connection, release: &VerifiedRelease, now_ms: u64) -> Result<(), StoreError> {
    let id = release.id();
    let sql = "INSERT INTO releases (tenant, task, region, node, window_id, purpose, rho_picos, delta, private, policy, \
         frame, digest, bytes, accepted_ms) VALUES (:tenant, :task, :region, :node, :window, :purpose, :rho, :delta, \
         :private, :policy, :frame, :digest, :bytes, :accepted)";
    let (policy, frame, digest) = (release.policy(), release.frame(), Digest::of(release.envelope()));
    let parameters = named_params! {
        ":tenant": id.tenant.as_str(), ":task": id.task.as_str(), ":region": id.region.as_str(),
        ":node": id.node.as_str(), ":window": id.window.0, ":purpose": release.purpose().as_str(),
        ":rho": release.rho().picos(), ":delta": release.delta(), ":private": release.is_private(),
        ":policy": policy.as_bytes(), ":frame": frame.as_bytes(), ":digest": digest.as_bytes(), ":bytes": release.envelope().len(),
        ":accepted": now_ms,
    };
    connection.execute(sql, parameters).map_err(failed)?;
    let sql = "INSERT INTO envelopes (ordinal, bytes) VALUES (?1, ?2)";
    connection.execute(sql, params![connection.last_insert_rowid(), release.envelope()]).map_err(failed)?;
    Ok(())
}

pub(in crate::store) fn list(
    connection: &Connection,
    tenant: Option<&TenantId>,
    offset: u64,
    limit: usize,
) -> Result<Vec<ReleaseSummary>, StoreError> {
    let sql = match tenant {
        Some(_) => "SELECT * FROM releases WHERE tenant = ?3 ORDER BY ordinal DESC LIMIT ?2 OFFSET ?1",
        None => "SELECT * FROM releases WHERE ?3 IS NULL ORDER BY ordinal DESC LIMIT ?2 OFFSET ?1",
    };
    let parameters = params![offset, limit, tenant.map(TenantId::as_str)];
    all(connection, sql, parameters, |row| {
        Ok(ReleaseSummary {
            id: release_id(row)?,
            purpose: parsed(row, "purpose")?,
            rho: rho(row, "rho_picos")?,
            delta: column(row, "delta")?,
            private: column(row, "private")?,
            policy: digest(row, "policy")?,
            frame: digest(row, "frame")?,
            digest: digest(row, "digest")?,
            bytes: column(row, "bytes")?,
            accepted_ms: column(row, "accepted_ms")?,
        })
    })
}

pub(in crate::store) fn envelope(connection: &Connection, id: &ReleaseId) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT envelopes.bytes AS envelope, digest FROM releases JOIN envelopes USING (ordinal) \
         WHERE tenant = ?1 AND task = ?2 AND region = ?3 AND node = ?4 AND window_id = ?5";
    let parameters = params![id.tenant.as_str(), id.task.as_str(), id.region.as_str(), id.node.as_str(), id.window.0];
    first(connection, sql, parameters, |row| {
        let bytes: Vec<u8> = column(row, "envelope")?;
        if digest(row, "digest")? == Digest::of(&bytes) { Ok(bytes) } else { Err(StoreError::Corrupt) }
    })
}

pub(in crate::store) fn sums(connection: &Connection, tenant: &TenantId) -> Result<Vec<TaskSum>, StoreError> {
    let sql = "SELECT bytes FROM sums WHERE tenant = ?1";
    let mut sums = all(connection, sql, params![tenant.as_str()], read_sum)?;
    if sums.iter().any(|sum| sum.tenant != *tenant) {
        return Err(StoreError::Corrupt);
    }
    sums.sort_by_key(|sum| (sum.kind, sum.frame));
    Ok(sums)
}

fn sum(
    connection: &Connection,
    tenant: &TenantId,
    task: TaskKind,
    frame: Digest,
) -> Result<Option<TaskSum>, StoreError> {
    let sql = "SELECT bytes FROM sums WHERE tenant = ?1 AND task = ?2 AND frame = ?3";
    let found = first(connection, sql, params![tenant.as_str(), task.as_str(), frame.as_bytes()], read_sum)?;
    // A sum under another's name would make releases of one task or tenant count for another.
    let named = |sum: &TaskSum| (&sum.tenant, sum.kind, sum.frame) == (tenant, task, frame);
    if found.as_ref().is_none_or(named) { Ok(found) } else { Err(StoreError::Corrupt) }
}

fn read_sum(row: &Row<'_>) -> Result<TaskSum, StoreError> {
    TaskSum::decode(&column::<Vec<u8>>(row, "bytes")?).map_err(|_| StoreError::Corrupt)
}

fn put_sum(connection: &Connection, sum: &TaskSum) -> Result<(), StoreError> {
    let sql = "INSERT INTO sums (tenant, task, frame, bytes) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT DO UPDATE SET bytes = excluded.bytes";
    let parameters = params![sum.tenant.as_str(), sum.kind.as_str(), sum.frame.as_bytes(), sum.encode()];
    connection.execute(sql, parameters).map_err(failed)?;
    Ok(())
}
