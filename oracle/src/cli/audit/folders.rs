//! The policies that are at hand: folders, and what lies in the history of those under git.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aggregator::audit::PolicySource;
use anyhow::Context as _;
use policies::{Digest, PolicySet};

use super::history::History;
use crate::policy_folder;

/// A folder, and its history where it has one.
struct Folder {
    path: PathBuf,
    history: Option<History>,
}

/// Policies by their digest, found as they are asked for.
pub(super) struct PolicyFiles {
    folders: Vec<Folder>,
    sets: BTreeMap<Digest, PolicySet>,
    sources: Vec<String>,
}

impl PolicyFiles {
    /// Reads every folder.
    ///
    /// # Errors
    /// One that is none, or holds errors: an auditor names folders to be used.
    pub(super) fn read(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let mut found = Self { folders: Vec::new(), sets: BTreeMap::new(), sources: Vec::new() };
        for path in paths {
            let files = policy_folder::read(path)?;
            let set = parsed(&files).with_context(|| format!("the policies in {}", path.display()))?;
            found.note(set.digest(), &path.display().to_string());
            found.sets.insert(set.digest(), set);
            found.folders.push(Folder { path: path.clone(), history: History::of(path) });
        }
        Ok(found)
    }

    /// Where each policy set came from.
    pub(super) fn sources(self) -> Vec<String> {
        self.sources
    }

    fn note(&mut self, digest: Digest, from: &str) {
        self.sources.push(format!("{digest} from {from}"));
    }

    /// Looks for the files in the folders' histories.
    fn look(&mut self, digest: Digest) -> Option<PolicySet> {
        let mut notes = Vec::new();
        let mut found = None;
        for Folder { path, history } in &mut self.folders {
            let Some(searched) = history else { continue };
            match searched.files(digest) {
                Ok(Some((commit, files))) => match parsed(&files) {
                    Ok(set) => {
                        notes.push(format!("{digest} from {} at commit {commit}", path.display()));
                        found = Some(set);
                        break;
                    }
                    Err(error) => notes.push(format!("{digest} at commit {commit} is not used: {error:#}")),
                },
                Ok(None) => {}
                Err(error) => {
                    notes.push(format!("the history of {} is not used: {error:#}", path.display()));
                    *history = None;
                }
            }
        }
        self.sources.append(&mut notes);
        found
    }
}

impl PolicySource for &mut PolicyFiles {
    fn policies(&mut self, digest: Digest) -> Option<PolicySet> {
        if let Some(set) = self.sets.get(&digest) {
            return Some(set.clone());
        }
        let set = self.look(digest)?;
        self.sets.insert(digest, set.clone());
        Some(set)
    }
}

fn parsed(files: &BTreeMap<String, Vec<u8>>) -> anyhow::Result<PolicySet> {
    PolicySet::parse(files).map_err(|findings| {
        let texts: Vec<String> = findings.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the policy files have errors: {}", texts.join("; "))
    })
}

/// Whether a path within a policy folder is one of the policies' files.
pub(super) fn belongs(path: &str) -> bool {
    match path.split_once('/') {
        Some((part, name)) => {
            matches!(part, "regions" | "purposes" | "issuers" | "anchors")
                && !name.contains('/')
                && !name.starts_with('.')
        }
        None => matches!(path, "access.toml" | "issuers.toml" | "attestation.toml" | "content.toml"),
    }
}

/// Whether a path lies in a git work tree, by the folders above it.
pub(super) fn is_under_git(path: &Path) -> bool {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.ancestors().any(|above| above.join(".git").exists())
}
