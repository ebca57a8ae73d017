//! The verbs of accounts and invites. Each runs inside a savepoint of the writer.

use aggregator::release::StoreError;
use attest::Pseudonym;
use policies::{Digest, TenantId};
use rusqlite::{Connection, Row, params};

use super::columns::{array, column, failed, first, parsed};
use super::tokens;
use crate::store::identity::{Account, Gate, Invite, LoginRecord, Registered};

pub(in crate::store) fn register(
    connection: &Connection,
    account: &Account,
    gate: &Gate,
) -> Result<Registered, StoreError> {
    let invited = match gate {
        Gate::Open => None,
        Gate::Invite { digest, now_s } => match take_invite(connection, &account.tenant, digest, *now_s)? {
            None => return Ok(Registered::NotInvited),
            claims => claims,
        },
        Gate::Token { token, now_ms } if !tokens::spend(connection, *token, *now_ms)? => {
            return Ok(Registered::TokenSpent);
        }
        Gate::Token { .. } => None,
    };
    let claims = invited.as_ref().unwrap_or(&account.claims);
    // An account that exists is written as it was: a commit that writes nothing would be faster, and tell that it exists.
    let sql = "INSERT INTO accounts (credential_id, tenant, subject, record, claims) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (credential_id) DO UPDATE SET record = record";
    let (tenant, subject) = (account.tenant.as_str(), account.subject.as_bytes());
    let parameters = params![account.credential_id, tenant, subject, account.record, claims];
    connection.prepare_cached(sql).and_then(|mut insert| insert.execute(parameters)).map_err(failed)?;
    Ok(Registered::Accepted)
}

fn take_invite(
    connection: &Connection,
    tenant: &TenantId,
    digest: &Digest,
    now_s: u64,
) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "DELETE FROM invites WHERE digest = ?1 AND tenant = ?2 AND expires_s > ?3 RETURNING claims";
    first(connection, sql, params![digest.as_bytes(), tenant.as_str(), now_s], |row| column(row, "claims"))
}

fn read(row: &Row<'_>) -> Result<Account, StoreError> {
    Ok(Account {
        credential_id: array(row, "credential_id")?,
        tenant: parsed(row, "tenant")?,
        subject: Pseudonym::from_bytes(array(row, "subject")?),
        record: column(row, "record")?,
        claims: column(row, "claims")?,
    })
}

/// One row is found and read in any case: that of the name, or nobody's.
pub(in crate::store) fn by_name(
    connection: &Connection,
    credential_id: [u8; 32],
) -> Result<Option<LoginRecord>, StoreError> {
    let sql = "SELECT credential_id, subject, record FROM accounts WHERE credential_id = \
         coalesce((SELECT credential_id FROM accounts WHERE credential_id = ?1), zeroblob(32))";
    let found = first(connection, sql, params![credential_id], |row| {
        let subject = Pseudonym::from_bytes(array(row, "subject")?);
        Ok((array(row, "credential_id")?, LoginRecord { subject, record: column(row, "record")? }))
    })?;
    let (name, record): ([u8; 32], _) = found.ok_or(StoreError::Corrupt)?;
    Ok((name == credential_id).then_some(record))
}

pub(in crate::store) fn by_subject(
    connection: &Connection,
    tenant: &TenantId,
    subject: &Pseudonym,
) -> Result<Option<Account>, StoreError> {
    let sql = "SELECT * FROM accounts WHERE tenant = ?1 AND subject = ?2";
    first(connection, sql, params![tenant.as_str(), subject.as_bytes()], read)
}

pub(in crate::store) fn erase(
    connection: &Connection,
    tenant: &TenantId,
    subject: &Pseudonym,
) -> Result<bool, StoreError> {
    let sql = "DELETE FROM accounts WHERE tenant = ?1 AND subject = ?2";
    Ok(connection.execute(sql, params![tenant.as_str(), subject.as_bytes()]).map_err(failed)? == 1)
}

pub(in crate::store) fn invite(
    connection: &Connection,
    invite: &Invite,
    invites_max: u32,
    now_s: u64,
) -> Result<bool, StoreError> {
    connection.execute("DELETE FROM invites WHERE expires_s <= ?1", params![now_s]).map_err(failed)?;
    let sql = "INSERT INTO invites (digest, tenant, claims, expires_s) SELECT ?1, ?2, ?3, ?4 \
         WHERE (SELECT count(*) FROM invites WHERE tenant = ?2) < ?5";
    let (digest, tenant) = (invite.digest.as_bytes(), invite.tenant.as_str());
    let parameters = params![digest, tenant, invite.claims, invite.expires_s, invites_max];
    Ok(connection.execute(sql, parameters).map_err(failed)? == 1)
}
