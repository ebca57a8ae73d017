//! Nodes' ledgers as a centre has followed them.

use aggregator::centre::VerifiedRelease;
use aggregator::centre::follow::{FollowError, Followed, News, Offer, leaves};
use aggregator::centre::store::Acceptance;
use aggregator::release::{Head, LedgerEntry, LedgerId, StoreError};
use policies::{NodeId, RegionId};
use rusqlite::{Connection, Row, params};

use super::columns::{column, digest, failed, first, ledger_id};
use super::log;

/// What is pinned for a node.
struct Pinned {
    ledger: LedgerId,
    last_sequence: u64,
}

fn pinned(connection: &Connection, region: &RegionId, node: &NodeId) -> Result<Option<Pinned>, StoreError> {
    let sql = "SELECT ledger, last_sequence FROM followed_ledgers WHERE region = ?1 AND node = ?2";
    first(connection, sql, params![region.as_str(), node.as_str()], |row| {
        Ok(Pinned { ledger: ledger_id(row, "ledger")?, last_sequence: column(row, "last_sequence")? })
    })
}

pub(in crate::store) fn followed(
    connection: &Connection,
    region: &RegionId,
    node: &NodeId,
) -> Result<Option<Followed>, StoreError> {
    let Some(Pinned { ledger, .. }) = pinned(connection, region, node)? else { return Ok(None) };
    let sql = "SELECT number, head FROM followed_entries WHERE region = ?1 AND node = ?2 ORDER BY number DESC LIMIT 1";
    let read = |row: &Row<'_>| Ok(Head { entries: column(row, "number")?, digest: digest(row, "head")? });
    let head = first(connection, sql, params![region.as_str(), node.as_str()], read)?;
    Ok(Some(Followed { ledger, head: head.unwrap_or_else(|| Head::empty(ledger)) }))
}

fn entry(
    connection: &Connection,
    region: &RegionId,
    node: &NodeId,
    number: u64,
) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT bytes FROM followed_entries WHERE region = ?1 AND node = ?2 AND number = ?3";
    first(connection, sql, params![region.as_str(), node.as_str(), number], |row| column(row, "bytes"))
}

pub(in crate::store) fn follow(connection: &Connection, offer: &Offer, now_ms: u64) -> Result<Head, FollowError> {
    let (region, node) = (&offer.region, &offer.node);
    let followed = followed(connection, region, node)?;
    let news = offer.check(followed, |number| entry(connection, region, node, number))?;
    let before = followed.map_or_else(|| Head::empty(offer.ledger), |followed| followed.head);
    if followed.is_none() {
        let sql = "INSERT INTO followed_ledgers (region, node, ledger, last_sequence) VALUES (?1, ?2, ?3, 0)";
        let parameters = params![region.as_str(), node.as_str(), offer.ledger.0];
        connection.execute(sql, parameters).map_err(failed)?;
    }
    put(connection, offer, &news)?;
    for leaf in leaves(offer, before, &news, now_ms) {
        log::append(connection, &leaf)?;
    }
    Ok(news.heads.last().copied().unwrap_or(before))
}

fn put(connection: &Connection, offer: &Offer, news: &News) -> Result<(), FollowError> {
    let (region, node) = (offer.region.as_str(), offer.node.as_str());
    let sql = "INSERT INTO followed_entries (region, node, number, bytes, head) VALUES (?1, ?2, ?3, ?4, ?5)";
    let mut insert = connection.prepare_cached(sql).map_err(failed)?;
    for ((entry, bytes), head) in news.entries.iter().zip(&news.heads) {
        insert.execute(params![region, node, head.entries, bytes, head.digest.as_bytes()]).map_err(failed)?;
        match entry {
            LedgerEntry::Charge(charge) => {
                let sql = "INSERT INTO followed_charges (region, node, sequence, tenant, task, window_id, burned) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0) ON CONFLICT DO NOTHING";
                let id = &charge.id;
                let parameters = params![region, node, head.entries, id.tenant.as_str(), id.task.as_str(), id.window.0];
                if connection.execute(sql, parameters).map_err(failed)? != 1 {
                    return Err(FollowError::ChargedTwice);
                }
            }
            LedgerEntry::Burn(sequence) => {
                // A release that was accepted is no open charge's.
                let sql = "UPDATE followed_charges AS charge SET burned = 1 \
                     WHERE region = ?1 AND node = ?2 AND sequence = ?3 AND burned = 0 AND NOT EXISTS ( \
                         SELECT * FROM releases WHERE releases.region = charge.region AND releases.node = charge.node \
                         AND releases.tenant = charge.tenant AND releases.task = charge.task \
                         AND releases.window_id = charge.window_id)";
                let sequence = i64::try_from(*sequence).map_err(|_| FollowError::NoCharge)?;
                if connection.execute(sql, params![region, node, sequence]).map_err(failed)? != 1 {
                    return Err(FollowError::NoCharge);
                }
            }
        }
    }
    Ok(())
}

/// Why the node's ledger speaks against the release, if it does.
pub(super) fn refusal(connection: &Connection, release: &VerifiedRelease) -> Result<Option<Acceptance>, StoreError> {
    let (region, node, sequence) = (&release.id().region, &release.id().node, release.sequence());
    let Some(pinned) = pinned(connection, region, node)? else { return Ok(Some(Acceptance::NotCharged)) };
    if pinned.ledger != release.ledger() {
        return Ok(Some(Acceptance::LedgerChanged));
    }
    if sequence <= pinned.last_sequence {
        return Ok(Some(Acceptance::SequenceRegress));
    }
    let Some(bytes) = entry(connection, region, node, sequence)? else { return Ok(Some(Acceptance::NotCharged)) };
    let entry = LedgerEntry::decode(&bytes).map_err(|_| StoreError::Corrupt)?;
    let LedgerEntry::Charge(charge) = entry else { return Ok(Some(Acceptance::NotCharged)) };
    let sql = "SELECT burned FROM followed_charges WHERE region = ?1 AND node = ?2 AND sequence = ?3";
    let parameters = params![region.as_str(), node.as_str(), sequence];
    if first(connection, sql, parameters, |row| column(row, "burned"))?.ok_or(StoreError::Corrupt)? {
        return Ok(Some(Acceptance::Burned));
    }
    Ok(release.check_charge(&charge).err().map(Acceptance::ChargeDiffers))
}

/// Notes that a release of this sequence was accepted.
pub(super) fn note_accepted(connection: &Connection, release: &VerifiedRelease) -> Result<(), StoreError> {
    let sql = "UPDATE followed_ledgers SET last_sequence = ?3 WHERE region = ?1 AND node = ?2";
    let parameters = params![release.id().region.as_str(), release.id().node.as_str(), release.sequence()];
    if connection.execute(sql, parameters).map_err(failed)? == 1 { Ok(()) } else { Err(StoreError::Corrupt) }
}
