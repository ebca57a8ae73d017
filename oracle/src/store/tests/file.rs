use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};

use aggregator::release::StoreError;
use rusqlite::Connection;

use super::*;

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
        let entry = ChargeEntry { year_limit: Rho::MAX, ..entry(COUNTS, window, 1) };
        scratch.store.commit_charge(entry).await.unwrap();
    }
    let file = scratch.file();
    drop(scratch.store);
    let writable = fs::OpenOptions::new().write(true).open(&file).unwrap();
    let pages = fs::metadata(&file).unwrap().len() / 4096;
    // Every page but the first, whose header alone would give it away.
    (1..pages).for_each(|page| writable.write_all_at(&[0xa5; 512], page * 4096).unwrap());
    assert!(matches!(opened(&file), Err(OpenError::Damaged)));
}

/// Every change that would give budget back is seen, even where SQLite itself is content.
#[tokio::test]
async fn a_ledger_that_contradicts_itself_is_corrupt() {
    for tampering in [
        "UPDATE spent_years SET rho_picos = 0",
        "DELETE FROM spent_years",
        "UPDATE ledger SET last_sequence = 0",
        "DROP TRIGGER charges_stay; PRAGMA foreign_keys = OFF; DELETE FROM charges WHERE sequence = 2",
        "DROP TRIGGER charges_stay_as_they_are; UPDATE charges SET rho_picos = 1",
        "DELETE FROM outbox",
    ] {
        let scratch = Scratch::with_ledger().await;
        for (window, sequence) in [(5, 1), (6, 2), (7, 3)] {
            scratch.store.commit_charge(entry(COUNTS, window, 10)).await.unwrap();
            scratch.store.persist_noised(noised(COUNTS, window, sequence, b"a")).await.unwrap();
        }
        let file = scratch.file();
        drop(scratch.store);
        Connection::open(&file).unwrap().execute_batch(tampering).unwrap();
        assert_eq!(Store::open_sqlite(&file).unwrap().open().await, Err(StoreError::Corrupt), "{tampering}");
    }
}

#[tokio::test]
async fn charges_are_never_deleted_changed_or_revived() {
    let scratch = Scratch::with_ledger().await;
    scratch.store.commit_charge(entry(COUNTS, 5, 10)).await.unwrap();
    scratch.store.burn_open_charges().await.unwrap();
    let file = scratch.file();
    drop(scratch.store);
    let connection = Connection::open(&file).unwrap();
    for (statement, refusal) in [
        ("DELETE FROM charges", "a charge is never deleted"),
        ("UPDATE charges SET rho_picos = 0", "a charge is never changed"),
        ("UPDATE charges SET state = 'open'", "a burned charge stays burned"),
    ] {
        assert_eq!(connection.execute_batch(statement).unwrap_err().to_string(), refusal);
    }
}

#[tokio::test]
async fn bytes_that_the_disk_changed_are_not_sent() {
    let scratch = Scratch::with_ledger().await;
    scratch.store.commit_charge(entry(COUNTS, 5, 10)).await.unwrap();
    scratch.store.persist_noised(noised(COUNTS, 5, 1, b"abc")).await.unwrap();
    let file = scratch.file();
    drop(scratch.store);
    Connection::open(&file).unwrap().execute("UPDATE outbox SET bytes = x'616264'", ()).unwrap();
    assert_eq!(Store::open_sqlite(&file).unwrap().unsent(0, 1).await, Err(StoreError::Corrupt));
}
