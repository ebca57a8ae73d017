use std::fs;

use policies::log::tree::ProofError;
use policies::log::{CheckpointError, LogKeys};

use super::super::testing::{MadeLog, signer, witness};
use super::*;

fn open(folder: &Path) -> LogReader {
    LogReader::open(Location::Folder(folder.to_owned()), &keys()).unwrap()
}

fn verify(folder: &Path) -> Result<u64, LogReadError> {
    let mut entries = 0;
    open(folder).verify(|index, bytes| -> Result<(), LogReadError> {
        assert_eq!((index, bytes), (entries, model(entries + 1).encode().as_slice()));
        entries += 1;
        Ok(())
    })?;
    Ok(entries)
}

#[test]
fn every_entry_is_read_again_and_an_altered_file_is_named() {
    let (folder, publisher, _) = runtime().block_on(published(600));
    drop(publisher);
    let log = folder.path().join("log");
    assert_eq!(verify(&log).unwrap(), 600);
    let reader = open(&log);
    let read: Vec<_> = reader.entries().map(Result::unwrap).collect();
    assert_eq!((read.len(), read[599].clone()), (600, (599, model(600).encode())));
    assert_eq!(reader.proof(300).unwrap(), MadeLog::of((1..=600).map(model)).proof(300, 600));
    assert!(matches!(reader.proof(600), Err(LogReadError::Proof(ProofError::Range))));

    for (name, at) in [("tile/0/001", 40), ("tile/0/002.p/88", 7), ("tile/1/000.p/2", 0)] {
        let file = log.join(name);
        let bytes = fs::read(&file).unwrap();
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        fs::write(&file, altered).unwrap();
        let error = verify(&log).unwrap_err();
        assert!(matches!(&error, LogReadError::Tile(tile) if tile.to_string() == name), "{error:?}");
        fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
        let error = verify(&log).unwrap_err();
        assert!(matches!(error, LogReadError::Source(SourceError::Form)), "{error:?}");
        fs::write(&file, bytes).unwrap();
    }
    let file = log.join("tile/entries/002.p/88");
    let bytes = fs::read(&file).unwrap();
    let mut altered = bytes.clone();
    *altered.last_mut().unwrap() ^= 1;
    fs::write(&file, altered).unwrap();
    let last = open(&log).entries().last().unwrap();
    assert!(matches!(last, Err(LogReadError::Root)), "{last:?}");
    fs::remove_file(&file).unwrap();
    let last = open(&log).entries().last().unwrap();
    assert!(matches!(last, Err(LogReadError::Source(SourceError::Missing))), "{last:?}");
}

#[test]
fn an_earlier_checkpoint_is_extended_or_the_log_was_forked() {
    let (folder, publisher, _) = runtime().block_on(published(300));
    drop(publisher);
    let reader = open(&folder.path().join("log"));
    let earlier =
        |log: &MadeLog, size| keys().verify(log.checkpoint(size).to_string().as_bytes()).unwrap().checkpoint().clone();
    let (log, fork) = (MadeLog::of((1..=400).map(model)), MadeLog::of((2..=300).map(model)));
    assert_eq!(reader.check_extends(&earlier(&log, 200)).unwrap(), log.consistency(200, 300).len());
    assert_eq!(reader.check_extends(&earlier(&log, 300)).unwrap(), 0);
    let refused = |checkpoint| match reader.check_extends(&checkpoint).unwrap_err() {
        LogReadError::Proof(why) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(earlier(&fork, 200)), ProofError::Root);
    assert_eq!(refused(earlier(&log, 400)), ProofError::Range, "the log was rolled back");
}

#[test]
fn a_checkpoint_without_its_witnesses_opens_nothing() {
    let (folder, publisher, _) = runtime().block_on(published(1));
    drop(publisher);
    let keys = LogKeys::new(signer().verifier_key().clone(), vec![witness(1).verifier_key().clone()], 1).unwrap();
    let error = LogReader::open(Location::Folder(folder.path().join("log")), &keys).err().unwrap();
    assert!(matches!(error, LogReadError::Checkpoint(CheckpointError::Witnesses)), "{error:?}");
    let error = LogReader::open(Location::Folder(folder.path().to_owned()), &keys).err().unwrap();
    assert!(matches!(error, LogReadError::Source(SourceError::Missing)), "{error:?}");
    for bad in ["ftp://host", "https://", "http://example.org"] {
        assert!(Location::parse(bad, Vec::new()).is_err(), "{bad}");
    }
}
