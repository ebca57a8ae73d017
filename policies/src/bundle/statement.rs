//! What the signers of a bundle say: which version these files are, and who may sign the next.

use std::fmt;
use std::str::FromStr;

use crate::Digest;
use crate::log::{KeyAlgorithm, VerifierKey};

/// Keys that a statement may name.
pub const KEYS_MAX: usize = 16;
/// The first line.
const FORMAT: &str = "siwa-policy-bundle/1";
/// The newest version that there can be: stores keep it as a signed number.
pub const VERSION_MAX: u64 = i64::MAX as u64;

/// Keys and threshold do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSigners {
    /// None, or too many.
    #[error("a bundle names 1 to 16 keys")]
    Count,
    /// A key twice: one holder would count twice.
    #[error("a key stands here twice")]
    Twice,
    /// A witness's key: what it signs is another thing.
    #[error("a key is not of the kind that signs notes")]
    Kind,
    /// No threshold, or one that cannot be reached.
    #[error("the threshold is 1 at least, and at most the number of keys")]
    Threshold,
}

/// Who may sign, and how many of them must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signers {
    keys: Vec<VerifierKey>,
    threshold: usize,
}

impl Signers {
    /// `threshold` of these keys, which are put in order.
    ///
    /// # Errors
    /// See [`InvalidSigners`].
    pub fn new(mut keys: Vec<VerifierKey>, threshold: usize) -> Result<Self, InvalidSigners> {
        if !(1..=KEYS_MAX).contains(&keys.len()) {
            return Err(InvalidSigners::Count);
        }
        if keys.iter().any(|key| key.algorithm() != KeyAlgorithm::Note) {
            return Err(InvalidSigners::Kind);
        }
        keys.sort_by_key(ToString::to_string);
        let publics: std::collections::BTreeSet<_> = keys.iter().map(VerifierKey::public).collect();
        if publics.len() < keys.len() {
            return Err(InvalidSigners::Twice);
        }
        if !(1..=keys.len()).contains(&threshold) {
            return Err(InvalidSigners::Threshold);
        }
        Ok(Self { keys, threshold })
    }

    /// The keys, ordered by their text.
    #[must_use]
    pub fn keys(&self) -> &[VerifierKey] {
        &self.keys
    }

    /// How many of them must sign.
    #[must_use]
    pub const fn threshold(&self) -> usize {
        self.threshold
    }
}

/// The text is not a statement in its one form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedStatement {
    /// The first line names another format.
    #[error("the note is of another format than siwa-policy-bundle/1")]
    Format,
    /// Any other line.
    #[error("the note's text is not in its one form")]
    Form,
}

/// What is signed of a bundle. Text form, each line with its newline:
/// `siwa-policy-bundle/1`, `version N`, `manifest SHA-256`, `threshold N`, then `key VKEY` for each key in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The bundle's version, from 1. It only rises.
    pub version: u64,
    /// The digest of the files' [manifest](crate::set::manifest): the policy digest.
    pub manifest: Digest,
    /// Who may sign the next version.
    pub next: Signers,
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FORMAT}\nversion {}\nmanifest {}", self.version, self.manifest)?;
        writeln!(f, "threshold {}", self.next.threshold)?;
        self.next.keys.iter().try_for_each(|key| writeln!(f, "key {key}"))
    }
}

impl FromStr for Statement {
    type Err = MalformedStatement;

    fn from_str(text: &str) -> Result<Self, MalformedStatement> {
        use MalformedStatement::{Form, Format};
        let mut lines = text.lines();
        if lines.next() != Some(FORMAT) {
            return Err(Format);
        }
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let version: u64 = field("version").and_then(|text| text.parse().ok()).ok_or(Form)?;
        let manifest = field("manifest").and_then(|text| text.parse().ok()).ok_or(Form)?;
        let threshold = field("threshold").and_then(|text| text.parse().ok()).ok_or(Form)?;
        let mut keys = Vec::new();
        for line in lines.take(KEYS_MAX + 1) {
            keys.push(line.strip_prefix("key ").and_then(|key| key.parse().ok()).ok_or(Form)?);
        }
        let next = Signers::new(keys, threshold).map_err(|_| Form)?;
        let read = Self { version, manifest, next };
        let good = (1..=VERSION_MAX).contains(&version) && read.to_string() == text;
        if good { Ok(read) } else { Err(Form) }
    }
}
