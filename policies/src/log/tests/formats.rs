//! Texts and paths: one form each, and every alteration refused.

use proptest::prelude::*;

use super::note::SignatureState;
use super::witness::{AddCheckpoint, MalformedRequest, parse_cosignatures, parse_size};
use super::*;

fn keys() -> LogKeys {
    LogKeys::new(log_key(1), Vec::new(), 0).unwrap()
}

#[test]
fn tiles_have_the_paths_of_the_specification() {
    let tile = |level, index, width| Tile { level, index, width };
    for (tile, path) in [
        (tile(Some(0), 0, 256), "tile/0/000"),
        (tile(Some(1), 0, 112), "tile/1/000.p/112"),
        (tile(Some(0), 1_234_067, 256), "tile/0/x001/x234/067"),
        (tile(None, 272, 34), "tile/entries/272.p/34"),
        (tile(None, 1000, 256), "tile/entries/x001/000"),
    ] {
        assert_eq!(tile.to_string(), path);
        assert_eq!(Tile::parse(path), Some(tile));
    }
    for path in [
        "tile/0/0",
        "tile/0/0000",
        "tile/00/000",
        "tile/8/000",
        "tile/0/x000/000",
        "tile/0/001/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/04",
        "tile/0/+01",
        "tile/-1/000",
        "tile/0/../000",
        "tile/entries/x999/x999/x999/x999/x999/x999/999",
        "checkpoint",
    ] {
        assert_eq!(Tile::parse(path), None, "{path}");
    }
    // 70,000 leaves: 273 full tiles and 112 hashes more; 273 hashes at level 1; one at level 2.
    let widths = |level, index| Tile::of(level, index, 70_000).map(|tile| tile.width);
    assert_eq!(widths(Some(0), 273), Some(112));
    assert_eq!(widths(None, 273), Some(112));
    assert_eq!(widths(Some(0), 274), None);
    assert_eq!((widths(Some(1), 0), widths(Some(1), 1)), (Some(256), Some(17)));
    assert_eq!((widths(Some(2), 0), widths(Some(3), 0)), (Some(1), None));
    assert_eq!(tile(Some(1), 1, 17).partials(), "tile/1/001.p");
}

#[test]
fn bundles_hold_what_was_appended_and_nothing_else() {
    let mut bytes = Vec::new();
    let longest = vec![7; bundle::ENTRY_BYTES_MAX];
    for entry in [b"".as_slice(), b"abc", &longest] {
        bundle::append(&mut bytes, entry).unwrap();
    }
    assert_eq!(bundle::append(&mut Vec::new(), &[longest.as_slice(), b"1"].concat()), Err(bundle::MalformedBundle));
    assert_eq!(bytes[..7], [0, 0, 0, 3, b'a', b'b', b'c']);
    assert_eq!(bundle::decode(&bytes, 3), Ok(vec![b"".as_slice(), b"abc", &longest]));
    assert_eq!(bundle::decode(&bytes, 2), Err(bundle::MalformedBundle));
    assert_eq!(bundle::decode(&bytes, 4), Err(bundle::MalformedBundle));
    assert_eq!(bundle::decode(&bytes[..bytes.len() - 1], 3), Err(bundle::MalformedBundle));
}

#[test]
fn a_verifier_key_has_one_text() {
    // The example key of Go's note package (golang.org/x/mod/sumdb/note).
    let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    let key: VerifierKey = text.parse().unwrap();
    assert_eq!((key.name(), key.algorithm(), key.to_string().as_str()), ("PeterNeumann", KeyAlgorithm::Note, text));
    for (bad, why) in [
        (text.replace("Peter", "Paul"), InvalidVerifierKey::Hash),
        (text.replace("c74f20a3", "C74F20A3"), InvalidVerifierKey::Hash),
        (text.replace("ARpc", "BRpc"), InvalidVerifierKey::Hash),
        (text.replace("ARpc", "Ahpc"), InvalidVerifierKey::Algorithm),
        (text.replace("PeterNeumann", ""), InvalidVerifierKey::Name),
        (text.replace("PeterNeumann", "Peter Neumann"), InvalidVerifierKey::Name),
        (text.replace("ARpc", "A"), InvalidVerifierKey::Form),
        ("PeterNeumann".to_owned(), InvalidVerifierKey::Form),
        ("x".repeat(400), InvalidVerifierKey::Form),
    ] {
        let refused = bad.parse::<VerifierKey>();
        // Another algorithm is another key, whose hash is another too.
        let expected = if bad.contains("BRpc") { InvalidVerifierKey::Algorithm } else { why };
        assert_eq!(refused, Err(expected), "{bad}");
    }
}

