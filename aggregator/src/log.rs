//! What stands in the transparency log, so that someone who trusts none of us can check that every release that was
//! logged was allowed and charged.
//!
//! A leaf is one [`LogEntry`] as JSON in one form: the fields of its type in their order, without spaces. Numbers that are
//! added up are integers: ρ in 10⁻¹², δ in 10⁻¹⁸. `docs/transparency.md` describes the log for who writes a reader of
//! their own.

use policies::{Delta, Digest, NodeId, PrivacyUnit, PurposeId, RegionId, Rho, TaskKind, TenantId, UnitRule, WindowId};
use serde::{Deserialize, Serialize};

use crate::release::{Head, LedgerId, ReleaseId};

pub mod fuzz;

/// An entry is never longer: what an entry bundle can hold of one (C2SP tlog-tiles).
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// A leaf is no entry of this form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a log entry is not in its one form")]
pub struct MalformedEntry;

/// One leaf of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum LogEntry {
    /// A policy bundle came into force.
    Policy(PolicyLogged),
    /// A tenant's nodes are pointed to a model.
    Model(ModelLogged),
    /// Entries of a node's ledger, in their order.
    Ledger(LedgerLogged),
    /// A release was accepted.
    Release(Box<ReleaseLogged>),
    /// A region began to use a key.
    KeyEpoch(KeyEpochLogged),
}

/// A policy bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyLogged {
    /// Its version; it only rises.
    pub version: u64,
    /// The digest of its files' manifest.
    pub digest: Digest,
    /// SHA-256 of the signed statement, as it is kept.
    pub bundle: Digest,
    /// When it was logged, Unix milliseconds.
    pub logged_ms: u64,
}

/// A pointer to a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelLogged {
    /// Whose.
    pub tenant: TenantId,
    /// The version pointed at.
    pub version: u64,
    /// SHA-256 of its artifact.
    pub digest: Digest,
    /// The pointer's serial; it only rises.
    pub serial: u64,
    /// When it was logged, Unix milliseconds.
    pub logged_ms: u64,
}

/// Consecutive entries of a node's ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerLogged {
    /// The node's region.
    pub region: RegionId,
    /// The node.
    pub node: NodeId,
    /// Its ledger.
    pub ledger: LedgerId,
    /// The number of the first entry here; entries are numbered from 1.
    pub first: u64,
    /// The entries, base64 of what [`crate::release::LedgerEntry::encode`] gives.
    pub entries: Vec<String>,
    /// The ledger's head after the last of them.
    pub head: Digest,
    /// When it was logged, Unix milliseconds.
    pub logged_ms: u64,
}

/// An accepted release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseLogged {
    /// Whose viewers.
    pub tenant: TenantId,
    /// What was measured.
    pub task: TaskKind,
    /// Where.
    pub region: RegionId,
    /// By which node.
    pub node: NodeId,
    /// When.
    pub window: WindowId,
    /// What for.
    pub purpose: PurposeId,
    /// The privacy unit and what bounds it.
    pub unit: UnitLogged,
    /// The policy set that allowed it.
    pub policy: Digest,
    /// The catalogue that its cells speak of.
    pub catalogue: Digest,
    /// What its encodings were frozen to.
    pub frame: Digest,
    /// The node's ledger.
    pub ledger: LedgerId,
    /// The number of its charge there.
    pub sequence: u64,
    /// ρ in 10⁻¹².
    pub rho_picos: u64,
    /// δ spent beside ρ, in 10⁻¹⁸.
    pub delta_attos: u64,
    /// δ at which the policy states ε.
    pub stated_delta: f64,
    /// False where noise was seeded or off.
    pub private: bool,
    /// Its parts.
    pub segments: Vec<SegmentLogged>,
    /// SHA-256 of the signed envelope, as it is kept.
    pub digest: Digest,
    /// When it was accepted, Unix milliseconds.
    pub accepted_ms: u64,
}

/// A privacy unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitLogged {
    /// Whose contribution.
    pub kind: PrivacyUnit,
    /// Length of a window.
    pub window_seconds: u32,
    /// Sessions that count, per unit and window.
    pub quota: u32,
    /// In how many regions a viewer may be counted in one window.
    pub region_factor: u32,
    /// Nodes of the region with quotas of their own.
    pub nodes: u32,
}

