use attest::key_epoch::{EpochLog, KeyKind, KeyUse, Span};
use policies::log::tree::leaf_hash;
use policies::log::{LogProof, bundle};
use serde_json::json;

use super::models::with_models;
use super::*;
use crate::log::testing::keys;
use aggregator::log::LogEntry;

const EPOCHS: &str = "/v1/log/key-epochs";

#[tokio::test]
async fn the_current_pointer_has_a_proof_and_anyone_reads_the_log() {
    let harness = with_models(&[1, 2]).await;
    let path = "/v1/models/demo-platform/current/proof";
    let reply = harness.get(path, &harness.token(0)).await;
    assert_eq!(reply.status, StatusCode::OK);
    let proof = LogProof::parse(&reply.body).unwrap();
    let (leaf, checkpoint) = proof.verified_leaf(&keys()).unwrap();
    let LogEntry::Model(logged) = LogEntry::decode(leaf).unwrap() else { panic!("it is a pointer's") };
    assert_eq!((logged.tenant, logged.version, logged.serial), (tenant(DEMO), 2, 2));
    // The first entry is the policies'.
    assert_eq!((proof.index, checkpoint.size()), (2, 3));

    let anyone = async |path: &str| harness.call(Method::GET, path, None, Body::empty()).await;
    assert_eq!(anyone("/log/checkpoint").await.body, proof.checkpoint);
    let entries = anyone("/log/tile/entries/000.p/3").await;
    assert_eq!(entries.headers[header::CACHE_CONTROL], "public, max-age=31536000, immutable");
    assert_eq!(bundle::decode(&entries.body, 3).unwrap()[2], leaf);
    let hashes = anyone("/log/tile/0/000.p/3").await.body;
    assert_eq!(hashes[64..], leaf_hash(leaf).as_bytes()[..]);
    for path in ["/log/tile/0/000", "/log/tile/0/../000", "/log/../centre.sqlite", "/log/x", "/log/tile/0/000.p/02"] {
        assert_eq!(anyone(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(harness.get(path, &harness.nordlys).await.refusal(), refused(403, "forbidden"));
    let path = "/v1/models/nordlys-clips/current/proof";
    assert_eq!(harness.get(path, &harness.nordlys).await.refusal(), refused(404, "model-missing"));
}

#[tokio::test]
async fn before_the_first_entry_there_is_no_checkpoint() {
    let harness = Harness::new().await;
    let reply = harness.call(Method::GET, "/log/checkpoint", None, Body::empty()).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn nodes_bring_their_key_epochs_and_nobody_else_does() {
    let harness = Harness::new().await;
    let key = SigningKey::generate(&mut OsRng.unwrap_err());
    let (mut log, issuer) = (EpochLog::default(), "https://eu-west.example");
    for begins_s in [0, 10, 20] {
        let span = Span { begins_s, issues_until_s: begins_s + 10, accepted_until_s: begins_s + 20 };
        log.append(issuer, &KeyUse { kind: KeyKind::Oblivious, tenant: None }, b"key", span, &key).unwrap();
    }
    let bring = async |first: u32, statements: &[String], bearer: &str| {
        let body = json!({"issuer": issuer, "first": first, "statements": statements}).to_string();
        harness.call(Method::POST, EPOCHS, Some(bearer), body).await
    };
    let node = || harness.token(0);
    let known = |reply: &Reply| serde_json::from_slice::<Value>(&reply.body).unwrap();
    assert_eq!(known(&bring(0, &[], &node()).await), json!({"known": 0}));
    assert_eq!(known(&bring(0, &log.texts()[..2], &node()).await), json!({"known": 2}));
    assert_eq!(bring(1, &log.texts()[2..], &node()).await.refusal(), refused(409, "key-epochs-conflict"));
    assert_eq!(bring(3, &log.texts()[2..], &node()).await.refusal(), refused(409, "key-epochs-conflict"));
    assert_eq!(known(&bring(2, &log.texts()[2..], &node()).await), json!({"known": 3}));
    let many = vec![log.texts()[0].clone(); 65];
    for (first, statements) in [(0, &["x.y.z".to_owned()][..]), (0, &[node()]), (u32::MAX, log.texts()), (0, &many)] {
        assert_eq!(bring(first, statements, &node()).await.refusal(), refused(422, "key-epochs-form"));
    }
    for bearer in [&harness.demo, &harness.operator] {
        assert_eq!(bring(0, &[], bearer).await.refusal(), refused(403, "forbidden"));
    }
    assert_eq!(harness.centre.store.log_size().await, Ok(4), "with the policies'");
}
