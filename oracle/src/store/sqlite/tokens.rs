//! The verbs of anonymous tokens: how many were issued, and which were spent. Each runs inside a savepoint of the writer.

use aggregator::release::StoreError;
use attest::Pseudonym;
use policies::TenantId;
use rusqlite::{Connection, params};

use super::columns::{column, failed, first};
use crate::store::identity::{IssuanceWindow, Reservation, Reserved, TokenName};

fn changed(connection: &Connection, sql: &str, parameters: impl rusqlite::Params) -> Result<bool, StoreError> {
    let changed = connection.prepare_cached(sql).and_then(|mut statement| statement.execute(parameters));
    Ok(changed.map_err(failed)? == 1)
}

pub(in crate::store) fn count(
    connection: &Connection,
    tenant: &TenantId,
    subject: &Pseudonym,
    tokens: u32,
    window: IssuanceWindow,
) -> Result<bool, StoreError> {
    if tokens == 0 || tokens > window.tokens_max {
        return Ok(false);
    }
    let sql = "INSERT INTO issued_tokens (tenant, subject, window_id, tokens) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT DO UPDATE SET tokens = tokens + excluded.tokens WHERE tokens + excluded.tokens <= ?5";
    let parameters = params![tenant.as_str(), subject.as_bytes(), window.window, tokens, window.tokens_max];
    changed(connection, sql, parameters)
}

pub(in crate::store) fn uncount(
    connection: &Connection,
    tenant: &TenantId,
    subject: &Pseudonym,
    tokens: u32,
    window: IssuanceWindow,
) -> Result<(), StoreError> {
    let parameters = params![tenant.as_str(), subject.as_bytes(), window.window, tokens];
    let of = "WHERE tenant = ?1 AND subject = ?2 AND window_id = ?3 AND tokens";
    // A row says that something was issued: where nothing remains, it goes.
    if !changed(connection, &format!("UPDATE issued_tokens SET tokens = tokens - ?4 {of} > ?4"), parameters)? {
        changed(connection, &format!("DELETE FROM issued_tokens {of} = ?4"), parameters)?;
    }
    Ok(())
}

pub(in crate::store) fn forget_counts(connection: &Connection, window: u64) -> Result<(), StoreError> {
    changed(connection, "DELETE FROM issued_tokens WHERE window_id < ?1", params![window]).map(|_| ())
}

/// A token that is spent has no reservation; one that is reserved may be taken over when its time has run out.
pub(in crate::store) fn spend(connection: &Connection, token: TokenName, now_ms: u64) -> Result<bool, StoreError> {
    let sql = "INSERT INTO spent_tokens (key_id, nonce) VALUES (?1, ?2) \
         ON CONFLICT DO UPDATE SET reservation = NULL, reserved_until_ms = NULL WHERE reserved_until_ms <= ?3";
    changed(connection, sql, params![token.key_id, token.nonce, now_ms])
}

pub(in crate::store) fn reserve(
    connection: &Connection,
    reservation: Reservation,
    now_ms: u64,
) -> Result<Reserved, StoreError> {
    let sql = "INSERT INTO spent_tokens (key_id, nonce, reservation, reserved_until_ms) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT DO UPDATE SET reservation = excluded.reservation, reserved_until_ms = excluded.reserved_until_ms \
         WHERE reserved_until_ms <= ?5";
    let Reservation { token, name, until_ms } = reservation;
    if changed(connection, sql, params![token.key_id, token.nonce, name, until_ms, now_ms])? {
        return Ok(Reserved::Yes);
    }
    let sql = "SELECT reservation IS NULL AS spent FROM spent_tokens WHERE key_id = ?1 AND nonce = ?2";
    match first(connection, sql, params![token.key_id, token.nonce], |row| column::<bool>(row, "spent"))? {
        Some(false) => Ok(Reserved::Held),
        Some(true) => Ok(Reserved::Spent),
        None => Err(StoreError::Corrupt),
    }
}

pub(in crate::store) fn settle(
    connection: &Connection,
    reservation: Reservation,
    spend: bool,
) -> Result<bool, StoreError> {
    let sql = if spend {
        "UPDATE spent_tokens SET reservation = NULL, reserved_until_ms = NULL \
         WHERE key_id = ?1 AND nonce = ?2 AND reservation = ?3"
    } else {
        "DELETE FROM spent_tokens WHERE key_id = ?1 AND nonce = ?2 AND reservation = ?3"
    };
    changed(connection, sql, params![reservation.token.key_id, reservation.token.nonce, reservation.name])
}

pub(in crate::store) fn forget(connection: &Connection, key_id: [u8; 32]) -> Result<(), StoreError> {
    changed(connection, "DELETE FROM spent_tokens WHERE key_id = ?1", params![key_id]).map(|_| ())
}
