//! Checkpoints (C2SP tlog-checkpoint): how many leaves a log has and what they hash to, and who must have signed it.

use std::fmt;

use super::key::{KeyAlgorithm, VerifierKey, is_name};
use super::line;
use super::note::{MalformedNote, Note, SignatureState};
use super::tree::{LEAVES_MAX, ProofError, empty_root, verify_consistency};
use crate::Digest;

/// Witnesses that one verifier knows.
pub const WITNESSES_MAX: usize = 32;

/// A checkpoint's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: its key's name.
    pub origin: String,
    /// Leaves.
    pub size: u64,
    /// The root of their tree.
    pub root: Digest,
}

/// Why a checkpoint is not believed. Holds nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a signed note.
    #[error("the checkpoint is not a signed note")]
    Note(#[from] MalformedNote),
    /// The note's text is not a checkpoint's.
    #[error("the note is not a checkpoint")]
    Form,
    /// Another log's.
    #[error("the checkpoint is another log's")]
    Origin,
    /// The log's key did not sign it.
    #[error("the checkpoint is not signed by the log's key")]
    Unsigned,
    /// A signature under a known key's name does not verify.
    #[error("a signature of the checkpoint does not verify")]
    BadSignature,
    /// Fewer witnesses than the threshold signed it.
    #[error("fewer witnesses signed the checkpoint than must")]
    Witnesses,
}

/// Keys that cannot be a log's and its witnesses'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LogKeysError {
    /// The log's key is a witness's kind.
    #[error("the log's key is not of the kind that signs notes (0x01)")]
    LogKey,
    /// A witness's key is a log's kind.
    #[error("a witness's key is not of the kind that cosigns (0x04)")]
    WitnessKey,
    /// A key stands there twice: one witness would count as two.
    #[error("a key stands there twice")]
    Twice,
    /// More witnesses must sign than there are, or there are too many.
    #[error("more witnesses must sign than there are, or there are more than 32")]
    Threshold,
}

/// Whom a verifier believes: one log, and at least so many of these witnesses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKeys {
    log: VerifierKey,
    witnesses: Vec<VerifierKey>,
    witnesses_min: usize,
}

/// A checkpoint that the log and enough witnesses signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCheckpoint {
    checkpoint: Checkpoint,
    note: Vec<u8>,
}

impl Checkpoint {
    /// Reads a note's text. Further lines are allowed and mean nothing here.
    ///
    /// # Errors
    /// [`CheckpointError::Form`].
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointError::Form)?.split('\n');
        let origin = lines.next().filter(|origin| is_name(origin)).ok_or(CheckpointError::Form)?;
        let size = lines.next().and_then(line::decimal).filter(|size| *size <= LEAVES_MAX);
        let root = lines.next().and_then(line::digest);
        let (Some(size), Some(root)) = (size, root) else { return Err(CheckpointError::Form) };
        let empty = size == 0;
        if lines.any(str::is_empty) || empty && root != empty_root() {
            return Err(CheckpointError::Form);
        }
        Ok(Self { origin: origin.to_owned(), size, root })
    }

    /// Checks that `later` has what this one has, and more or nothing after it.
    ///
    /// # Errors
    /// The proof does not show it.
    pub fn is_extended_by(&self, later: &Self, proof: &[Digest]) -> Result<(), ProofError> {
        verify_consistency((self.size, &self.root), (later.size, &later.root), proof)
    }
}

/// The note's text: three lines.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, line::encoded(self.root.as_bytes()))
    }
}

impl LogKeys {
    /// A log's key, its witnesses', and how many of these must sign.
    ///
    /// # Errors
    /// Keys that cannot be that.
    pub fn new(log: VerifierKey, witnesses: Vec<VerifierKey>, witnesses_min: usize) -> Result<Self, LogKeysError> {
        if log.algorithm() != KeyAlgorithm::Note {
            return Err(LogKeysError::LogKey);
        }
        if witnesses.iter().any(|key| key.algorithm() != KeyAlgorithm::Cosignature) {
            return Err(LogKeysError::WitnessKey);
        }
        // By the key alone: under two names it is one witness.
        let twice = witnesses.iter().enumerate().any(|(at, key)| {
            key.public() == log.public() || witnesses[..at].iter().any(|other| other.public() == key.public())
        });
        if twice {
            return Err(LogKeysError::Twice);
        }
        if witnesses_min > witnesses.len() || witnesses.len() > WITNESSES_MAX {
            return Err(LogKeysError::Threshold);
        }
        Ok(Self { log, witnesses, witnesses_min })
    }

    /// The log's key.
    #[must_use]
    pub const fn log(&self) -> &VerifierKey {
        &self.log
    }

    /// What its checkpoints begin with.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.log.name()
    }

    /// The witnesses' keys.
    #[must_use]
    pub fn witnesses(&self) -> &[VerifierKey] {
        &self.witnesses
    }

    /// How many of them must sign.
    #[must_use]
    pub const fn witnesses_min(&self) -> usize {
        self.witnesses_min
    }

    /// The same log's key alone, for who has no witnesses to ask yet: a witness, or the log itself.
    #[must_use]
    pub fn without_witnesses(&self) -> Self {
        Self { log: self.log.clone(), witnesses: Vec::new(), witnesses_min: 0 }
    }

    /// Verifies a checkpoint's note.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify(&self, note: &[u8]) -> Result<VerifiedCheckpoint, CheckpointError> {
        // 1. Its form, and whose it says that it is.
        let parsed = Note::parse(note)?;
        let checkpoint = Checkpoint::parse(parsed.text())?;
        if checkpoint.origin != self.log.name() {
            return Err(CheckpointError::Origin);
        }
        // 2. The log's own signature.
        match parsed.state(&self.log) {
            SignatureState::Absent => return Err(CheckpointError::Unsigned),
            SignatureState::Bad => return Err(CheckpointError::BadSignature),
            SignatureState::Good(_) => {}
        }
        // 3. Witnesses, each counted once.
        let mut signed = 0;
        for witness in &self.witnesses {
            match parsed.state(witness) {
                SignatureState::Absent => {}
                SignatureState::Bad => return Err(CheckpointError::BadSignature),
                SignatureState::Good(_) => signed += 1,
            }
        }
        if signed < self.witnesses_min {
            return Err(CheckpointError::Witnesses);
        }
        Ok(VerifiedCheckpoint { checkpoint, note: note.to_vec() })
    }
}

impl VerifiedCheckpoint {
    /// What it says.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.checkpoint.size
    }

    /// The root of their tree.
    #[must_use]
    pub const fn root(&self) -> Digest {
        self.checkpoint.root
    }

    /// The signed bytes, verbatim.
    #[must_use]
    pub fn note(&self) -> &[u8] {
        &self.note
    }
}
