use std::sync::Arc;

use policies::log::witness::AddCheckpoint;
use policies::log::{LogKeys, ProofError};
use prometheus::Registry;

use super::super::testing::{MadeLog, ORIGIN, signer, witness};
use super::super::witness::{Witness, WitnessRefusal, WitnessStartError, router};
use super::*;
use crate::clock::Clock;
use crate::http::{ConnectionMetrics, Drain, DrainHandle, Limits, Server};

fn open(folder: &Path) -> Result<Witness, WitnessStartError> {
    let log = signer().verifier_key().clone();
    Witness::open(witness(1), log, folder.join("witness"), Clock::manual(1_700_000_000_000))
}

/// A witness that listens, until the handle goes.
async fn listen(folder: &Path) -> (String, DrainHandle) {
    let metrics = ConnectionMetrics::register(&Registry::new(), "witness").unwrap();
    let server = Server::bind(([127, 0, 0, 1], 0).into(), None, Limits::default(), metrics).await.unwrap();
    let url = format!("http://{}", server.local_address().unwrap());
    let (stop, drain) = Drain::new();
    tokio::spawn(server.serve(router(Arc::new(open(folder).unwrap())), drain));
    (url, stop)
}

fn cosigned(folder: &Path, url: &str) -> LogOptions {
    let link = WitnessLink::new(url, witness(1).verifier_key().clone(), Vec::new()).unwrap();
    LogOptions { witnesses: vec![link], witnesses_min: 1, ..options(folder.join("log")) }
}

#[tokio::test]
async fn a_witness_over_a_socket_cosigns_one_history_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (url, stop) = listen(folder.path()).await;
    let store = store_of(folder.path(), 3).await;
    let publisher = Publisher::open(cosigned(folder.path(), &url), store.clone()).await.unwrap();
    assert_eq!(publisher.publish().await.unwrap(), 3);
    let known = vec![witness(1).verifier_key().clone()];
    let keys = LogKeys::new(signer().verifier_key().clone(), known, 1).unwrap();
    assert_eq!(keys.verify(publisher.checkpoint().unwrap().note()).unwrap().size(), 3);
    // A publisher that does not know what the witness has is told so, and proves from there.
    store.log_append(model(4)).await.unwrap();
    let again = Publisher::open(cosigned(folder.path(), &url), store).await.unwrap();
    assert_eq!(again.publish().await.unwrap(), 4);
    // The same log's key with another history, in a folder of its own.
    let elsewhere = tempfile::tempdir().unwrap();
    let other = store_of(elsewhere.path(), 0).await;
    for serial in 11..=16 {
        other.log_append(model(serial)).await.unwrap();
    }
    let fork = Publisher::open(cosigned(elsewhere.path(), &url), other).await.unwrap();
    let error = fork.publish().await.unwrap_err();
    assert!(matches!(error, LogError::Witnesses { signed: 0, least: 1 }), "{error:?}");
    // A log that was rolled back with its folder.
    let elsewhere = tempfile::tempdir().unwrap();
    let shorter = store_of(elsewhere.path(), 2).await;
    let behind = Publisher::open(cosigned(elsewhere.path(), &url), shorter).await.unwrap();
    let error = behind.publish().await.unwrap_err();
    assert!(matches!(error, LogError::Witnesses { signed: 0, least: 1 }), "{error:?}");
    stop.order();
}

#[tokio::test]
async fn a_witness_refuses_what_the_specification_says() {
    let folder = tempfile::tempdir().unwrap();
    let log = MadeLog::of((1..=7).map(model));
    let fork = MadeLog::of((11..=17).map(model));
    let request = |log: &MadeLog, old_size, from, to| {
        let checkpoint = log.checkpoint(to).to_string().into_bytes();
        AddCheckpoint { old_size, proof: log.consistency(from, to), checkpoint }.encode()
    };
    let witness = open(folder.path()).unwrap();
    let cosignature = witness.add_checkpoint(&request(&log, 0, 0, 3)).await.unwrap();
    assert_eq!(cosignature.bytes[..8], 1_700_000_000_u64.to_be_bytes());
    let refused = async |body: Vec<u8>| witness.add_checkpoint(&body).await.unwrap_err();
    assert!(matches!(refused(b"old\n\n".to_vec()).await, WitnessRefusal::Request));
    assert!(matches!(refused(request(&log, 4, 0, 3)).await, WitnessRefusal::Request));
    assert!(matches!(refused(request(&log, 2, 2, 7)).await, WitnessRefusal::Size(3)));
    assert!(matches!(refused(request(&log, 0, 0, 7)).await, WitnessRefusal::Size(3)));
    assert!(matches!(refused(request(&fork, 3, 0, 3)).await, WitnessRefusal::Fork));
    assert!(matches!(refused(request(&fork, 3, 3, 7)).await, WitnessRefusal::Proof(ProofError::Root)));
    assert!(matches!(refused(request(&log, 3, 2, 7)).await, WitnessRefusal::Proof(_)));
    let text = String::from_utf8(request(&log, 3, 3, 7)).unwrap();
    assert!(matches!(refused(text.replace("\n7\n", "\n6\n").into_bytes()).await, WitnessRefusal::Signature));
    assert!(matches!(refused(text.replace(ORIGIN, "example.org/other").into_bytes()).await, WitnessRefusal::Origin));
    assert!(witness.add_checkpoint(text.as_bytes()).await.is_ok());
    // Its memory outlasts it.
    drop(witness);
    let witness = open(folder.path()).unwrap();
    let error = witness.add_checkpoint(&request(&log, 3, 3, 7)).await.unwrap_err();
    assert!(matches!(error, WitnessRefusal::Size(7)), "{error:?}");
    // The same checkpoint again is cosigned again.
    assert!(witness.add_checkpoint(&request(&log, 7, 7, 7)).await.is_ok());
    std::fs::write(folder.path().join("witness"), "something else").unwrap();
    assert!(matches!(open(folder.path()).err(), Some(WitnessStartError::State(_))));
}
