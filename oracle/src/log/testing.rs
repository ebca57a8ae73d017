//! A log of tests: its key is known to everyone, and it lives in memory.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use aggregator::log::{LogEntry, ModelLogged};
use attest::SigningKey;
use attest::jws::fuzz::fixed_key;
use attest::note::NoteSigner;
use policies::log::tree::{self, leaf_hash};
use policies::log::{Checkpoint, Frontier, HashReader, LogKeys, LogProof, Note, Subtree, Tile, bundle, tile};
use policies::{Digest, TenantId};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::LogOptions;
use super::source::{SourceError, TileFetch};

pub(crate) const ORIGIN: &str = "example.org/log";

pub(crate) fn signer() -> NoteSigner {
    NoteSigner::of_notes(ORIGIN, fixed_key()).unwrap()
}

pub(crate) fn keys() -> LogKeys {
    LogKeys::new(signer().verifier_key().clone(), Vec::new(), 0).unwrap()
}

/// The signer of the witness with this number.
pub(crate) fn witness(number: u64) -> NoteSigner {
    let key = SigningKey::generate(&mut ChaCha20Rng::seed_from_u64(number));
    NoteSigner::of_cosignatures(&format!("witness-{number}"), key).unwrap()
}

pub(crate) fn options(folder: PathBuf) -> LogOptions {
    LogOptions { folder, signer: signer(), witnesses: Vec::new(), witnesses_min: 0, interval: Duration::ZERO }
}

/// A pointer's entry.
pub(crate) fn model(serial: u64) -> LogEntry {
    let digest = Digest::of(&serial.to_be_bytes());
    LogEntry::Model(ModelLogged { tenant: "demo".parse().unwrap(), version: 1, digest, serial, logged_ms: 5 })
}

/// A log in memory, with the hashes of all its subtrees.
#[derive(Default)]
pub(crate) struct MadeLog {
    entries: Vec<Vec<u8>>,
    frontier: Frontier,
    hashes: BTreeMap<Subtree, Digest>,
}

impl HashReader for MadeLog {
    type Error = Subtree;

    fn hash(&self, subtree: Subtree) -> Result<Digest, Subtree> {
        self.hashes.get(&subtree).copied().ok_or(subtree)
    }
}

impl MadeLog {
    pub(crate) fn of(entries: impl IntoIterator<Item = LogEntry>) -> Self {
        let mut log = Self::default();
        entries.into_iter().for_each(|entry| log.add(entry.encode()));
        log
    }

    pub(crate) fn add(&mut self, entry: Vec<u8>) {
        let hashes = &mut self.hashes;
        self.frontier.append(leaf_hash(&entry), |subtree, hash| {
            hashes.insert(subtree, hash);
        });
        self.entries.push(entry);
    }

    pub(crate) fn add_model(&mut self, tenant: TenantId, version: u64, digest: Digest, serial: u64) {
        self.add(LogEntry::Model(ModelLogged { tenant, version, digest, serial, logged_ms: 5 }).encode());
    }

    /// The checkpoint of the first `size` entries, signed.
    pub(crate) fn checkpoint(&self, size: u64) -> Note {
        let root = tree::range_hash(&(0..size), self).unwrap();
        signer().checkpoint(&Checkpoint { origin: ORIGIN.to_owned(), size, root }).unwrap()
    }

    /// The proof of an entry in the tree of `size`.
    pub(crate) fn proof(&self, index: u64, size: u64) -> LogProof {
        LogProof {
            index,
            hashes: tree::proof(&tree::inclusion_ranges(index, size), self).unwrap(),
            extra: Some(self.entries[usize::try_from(index).unwrap()].clone()),
            checkpoint: self.checkpoint(size).to_string().into_bytes(),
        }
    }

    pub(crate) fn consistency(&self, from: u64, to: u64) -> Vec<Digest> {
        tree::proof(&tree::consistency_ranges(from, to), self).unwrap()
    }

    pub(crate) fn newest_proof(&self) -> Vec<u8> {
        self.proof(self.frontier.size() - 1, self.frontier.size()).encode()
    }

    /// A file of the log.
    pub(crate) fn file(&self, path: &str) -> Option<Vec<u8>> {
        let asked = Tile::parse(path)?;
        let Tile { level, index, .. } = asked;
        let range = index * 256..index * 256 + u64::from(asked.width);
        if let Some(level) = level {
            let hash = |index| self.hashes.get(&Subtree { level: level * 8, index }).copied();
            return Some(tile::encode(&range.map(hash).collect::<Option<Vec<_>>>()?));
        }
        let mut bytes = Vec::new();
        for index in range {
            bundle::append(&mut bytes, self.entries.get(usize::try_from(index).unwrap())?).unwrap();
        }
        Some(bytes)
    }
}

impl TileFetch for MadeLog {
    async fn fetch(&self, path: &str, _: usize) -> Result<Option<Vec<u8>>, SourceError> {
        Ok(self.file(path))
    }
}