/// Go's example note (golang.org/x/mod/sumdb/note, BSD-3-Clause).
const EXAMPLE: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

#[test]
fn a_published_note_verifies_and_an_altered_one_does_not() {
    let key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".parse().unwrap();
    let note = Note::parse(EXAMPLE.as_bytes()).unwrap();
    assert_eq!(note.state(&key), SignatureState::Good(None));
    assert_eq!(note.state(&log_key(1)), SignatureState::Absent);
    assert_eq!(note.to_string(), EXAMPLE);
    let state = |text: String| Note::parse(text.as_bytes()).map(|note| note.state(&key));
    assert_eq!(state(EXAMPLE.replace("answer", "Answer")), Ok(SignatureState::Bad));
    assert_eq!(state(EXAMPLE.replace("Neumann x", "Neumann y")), Ok(SignatureState::Absent));
    for broken in [
        EXAMPLE.replace("\n\n", "\n"),
        EXAMPLE.trim_end().to_owned(),
        EXAMPLE.replace("\u{2014} ", "- "),
        EXAMPLE.replace("answer", "ans\twer"),
        format!("\n\n{}", EXAMPLE.rsplit_once("\n\n").unwrap().1),
        format!("{EXAMPLE}\n"),
        "x".repeat(note::NOTE_BYTES_MAX + 1),
        [EXAMPLE, &EXAMPLE.rsplit_once("\n\n").unwrap().1.repeat(note::SIGNATURES_MAX)].concat(),
    ] {
        assert_eq!(state(broken), Err(MalformedNote));
    }
}

#[test]
fn a_checkpoint_has_one_text_and_only_its_log_signs_it() {
    let expected = checkpoint(5, Digest::of(b"root"));
    let note = signed(&expected, 1).to_string();
    assert_eq!(keys().verify(note.as_bytes()).map(|it| it.checkpoint().clone()), Ok(expected.clone()));
    let refused = |note: &str| keys().verify(note.as_bytes()).unwrap_err();
    assert_eq!(refused(&signed(&expected, 2).to_string()), CheckpointError::Unsigned);
    assert_eq!(refused(&note.replace("\n5\n", "\n6\n")), CheckpointError::BadSignature);
    let other = Checkpoint { origin: "example.org/other".to_owned(), ..expected.clone() };
    assert_eq!(refused(&signed(&other, 1).to_string()), CheckpointError::Origin);
    assert_eq!(refused("nothing"), CheckpointError::Note(MalformedNote));
    let root = line::encoded(expected.root.as_bytes());
    for text in [
        format!("a b\n5\n{root}\n"),
        format!("a\n05\n{root}\n"),
        format!("a\n-5\n{root}\n"),
        format!("a\n9223372036854775808\n{root}\n"),
        format!("a\n0\n{root}\n"),
        format!("a\n5\n{}\n", &root[4..]),
        format!("a\n5\n{root}"),
        format!("a\n5\n{root}\n\nx\n"),
        "a\n5\n".to_owned(),
    ] {
        assert_eq!(Checkpoint::parse(&text), Err(CheckpointError::Form), "{text}");
    }
    let extended = Checkpoint::parse(&format!("example.org/log\n5\n{root}\nextension\n"));
    assert_eq!(extended, Ok(expected));
}

#[test]
fn keys_that_cannot_be_a_logs_and_its_witnesses_are_refused() {
    let witness = |seed| VerifierKey::new("witness", KeyAlgorithm::Cosignature, public(&pair(seed))).unwrap();
    let renamed = VerifierKey::new("other", KeyAlgorithm::Cosignature, public(&pair(2))).unwrap();
    for (log, witnesses, least, why) in [
        (witness(1), vec![], 0, LogKeysError::LogKey),
        (log_key(1), vec![log_key(2)], 0, LogKeysError::WitnessKey),
        (log_key(1), vec![witness(2), renamed], 0, LogKeysError::Twice),
        (log_key(1), vec![witness(1)], 0, LogKeysError::Twice),
        (log_key(1), vec![witness(2)], 2, LogKeysError::Threshold),
        (log_key(1), (2..35).map(witness).collect(), 0, LogKeysError::Threshold),
    ] {
        assert_eq!(LogKeys::new(log, witnesses, least), Err(why));
    }
}

