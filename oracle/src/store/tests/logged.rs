//! What is logged is logged with what it speaks of, or neither is.

use aggregator::centre::CentreStore as _;
use aggregator::centre::store::{ModelEntry, PublishError};
use aggregator::log::{KeyEpochLogged, LogEntry, ModelLogged};
use policies::Digest;

use super::*;
use crate::store::log::{BringError, BroughtEpochs};

fn model(version: u64) -> ModelEntry {
    ModelEntry {
        tenant: tenant("demo"),
        version,
        digest: Digest::of(&[1]),
        frame: Digest::of(b"frame"),
        bytes: vec![1],
        created_ms: 1000 + version,
    }
}

fn logged(version: u64, serial: u64, logged_ms: u64) -> LogEntry {
    LogEntry::Model(ModelLogged { tenant: tenant("demo"), version, digest: Digest::of(&[1]), serial, logged_ms })
}

async fn entries(store: &Store) -> Vec<LogEntry> {
    let bytes = store.log_entries(0, 100).await.unwrap();
    bytes.iter().map(|entry| LogEntry::decode(entry).unwrap()).collect()
}

#[tokio::test]
async fn every_pointer_is_logged_and_a_refused_one_is_not() {
    let scratch = Scratch::new();
    let (store, demo) = (&scratch.store, tenant("demo"));
    assert_eq!(store.log_size().await, Ok(0));
    store.publish_model(model(1)).await.unwrap();
    store.publish_model(model(2)).await.unwrap();
    assert_eq!(store.point_model(&demo, 3, 7).await, Err(PublishError::UnknownVersion));
    let other = ModelEntry { digest: Digest::of(b"other"), ..model(2) };
    assert_eq!(store.publish_model(other).await, Err(PublishError::Conflict));
    store.point_model(&demo, 1, 7).await.unwrap();
    let expected = vec![logged(1, 1, 1001), logged(2, 2, 1002), logged(1, 3, 7)];
    assert_eq!(entries(store).await, expected);
    assert_eq!(store.logged_model(&demo, 2).await, Ok(Some((1, expected[1].encode()))));
    assert_eq!(store.logged_model(&demo, 4).await, Ok(None));
    let scratch = scratch.reopen();
    assert_eq!(entries(&scratch.store).await, expected);
    assert_eq!(scratch.store.log_entries(1, 1).await, Ok(vec![expected[1].encode()]));
    assert_eq!(scratch.store.log_entries(3, 9).await, Ok(vec![]));
}

#[tokio::test]
async fn pointers_of_before_there_was_a_log_are_logged_once() {
    let Scratch { folder, store } = Scratch::new();
    store.publish_model(model(1)).await.unwrap();
    drop(store);
    let file = folder.path().join("store.sqlite");
    let raw = rusqlite::Connection::open(&file).unwrap();
    raw.execute_batch("DELETE FROM logged_models; DELETE FROM log_entries;").unwrap();
    drop(raw);
    let store = Store::open_sqlite(&file).unwrap();
    for _ in 0..2 {
        store.log_earlier_pointers(99).await.unwrap();
        assert_eq!(entries(&store).await, [logged(1, 1, 99)]);
    }
}

#[tokio::test]
async fn key_epochs_are_logged_once_in_their_order() {
    let scratch = Scratch::new();
    let digest = |number: u32| Digest::of(&number.to_be_bytes());
    let brought = |first, statements: &[Digest]| BroughtEpochs {
        region: "eu-west".parse().unwrap(),
        node: "node-1".parse().unwrap(),
        issuer: "https://eu-west.example".to_owned(),
        first,
        statements: statements.to_vec(),
    };
    let bring = async |first, statements: &[Digest]| scratch.store.bring_epochs(brought(first, statements), 9).await;
    assert_eq!(bring(0, &[]).await, Ok(0));
    assert_eq!(bring(1, &[digest(1)]).await, Err(BringError::Gap));
    assert_eq!(bring(0, &[digest(0), digest(1)]).await, Ok(2));
    assert_eq!(bring(0, &[digest(0), digest(1), digest(2)]).await, Ok(3), "what is known stays");
    assert_eq!(bring(1, &[digest(7)]).await, Err(BringError::Conflict));
    assert_eq!(bring(3, &[digest(3), digest(4)]).await, Ok(5));
    assert_eq!(bring(2, &[digest(2), digest(9)]).await, Err(BringError::Conflict), "all of it or nothing");
    let of_another = BroughtEpochs { region: "us-east".parse().unwrap(), ..brought(0, &[digest(7)]) };
    assert_eq!(scratch.store.bring_epochs(of_another, 9).await, Ok(1));
    let entries = entries(&scratch.store).await;
    assert_eq!(entries.len(), 6);
    let expected = KeyEpochLogged {
        region: "eu-west".parse().unwrap(),
        node: "node-1".parse().unwrap(),
        issuer: "https://eu-west.example".to_owned(),
        number: 4,
        statement: digest(4),
        logged_ms: 9,
    };
    assert_eq!(entries[4], LogEntry::KeyEpoch(expected));
}

#[tokio::test]
async fn a_node_keeps_what_it_has_seen() {
    let scratch = Scratch::new();
    let (store, demo) = (&scratch.store, tenant("demo"));
    assert_eq!(store.checkpoint_seen("key".to_owned()).await, Ok(None));
    assert_eq!(store.serial_seen(&demo).await, Ok(0));
    for (note, serial) in [(b"one", 5), (b"two", 4)] {
        store.keep_checkpoint_seen("key".to_owned(), note.to_vec()).await.unwrap();
        store.keep_serial(&demo, serial).await.unwrap();
    }
    let scratch = scratch.reopen();
    assert_eq!(scratch.store.checkpoint_seen("key".to_owned()).await, Ok(Some(b"two".to_vec())));
    assert_eq!(scratch.store.checkpoint_seen("other".to_owned()).await, Ok(None));
    assert_eq!(scratch.store.serial_seen(&demo).await, Ok(5), "the highest");
}
