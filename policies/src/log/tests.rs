//! Against RFC 6962's reference trees, and against other people's implementations of the C2SP formats.

mod formats;
mod others;
mod trees;

use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::*;
use crate::Digest;
use tree::leaf_hash;

/// The hashes of all complete subtrees of a tree.
#[derive(Default)]
struct Tree {
    frontier: Frontier,
    hashes: std::collections::BTreeMap<Subtree, Digest>,
}

impl Tree {
    fn of<'a>(leaves: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut tree = Self::default();
        for leaf in leaves {
            let hashes = &mut tree.hashes;
            tree.frontier.append(leaf_hash(leaf), |subtree, hash| {
                hashes.insert(subtree, hash);
            });
        }
        tree
    }

    /// Of this many leaves that differ.
    fn numbered(size: u64) -> Self {
        let leaves: Vec<_> = (0..size).map(u64::to_be_bytes).collect();
        Self::of(leaves.iter().map(<[u8; 8]>::as_slice))
    }

    fn root(&self, size: u64) -> Digest {
        tree::range_hash(&(0..size), self).unwrap()
    }

    fn inclusion(&self, index: u64, size: u64) -> Vec<Digest> {
        tree::proof(&tree::inclusion_ranges(index, size), self).unwrap()
    }

    fn consistency(&self, from: u64, to: u64) -> Vec<Digest> {
        tree::proof(&tree::consistency_ranges(from, to), self).unwrap()
    }
}

impl HashReader for Tree {
    type Error = Subtree;

    fn hash(&self, subtree: Subtree) -> Result<Digest, Subtree> {
        self.hashes.get(&subtree).copied().ok_or(subtree)
    }
}

/// A key pair that anyone can compute.
fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn public(pair: &Ed25519KeyPair) -> [u8; 32] {
    pair.public_key().as_ref().try_into().unwrap()
}

fn log_key(seed: u8) -> VerifierKey {
    VerifierKey::new("example.org/log", KeyAlgorithm::Note, public(&pair(seed))).unwrap()
}

/// A checkpoint's note, signed.
fn signed(checkpoint: &Checkpoint, seed: u8) -> Note {
    let mut note = Note::of(checkpoint.to_string()).unwrap();
    let signature = pair(seed).sign(note.text().as_bytes()).as_ref().to_vec();
    note.add(NoteSignature::of(&log_key(seed), signature));
    note
}

fn checkpoint(size: u64, root: Digest) -> Checkpoint {
    Checkpoint { origin: "example.org/log".to_owned(), size, root }
}
