//! The whole of a ledger, held against itself: what its entries say is what everything else must say.

use std::collections::BTreeMap;

use aggregator::release::{ChargeRecord, Head, LedgerEntry, StoreError};
use policies::Digest;
use rusqlite::{Connection, Row, params};

use super::columns::{column, digest, failed, parsed, release_id, rho};
use super::ledger;

/// In what a ledger contradicts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LedgerFault {
    /// Entries are numbered from 1 without gaps.
    #[error("entry {0} is missing")]
    Gap(u64),
    /// An entry is not in its one form.
    #[error("entry {0} is not well-formed")]
    Form(u64),
    /// An entry's head does not follow from the entries before it.
    #[error("the chain breaks at entry {0}: it or an earlier one was changed")]
    Chain(u64),
    /// The list of charges says something else than the entry, or has no such charge, or one more.
    #[error("charge {0} is listed as something else than its entry says")]
    Charge(u64),
    /// A burn of no open charge, or a charge that is burned without an entry.
    #[error("charge {0} is burned without a reason, or not burned in spite of one")]
    Burn(u64),
    /// The sums of a year are not those of the charges.
    #[error("the sums of the years are not those of the charges")]
    Sums,
    /// Time of a charge is not closed.
    #[error("time that was charged for is not closed")]
    Closed,
    /// The outbox holds other releases than the unsent ones, or other bytes.
    #[error("the outbox does not hold what is unsent")]
    Outbox,
    /// The kept checkpoint names no head of this chain: entries that the centre has seen are gone.
    #[error("the centre has confirmed {0} entries that do not stand here")]
    Checkpoint(u64),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A row of the list of charges.
struct Listed {
    record: ChargeRecord,
    state: String,
    digest: Option<Digest>,
}

/// What the chain says of a charge.
struct Said {
    record: ChargeRecord,
    burned: bool,
}

/// Checks every entry, every charge, every sum, the outbox and the kept checkpoint.
pub(in crate::store) fn examine(connection: &Connection) -> Result<Head, LedgerFault> {
    let (head, said) = chain(connection)?;
    charges(connection, &said)?;
    sums(connection, &said)?;
    closed(connection)?;
    outbox(connection)?;
    if let Some(kept) = ledger::checkpoint(connection)?
        && ledger::head_at(connection, kept.head.entries)? != Some(kept.head)
    {
        return Err(LedgerFault::Checkpoint(kept.head.entries));
    }
    Ok(head)
}

fn chain(connection: &Connection) -> Result<(Head, BTreeMap<u64, Said>), LedgerFault> {
    let mut standing = Head::empty(ledger::name(connection)?);
    let mut said = BTreeMap::new();
    let sql = "SELECT number, bytes, head FROM ledger_entries ORDER BY number";
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    let mut rows = statement.query(()).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let (number, bytes): (u64, Vec<u8>) = (column(row, "number")?, column(row, "bytes")?);
        if number != standing.entries + 1 {
            return Err(LedgerFault::Gap(standing.entries + 1));
        }
        let entry = LedgerEntry::decode(&bytes).map_err(|_| LedgerFault::Form(number))?;
        standing = standing.after(&bytes);
        if digest(row, "head")? != standing.digest {
            return Err(LedgerFault::Chain(number));
        }
        match entry {
            LedgerEntry::Charge(record) => {
                said.insert(number, Said { record, burned: false });
            }
            LedgerEntry::Burn(sequence) => match said.get_mut(&sequence) {
                Some(charge) if !charge.burned => charge.burned = true,
                _ => return Err(LedgerFault::Burn(sequence)),
            },
        }
    }
    Ok((standing, said))
}

