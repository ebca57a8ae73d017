//! Proofs that stand alone (C2SP tlog-proof): that a leaf is in a log, with the checkpoint that says so.

use std::fmt::Write as _;

use super::checkpoint::{CheckpointError, LogKeys, VerifiedCheckpoint};
use super::line;
use super::note::NOTE_BYTES_MAX;
use super::tree::{PROOF_HASHES_MAX, ProofError, leaf_hash, verify_inclusion};
use crate::Digest;

/// The first line.
const HEAD: &str = "c2sp.org/tlog-proof@v1";
/// Bytes of opaque data: Siwa puts the leaf there, which is at most 65,535 bytes.
pub const EXTRA_BYTES_MAX: usize = 65_535;
/// Bytes of a proof's text.
pub const PROOF_BYTES_MAX: usize = 96 * 1024 + 64 * 64 + NOTE_BYTES_MAX;
/// Media type of a proof's text.
pub const MEDIA_TYPE: &str = "text/plain; charset=utf-8";

/// A proof as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogProof {
    /// The leaf's place, from 0.
    pub index: u64,
    /// From the leaf's sibling to the root's child.
    pub hashes: Vec<Digest>,
    /// Opaque data that nothing vouches for. Siwa puts the leaf here.
    pub extra: Option<Vec<u8>>,
    /// The checkpoint's note.
    pub checkpoint: Vec<u8>,
}

/// Why a proof is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LogProofError {
    /// Not the text of a proof.
    #[error("the text is not a proof of a log")]
    Form,
    /// It does not bring the leaf that it is of.
    #[error("the proof does not bring its leaf")]
    NoLeaf,
    /// Its checkpoint.
    #[error("the proof's checkpoint is refused")]
    Checkpoint(#[from] CheckpointError),
    /// Its hashes.
    #[error("the proof does not show that the leaf is in the log")]
    Inclusion(#[from] ProofError),
}

impl LogProof {
    /// Reads a proof.
    ///
    /// # Errors
    /// [`LogProofError::Form`].
    pub fn parse(bytes: &[u8]) -> Result<Self, LogProofError> {
        if bytes.len() > PROOF_BYTES_MAX {
            return Err(LogProofError::Form);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| LogProofError::Form)?;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(LogProofError::Form)?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEAD) {
            return Err(LogProofError::Form);
        }
        let extra = match lines.peek().and_then(|line| line.strip_prefix("extra ")) {
            None => None,
            Some(text) => {
                lines.next();
                let bytes = line::decoded(text).filter(|bytes| bytes.len() <= EXTRA_BYTES_MAX);
                Some(bytes.ok_or(LogProofError::Form)?)
            }
        };
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(line::decimal);
        let index = index.ok_or(LogProofError::Form)?;
        let hashes: Vec<_> =
            lines.take(PROOF_HASHES_MAX + 1).map(line::digest).collect::<Option<_>>().ok_or(LogProofError::Form)?;
        if hashes.len() > PROOF_HASHES_MAX {
            return Err(LogProofError::Form);
        }
        Ok(Self { index, hashes, extra, checkpoint: checkpoint.as_bytes().to_vec() })
    }

    /// Checks that `leaf` is in the log.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify(&self, leaf: &[u8], keys: &LogKeys) -> Result<VerifiedCheckpoint, LogProofError> {
        let checkpoint = keys.verify(&self.checkpoint)?;
        let leaf = leaf_hash(leaf);
        verify_inclusion(&leaf, self.index, checkpoint.size(), &self.hashes, &checkpoint.root())?;
        Ok(checkpoint)
    }

    /// The leaf that the proof brings as its opaque data, once it is shown to be in the log.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verified_leaf(&self, keys: &LogKeys) -> Result<(&[u8], VerifiedCheckpoint), LogProofError> {
        let leaf = self.extra.as_deref().ok_or(LogProofError::NoLeaf)?;
        Ok((leaf, self.verify(leaf, keys)?))
    }

    /// The text.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut text = format!("{HEAD}\n");
        // Writing to a String does not fail.
        if let Some(extra) = &self.extra {
            let _ = writeln!(text, "extra {}", line::encoded(extra));
        }
        let _ = writeln!(text, "index {}", self.index);
        for hash in &self.hashes {
            let _ = writeln!(text, "{}", line::encoded(hash.as_bytes()));
        }
        text.push('\n');
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.checkpoint);
        bytes
    }
}
