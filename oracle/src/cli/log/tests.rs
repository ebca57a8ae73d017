use clap::Parser as _;

use super::*;
use crate::log::Publisher;
use crate::log::testing::{MadeLog, model, options, signer};
use crate::store::Store;

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    log: LogCommand,
}

fn run(arguments: &[&str]) -> anyhow::Result<String> {
    let line = Line::try_parse_from([&["log"], arguments].concat())?;
    let mut out = Vec::new();
    act(line.log.action, &mut out)?;
    Ok(String::from_utf8(out)?)
}

#[test]
fn a_published_log_is_verified_shown_and_proved() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::create_sqlite(&folder.path().join("store.sqlite")).unwrap();
        for serial in 1..=3 {
            store.log_append(model(serial)).await.unwrap();
        }
        Publisher::open(options(log.clone()), store).await.unwrap().publish().await.unwrap();
    });
    drop(runtime);
    let made = MadeLog::of((1..=3).map(model));
    let (place, key) = (log.to_str().unwrap(), signer().verifier_key().to_string());
    let told: serde_json::Value =
        serde_json::from_str(&run(&["verify", place, "--key", &key, "--json"]).unwrap()).unwrap();
    assert_eq!((&told["size"], &told["entries"]["model"]), (&json!(3), &json!(3)));
    let text = run(&["verify", place, "--key", &key]).unwrap();
    assert!(text.starts_with("example.org/log holds: 3 entries, root "), "{text}");

    let expected = String::from_utf8(made.proof(1, 3).encode()).unwrap();
    assert_eq!(run(&["inclusion", place, "--key", &key, "--index", "1"]).unwrap(), expected);
    let digest = Digest::of(&2_u64.to_be_bytes()).to_string();
    assert_eq!(run(&["inclusion", place, "--key", &key, "--digest", &digest]).unwrap(), expected);
    let error = run(&["inclusion", place, "--key", &key, "--digest", &Digest::of(b"").to_string()]).unwrap_err();
    assert_eq!(error.to_string(), "the log has no such entry");

    let shown = run(&["show", place, "--key", &key, "--from", "1", "--count", "1", "--kind", "model"]).unwrap();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&shown["index"], &shown["entry"]["serial"]), (&json!(1), &json!(2)));
    assert_eq!(run(&["show", place, "--key", &key, "--tenant", "other"]).unwrap(), "");

    let earlier = folder.path().join("earlier");
    std::fs::write(&earlier, made.checkpoint(2).to_string()).unwrap();
    let from = earlier.to_str().unwrap();
    let told = run(&["consistency", place, "--key", &key, "--from", from, "--json"]).unwrap();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told, json!({"from": 2, "to": 3, "hashes": 1}));
    std::fs::write(&earlier, MadeLog::of((2..=3).map(model)).checkpoint(2).to_string()).unwrap();
    let error = run(&["consistency", place, "--key", &key, "--from", from]).unwrap_err();
    assert!(format!("{error:#}").starts_with("the log was forked or rolled back: "), "{error:#}");
}

#[test]
fn a_key_file_shows_as_the_verifier_key_of_its_use() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.key");
    std::fs::write(&file, attest::jws::fuzz::fixed_key().to_pem().as_bytes()).unwrap();
    let file = file.to_str().unwrap();
    let key = signer().verifier_key().to_string();
    assert_eq!(run(&["key", file, "--origin", "example.org/log"]).unwrap().trim(), key);
    let witness = run(&["key", file, "--origin", "example.org/log", "--witness"]).unwrap();
    let witness: VerifierKey = witness.trim().parse().unwrap();
    assert_eq!(witness.algorithm(), KeyAlgorithm::Cosignature);
}
