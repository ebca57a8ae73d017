//! A node is killed at every step of a release. Whatever the step, the ledger holds what the centre has seen, a release
//! has one value for ever, and a charge without bytes is burned.

mod installation;

use std::collections::BTreeMap;
use std::path::Path;

use installation::{Installation, Running};
use oracle::environment::StopPoint;
use rusqlite::Connection;
use serde_json::json;

/// Tenant, task, region, node, window.
type Id = (String, String, String, String, u64);

struct Charge {
    state: String,
    digest: Option<Vec<u8>>,
    bytes: Option<Vec<u8>>,
}

fn rows<T>(store: &Path, sql: &str, read: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>) -> BTreeMap<Id, T> {
    let connection = Connection::open(store).expect("the store opens");
    let mut statement = connection.prepare(sql).expect("the schema is known");
    let pair = |row: &rusqlite::Row<'_>| {
        let id: Id = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
        Ok((id, read(row)?))
    };
    let found = statement.query_map((), pair).expect("the store is read");
    let found: Vec<_> = found.collect::<Result<_, _>>().expect("rows are of the schema");
    let count = found.len();
    let by_id: BTreeMap<Id, T> = found.into_iter().collect();
    assert_eq!(by_id.len(), count, "an id stands twice");
    by_id
}

fn charges(store: &Path) -> BTreeMap<Id, Charge> {
    let sql = "SELECT tenant, task, region, node, window_id, state, digest, bytes \
               FROM charges LEFT JOIN outbox USING (sequence)";
    rows(store, sql, |row| Ok(Charge { state: row.get(5)?, digest: row.get(6)?, bytes: row.get(7)? }))
}

/// Digest and bytes of what the centre has.
fn releases(store: &Path) -> BTreeMap<Id, (Vec<u8>, Vec<u8>)> {
    let sql = "SELECT tenant, task, region, node, window_id, digest, envelopes.bytes \
               FROM releases JOIN envelopes USING (ordinal)";
    rows(store, sql, |row| Ok((row.get(5)?, row.get(6)?)))
}

/// The entries of a chain.
fn entries(store: &Path, table: &str) -> Vec<Vec<u8>> {
    let connection = Connection::open(store).expect("the store opens");
    let sql = format!("SELECT bytes FROM {table} ORDER BY number");
    let mut statement = connection.prepare(&sql).expect("the schema is known");
    let rows = statement.query_map((), |row| row.get(0)).expect("the store is read");
    rows.collect::<Result<Vec<Vec<u8>>, _>>().expect("entries are bytes")
}

/// A node's ledger, and what the centre has of it.
fn chains(installation: &Installation) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    (entries(&installation.node_store(), "ledger_entries"), entries(&installation.centre_store(), "followed_entries"))
}

/// What the ledger must hold at the moment of the kill.
fn check_standing(point: StopPoint, charges: &BTreeMap<Id, Charge>) {
    let states: Vec<&str> = charges.values().map(|charge| charge.state.as_str()).collect();
    match point {
        StopPoint::WindowClosed => assert_eq!(states, Vec::<&str>::new()),
        StopPoint::Charged => assert_eq!(states, ["open"]),
        StopPoint::Countersigned | StopPoint::Noised => {
            assert!(!states.is_empty() && states.iter().all(|&state| state == "open"), "{states:?}");
        }
        // All of a window's releases are charged before the first is noised.
        StopPoint::Persisted => {
            assert_eq!(states.iter().filter(|&&state| state == "unsent").count(), 1, "{states:?}");
            assert!(states.iter().all(|&state| state == "unsent" || state == "open"), "{states:?}");
        }
        StopPoint::Sent => {
            assert!(!states.is_empty() && states.iter().all(|&state| state == "unsent"), "{states:?}");
        }
    }
}

