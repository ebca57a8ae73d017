//! The verbs of a centre's models and of which one is current.

use aggregator::centre::store::{ModelEntry, ModelSummary, Pointer, PublishError};
use aggregator::log::ModelLogged;
use aggregator::release::StoreError;
use policies::{Digest, TenantId};
use rusqlite::{Connection, Row, params};

use super::columns::{all, column, digest, failed, first};
use super::log;

pub(in crate::store) fn publish(connection: &Connection, model: &ModelEntry) -> Result<Pointer, PublishError> {
    match digest_of(connection, &model.tenant, model.version)? {
        Some(kept) if kept == model.digest => {}
        Some(_) => return Err(PublishError::Conflict),
        None => {
            let sql = "INSERT INTO models (tenant, version, digest, frame, size, created_ms, bytes) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            let (tenant, digest, frame) = (model.tenant.as_str(), model.digest.as_bytes(), model.frame.as_bytes());
            let size = model.bytes.len();
            let parameters = params![tenant, model.version, digest, frame, size, model.created_ms, model.bytes];
            connection.execute(sql, parameters).map_err(failed)?;
        }
    }
    point(connection, &model.tenant, model.version, model.created_ms)
}

fn digest_of(connection: &Connection, tenant: &TenantId, version: u64) -> Result<Option<Digest>, StoreError> {
    let sql = "SELECT digest FROM models WHERE tenant = ?1 AND version = ?2";
    let parameters = params![tenant.as_str(), version];
    first(connection, sql, parameters, |row| digest(row, "digest"))
}

pub(in crate::store) fn point(
    connection: &Connection,
    tenant: &TenantId,
    version: u64,
    now_ms: u64,
) -> Result<Pointer, PublishError> {
    let digest = digest_of(connection, tenant, version)?.ok_or(PublishError::UnknownVersion)?;
    let last = pointer(connection, tenant)?.map_or(0, |pointer| pointer.serial);
    let serial = last.checked_add(1).ok_or(StoreError::Corrupt)?;
    let sql = "INSERT INTO pointers (tenant, version, serial) VALUES (?1, ?2, ?3) \
         ON CONFLICT DO UPDATE SET version = excluded.version, serial = excluded.serial";
    connection.execute(sql, params![tenant.as_str(), version, serial]).map_err(failed)?;
    let tenant = tenant.clone();
    log::model(connection, ModelLogged { tenant, version, digest, serial, logged_ms: now_ms })?;
    Ok(Pointer { version, digest, serial })
}

pub(in crate::store) fn pointer(connection: &Connection, tenant: &TenantId) -> Result<Option<Pointer>, StoreError> {
    let sql = "SELECT version, digest, serial FROM pointers JOIN models USING (tenant, version) WHERE tenant = ?1";
    let read = |row: &Row<'_>| {
        Ok(Pointer { version: column(row, "version")?, digest: digest(row, "digest")?, serial: column(row, "serial")? })
    };
    first(connection, sql, params![tenant.as_str()], read)
}

pub(in crate::store) fn artifact(
    connection: &Connection,
    tenant: &TenantId,
    version: u64,
) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT bytes FROM models WHERE tenant = ?1 AND version = ?2";
    let parameters = params![tenant.as_str(), version];
    first(connection, sql, parameters, |row| column(row, "bytes"))
}

pub(in crate::store) fn list(connection: &Connection, tenant: &TenantId) -> Result<Vec<ModelSummary>, StoreError> {
    let sql = "SELECT version, digest, frame, size, created_ms FROM models WHERE tenant = ?1 ORDER BY version";
    all(connection, sql, params![tenant.as_str()], |row| {
        Ok(ModelSummary {
            version: column(row, "version")?,
            digest: digest(row, "digest")?,
            frame: digest(row, "frame")?,
            bytes: column(row, "size")?,
            created_ms: column(row, "created_ms")?,
        })
    })
}
