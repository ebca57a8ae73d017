//! `siwa policy sign` and `siwa policy verify`: bundles.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use attest::SigningKey;
use attest::note::NoteSigner;
use clap::Args;
use policies::bundle::{NOTE_FILE, Statement, Trust};
use policies::log::note::SignatureState;
use policies::log::{Note, VerifierKey};
use policies::{Bundle, PolicySet, Signers};
use serde_json::json;
use zeroize::Zeroizing;

use super::{FOUND, Folder, Stop, cases};
use crate::policy_folder;

/// What to sign, and for whom.
#[derive(Debug, Args)]
pub(super) struct Sign {
    /// A policy folder.
    path: PathBuf,
    /// The signer's private key (PKCS#8 PEM, Ed25519), as `siwa keys new` makes it.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The signer's name: nodes know keys by name and key.
    #[arg(long, default_value = "policy")]
    name: String,
    /// The version; one more than the last by default. It only rises, and may skip some.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=policies::bundle::VERSION_MAX))]
    version: Option<u64>,
    /// A key that may sign the next version, as `sign` prints it; those of the last version by default, and the signer's
    /// where there is none.
    #[arg(long, value_name = "VKEY")]
    next_key: Vec<VerifierKey>,
    /// How many of them must sign the next version; as many as for the last by default, and 1 where there is none.
    #[arg(long, value_name = "N")]
    threshold: Option<usize>,
}

/// What to verify, and whom to believe.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// A policy folder.
    path: PathBuf,
    /// A key that may have signed: `name+hash+key`.
    #[arg(long, value_name = "VKEY", required = true)]
    key: Vec<VerifierKey>,
    /// How many of them must have.
    #[arg(long, value_name = "N", default_value_t = 1)]
    threshold: usize,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

fn usage(error: impl Into<anyhow::Error>) -> Stop {
    Stop::Usage(error.into())
}

impl Sign {
    /// 1. Files with errors, or that fail their cases, are not signed.
    /// 2. Where the note in the folder says just what would be said, a signature is added; otherwise a new version begins.
    /// 3. The note is put in place whole.
    pub(super) fn run(&self, out: &mut impl Write) -> Result<u8, Stop> {
        let folder = Folder::of(&self.path)?;
        let policies = folder.parse()?;
        let failed = cases::report(&folder, &policies)?.findings;
        if !failed.is_empty() {
            return Err(Stop::Findings(folder.located(failed)));
        }
        let key = read_key(&self.key).map_err(Stop::Usage)?;
        let signer = NoteSigner::of_notes(&self.name, key).map_err(usage)?;
        let name = signer.verifier_key();
        let mut note = self.note(&folder.root, &policies, name)?;
        // Ed25519 signs the same text alike: a second time it adds nothing.
        note.add(signer.sign(&note, 0));
        policy_folder::write_note(&folder.root, &note.to_string())?;
        let statement: Statement = note.text().parse()?;
        writeln!(out, "version {} of {}, signed by {name}", statement.version, statement.manifest)?;
        Ok(0)
    }

    fn note(&self, root: &Path, policies: &PolicySet, name: &VerifierKey) -> Result<Note, Stop> {
        let last = match policy_folder::read_note(root) {
            Ok(bytes) => {
                let note =
                    Note::parse(&bytes).with_context(|| format!("{} cannot be read", root.join(NOTE_FILE).display()));
                let note = note.map_err(Stop::Usage)?;
                let statement: Statement = note.text().parse().map_err(usage)?;
                Some((note, statement))
            }
            Err(policy_folder::FolderError::Unsigned(_)) => None,
            Err(error) => return Err(usage(error)),
        };
        let of_last = last.as_ref().map(|(_, statement)| &statement.next);
        let keys = match (self.next_key.is_empty(), of_last) {
            (false, _) => self.next_key.clone(),
            (true, Some(next)) => next.keys().to_vec(),
            (true, None) => vec![name.clone()],
        };
        let threshold = self.threshold.unwrap_or_else(|| of_last.map_or(1, Signers::threshold));
        let next = Signers::new(keys, threshold).map_err(usage)?;
        let manifest = policies.digest();
        match last {
            Some((note, last))
                if last.manifest == manifest
                    && last.next == next
                    && self.version.is_none_or(|version| version == last.version) =>
            {
                Ok(note)
            }
            last => {
                let newest = last.map_or(0, |(_, last)| last.version);
                let version = self.version.unwrap_or(newest.saturating_add(1));
                if version <= newest {
                    return Err(usage(anyhow::anyhow!(
                        "version {newest} is signed and says otherwise: a version only rises"
                    )));
                }
                Note::of(Statement { version, manifest, next }.to_string()).map_err(usage)
            }
        }
    }
}

impl Verify {
    pub(super) fn run(&self, out: &mut impl Write) -> Result<u8, Stop> {
        let folder = Folder::of(&self.path)?;
        let signers = Signers::new(self.key.clone(), self.threshold).map_err(usage)?;
        let note = policy_folder::read_note(&folder.root).map_err(usage)?;
        let bundle = match Bundle::open(&note, &folder.files, Trust::First(&signers)) {
            Ok(bundle) => bundle,
            Err(error) if self.json => {
                writeln!(out, "{}", json!({ "verified": false, "why": error.to_string() }))?;
                return Ok(FOUND);
            }
            Err(error) => {
                writeln!(out, "refused: {error}")?;
                return Ok(FOUND);
            }
        };
        let statement = bundle.statement();
        let parsed = Note::parse(&note)?;
        let signed: BTreeSet<String> = self
            .key
            .iter()
            .filter(|key| parsed.state(key) == SignatureState::Good(None))
            .map(ToString::to_string)
            .collect();
        let next: Vec<String> = statement.next.keys().iter().map(ToString::to_string).collect();
        let threshold = statement.next.threshold();
        if self.json {
            let report = json!({
                "verified": true, "version": statement.version, "digest": statement.manifest, "signed_by": signed,
                "next": { "threshold": threshold, "keys": next },
            });
            writeln!(out, "{report}")?;
        } else {
            writeln!(out, "version {} of {}", statement.version, statement.manifest)?;
            for key in signed {
                writeln!(out, "signed by {key}")?;
            }
            writeln!(out, "the next version needs {threshold} of")?;
            for key in next {
                writeln!(out, "  {key}")?;
            }
        }
        Ok(0)
    }
}

fn read_key(file: &Path) -> anyhow::Result<SigningKey> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    SigningKey::from_pem(&Zeroizing::new(text)).with_context(|| format!("{} is not a key", file.display()))
}
