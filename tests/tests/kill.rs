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

/// What the ledger must hold at the moment of the kill.
fn check_standing(point: StopPoint, charges: &BTreeMap<Id, Charge>) {
    let states: Vec<&str> = charges.values().map(|charge| charge.state.as_str()).collect();
    match point {
        StopPoint::WindowClosed => assert_eq!(states, Vec::<&str>::new()),
        StopPoint::Charged | StopPoint::Noised => assert_eq!(states, ["open"]),
        StopPoint::Persisted => assert_eq!(states, ["unsent"]),
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