async fn drive(installation: &Installation, node: &Running) {
    let client = installation.client(&node.url("region"));
    for viewer in 0..8 {
        let created = client.post("/v1/sessions").json(&json!({"viewer": format!("viewer-{viewer}")}));
        let created: serde_json::Value = created.send().await.expect("a session").json().expect("its name");
        let path = format!("/v1/sessions/{}/end", created["session"].as_str().expect("a text"));
        let signals = json!({"signals": [
            {"type": "watch", "seq": 1, "item": "clip-1", "dwell_ms": 9000, "duration_ms": 10000},
            {"type": "skip", "seq": 2, "item": "clip-2"},
        ]});
        client.post(&path).json(&signals).send().await.expect("the session ends");
    }
}

async fn kill_at(point: StopPoint) {
    let mut installation = Installation::new();
    let mut centre = installation.start_centre();
    installation.upload_catalogue(&centre).await;
    installation.configure_node(&centre, "");
    let mut node = installation.start_node(Some(point));
    drive(&installation, &node).await;
    let line = node.wait_for("standing still at a stop point");
    assert_eq!(line["fields"]["point"], point.as_str());
    node.kill();
    let at_kill = charges(&installation.node_store());
    check_standing(point, &at_kill);

    // Its drain offers what waits, so nothing here depends on how fast it was.
    let mut node = installation.start_node(None);
    assert_eq!(node.terminate(), Some(0), "the node drains");
    assert_eq!(centre.terminate(), Some(0), "the centre drains");

    let (own, followed) = chains(&installation);
    assert_eq!(own, followed, "the centre has every entry, burned ones too");
    let (ledger, seen) = (charges(&installation.node_store()), releases(&installation.centre_store()));
    for (id, (digest, _)) in &seen {
        let charge = ledger.get(id).expect("the centre has seen nothing that was not charged");
        assert_eq!((charge.state.as_str(), charge.digest.as_ref()), ("sent", Some(digest)), "{id:?}");
    }
    for (id, before) in &at_kill {
        match &before.bytes {
            Some(bytes) => assert_eq!(&seen[id].1, bytes, "{id:?} has another value at the centre"),
            None => {
                assert_eq!((ledger[id].state.as_str(), &ledger[id].digest), ("burned", &None), "{id:?}");
                assert!(!seen.contains_key(id), "{id:?} was burned and is at the centre");
            }
        }
    }
}

#[tokio::test]
async fn killed_with_the_window_closed() {
    kill_at(StopPoint::WindowClosed).await;
}

#[tokio::test]
async fn killed_when_charged() {
    kill_at(StopPoint::Charged).await;
}

#[tokio::test]
async fn killed_when_countersigned() {
    kill_at(StopPoint::Countersigned).await;
}

#[tokio::test]
async fn killed_when_noised() {
    kill_at(StopPoint::Noised).await;
}

#[tokio::test]
async fn killed_when_persisted() {
    kill_at(StopPoint::Persisted).await;
}

#[tokio::test]
async fn killed_when_sent() {
    kill_at(StopPoint::Sent).await;
}

/// The centre is away when windows close, and comes back: what was charged meanwhile was not noised before it knew.
#[tokio::test]
async fn windows_wait_for_a_centre_that_comes_back() {
    let mut installation = Installation::new();
    let mut centre = installation.start_centre();
    installation.upload_catalogue(&centre).await;
    installation.configure_node(&centre, "");
    let mut node = installation.start_node(None);
    centre.kill();
    drive(&installation, &node).await;
    // The node asks at other times too: until a window has closed.
    while node.admin_json("/ledger")["entries"] == 0 {
        node.wait_for("the ledger is not countersigned");
    }
    assert!(degraded(&node).contains(&"countersigned".to_owned()), "{:?}", degraded(&node));
    let ledger = node.admin_json("/ledger");
    assert!(ledger["entries"].as_u64() > Some(0) && ledger["unsent"] == 0, "charged, and nothing noised: {ledger}");
    let mut centre = installation.restart_centre(&centre);
    assert_eq!(node.terminate(), Some(0), "the node drains");
    assert_eq!(centre.terminate(), Some(0), "the centre drains");
    let (own, followed) = chains(&installation);
    assert_eq!(own, followed);
    let (ledger, seen) = (charges(&installation.node_store()), releases(&installation.centre_store()));
    assert!(!ledger.is_empty() && ledger.values().all(|charge| charge.state == "sent"));
    assert_eq!(ledger.keys().collect::<Vec<_>>(), seen.keys().collect::<Vec<_>>(), "nothing was lost");
}