/// One part of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentLogged {
    /// What it holds: the name in the release.
    pub kind: String,
    /// Numbers in it.
    pub cells: u64,
    /// Δ, in integer units.
    pub sensitivity: u64,
    /// What it spends, ρ in 10⁻¹².
    pub rho_picos: u64,
    /// Integer units of 1.
    pub scale: u64,
}

/// A key's statement in the log of a region's keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyEpochLogged {
    /// The region.
    pub region: RegionId,
    /// The node that brought it.
    pub node: NodeId,
    /// The identity service.
    pub issuer: String,
    /// The statement's place in the log of keys, from 0.
    pub number: u32,
    /// SHA-256 of the statement's compact JWS.
    pub statement: Digest,
    /// When it was logged, Unix milliseconds.
    pub logged_ms: u64,
}

impl LogEntry {
    /// The leaf's bytes.
    ///
    /// # Panics
    /// Never: every field has a JSON form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("every field has a JSON form")
    }

    /// Reads a leaf.
    ///
    /// # Errors
    /// Too long, or not in the one form.
    pub fn decode(bytes: &[u8]) -> Result<Self, MalformedEntry> {
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(MalformedEntry);
        }
        let entry: Self = serde_json::from_slice(bytes).map_err(|_| MalformedEntry)?;
        if entry.encode() == bytes { Ok(entry) } else { Err(MalformedEntry) }
    }
}

impl ReleaseLogged {
    /// The release's name.
    #[must_use]
    pub fn id(&self) -> ReleaseId {
        ReleaseId {
            tenant: self.tenant.clone(),
            task: self.task,
            region: self.region.clone(),
            node: self.node.clone(),
            window: self.window,
        }
    }

    /// ρ; nothing where the number is none.
    #[must_use]
    pub fn rho(&self) -> Option<Rho> {
        Rho::from_picos(self.rho_picos).ok()
    }

    /// δ beside ρ; nothing where the number is none.
    #[must_use]
    pub fn delta(&self) -> Option<Delta> {
        Delta::from_attos(self.delta_attos).ok()
    }
}

impl LedgerLogged {
    /// Where the ledger stands after these entries; nothing where there are none, or their number cannot be.
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        let entries = self.first.checked_sub(1)?.checked_add(u64::try_from(self.entries.len()).ok()?)?;
        (!self.entries.is_empty()).then_some(Head { entries, digest: self.head })
    }
}

impl From<&UnitRule> for UnitLogged {
    fn from(rule: &UnitRule) -> Self {
        let UnitRule { unit, window_seconds, quota, region_factor, nodes } = *rule;
        Self { kind: unit, window_seconds, quota, region_factor, nodes }
    }
}

impl From<&UnitLogged> for UnitRule {
    fn from(logged: &UnitLogged) -> Self {
        let UnitLogged { kind, window_seconds, quota, region_factor, nodes } = *logged;
        Self { unit: kind, window_seconds, quota, region_factor, nodes }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_read_or_are_refused(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            fuzz::entry(&data);
        }
    }

    #[test]
    fn a_leaf_reads_as_it_is_written_and_in_no_other_form() {
        let entry = LogEntry::Model(ModelLogged {
            tenant: "demo".parse().unwrap(),
            version: 3,
            digest: Digest::of(b"artifact"),
            serial: 5,
            logged_ms: 1_700_000_000_000,
        });
        let bytes = entry.encode();
        let digest = Digest::of(b"artifact");
        let text = format!(
            r#"{{"kind":"model","tenant":"demo","version":3,"digest":"{digest}","serial":5,"logged_ms":1700000000000}}"#
        );
        assert_eq!(String::from_utf8(bytes.clone()).unwrap(), text);
        assert_eq!(LogEntry::decode(&bytes), Ok(entry));
        for other in [
            text.replace(":3", ": 3"),
            text.replace(r#""version":3"#, r#""version":3,"more":1"#),
            text.replace("model", "other"),
            text.replace(r#""version":3,"#, ""),
            format!("{text} "),
        ] {
            assert_eq!(LogEntry::decode(other.as_bytes()), Err(MalformedEntry), "{other}");
        }
    }
}
