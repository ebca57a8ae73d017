//! The log against real files, real stores and real sockets.

mod publisher;
mod reader;
mod watch;
mod witnesses;

use std::path::Path;

use tempfile::TempDir;

use super::testing::{keys, model, options};
use super::*;
use crate::store::Store;

/// A store with this many pointers in its log.
async fn store_of(folder: &Path, entries: u64) -> Store {
    let store = Store::create_sqlite(&folder.join(format!("store-{entries}.sqlite"))).unwrap();
    store.log_append_all((1..=entries).map(model).collect()).await.unwrap();
    store
}

/// A published log of so many pointers.
async fn published(entries: u64) -> (TempDir, Publisher, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = store_of(folder.path(), entries).await;
    let publisher = Publisher::open(options(folder.path().join("log")), store.clone()).await.unwrap();
    assert_eq!(publisher.publish().await.unwrap(), entries);
    (folder, publisher, store)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}
