use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::Ordering;

use policies::log::{CheckpointError, LogProofError, Tile};

use super::super::folder::FolderError;
use super::super::testing::{MadeLog, witness};
use super::*;

/// Every file below a folder that a reader may ask for, by its path.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                folders.push(path);
            } else if !path.file_name().unwrap().to_str().unwrap().starts_with('.') {
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    for (name, bytes) in files(from) {
        let path = to.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

#[tokio::test]
async fn the_files_are_those_of_the_tree_and_partials_of_full_tiles_go() {
    let (folder, publisher, store) = published(3).await;
    store.log_append_all((4..=260).map(model).collect()).await.unwrap();
    assert_eq!(publisher.publish().await.unwrap(), 260);
    let made = MadeLog::of((1..=260).map(model));
    let mut files = files(&folder.path().join("log"));
    assert_eq!(files.remove("checkpoint").unwrap(), made.checkpoint(260).to_string().into_bytes());
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    let expected = ["tile/0/000", "tile/0/001.p/4", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/4"];
    assert_eq!(names, expected);
    for (name, bytes) in files {
        assert_eq!(Some(bytes), made.file(&name), "{name}");
    }
    // Nothing new, nothing done.
    assert_eq!(publisher.publish().await.unwrap(), 260);
}

#[tokio::test]
async fn a_kill_between_any_two_steps_leaves_what_the_next_start_completes_to_the_same_bytes() {
    let (template, first, store) = published(255).await;
    drop(first);
    for serial in 256..=257 {
        store.log_append(model(serial)).await.unwrap();
    }
    let before = template.path().join("log");
    let mut expected = None;
    let mut killed = 0;
    // First with no kill, for what is to come out.
    for steps in std::iter::once(u64::MAX).chain(0..200) {
        let folder = tempfile::tempdir().unwrap();
        copy(&before, folder.path());
        let open = async || Publisher::open(options(folder.path().to_owned()), store.clone()).await.unwrap();
        let publisher = open().await;
        publisher.folder().steps.store(steps, Ordering::SeqCst);
        let outcome = publisher.publish().await;
        if let Err(error) = &outcome {
            assert!(matches!(error, LogError::Folder(FolderError::Io(_))), "{error:?}");
            killed += 1;
        }
        // Whatever the step, what a reader finds is the old log or the new one, whole.
        let note = fs::read(folder.path().join("checkpoint")).unwrap();
        assert!([255, 257].contains(&keys().verify(&note).unwrap().size()));
        let again = open().await;
        assert_eq!(again.publish().await.unwrap(), 257);
        let mut files = files(folder.path());
        // Killed after the checkpoint, partial tiles that were filled may stay: they are as true as before.
        files.retain(|name, _| !["tile/0/000.p/255", "tile/entries/000.p/255"].contains(&name.as_str()));
        match &expected {
            None => expected = Some(files),
            Some(expected) => assert_eq!(&files, expected, "after {steps} steps"),
        }
        if outcome.is_ok() && steps != u64::MAX {
            assert!(killed > 30, "{killed} steps");
            return;
        }
    }
    panic!("a pass has fewer steps");
}

#[tokio::test]
async fn a_folder_that_disagrees_with_the_store_is_not_published_to() {
    let (folder, first, _) = published(5).await;
    drop(first);
    let log = || options(folder.path().join("log"));
    let open = async |options, store| Publisher::open(options, store).await.err().unwrap();
    let rolled_back = store_of(folder.path(), 3).await;
    let error = open(log(), rolled_back).await;
    assert!(matches!(error, LogError::Behind { rows: 3, published: 5 }), "{error:?}");
    let other = store_of(folder.path(), 0).await;
    for serial in [1, 2, 3, 4, 6, 7] {
        other.log_append(model(serial)).await.unwrap();
    }
    let error = open(log(), other.clone()).await;
    assert!(matches!(error, LogError::Forked), "{error:?}");
    let key = attest::SigningKey::generate(&mut rand_core::TryRngCore::unwrap_err(rand_core::OsRng));
    let signer = attest::note::NoteSigner::of_notes(testing::ORIGIN, key).unwrap();
    let error = open(LogOptions { signer, ..log() }, other.clone()).await;
    assert!(matches!(error, LogError::Foreign(CheckpointError::Unsigned)), "{error:?}");
    // Tiles of another log without its checkpoint.
    fs::remove_file(folder.path().join("log/checkpoint")).unwrap();
    for size in 0..=6_u16 {
        let tile = Tile { level: None, index: 0, width: size.max(1) };
        let path = folder.path().join("log").join(tile.to_string());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"another").unwrap();
    }
    let publisher = Publisher::open(log(), other).await.unwrap();
    let error = publisher.publish().await.unwrap_err();
    assert!(matches!(error, LogError::Folder(FolderError::Other)), "{error:?}");
    assert_eq!(publisher.condition().name, "log");
    assert!(publisher.checkpoint().is_none(), "nothing is published");
}

#[tokio::test]
async fn a_proof_waits_for_its_entry_to_be_published() {
    let (_folder, publisher, store) = published(2).await;
    let index = store.log_append(model(3)).await.unwrap();
    let proof = publisher.proof(index, model(3).encode()).await.unwrap();
    assert_eq!(proof.verified_leaf(&keys()).map(|(leaf, at)| (leaf.to_vec(), at.size())), Ok((model(3).encode(), 3)));
    let forged = publisher.proof(index, model(4).encode()).await.unwrap();
    assert!(matches!(forged.verified_leaf(&keys()), Err(LogProofError::Inclusion(_))));
    assert!(matches!(publisher.proof(3, Vec::new()).await, Err(LogError::NoEntry)));
}

#[tokio::test]
async fn too_few_witnesses_publish_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_of(folder.path(), 1).await;
    // Port 9 of loopback: nobody listens.
    let link = WitnessLink::new("http://127.0.0.1:9", witness(1).verifier_key().clone(), Vec::new()).unwrap();
    let options = LogOptions { witnesses: vec![link], witnesses_min: 1, ..options(folder.path().join("log")) };
    let publisher = Publisher::open(options, store).await.unwrap();
    let error = publisher.publish().await.unwrap_err();
    assert!(matches!(error, LogError::Witnesses { signed: 0, least: 1 }), "{error:?}");
    assert!(!folder.path().join("log/checkpoint").exists());
}
