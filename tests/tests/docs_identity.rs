//! docs/identity.md is run as it stands: its requests against a real node, its samples of files against the real ones.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test, and its line says what")]

#[expect(dead_code, reason = "the tests that kill nodes use more of an installation")]
mod installation;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use attest::keys::JwkSet;
use attest::{Answer, AnswerExpectation, VerifyingKey};
use installation::{Installation, PROGRAM, Running, TENANT};
use policies::Digest;
use serde_json::{Value, json};

const DOCUMENT: &str = include_str!("../../docs/identity.md");
const REFUSALS: &str = include_str!("../../oracle/src/region/identity/refusal.rs");
/// What the script prints when it needs the node's address, which it then reads.
const NEEDS_NODE: &str = "-- the node may start --";

/// The document's blocks of one language, in order.
fn blocks(language: &str) -> Vec<String> {
    let (mut blocks, mut open) = (Vec::new(), None::<Vec<&str>>);
    for line in DOCUMENT.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(found)) => open = Some(vec![found]),
            (Some(_), Some("")) => {
                let block = open.take().unwrap();
                if block[0] == language {
                    blocks.push(block[1..].join("\n"));
                }
            }
            (Some(block), _) => block.push(line),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "the last block ends");
    blocks
}

/// Every block in one script, which waits for the node's address before the first that needs it.
fn script() -> String {
    let mut script = "set -euo pipefail\nPATH=\"$FOLDER:$PATH\"\n".to_owned();
    let mut waits = true;
    for block in blocks("sh") {
        if waits && block.contains("$NODE") {
            script.push_str(&format!("echo '{NEEDS_NODE}'\nread -r NODE\n"));
            waits = false;
        }
        script.push_str(&block);
        script.push('\n');
    }
    script
}