/// What `/readyz` of the admin listener calls degraded.
fn degraded(node: &Running) -> Vec<String> {
    let ready = node.admin_json("/readyz");
    let conditions = ready["conditions"].as_array().expect("conditions").iter();
    let degraded = conditions.filter(|condition| condition["state"] == "degraded");
    degraded.map(|condition| condition["name"].as_str().expect("a name").to_owned()).collect()
}

/// An installation whose node has released something, stopped, with a copy of the node's file from before.
async fn released_with_copy() -> (Installation, Running, std::path::PathBuf) {
    let mut installation = Installation::new();
    let centre = installation.start_centre();
    installation.upload_catalogue(&centre).await;
    installation.configure_node(&centre, "");
    let copy = installation.file("copy.sqlite");
    std::fs::copy(installation.node_store(), &copy).expect("a copy");
    let mut node = installation.start_node(Some(StopPoint::Sent));
    drive(&installation, &node).await;
    node.wait_for("standing still at a stop point");
    node.kill();
    let mut node = installation.start_node(None);
    assert_eq!(node.terminate(), Some(0), "the node drains");
    (installation, centre, copy)
}

/// The file is put back: the centre has seen more, says so, and nothing more is charged or noised.
#[tokio::test]
async fn an_older_file_that_is_put_back_releases_nothing() {
    let (installation, mut centre, copy) = released_with_copy().await;
    // The centre runs, and its file is its own: what it has is what the node has by now.
    let (before, sent) = (entries(&installation.node_store(), "ledger_entries"), charges(&installation.node_store()));
    assert!(sent.values().any(|charge| charge.state == "sent"));
    put_back(&installation, &copy);
    let mut node = installation.start_node(None);
    assert!(degraded(&node).contains(&"ledger-rolled-back".to_owned()), "{:?}", degraded(&node));
    drive(&installation, &node).await;
    node.wait_for("the centre does not confirm this ledger: nothing is charged");
    assert_eq!(node.terminate(), Some(0), "the node drains");
    assert_eq!(centre.terminate(), Some(0), "the centre drains");
    assert_eq!(chains(&installation), (vec![], before), "nothing was charged on it");
    for (id, (digest, _)) in &releases(&installation.centre_store()) {
        assert_eq!(sent[id].digest.as_ref(), Some(digest), "nothing more came to the centre");
    }
}

/// The file is edited behind the node's back, with its triggers dropped and all its sums made to fit: the chain of what the
/// centre has seen does not.
#[tokio::test]
async fn a_file_that_is_edited_releases_nothing() {
    let (installation, mut centre, _) = released_with_copy().await;
    let connection = Connection::open(installation.node_store()).expect("the store opens");
    let wipe = "PRAGMA foreign_keys = OFF; DROP TRIGGER charges_stay; DROP TRIGGER entries_stay; \
         DELETE FROM outbox; DELETE FROM charges; DELETE FROM ledger_entries; DELETE FROM spent_years; \
         DELETE FROM closed_times; DELETE FROM kept_checkpoint;";
    connection.execute_batch(wipe).expect("it is edited");
    drop(connection);
    let mut node = installation.start_node(None);
    assert!(degraded(&node).contains(&"ledger-rolled-back".to_owned()), "{:?}", degraded(&node));
    drive(&installation, &node).await;
    node.wait_for("the centre does not confirm this ledger: nothing is charged");
    assert_eq!(node.terminate(), Some(0), "the node drains");
    assert_eq!(centre.terminate(), Some(0), "the centre drains");
    assert_eq!(chains(&installation).0, Vec::<Vec<u8>>::new(), "nothing was charged on it");
}

fn put_back(installation: &Installation, copy: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        // What is not there need not go.
        let _ = std::fs::remove_file(format!("{}{suffix}", installation.node_store().display()));
    }
    std::fs::copy(copy, installation.node_store()).expect("it is put back");
}