#[test]
fn a_proof_stands_alone_and_every_alteration_is_refused() {
    let tree = Tree::of([b"a".as_slice(), b"b", b"c"]);
    let note = signed(&checkpoint(3, tree.root(3)), 1).to_string().into_bytes();
    let proof = LogProof { index: 1, hashes: tree.inclusion(1, 3), extra: Some(b"b".to_vec()), checkpoint: note };
    let text = String::from_utf8(proof.encode()).unwrap();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nextra Yg==\nindex 1\n"), "{text}");
    assert_eq!(LogProof::parse(text.as_bytes()), Ok(proof.clone()));
    assert_eq!(proof.verified_leaf(&keys()).map(|(leaf, at)| (leaf, at.size())), Ok((b"b".as_slice(), 3)));
    let refused = |text: &str| LogProof::parse(text.as_bytes()).and_then(|it| it.verify(b"b", &keys())).unwrap_err();
    assert_eq!(proof.verify(b"c", &keys()), Err(LogProofError::Inclusion(ProofError::Root)));
    assert_eq!(refused(&text.replace("index 1", "index 0")), LogProofError::Inclusion(ProofError::Root));
    assert_eq!(refused(&text.replace("index 1", "index 3")), LogProofError::Inclusion(ProofError::Range));
    assert_eq!(refused(&text.replace("index 1", "index 2")), LogProofError::Inclusion(ProofError::Length));
    assert_eq!(refused(&text.replace("\n3\n", "\n4\n")), LogProofError::Checkpoint(CheckpointError::BadSignature));
    let nothing = LogProof { extra: None, ..proof };
    assert_eq!(nothing.verified_leaf(&keys()), Err(LogProofError::NoLeaf));
    let hash = line::encoded(tree.root(3).as_bytes());
    for broken in [
        text.replace("@v1", "@v2"),
        text.replace("index 1", "index 01"),
        text.replace("index 1", "index"),
        text.replace("extra Yg==", "extra Yg="),
        text.replace("extra Yg==", "extra Yg==\nextra Yg=="),
        text.replace("index 1\n", &format!("index 1\n{}", format!("{hash}\n").repeat(64))),
        text.replace("\n\n", "\n"),
        "x".repeat(proof::PROOF_BYTES_MAX + 1),
    ] {
        assert_eq!(refused(&broken), LogProofError::Form, "{broken}");
    }
}

#[test]
fn witness_requests_and_answers_have_one_form() {
    let request = AddCheckpoint { old_size: 3, proof: vec![Digest::of(b"1")], checkpoint: b"note\n".to_vec() };
    let text = String::from_utf8(request.encode()).unwrap();
    assert_eq!(AddCheckpoint::parse(text.as_bytes()), Ok(request));
    for broken in [text.replace("old 3", "old 03"), text.replace("old", "new"), text.replace("\n\n", "\n")] {
        assert_eq!(AddCheckpoint::parse(broken.as_bytes()), Err(MalformedRequest));
    }
    assert_eq!(parse_size(b"50\n"), Ok(50));
    for bad in [b"50".as_slice(), b"050\n", b"", b"-1\n", b"50\n\n"] {
        assert_eq!(parse_size(bad), Err(MalformedRequest));
    }
    let line = signed(&checkpoint(1, Digest::of(b"")), 1).signatures()[0].clone();
    assert_eq!(parse_cosignatures(line.to_string().as_bytes()), Ok(vec![line]));
    assert_eq!(parse_cosignatures(b"\n"), Err(MalformedRequest));
}

proptest! {
    #[test]
    fn any_bytes_read_or_are_refused(data in proptest::collection::vec(any::<u8>(), 0..600)) {
        fuzz::note(&data);
        fuzz::proof(&data);
        fuzz::tile(&data);
    }

    #[test]
    fn every_tile_has_a_path_that_reads_as_it(level in 0_u8..=7, entries in any::<bool>(), index in 0_u64..=(i64::MAX as u64 >> 8), width in 1_u16..=256) {
        let tile = Tile { level: (!entries).then_some(level), index, width };
        prop_assert_eq!(Tile::parse(&tile.to_string()), Some(tile));
    }
}
