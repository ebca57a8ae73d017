//! Bodies of the fuzz targets of the log's formats.

use super::bundle;
use super::checkpoint::{Checkpoint, LogKeys};
use super::key::{KeyAlgorithm, VerifierKey};
use super::note::{Note, NoteSignature};
use super::proof::LogProof;
use super::tile::{self, Tile};
use super::tree::{Frontier, leaf_hash, verify_consistency, verify_inclusion};
use super::witness::{AddCheckpoint, parse_cosignatures, parse_size};
use crate::Digest;

/// Body of the fuzz target `log_note`: any bytes as a note, a checkpoint, a verifier key and a signature line.
///
/// # Panics
/// When what reads does not write as it was, or something verifies by a key that nobody has.
pub fn note(data: &[u8]) {
    let keys = keys();
    assert!(keys.verify(data).is_err(), "nobody has this key");
    if let Ok(note) = Note::parse(data) {
        assert_eq!(note.to_string().as_bytes(), data, "a note has one form");
        if let Ok(checkpoint) = Checkpoint::parse(note.text()) {
            assert!(note.text().starts_with(&checkpoint.to_string()), "a checkpoint has one form");
        }
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = text.parse::<VerifierKey>() {
        assert_eq!(key.to_string(), text, "a key has one form");
    }
    if let Some(line) = NoteSignature::parse(text) {
        assert_eq!(line.to_string().trim_end_matches('\n'), text, "a signature's line has one form");
    }
}

/// Body of the fuzz target `log_proof`: any bytes as a proof, a witness's request and its answers.
///
/// # Panics
/// When what reads does not write as it was, or is shown to be in a log that nobody signed.
pub fn proof(data: &[u8]) {
    if let Ok(proof) = LogProof::parse(data) {
        assert_eq!(proof.encode(), data, "a proof has one form");
        assert!(proof.verify(b"leaf", &keys()).is_err(), "nobody has this key");
        // Behind the signature: whatever its place and hashes are.
        let leaf = leaf_hash(b"leaf");
        let size = u64::try_from(data.len()).unwrap_or(u64::MAX);
        let _ = verify_inclusion(&leaf, proof.index, size, &proof.hashes, &leaf);
        let _ = verify_consistency((proof.index, &leaf), (size, &leaf), &proof.hashes);
    }
    if let Ok(request) = AddCheckpoint::parse(data) {
        assert_eq!(request.encode(), data, "a request has one form");
    }
    let _ = parse_cosignatures(data);
    let _ = parse_size(data);
}

/// Body of the fuzz target `log_tile`: any bytes as a path, and, after a byte for the width, as a tile and a bundle.
///
/// # Panics
/// When what reads does not write as it was.
pub fn tile(data: &[u8]) {
    if let Some(tile) = std::str::from_utf8(data).ok().and_then(Tile::parse) {
        assert_eq!(tile.to_string().as_bytes(), data, "a tile has one path");
    }
    let Some((width, bytes)) = data.split_first() else { return };
    let width = u16::from(*width) + 1;
    if let Some(hashes) = tile::decode(Tile { level: Some(0), index: 0, width }, bytes) {
        assert_eq!(tile::encode(&hashes), bytes, "a tile has one form");
    }
    if let Ok(entries) = bundle::decode(bytes, width) {
        let (mut again, mut tree) = (Vec::new(), Frontier::default());
        for entry in entries {
            bundle::append(&mut again, entry).expect("it was read");
            tree.append(leaf_hash(entry), |_, _| {});
        }
        assert_eq!(again, bytes, "a bundle has one form");
        assert_eq!(tree.size(), u64::from(width));
    }
}

/// Keys whose private halves nobody has: digests taken as points.
fn keys() -> LogKeys {
    let public = |text: &str| *Digest::of(text.as_bytes()).as_bytes();
    let log = VerifierKey::new("example.org/log", KeyAlgorithm::Note, public("log")).expect("it is a name");
    let witness = VerifierKey::new("witness", KeyAlgorithm::Cosignature, public("witness")).expect("it is a name");
    LogKeys::new(log, vec![witness], 0).expect("they are a log's and a witness's")
}
