//! Signed policy bundles: policy files, and a signed note that says which version they are.
//!
//! Actors: *signers* review files and sign; a *centre* and its *nodes* enforce nothing that too few of them signed.
//! A version only rises, and says who may sign the next, so that keys can change without touching a machine: version
//! n + 1 is signed by a threshold of the keys that version n names. The keys of the first version stand in the config.
//! `docs/policies.md` describes the format for who writes a verifier of their own.

mod delivery;
pub mod fuzz;
mod statement;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use delivery::{DELIVERY_BYTES_MAX, Delivery, MalformedDelivery, NOTES_MAX};
pub use statement::{InvalidSigners, KEYS_MAX, MalformedStatement, Signers, Statement, VERSION_MAX};

use crate::log::note::SignatureState;
use crate::log::{MalformedNote, Note};
use crate::{Digest, PolicySet, Severity};

/// The signed note's file in a policy folder. It is not part of the manifest, which it signs.
pub const NOTE_FILE: &str = "bundle.note";

/// Bytes of a bundle's note at most: a statement of the most keys, with a signature of each, of long names.
pub const NOTE_BYTES_MAX: usize = 16_384;

/// Why a bundle is refused. What was in force before still is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// The note.
    #[error(transparent)]
    Note(#[from] MalformedNote),
    /// Its text.
    #[error(transparent)]
    Statement(#[from] MalformedStatement),
    /// A line says that it is by a key that may sign, and is not.
    #[error("a signature is bad")]
    BadSignature,
    /// Nobody signed who may.
    #[error("nobody signed who may sign this version")]
    UnknownKeys,
    /// Fewer signed than must.
    #[error("{signed} signed who may, and {threshold} must")]
    TooFewSignatures {
        /// Who may, and did.
        signed: usize,
        /// How many must.
        threshold: usize,
    },
    /// A lower version than the one that is held.
    #[error("the bundle has version {offered}, and version {held} is known")]
    Older {
        /// The version offered.
        offered: u64,
        /// The newest that is known.
        held: u64,
    },
    /// Another statement under the version that is held.
    #[error("version {0} is known, and says otherwise: its signers contradict themselves")]
    Contradiction(u64),
    /// The files are not those that were signed: one was changed, added or taken away.
    #[error("the files are not those that were signed: one was changed, added or taken away")]
    OtherFiles,
    /// The files are signed, and have errors.
    #[error("the policy files have {0} errors")]
    Findings(usize),
}

/// Why a signature is believed.
#[derive(Debug, Clone, Copy)]
pub enum Trust<'a> {
    /// Nothing was taken yet: the keys of the config.
    First(&'a Signers),
    /// The newest statement that was taken.
    After(&'a Statement),
}

impl Trust<'_> {
    const fn signers(&self) -> &Signers {
        match self {
            Self::First(signers) => signers,
            Self::After(held) => &held.next,
        }
    }
}

/// A bundle that was verified whole: signatures, version, files.
#[derive(Debug, Clone)]
pub struct Bundle {
    statement: Statement,
    note: Arc<str>,
    policies: Arc<PolicySet>,
}

impl Bundle {
    /// Verifies a bundle:
    ///
    /// 1. the note's form and its text's;
    /// 2. its version: the one that is held, with the same text (which was verified when it was taken), or a newer one. It
    ///    may skip some: what counts is who signed it;
    /// 3. the signatures, for a newer one: a threshold of those who may, and none that is bad;
    /// 4. the digest of the files' manifest;
    /// 5. the files, as [`PolicySet::parse`] does.
    ///
    /// # Errors
    /// See [`BundleError`].
    pub fn open(note: &[u8], files: &BTreeMap<String, Vec<u8>>, trust: Trust<'_>) -> Result<Self, BundleError> {
        let statement = verify(note, trust)?;
        if statement.manifest != Digest::of(crate::set::manifest(files).as_bytes()) {
            return Err(BundleError::OtherFiles);
        }
        let errors = |finding: &&crate::Finding| finding.severity == Severity::Error;
        let policies = PolicySet::parse(files)
            .map_err(|findings| BundleError::Findings(findings.iter().filter(errors).count()))?;
        let note = std::str::from_utf8(note).map_err(|_| MalformedNote)?.into();
        Ok(Self { statement, note, policies: Arc::new(policies) })
    }

    /// Takes what a centre delivers, after `held`: each note newer than it must be signed by those whom the one before
    /// names, and the last is that of the files. Whoever was away while keys changed twice can follow.
    ///
    /// # Errors
    /// See [`BundleError`].
    pub fn follow(delivery: &Delivery, held: &Statement) -> Result<Self, BundleError> {
        let (last, earlier) = delivery.notes.split_last().ok_or(MalformedNote)?;
        let mut held = held.clone();
        for note in earlier {
            let newer = verify(note.as_bytes(), Trust::After(&held));
            match newer {
                Ok(statement) => held = statement,
                Err(BundleError::Older { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let files = delivery.files.iter().map(|(path, text)| (path.clone(), text.clone().into_bytes())).collect();
        Self::open(last.as_bytes(), &files, Trust::After(&held))
    }

    /// What was signed.
    #[must_use]
    pub const fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The version.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.statement.version
    }

    /// The signed note, as it was read.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
    }

    /// SHA-256 of the signed note, as the log holds it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.note.as_bytes())
    }

    /// What the files say.
    #[must_use]
    pub const fn policies(&self) -> &Arc<PolicySet> {
        &self.policies
    }

    /// What is delivered of it, after the notes of earlier versions, the oldest first.
    #[must_use]
    pub fn delivery(&self, earlier: &[String]) -> Delivery {
        let kept = earlier.len().saturating_sub(NOTES_MAX - 1);
        let notes = earlier[kept..].iter().cloned().chain([self.note.to_string()]).collect();
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        let files = self.policies.files().iter().map(|(path, bytes)| (path.clone(), text(bytes))).collect();
        Delivery { notes, files, proof: None }
    }
}

/// Verifies a signed note apart from the files: steps 1 to 3 of [`Bundle::open`].
///
/// # Errors
/// See [`BundleError`].
pub fn verify(note: &[u8], trust: Trust<'_>) -> Result<Statement, BundleError> {
    if note.len() > NOTE_BYTES_MAX {
        return Err(MalformedNote.into());
    }
    let note = Note::parse(note)?;
    let statement: Statement = note.text().parse()?;
    if let Trust::After(held) = trust {
        if statement == *held {
            return Ok(statement);
        }
        if statement.version == held.version {
            return Err(BundleError::Contradiction(held.version));
        }
        if statement.version < held.version {
            return Err(BundleError::Older { offered: statement.version, held: held.version });
        }
    }
    signed_by_enough(&note, trust.signers())?;
    Ok(statement)
}

/// Whether a threshold of `signers` signed the note, and no line of theirs is bad.
///
/// # Errors
/// See [`BundleError`].
pub fn signed_by_enough(note: &Note, signers: &Signers) -> Result<(), BundleError> {
    let mut signed = 0;
    for key in signers.keys() {
        match note.state(key) {
            SignatureState::Good(_) => signed += 1,
            SignatureState::Bad => return Err(BundleError::BadSignature),
            SignatureState::Absent => {}
        }
    }
    let threshold = signers.threshold();
    match signed {
        0 => Err(BundleError::UnknownKeys),
        signed if signed < threshold => Err(BundleError::TooFewSignatures { signed, threshold }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
