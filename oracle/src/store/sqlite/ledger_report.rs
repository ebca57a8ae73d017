//! What a ledger has spent, for whoever asks: of a file that nobody writes, or of a running node's.

use std::path::Path;

use aggregator::release::store::KeptCheckpoint;
use aggregator::release::{Head, LedgerId};
use policies::Digest;
use rusqlite::{Connection, OpenFlags, Row, params};
use serde::{Deserialize, Serialize};

use super::columns::{all, column, digest, failed, first, ledger_id};
use super::ledger_check::{LedgerFault, examine};
use super::{OpenError, ledger, open};
use aggregator::release::StoreError;

/// Rows of a report at most: the latest ones.
const ROWS_MAX: usize = 50_000;

/// What stands in a ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LedgerReport {
    /// Its name.
    pub(crate) ledger: LedgerId,
    /// Entries, charges and burns together.
    pub(crate) entries: u64,
    /// What names them all.
    pub(crate) head: Digest,
    /// How many of them the centre has confirmed, as far as the node knows.
    pub(crate) confirmed: Option<u64>,
    /// Charges that were burned.
    pub(crate) burned: u64,
    /// Releases that wait to be sent.
    pub(crate) unsent: u64,
    /// What was spent, by tenant, purpose and time; the latest first.
    pub(crate) spent: Vec<SpentRow>,
}

/// What one purpose of a tenant has spent on one window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SpentRow {
    pub(crate) tenant: String,
    pub(crate) purpose: String,
    /// The budget year.
    pub(crate) year: u64,
    /// Unix seconds.
    pub(crate) from_s: u64,
    /// Unix seconds, excluded.
    pub(crate) until_s: u64,
    pub(crate) releases: u64,
    /// ρ in 10⁻¹².
    pub(crate) rho_picos: u64,
    /// δ in 10⁻¹⁸.
    pub(crate) delta_attos: u64,
}

/// Reads the report.
pub(in crate::store) fn report(connection: &Connection) -> Result<LedgerReport, StoreError> {
    let (id, head) = (ledger::name(connection)?, ledger::head(connection)?);
    let count = |state: &str| {
        let sql = "SELECT count(*) AS n FROM charges WHERE state = ?1";
        first(connection, sql, params![state], |row| column::<u64>(row, "n"))
    };
    let sql = "SELECT tenant, purpose, year, from_s, until_s, count(*) AS releases, sum(rho_picos) AS rho, \
         sum(delta_attos) AS delta FROM charges GROUP BY tenant, purpose, from_s, until_s \
         ORDER BY from_s DESC, tenant, purpose LIMIT ?1";
    let spent = all(connection, sql, params![ROWS_MAX], |row: &Row<'_>| {
        Ok(SpentRow {
            tenant: column(row, "tenant")?,
            purpose: column(row, "purpose")?,
            year: column(row, "year")?,
            from_s: column(row, "from_s")?,
            until_s: column(row, "until_s")?,
            releases: column(row, "releases")?,
            rho_picos: column(row, "rho")?,
            delta_attos: column(row, "delta")?,
        })
    })?;
    Ok(LedgerReport {
        ledger: id,
        entries: head.entries,
        head: head.digest,
        confirmed: ledger::checkpoint(connection)?.map(|kept| kept.head.entries),
        burned: count("burned")?.unwrap_or_default(),
        unsent: count("unsent")?.unwrap_or_default(),
        spent,
    })
}

/// A store's file that is only read.
pub(crate) struct LedgerFile(Connection);

impl LedgerFile {
    /// Opens a file that no process has open; nothing of it is changed.
    pub(crate) fn open(file: &Path) -> Result<Self, OpenError> {
        if !file.exists() {
            return Err(OpenError::Missing);
        }
        let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        open::check_version(&connection)?;
        Ok(Self(connection))
    }

    /// What stands in it.
    pub(crate) fn report(&self) -> Result<LedgerReport, StoreError> {
        report(&self.0)
    }

    /// Holds the whole ledger against itself and against the kept checkpoint.
    pub(crate) fn examine(&self) -> Result<Head, LedgerFault> {
        examine(&self.0)
    }

    /// The last checkpoint that was kept.
    pub(crate) fn checkpoint(&self) -> Result<Option<KeptCheckpoint>, StoreError> {
        ledger::checkpoint(&self.0)
    }

    /// Where the ledger stood after so many entries.
    pub(crate) fn head_at(&self, entries: u64) -> Result<Option<Head>, StoreError> {
        ledger::head_at(&self.0, entries)
    }

    /// Of a centre's file: how far it followed this ledger.
    pub(crate) fn followed(&self, ledger: LedgerId) -> Result<Option<Head>, StoreError> {
        let sql = "SELECT ledger, region, node FROM followed_ledgers WHERE ledger = ?1";
        let named = first(&self.0, sql, params![ledger.0], |row| {
            ledger_id(row, "ledger")?;
            Ok((column::<String>(row, "region")?, column::<String>(row, "node")?))
        })?;
        let Some((region, node)) = named else { return Ok(None) };
        let sql =
            "SELECT number, head FROM followed_entries WHERE region = ?1 AND node = ?2 ORDER BY number DESC LIMIT 1";
        let mut statement = self.0.prepare(sql).map_err(failed)?;
        let mut rows = statement.query(params![region, node]).map_err(failed)?;
        let Some(row) = rows.next().map_err(failed)? else { return Ok(Some(Head::empty(ledger))) };
        Ok(Some(Head { entries: column(row, "number")?, digest: digest(row, "head")? }))
    }
}
