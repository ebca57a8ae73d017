use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};

use aggregator::release::StoreError;
use rusqlite::Connection;

use super::*;
use crate::store::LedgerFault;

fn opened(file: &Path) -> Result<(), OpenError> {
    Store::open_sqlite(file).map(|_| ())
}

#[tokio::test]
async fn a_missing_file_is_an_error_and_stays_missing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state/ledger.sqlite");
    assert!(matches!(opened(&file), Err(OpenError::Missing)));
    assert!(!file.exists() && !folder.path().join("state").exists());
    drop(Store::create_sqlite(&file).unwrap());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(Store::open_sqlite(&file).unwrap().open().await, Err(StoreError::MissingLedger));
}

#[test]
fn an_empty_file_is_no_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("empty");
    fs::write(&file, "").unwrap();
    assert!(matches!(opened(&file), Err(OpenError::Missing)));
}

#[test]
fn what_another_program_wrote_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (text, database) = (folder.path().join("text"), folder.path().join("other"));
    fs::write(&text, "not a database, and longer than the header of one would be, which has a hundred bytes and more")
        .unwrap();
    assert!(matches!(opened(&text), Err(OpenError::Foreign)));
    Connection::open(&database).unwrap().execute_batch("CREATE TABLE theirs (a)").unwrap();
    for refused in [opened(&database), Store::create_sqlite(&database).map(|_| ())] {
        assert!(matches!(refused, Err(OpenError::Foreign)));
    }
}

#[test]
fn a_newer_version_is_left_alone() {
    let scratch = Scratch::new();
    let file = scratch.file();
    drop(scratch.store);
    Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(opened(&file), Err(OpenError::Newer)));
}

#[test]
fn two_processes_do_not_share_a_store() {
    let scratch = Scratch::new();
    assert!(matches!(opened(&scratch.file()), Err(OpenError::InUse)));
    scratch.reopen();
}

#[tokio::test]
async fn a_damaged_file_is_refused() {
    let scratch = Scratch::with_ledger().await;
    for window in 0..50 {
        let entry = without_year(entry(COUNTS, window, 1));
        charge(&scratch.store, entry).await.unwrap();
    }
    let file = scratch.file();
    drop(scratch.store);
    let writable = fs::OpenOptions::new().write(true).open(&file).unwrap();
    let pages = fs::metadata(&file).unwrap().len() / 4096;
    // Every page but the first, whose header alone would give it away.
    (1..pages).for_each(|page| writable.write_all_at(&[0xa5; 512], page * 4096).unwrap());
    assert!(matches!(opened(&file), Err(OpenError::Damaged)));
}

/// Every change that would give budget back is seen, and named, even where SQLite itself is content.
#[tokio::test]
async fn a_ledger_that_contradicts_itself_is_corrupt() {
    const FREE: &str = "PRAGMA foreign_keys = OFF; DROP TRIGGER charges_stay; DROP TRIGGER charges_stay_as_they_are; \
         DROP TRIGGER burned_charges_stay_burned; DROP TRIGGER entries_stay; DROP TRIGGER entries_stay_as_they_are; ";
    for (tampering, fault) in [
        ("UPDATE spent_years SET rho_picos = 0", LedgerFault::Sums),
        ("DELETE FROM spent_years", LedgerFault::Sums),
        ("INSERT INTO spent_years VALUES ('other', 'x', 0, 1)", LedgerFault::Sums),
        ("DELETE FROM charges WHERE sequence = 2", LedgerFault::Charge(2)),
        ("DELETE FROM charges WHERE sequence = 3", LedgerFault::Charge(3)),
        ("UPDATE charges SET rho_picos = 1 WHERE sequence = 3", LedgerFault::Charge(3)),
        ("UPDATE charges SET until_s = until_s - 1 WHERE sequence = 1", LedgerFault::Charge(1)),
        ("UPDATE charges SET year = 7 WHERE sequence = 1", LedgerFault::Charge(1)),
        ("UPDATE charges SET purpose = 'other' WHERE sequence = 1", LedgerFault::Charge(1)),
        ("UPDATE charges SET delta_attos = 1 WHERE sequence = 1", LedgerFault::Charge(1)),
        ("UPDATE charges SET state = 'open' WHERE sequence = 4", LedgerFault::Burn(4)),
        ("UPDATE charges SET state = 'burned', digest = NULL WHERE sequence = 1", LedgerFault::Burn(1)),
        ("UPDATE charges SET state = 'open' WHERE sequence = 1", LedgerFault::Charge(1)),
        ("DELETE FROM ledger_entries WHERE number = 5", LedgerFault::Burn(4)),
        ("DELETE FROM ledger_entries WHERE number = 2", LedgerFault::Gap(2)),
        ("UPDATE ledger_entries SET bytes = x'00' WHERE number = 2", LedgerFault::Form(2)),
        ("UPDATE ledger_entries SET head = zeroblob(32) WHERE number = 2", LedgerFault::Chain(2)),
        (
            "UPDATE ledger_entries SET bytes = (SELECT bytes FROM ledger_entries WHERE number = 1) WHERE number = 2",
            LedgerFault::Chain(2),
        ),
        ("UPDATE closed_times SET until_s = 1", LedgerFault::Closed),
        ("DELETE FROM closed_times", LedgerFault::Closed),
        ("DELETE FROM outbox", LedgerFault::Outbox),
        ("UPDATE outbox SET bytes = x'00'", LedgerFault::Outbox),
        ("INSERT INTO kept_checkpoint VALUES (1, 6, zeroblob(32), '')", LedgerFault::Checkpoint(6)),
        ("INSERT INTO kept_checkpoint VALUES (1, 5, zeroblob(32), '')", LedgerFault::Checkpoint(5)),
        ("UPDATE ledger SET id = zeroblob(16)", LedgerFault::Chain(1)),
    ] {
        let scratch = Scratch::with_ledger().await;
        for (window, sequence) in [(5, 1), (6, 2), (7, 3)] {
            charge(&scratch.store, entry(COUNTS, window, 10)).await.unwrap();
            scratch.store.persist_noised(noised(COUNTS, window, sequence, b"a")).await.unwrap();
        }
        charge(&scratch.store, entry(COUNTS, 8, 10)).await.unwrap();
        scratch.store.burn_open_charges().await.unwrap();
        assert_eq!(entries(&scratch.store).await, Ok(5));
        let file = scratch.file();
        drop(scratch.store);
        Connection::open(&file).unwrap().execute_batch(&format!("{FREE}{tampering}")).unwrap();
        let store = Store::open_sqlite(&file).unwrap();
        assert_eq!(store.open().await, Err(StoreError::Corrupt), "{tampering}");
        assert_eq!(store.examine_ledger().await, Err(fault), "{tampering}");
    }
}

