//! Which policy was in force when.

use std::collections::BTreeMap;

use policies::{Digest, PolicySet};

use super::finding::{FindingKind, Findings};
use crate::log::PolicyLogged;
use crate::release::Span;

/// Where policy files come from.
pub trait PolicySource {
    /// The policies whose files have this digest.
    fn policies(&mut self, digest: Digest) -> Option<PolicySet>;
}

impl PolicySource for BTreeMap<Digest, PolicySet> {
    fn policies(&mut self, digest: Digest) -> Option<PolicySet> {
        self.get(&digest).cloned()
    }
}

/// Whether a policy was in force for a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    InForce,
    Superseded,
    /// Taken down; what it is becomes known at the end.
    NotLogged,
}

/// One policy, by its digest.
struct Known {
    set: Option<PolicySet>,
    /// The newest version with this digest, and its leaf.
    version: Option<u64>,
    /// When another digest took its place, Unix milliseconds.
    superseded_ms: Option<u64>,
    /// The first leaf that named it before it was logged, and how many did.
    early: Option<(u64, u64)>,
    releases: u64,
}

/// A version as it was logged.
pub(super) struct Version {
    pub(super) leaf: u64,
    pub(super) version: u64,
    pub(super) digest: Digest,
    pub(super) logged_ms: u64,
}

/// Every policy that the log speaks of.
pub(super) struct Timeline<S> {
    source: S,
    known: BTreeMap<Digest, Known>,
    versions: Vec<Version>,
}

impl<S: PolicySource> Timeline<S> {
    pub(super) const fn new(source: S) -> Self {
        Self { source, known: BTreeMap::new(), versions: Vec::new() }
    }

    fn known(&mut self, digest: Digest) -> &mut Known {
        self.known.entry(digest).or_insert_with(|| Known {
            set: self.source.policies(digest),
            version: None,
            superseded_ms: None,
            early: None,
            releases: 0,
        })
    }

    pub(super) fn logged(&mut self, index: u64, logged: &PolicyLogged, findings: &mut Findings) {
        let PolicyLogged { version, digest, logged_ms, .. } = *logged;
        let before = self.versions.last().map(|last| (last.version, last.digest));
        if let Some((last, _)) = before.filter(|(last, _)| *last >= version) {
            let sentence = format!("version {version} follows version {last}");
            findings.add(FindingKind::PolicyVersion, index, digest.to_string(), sentence);
        }
        if let Some((_, last)) = before.filter(|(_, last)| *last != digest) {
            self.known(last).superseded_ms = Some(logged_ms);
        }
        let known = self.known(digest);
        known.superseded_ms = None;
        known.version = known.version.max(Some(version));
        self.versions.push(Version { leaf: index, version, digest, logged_ms });
    }

    /// How a policy stands for a window that a charge at leaf `index` names.
    pub(super) fn standing(&mut self, index: u64, digest: Digest, span: Span, grace_ms: u64) -> Standing {
        if !self.named(index, digest) {
            return Standing::NotLogged;
        }
        let last_ms = self.known(digest).superseded_ms.map(|at_ms| at_ms.saturating_add(grace_ms));
        if last_ms.is_some_and(|last_ms| span.from_s.saturating_mul(1000) > last_ms) {
            Standing::Superseded
        } else {
            Standing::InForce
        }
    }

    /// Notes that a leaf names a policy; false where it was not logged before.
    pub(super) fn named(&mut self, index: u64, digest: Digest) -> bool {
        let known = self.known(digest);
        if known.version.is_none() {
            let (first, count) = known.early.unwrap_or((index, 0));
            known.early = Some((first, count + 1));
        }
        known.version.is_some()
    }

    pub(super) fn released(&mut self, digest: Digest) {
        self.known(digest).releases += 1;
    }

    pub(super) fn version(&mut self, digest: Digest) -> Option<u64> {
        self.known(digest).version
    }

    pub(super) fn set(&mut self, digest: Digest) -> Option<&PolicySet> {
        self.known(digest).set.as_ref()
    }

    /// What is known once all was read.
    pub(super) fn finish(&self, findings: &mut Findings) {
        for (digest, known) in &self.known {
            if known.set.is_none() {
                let sentence = "its files are not among the policies given: what was done under it was not checked";
                findings.add(FindingKind::PolicyMissing, None, digest.to_string(), sentence);
            }
            let Some((first, count)) = known.early else { continue };
            let (kind, when) = match known.version {
                Some(_) => (FindingKind::PolicyLate, "before it was logged"),
                None => (FindingKind::PolicyUnlogged, "and it was never logged"),
            };
            findings.add(kind, first, digest.to_string(), format!("{count} entries name it {when}"));
        }
    }

    /// Every version in the log's order; whether its files are at hand, and how many releases name it.
    pub(super) fn versions(&self) -> impl Iterator<Item = (&Version, bool, u64)> {
        self.versions.iter().map(|version| {
            let known = self.known.get(&version.digest);
            (version, known.is_some_and(|known| known.set.is_some()), known.map_or(0, |known| known.releases))
        })
    }

    /// The files of the newest version that are at hand.
    pub(super) fn newest_set(&self) -> Option<&PolicySet> {
        self.versions.iter().rev().find_map(|version| self.known.get(&version.digest)?.set.as_ref())
    }
}