fn is_there(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

/// Runs the document in `device`. The node starts when the document has set it up.
fn run(installation: &Installation, device: &Path) -> Running {
    std::os::unix::fs::symlink(PROGRAM, installation.file("siwa")).unwrap();
    let mut bash = Command::new("bash")
        .args(["-c", &script()])
        .current_dir(device)
        .env("FOLDER", installation.file(""))
        .env("CONFIG", installation.file("node.toml"))
        .env("OPERATOR_KEY", installation.file("operator.secret"))
        .env("CA", installation.file("ca.pem"))
        .env("TENANT", TENANT)
        .env("API_KEY", installation.api_key())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut printed = BufReader::new(bash.stdout.take().unwrap());
    let mut before = String::new();
    while !before.ends_with(&format!("{NEEDS_NODE}\n")) {
        assert_ne!(printed.read_line(&mut before).unwrap(), 0, "the document stopped at its set-up: {before}");
    }
    let node = installation.start_node(None);
    writeln!(bash.stdin.take().unwrap(), "{}", node.url("region")).unwrap();
    let mut after = String::new();
    printed.read_to_string(&mut after).unwrap();
    assert!(bash.wait().unwrap().success(), "a request of the document fails; it printed:\n{before}{after}");
    node
}

/// What a platform does with a signed answer.
fn verify(device: &Path, file: &str) -> Answer<Value> {
    let keys: JwkSet = serde_json::from_slice(&fs::read(device.join("jwks.json")).unwrap()).unwrap();
    let key = VerifyingKey::try_from(&keys.keys[0]).unwrap();
    let text = fs::read_to_string(device.join(file)).unwrap();
    let now_ms = oracle::clock::Clock::system().now_ms();
    Answer::verify_own(text.trim(), &key, "eu-west-1", TENANT, now_ms).unwrap()
}

fn read_json(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

fn check_answers(device: &Path) {
    let assertion = verify(device, "assertion.jwt");
    assert_eq!((assertion.check.as_str(), assertion.nonce.as_str()), ("account", "n-4711"));
    assert_eq!(assertion.result, json!({"account": true}));
    let age = verify(device, "answer-age.jwt");
    assert_eq!((age.check.as_str(), &age.result), ("age_over_18", &json!({"holds": true})));
    assert!(assertion.sub.is_some() && age.sub.is_some() && assertion.sub != age.sub);
    // The token's: the request's bytes are known, so that the whole expectation is.
    let keys: JwkSet = serde_json::from_slice(&fs::read(device.join("jwks.json")).unwrap()).unwrap();
    let key = VerifyingKey::try_from(&keys.keys[0]).unwrap();
    let text = fs::read_to_string(device.join("answer-token.jwt")).unwrap();
    let (issuer, nonce, input) = ("eu-west-1", "n-4712", Digest::of(br#"{"nonce":"n-4712"}"#));
    let expected = AnswerExpectation { issuer, audience: TENANT, nonce, input };
    let now_ms = oracle::clock::Clock::system().now_ms();
    let answer = Answer::<Value>::verify(text.trim(), &key, expected, now_ms).unwrap();
    assert_eq!((answer.sub, answer.result), (None, json!({"verified_viewer": true})), "nobody in particular");
}

fn check_files(device: &Path) {
    for secret in ["access.json", "access-age.json", "tokens.json", "viewer.sdjwt", "holder.key"] {
        let mode = fs::metadata(device.join(secret)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
    let mut order: Vec<String> =
        fs::read_to_string(device.join("order.txt")).unwrap().lines().map(str::to_owned).collect();
    order.sort();
    assert_eq!(order, ["clip-1", "clip-2", "clip-3"]);
    // 8 were fetched: one redeemed, two ranked with, two begin sessions.
    let held = read_json(&device.join("tokens.json"));
    assert_eq!(held["tokens"].as_array().map(Vec::len), Some(3), "one use takes one token");
    for session in 1..=3 {
        let session = read_json(&device.join(format!("session-{session}.json")));
        assert_eq!(session["verified"], json!(true), "{session}");
    }
    let keys = read_json(&device.join("keys.json"));
    let seen = fs::read_to_string(device.join("service.log")).unwrap();
    assert_eq!(seen.lines().collect::<Vec<_>>().len(), keys["statements"].as_array().unwrap().len());
    assert_eq!(keys["issuer"], json!("https://eu-west.example"));
}

/// The commands of the document, where they must not succeed.
fn check_refusals(installation: &Installation, node: &Running, device: &Path) {
    fs::write(device.join("wrong"), "incorrect horse").unwrap();
    fs::write(device.join("other.log"), "another log\n").unwrap();
    let (url, ca) = (node.url("region"), installation.file("ca.pem"));
    let refused = |arguments: &[&str]| {
        let mut siwa = Command::new(PROGRAM);
        siwa.current_dir(device).args(["client", arguments[0], "--url", &url, "--tenant", TENANT, "--ca"]).arg(&ca);
        let output = siwa.args(&arguments[1..]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap().trim().to_owned()
    };
    let nobody = "siwa: not logged in: no such account, or another password";
    for user in ["ann", "nobody"] {
        assert_eq!(refused(&["login", "--user", user, "--password-file", "wrong", "--out", "none.json"]), nobody);
    }
    assert!(!device.join("none.json").exists());
    let forked = "siwa: the service's keys: the log of keys does not continue the one seen before: it was rewritten, or \
                  made for somebody";
    assert_eq!(refused(&["keys", "--seen", "other.log"]), forked);
    let pinned = refused(&["redeem", "--tokens", "tokens.json", "--log-key", &"A".repeat(43)]);
    assert_eq!(pinned, "siwa: the service's keys: the log of keys is signed by another key than the pinned one");
    let open = ["register", "--user", "eve", "--password-file", "wrong"];
    assert_eq!(
        refused(&open),
        "siwa: the account was not asked for: refused with status 403: urn:siwa:problem:not-invited"
    );
    let unknown = refused(&["rank", "--tokens", "tokens.json", "--candidates", "clip-99"]);
    assert_eq!(unknown, "siwa: no ranking: refused with status 422: urn:siwa:problem:item-unknown");
    let held = read_json(&device.join("tokens.json"));
    assert_eq!(held["tokens"].as_array().map(Vec::len), Some(2), "the ranking took one, the refused log none");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_requests_work_as_written() {
    for program in ["bash", "curl"] {
        if !is_there(program) {
            eprintln!("SKIPPED: docs/identity.md is not run, {program} is missing");
            return;
        }
    }
    let mut installation = Installation::new();
    let centre = installation.start_centre();
    installation.upload_catalogue(&centre).await;
    let section = blocks("toml").into_iter().find(|block| block.contains("[region.identity]")).unwrap();
    installation.configure_node(&centre, &section);
    let device = tempfile::tempdir().unwrap();
    let node = run(&installation, device.path());
    check_answers(device.path());
    check_files(device.path());
    check_refusals(&installation, &node, device.path());
}

/// What the document shows of policies stands in the sample policies, line by line.
#[test]
fn the_policies_shown_are_the_samples() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut shown = 0;
    for block in blocks("toml") {
        let (head, lines) = block.split_once('\n').unwrap();
        let file = head.strip_prefix("# ").unwrap();
        if !file.starts_with("policies/") {
            continue;
        }
        let sample = fs::read_to_string(repository.join(file)).unwrap();
        for line in lines.lines() {
            assert!(sample.lines().any(|found| found == line), "{file} has no `{line}`");
        }
        shown += 1;
    }
    assert_eq!(shown, 3);
}

/// Every problem that the service refuses with stands in the document's table.
#[test]
fn every_refusal_is_explained() {
    let is_slug =
        |text: &&str| text.contains('-') && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let slugs: Vec<&str> = REFUSALS.split('"').skip(1).step_by(2).filter(is_slug).collect();
    assert!(slugs.len() > 20, "{slugs:?}");
    let (_, table) = DOCUMENT.split_once("| problem | status |").unwrap();
    for slug in slugs.into_iter().chain(["busy", "too-many-requests"]) {
        assert!(table.contains(&format!("`{slug}`")), "`{slug}` is not explained");
    }
}