#[tokio::test]
async fn a_ledger_without_times_is_left_as_it_is() {
    let scratch = Scratch::new();
    let file = scratch.folder.path().join("earlier.sqlite");
    let schema = [include_str!("../sqlite/schema/001.sql"), include_str!("../sqlite/schema/002.sql")].concat();
    let connection = Connection::open(&file).unwrap();
    connection.execute_batch(&schema).unwrap();
    connection.pragma_update(None, "application_id", 0x5349_5741).unwrap();
    connection.pragma_update(None, "user_version", 2).unwrap();
    connection.execute("INSERT INTO ledger VALUES (1, zeroblob(16), 1)", ()).unwrap();
    let charge = "INSERT INTO charges VALUES (1, 'demo', 'item-counts', 'eu-west', 'node-1', 5, 'ranking', \
         'viewer-window', 1, 10, 1e-6, 'burned', NULL)";
    connection.execute(charge, ()).unwrap();
    drop(connection);
    assert!(matches!(opened(&file), Err(OpenError::EarlierLedger)));
    let connection = Connection::open(&file).unwrap();
    let kept = |sql| connection.query_row(sql, (), |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!((kept("SELECT count(*) FROM charges"), kept("PRAGMA user_version")), (1, 2));
    // One that was never charged keeps its name.
    connection.execute_batch("DROP TRIGGER charges_stay; DELETE FROM charges").unwrap();
    drop(connection);
    let state = Store::open_sqlite(&file).unwrap().open().await.unwrap();
    assert_eq!((state.id, state.head), (LedgerId([0; 16]), Head::empty(LedgerId([0; 16]))));
}

#[tokio::test]
async fn charges_are_never_deleted_changed_or_revived() {
    let scratch = Scratch::with_ledger().await;
    charge(&scratch.store, entry(COUNTS, 5, 10)).await.unwrap();
    scratch.store.burn_open_charges().await.unwrap();
    let file = scratch.file();
    drop(scratch.store);
    let connection = Connection::open(&file).unwrap();
    for (statement, refusal) in [
        ("DELETE FROM charges", "a charge is never deleted"),
        ("UPDATE charges SET rho_picos = 0", "a charge is never changed"),
        ("UPDATE charges SET state = 'open'", "a burned charge stays burned"),
        ("DELETE FROM ledger_entries", "an entry is never deleted"),
        ("UPDATE ledger_entries SET bytes = x''", "an entry is never changed"),
    ] {
        assert_eq!(connection.execute_batch(statement).unwrap_err().to_string(), refusal);
    }
}

#[tokio::test]
async fn bytes_that_the_disk_changed_are_not_sent() {
    let scratch = Scratch::with_ledger().await;
    charge(&scratch.store, entry(COUNTS, 5, 10)).await.unwrap();
    scratch.store.persist_noised(noised(COUNTS, 5, 1, b"abc")).await.unwrap();
    let file = scratch.file();
    drop(scratch.store);
    Connection::open(&file).unwrap().execute("UPDATE outbox SET bytes = x'616264'", ()).unwrap();
    assert_eq!(Store::open_sqlite(&file).unwrap().unsent(0, 1).await, Err(StoreError::Corrupt));
}
