use std::sync::mpsc;

use aggregator::release::StoreError;
use aggregator::release::store::{CommitError, Spent};
use tokio::task::JoinSet;

use super::*;
use crate::store::sqlite::Sqlite;

fn sqlite(store: &Store) -> Sqlite {
    match store {
        Store::Sqlite(sqlite) => sqlite.clone(),
    }
}

/// Holds the writer inside a verb until the sender is used or dropped. Returns once it is held.
async fn hold(store: &Store, tasks: &mut JoinSet<()>) -> mpsc::SyncSender<()> {
    let (release, released) = mpsc::sync_channel(1);
    let (entered, inside) = tokio::sync::oneshot::channel();
    let sqlite = sqlite(store);
    tasks.spawn(async move {
        let wait = move |_: &rusqlite::Connection| {
            entered.send(()).unwrap();
            let _ = released.recv();
            Ok::<(), StoreError>(())
        };
        sqlite.run(wait).await.unwrap();
    });
    inside.await.unwrap();
    release
}

/// Lets everything spawned put its verb in the queue: each turn runs at least one ready task of this thread's runtime,
/// and no test has more than 300.
async fn settle() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_tasks_never_pass_one_budget() {
    let scratch = Scratch::with_ledger().await;
    let mut tasks = JoinSet::new();
    for window in 0..64 {
        let store = scratch.store.clone();
        let mut entry = entry(COUNTS, window, 1);
        entry.limits.year = rho(10);
        tasks.spawn(async move { charge(&store, entry).await });
    }
    let results = tasks.join_all().await;
    let mut sequences: Vec<_> = results.iter().filter_map(|result| result.ok()).collect();
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=10).collect::<Vec<u64>>());
    assert_eq!(results.iter().filter(|result| **result == Err(CommitError::OverYearBudget)).count(), 54);
    let spent = Spent { year: rho(10), ..Spent::default() };
    let span = Span { from_s: second(999), until_s: second(1000) };
    assert_eq!(scratch.store.spent(&tenant("demo"), None, span).await, Ok(spent));
}

#[tokio::test]
async fn what_waits_together_is_committed_together() {
    let scratch = Scratch::with_ledger().await;
    let mut held = JoinSet::new();
    let release = hold(&scratch.store, &mut held).await;
    let before = scratch.store.commits();
    let mut tasks = JoinSet::new();
    for window in 0..10 {
        let store = scratch.store.clone();
        tasks.spawn(async move { charge(&store, entry(COUNTS, window, 1)).await });
    }
    settle().await;
    drop(release);
    held.join_all().await;
    let sequences = tasks.join_all().await;
    assert_eq!(sequences.iter().filter(|sequence| sequence.is_ok()).count(), 10);
    assert_eq!(scratch.store.commits() - before, 2, "the verb that was held, then ten at once");
}

#[tokio::test]
async fn a_refused_verb_leaves_its_group_as_it_was() {
    let scratch = Scratch::with_ledger().await;
    let mut held = JoinSet::new();
    let release = hold(&scratch.store, &mut held).await;
    let store = scratch.store.clone();
    let half = tokio::spawn(async move {
        let verb = |connection: &rusqlite::Connection| {
            connection.execute("UPDATE ledger SET id = zeroblob(16)", ()).map_err(|_| StoreError::Corrupt)?;
            Err::<(), _>(StoreError::Busy)
        };
        sqlite(&store).run(verb).await
    });
    settle().await;
    let store = scratch.store.clone();
    let after = tokio::spawn(async move { charge(&store, entry(COUNTS, 5, 1)).await });
    settle().await;
    drop(release);
    assert_eq!(half.await.unwrap(), Err(StoreError::Busy));
    assert_eq!(after.await.unwrap(), Ok(1));
    held.join_all().await;
}

#[tokio::test]
async fn a_full_queue_refuses_and_loses_nothing() {
    let scratch = Scratch::with_ledger().await;
    let mut held = JoinSet::new();
    let release = hold(&scratch.store, &mut held).await;
    let mut tasks = JoinSet::new();
    for window in 0..300 {
        let store = scratch.store.clone();
        let entry = without_year(entry(COUNTS, window, 1));
        tasks.spawn(async move { charge(&store, entry).await });
    }
    settle().await;
    drop(release);
    let results = tasks.join_all().await;
    let busy = results.iter().filter(|result| **result == Err(StoreError::Busy.into())).count();
    let charged = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!((busy, charged), (300 - 256, 256));
    held.join_all().await;
    assert_eq!(entries(&scratch.store).await, Ok(256));
}

#[tokio::test]
async fn a_verb_whose_caller_went_away_is_done_all_the_same() {
    let scratch = Scratch::with_ledger().await;
    let mut held = JoinSet::new();
    let release = hold(&scratch.store, &mut held).await;
    let store = scratch.store.clone();
    let gone = tokio::spawn(async move { charge(&store, entry(COUNTS, 5, 1)).await });
    settle().await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    drop(release);
    assert_eq!(charge(&scratch.store, entry(COUNTS, 5, 1)).await, Err(CommitError::AlreadyCharged));
    held.join_all().await;
}

