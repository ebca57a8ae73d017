use aggregator::log::MalformedEntry;
use policies::log::{CheckpointError, LogKeys, LogProof, LogProofError, ProofError};

use super::super::testing::{MadeLog, signer, witness};
use super::super::watch::{LogRefusal, LogWatch};
use super::*;

#[tokio::test]
async fn a_log_that_was_seen_may_only_grow_also_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_of(folder.path(), 0).await;
    let (log, fork) = (MadeLog::of((1..=300).map(model)), MadeLog::of((501..=900).map(model)));
    let watch = LogWatch::new(keys(), Some(store.clone()));
    let see =
        async |watch: &LogWatch, log: &MadeLog, index, size| watch.logged(&log.proof(index, size).encode(), log).await;
    assert_eq!(see(&watch, &log, 4, 10).await.unwrap(), model(5));
    assert_eq!(see(&watch, &log, 280, 290).await.unwrap(), model(281));
    // An older checkpoint of the same log is as good.
    assert_eq!(see(&watch, &log, 4, 7).await.unwrap(), model(5));
    for restarted in [false, true] {
        let fresh = LogWatch::new(keys(), Some(store.clone()));
        let watch = if restarted { &fresh } else { &watch };
        for (size, why) in [(290, ProofError::Root), (7, ProofError::Root), (400, ProofError::Root)] {
            let refusal = see(watch, &fork, 4, size).await.unwrap_err();
            assert!(matches!(refusal, LogRefusal::Forked(reason) if reason == why), "{size}: {refusal:?}");
        }
        assert_eq!(see(watch, &log, 4, 290).await.unwrap(), model(5), "it is still believed");
    }
    // Without its tiles nothing shows that the log only grew.
    let watch = LogWatch::new(keys(), Some(store.clone()));
    let refusal = watch.logged(&log.proof(0, 300).encode(), &MadeLog::default()).await.unwrap_err();
    assert!(matches!(refusal, LogRefusal::Tiles(SourceError::Missing)), "{refusal:?}");
    // What was kept is this log's, or nothing is taken.
    store.keep_checkpoint_seen(signer().verifier_key().to_string(), b"other".to_vec()).await.unwrap();
    let watch = LogWatch::new(keys(), Some(store));
    let refusal = see(&watch, &log, 0, 300).await.unwrap_err();
    assert!(matches!(refusal, LogRefusal::Kept), "{refusal:?}");
}

#[tokio::test]
async fn what_the_log_does_not_hold_is_refused_with_the_reason() {
    let log = MadeLog::of((1..=5).map(model));
    let watch = LogWatch::new(keys(), None);
    let refused = async |proof: &LogProof| watch.logged(&proof.encode(), &log).await.unwrap_err();
    let proof = log.proof(2, 5);
    let other = LogProof { extra: Some(model(4).encode()), ..proof.clone() };
    assert!(matches!(refused(&other).await, LogRefusal::Proof(LogProofError::Inclusion(ProofError::Root))));
    let none = LogProof { extra: None, ..proof.clone() };
    assert!(matches!(refused(&none).await, LogRefusal::Proof(LogProofError::NoLeaf)));
    let unsigned = LogProof { checkpoint: b"example.org/log\n".to_vec(), ..proof.clone() };
    let refusal = refused(&unsigned).await;
    assert!(matches!(refusal, LogRefusal::Proof(LogProofError::Checkpoint(CheckpointError::Note(_)))), "{refusal:?}");
    let altered = String::from_utf8(proof.checkpoint.clone()).unwrap().replace("\n5\n", "\n6\n");
    let refusal = refused(&LogProof { checkpoint: altered.into_bytes(), ..proof.clone() }).await;
    let expected = LogProofError::Checkpoint(CheckpointError::BadSignature);
    assert!(matches!(refusal, LogRefusal::Proof(reason) if reason == expected), "{refusal:?}");
    let mut odd = MadeLog::default();
    odd.add(b"no entry".to_vec());
    let refusal = watch.logged(&odd.newest_proof(), &odd).await.unwrap_err();
    assert!(matches!(refusal, LogRefusal::Entry(MalformedEntry)), "{refusal:?}");

    let known = vec![witness(1).verifier_key().clone()];
    let keys = LogKeys::new(signer().verifier_key().clone(), known, 1).unwrap();
    let watch = LogWatch::new(keys, None);
    let refusal = watch.logged(&proof.encode(), &log).await.unwrap_err();
    let expected = LogProofError::Checkpoint(CheckpointError::Witnesses);
    assert!(matches!(refusal, LogRefusal::Proof(reason) if reason == expected), "{refusal:?}");
    let mut note = log.checkpoint(5);
    note.add(witness(1).sign(&note, 9));
    let cosigned = LogProof { checkpoint: note.to_string().into_bytes(), ..proof };
    assert_eq!(watch.logged(&cosigned.encode(), &log).await.unwrap(), model(3));
}
