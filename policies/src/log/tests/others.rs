//! What ours makes, others read, and the other way round: `tlog_tiles` and `signed_note` of Cloudflare's Azul.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use signed_note::{Signer as _, StandardSigner, StandardVerifier, VerifierList};
use tlog_tiles::{Hash, HashReader as TheirReader};

use super::note::SignatureState;
use super::tree::{verify_consistency, verify_inclusion};
use super::*;

/// Hashes in the order in which `tlog_tiles` stores them.
#[derive(Default)]
struct Theirs(Vec<Hash>);

impl TheirReader for Theirs {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        Ok(indexes.iter().map(|index| self.0[usize::try_from(*index).unwrap()]).collect())
    }
}

impl Theirs {
    fn numbered(size: u64) -> Self {
        let mut theirs = Self::default();
        for index in 0..size {
            let hashes = tlog_tiles::stored_hashes(index, &index.to_be_bytes(), &theirs).unwrap();
            theirs.0.extend(hashes);
        }
        theirs
    }
}

fn to_theirs(hashes: &[Digest]) -> Vec<Hash> {
    hashes.iter().map(|hash| Hash(*hash.as_bytes())).collect()
}

fn to_ours(hashes: &[Hash]) -> Vec<Digest> {
    hashes.iter().map(|hash| Digest::from_bytes(hash.0)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn proofs_are_the_same_in_both_directions(size in 1_u64..700, place in any::<prop::sample::Index>()) {
        let (ours, theirs) = (Tree::numbered(size), Theirs::numbered(size));
        let root = ours.root(size);
        prop_assert_eq!(tlog_tiles::tree_hash(size, &theirs).unwrap().0, *root.as_bytes());
        let at = place.index(usize::try_from(size).unwrap()) as u64;
        // Theirs, checked by ours.
        let proof = to_ours(&tlog_tiles::prove_record(size, at, &theirs).unwrap());
        prop_assert_eq!(verify_inclusion(&leaf_hash(&at.to_be_bytes()), at, size, &proof, &root), Ok(()));
        let (from, old) = (at + 1, ours.root(at + 1));
        let consistency = to_ours(&tlog_tiles::prove_tree(size, from, &theirs).unwrap());
        prop_assert_eq!(verify_consistency((from, &old), (size, &root), &consistency), Ok(()));
        // Ours, checked by theirs.
        let their_root = Hash(*root.as_bytes());
        let leaf = tlog_tiles::record_hash(&at.to_be_bytes());
        prop_assert!(tlog_tiles::check_record(&to_theirs(&ours.inclusion(at, size)), size, their_root, at, leaf).is_ok());
        let old = Hash(*old.as_bytes());
        prop_assert!(tlog_tiles::check_tree(&to_theirs(&ours.consistency(from, size)), size, their_root, from, old).is_ok());
    }
}

#[test]
fn checkpoints_are_read_by_both() {
    let ours = checkpoint(5, Digest::of(b"root"));
    let theirs = tlog_tiles::Checkpoint::from_bytes(ours.to_string().as_bytes()).unwrap();
    assert_eq!((theirs.origin(), theirs.size(), theirs.hash().0), ("example.org/log", 5, *ours.root.as_bytes()));
    assert_eq!(Checkpoint::parse(std::str::from_utf8(&theirs.to_bytes()).unwrap()), Ok(ours));
}

#[test]
fn notes_signed_by_one_verify_by_the_other() {
    let key = log_key(1);
    let ours = signed(&checkpoint(5, Digest::of(b"root")), 1);
    let verifier = || StandardVerifier::new(&key.to_string()).unwrap();
    let theirs = signed_note::Note::from_bytes(ours.to_string().as_bytes()).unwrap();
    let (verified, others) = theirs.verify(&VerifierList::new(vec![Box::new(verifier())])).unwrap();
    assert_eq!((verified.len(), others.len()), (1, 0));

    let id = u32::from_be_bytes(key.id());
    let secret = STANDARD.encode([&[1], [1; 32].as_slice()].concat());
    let signer = StandardSigner::new(&format!("PRIVATE+KEY+{}+{id:08x}+{secret}", key.name())).unwrap();
    assert_eq!(signer.key_id(), id);
    let mut made = signed_note::Note::new(b"a text\n", &[]).unwrap();
    made.add_sigs(&[&signer]).unwrap();
    let read = Note::parse(&made.to_bytes()).unwrap();
    assert_eq!((read.text(), read.state(&key)), ("a text\n", SignatureState::Good(None)));
    assert_eq!(read.state(&log_key(2)), SignatureState::Absent);
}