/// SQLite gives a transaction up when the disk is full. Whoever was told of success before that must be right.
#[tokio::test]
async fn a_full_disk_refuses_and_undoes() {
    let scratch = Scratch::with_ledger().await;
    let limit = |pages: u32| {
        let sqlite = sqlite(&scratch.store);
        let verb = move |connection: &rusqlite::Connection| {
            let set = format!("PRAGMA max_page_count = {pages}");
            connection.query_row(&set, (), |row| row.get::<_, u32>(0)).map_err(|_| StoreError::Corrupt)
        };
        async move { sqlite.run(verb).await }
    };
    // Below what there is, SQLite takes what there is: no page more.
    let pages = limit(1).await.unwrap();
    let mut held = JoinSet::new();
    let release = hold(&scratch.store, &mut held).await;
    let store = scratch.store.clone();
    let charged = tokio::spawn(async move { charge(&store, entry(COUNTS, 5, 10)).await });
    settle().await;
    let store = scratch.store.clone();
    let large = tokio::spawn(async move {
        let catalogue = aggregator::centre::CentreStore::put_catalogue;
        catalogue(&store, &tenant("demo"), Digest::of(b"a"), 1, vec![1; 1 << 20]).await
    });
    settle().await;
    drop(release);
    assert_eq!(large.await.unwrap(), Err(StoreError::Unavailable));
    let charged = charged.await.unwrap();
    held.join_all().await;
    assert!(limit(pages + 1000).await.unwrap() > pages);
    let again = charge(&scratch.store, entry(COUNTS, 5, 10)).await;
    match charged {
        Ok(sequence) => assert_eq!((sequence, again), (1, Err(CommitError::AlreadyCharged))),
        Err(error) => assert_eq!((error, again), (StoreError::Unavailable.into(), Ok(1))),
    }
    assert_eq!(entries(&scratch.reopen().store).await, Ok(1));
}

#[tokio::test]
async fn after_a_panic_in_the_writer_every_verb_is_refused() {
    let scratch = Scratch::with_ledger().await;
    let verb = |_: &rusqlite::Connection| -> Result<(), StoreError> { panic!("planted") };
    assert_eq!(sqlite(&scratch.store).run(verb).await, Err(StoreError::Unavailable));
    assert_eq!(charge(&scratch.store, entry(COUNTS, 5, 1)).await, Err(StoreError::Unavailable.into()));
    assert_eq!(entries(&scratch.reopen().store).await, Ok(0));
}

/// How many charges the file holds.
fn charges(connection: &rusqlite::Connection) -> Result<u64, StoreError> {
    connection.query_row("SELECT count(*) FROM charges", (), |row| row.get(0)).map_err(|_| StoreError::Corrupt)
}

#[tokio::test]
async fn a_read_is_done_at_once_and_sees_what_was_committed() {
    let scratch = Scratch::with_ledger().await;
    let before = scratch.store.commits();
    assert_eq!(sqlite(&scratch.store).read(charges).await, Ok(0));
    assert_eq!(scratch.store.commits(), before, "no thread was asked");
    assert_eq!(charge(&scratch.store, entry(COUNTS, 5, 1)).await, Ok(1));
    assert_eq!(sqlite(&scratch.store).read(charges).await, Ok(1));
}

#[tokio::test]
async fn a_read_waits_its_turn_while_the_writer_writes() {
    let scratch = Scratch::with_ledger().await;
    let mut held = JoinSet::new();
    let release = hold(&scratch.store, &mut held).await;
    let store = scratch.store.clone();
    let charged = tokio::spawn(async move { charge(&store, entry(COUNTS, 5, 1)).await });
    settle().await;
    let store = sqlite(&scratch.store);
    let read = tokio::spawn(async move { store.read(charges).await });
    settle().await;
    assert!(!read.is_finished(), "nothing is read of what may be undone");
    drop(release);
    held.join_all().await;
    assert_eq!((charged.await.unwrap(), read.await.unwrap()), (Ok(1), Ok(1)));
}

#[tokio::test]
async fn after_a_panic_nothing_is_read() {
    let scratch = Scratch::with_ledger().await;
    let verb = |_: &rusqlite::Connection| -> Result<(), StoreError> { panic!("planted") };
    assert_eq!(sqlite(&scratch.store).run(verb).await, Err(StoreError::Unavailable));
    assert_eq!(sqlite(&scratch.store).read(charges).await, Err(StoreError::Unavailable));
    // Nor written, when it was a read that panicked.
    let scratch = Scratch::with_ledger().await;
    let store = sqlite(&scratch.store);
    assert!(tokio::spawn(async move { store.read(verb).await }).await.is_err_and(|error| error.is_panic()));
    assert_eq!(charge(&scratch.store, entry(COUNTS, 5, 1)).await, Err(StoreError::Unavailable.into()));
    assert_eq!(entries(&scratch.reopen().store).await, Ok(0));
}
