//! A centre and a node as processes; their log is copied, everything else of them is thrown away, and the copy is audited
//! by someone who has the policies and the log's key.

mod installation;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use installation::{Installation, PROGRAM, Running};
use oracle::environment::StopPoint;
use serde_json::{Value, json};

/// Runs `siwa audit` on a log, and gives its code and the report.
fn audit(installation: &Installation, log: &str, more: &[&str]) -> (Option<i32>, Value) {
    let key = installation.file("log.key");
    let key = run(&["log", "key", text(&key), "--origin", "siwa-centre/log", "--json"]);
    let key: Value = serde_json::from_slice(&key.stdout).expect("one JSON object");
    let (key, policies) = (key["key"].as_str().expect("a text"), installation.file("policies"));
    let fixed = ["audit", log, "--log-key", key, "--policies", text(&policies), "--json"];
    let output = run(&[&fixed[..], more].concat());
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("no report: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), report)
}

fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().expect("the program runs")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("a copy");
        }
    }
}

async fn drive(installation: &Installation, node: &Running) {
    let client = installation.client(&node.url("region"));
    for viewer in 0..8 {
        let created = client.post("/v1/sessions").json(&json!({"viewer": format!("viewer-{viewer}")}));
        let created: Value = created.send().await.expect("a session").json().expect("its name");
        let path = format!("/v1/sessions/{}/end", created["session"].as_str().expect("a text"));
        let signals = json!({"signals": [
            {"type": "watch", "seq": 1, "item": "clip-1", "dwell_ms": 9000, "duration_ms": 10000},
        ]});
        client.post(&path).json(&signals).send().await.expect("the session ends");
    }
}

#[tokio::test]
async fn a_copied_log_is_all_that_an_audit_needs() {
    let mut installation = Installation::new();
    let mut centre = installation.start_centre();
    installation.upload_catalogue(&centre).await;
    installation.configure_node(&centre, "");
    let mut node = installation.start_node(Some(StopPoint::Sent));
    drive(&installation, &node).await;
    node.wait_for("standing still at a stop point");

    // While it runs, over HTTPS. What waits for its release is no fault yet.
    let (url, ca) = (format!("{}/log", centre.url("centre")), installation.file("ca.pem"));
    let (code, report) = audit(&installation, &url, &["--ca", text(&ca), "--pending", "3600"]);
    assert_eq!((code, &report["verdict"]), (Some(0), &json!("holds")), "{report}");
    node.kill();

    // A restart burns what it must, and sends the rest.
    let mut node = installation.start_node(None);
    assert_eq!(node.terminate(), Some(0), "the node drains");
    assert_eq!(centre.terminate(), Some(0), "the centre drains");
    // A centre publishes what it queued when it starts, if it could not before.
    let mut centre = installation.start_centre();
    assert_eq!(centre.terminate(), Some(0), "the centre drains");

    let copied = installation.file("copied");
    copy(&installation.file("log"), &copied);
    for gone in [installation.node_store(), installation.centre_store()] {
        fs::remove_file(gone).expect("the store is thrown away");
    }
    let html = installation.file("audit.html");
    let (code, report) = audit(&installation, text(&copied), &["--html", text(&html)]);
    assert_eq!((code, &report["verdict"]), (Some(0), &json!("holds")), "{report}");
    let counts = &report["counts"];
    assert!(counts["releases"].as_u64().is_some_and(|releases| releases >= 1), "{counts}");
    assert_eq!(counts["pending"], 0, "{counts}");
    let (charges, burns) = (counts["charges"].as_u64().expect("a number"), counts["burns"].as_u64().expect("a number"));
    assert_eq!(counts["releases"].as_u64(), Some(charges - burns), "{counts}");
    let share = &report["shares"][0];
    assert_eq!(share["caution"], "no per-viewer or yearly bound");
    assert!(share["rho_window"].as_f64() <= share["rho_window_limit"].as_f64(), "{share}");
    assert!(fs::read_to_string(html).expect("a page").contains("<b>Holds</b>"));

    // One byte of one leaf.
    let partial = fs::read_dir(copied.join("tile/entries/000.p")).expect("a folder of partial tiles");
    let partial = partial.map(|entry| entry.expect("an entry").path());
    // Narrower ones are of earlier checkpoints.
    let width = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()?.parse::<u16>().ok());
    let tile = partial.max_by_key(width).expect("a tile of entries");
    let mut bytes = fs::read(&tile).expect("a tile");
    bytes[40] ^= 1;
    fs::write(&tile, bytes).expect("it is written");
    let (code, report) = audit(&installation, text(&copied), &[]);
    assert_eq!((code, &report["verdict"]), (Some(1), &json!("broken")), "{report}");
    assert_eq!(report["log"]["verified"], false);
    assert_eq!(run(&["audit", text(&copied)]).status.code(), Some(2), "without a key there is nothing to ask");
}