fn charges(connection: &Connection, said: &BTreeMap<u64, Said>) -> Result<(), LedgerFault> {
    let mut expected = said.iter();
    let mut statement = connection.prepare_cached("SELECT * FROM charges ORDER BY sequence").map_err(failed)?;
    let mut rows = statement.query(()).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let sequence: u64 = column(row, "sequence")?;
        let Some((number, said)) = expected.next() else { return Err(LedgerFault::Charge(sequence)) };
        if sequence != *number {
            return Err(LedgerFault::Charge(sequence.min(*number)));
        }
        let listed = listed(row, &said.record)?;
        if listed.record != said.record {
            return Err(LedgerFault::Charge(sequence));
        }
        if (listed.state == "burned") != said.burned {
            return Err(LedgerFault::Burn(sequence));
        }
        if listed.digest.is_some() != matches!(listed.state.as_str(), "unsent" | "sent") {
            return Err(LedgerFault::Charge(sequence));
        }
    }
    expected.next().map_or(Ok(()), |(number, _)| Err(LedgerFault::Charge(*number)))
}

/// A row, with what only the entry says taken from there.
fn listed(row: &Row<'_>, said: &ChargeRecord) -> Result<Listed, LedgerFault> {
    let span = aggregator::release::Span { from_s: column(row, "from_s")?, until_s: column(row, "until_s")? };
    let year: u64 = column(row, "year")?;
    if year != span.year() {
        return Err(LedgerFault::Charge(column(row, "sequence")?));
    }
    let delta = policies::Delta::from_attos(column(row, "delta_attos")?).map_err(|_| StoreError::Corrupt)?;
    let record = ChargeRecord {
        id: release_id(row)?,
        span,
        purpose: parsed(row, "purpose")?,
        rho: rho(row, "rho_picos")?,
        delta,
        ..said.clone()
    };
    let has_bytes = column::<Option<Vec<u8>>>(row, "digest")?.is_some();
    let digest = has_bytes.then(|| digest(row, "digest")).transpose()?;
    Ok(Listed { record, state: column(row, "state")?, digest })
}

fn sums(connection: &Connection, said: &BTreeMap<u64, Said>) -> Result<(), LedgerFault> {
    let mut sums = BTreeMap::new();
    for Said { record, .. } in said.values() {
        let key = (record.id.tenant.as_str().to_owned(), record.span.year(), record.purpose.as_str().to_owned());
        let sum: &mut u64 = sums.entry(key).or_default();
        *sum = sum.checked_add(record.rho.picos()).ok_or(LedgerFault::Sums)?;
    }
    let mut statement = connection.prepare_cached("SELECT * FROM spent_years").map_err(failed)?;
    let mut rows = statement.query(()).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let key = (column(row, "tenant")?, column(row, "year")?, column(row, "purpose")?);
        if sums.remove(&key) != Some(column(row, "rho_picos")?) {
            return Err(LedgerFault::Sums);
        }
    }
    if sums.is_empty() { Ok(()) } else { Err(LedgerFault::Sums) }
}

fn closed(connection: &Connection) -> Result<(), LedgerFault> {
    let sql = "SELECT NOT EXISTS (SELECT * FROM charges LEFT JOIN closed_times AS closed USING (tenant) \
         WHERE coalesce(closed.until_s, 0) < charges.until_s)";
    holds(connection, sql, LedgerFault::Closed)
}

fn outbox(connection: &Connection) -> Result<(), LedgerFault> {
    let sql = "SELECT NOT EXISTS (SELECT sequence FROM charges WHERE state = 'unsent' EXCEPT SELECT sequence FROM outbox) \
         AND NOT EXISTS (SELECT sequence FROM outbox EXCEPT SELECT sequence FROM charges WHERE state = 'unsent')";
    holds(connection, sql, LedgerFault::Outbox)?;
    let sql = "SELECT digest, bytes FROM charges JOIN outbox USING (sequence) WHERE sequence > ?1";
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    let mut rows = statement.query(params![0]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        if digest(row, "digest")? != Digest::of(&column::<Vec<u8>>(row, "bytes")?) {
            return Err(LedgerFault::Outbox);
        }
    }
    Ok(())
}

fn holds(connection: &Connection, sql: &str, fault: LedgerFault) -> Result<(), LedgerFault> {
    let holds = connection.query_row(sql, (), |row| row.get::<_, bool>(0)).map_err(failed)?;
    if holds { Ok(()) } else { Err(fault) }
}
