//! Whether every release that stands in the transparency log was allowed by a logged policy and charged to its node's
//! ledger.
//!
//! An [`Audit`] takes the log's leaves in their order ([`Audit::take`]) and ends in an [`AuditReport`]. It believes
//! nothing that can be computed: every ledger's chain is followed from its first entry, every plan is frozen again by the
//! function that nodes and the centre use ([`crate::release::WindowPlan::freeze`]), every budget is summed over the
//! data's own time. What cannot be computed from the log and the policies is listed in the report ([`RESTS_ON`]).
//!
//! 1. Form: every leaf is an entry in its one form.
//! 2. Policies: versions only rise; a charge's policy was logged before it and not superseded before its window began.
//! 3. Ledgers: numbers and heads follow; a node keeps its ledger, a ledger its node; burns burn open charges.
//! 4. Charges: granted, at the policy's price, and within the budgets of window, year and purpose.
//! 5. Releases: each pays by one charge that says the same, has the policy's segments, and is private; each charge has a
//!    release or is burned, or is too new to tell.
//! 6. Models and keys: serials only rise; one digest a version, one statement a place.
//!
//! The tree itself, its checkpoint and who signed it are for whoever reads the log; [`Audit::unreadable`] takes down what
//! they find. Memory: some 100 bytes a ledger entry; names and policies are held once.

mod chain;
mod conformity;
mod finding;
pub mod fuzz;
mod names;
mod registers;
mod report;
pub mod sample;
mod spending;
mod timeline;

use std::collections::{BTreeMap, HashMap};

use policies::{NodeId, RegionId, TenantId};

use crate::log::{LedgerLogged, LogEntry, ReleaseLogged};
use crate::release::{ChargeRecord, LedgerEntry, LedgerId, Span};
use chain::{Chain, Settled, Slot, State};
use conformity::{Conformity, Mismatch};
pub use finding::{FINDINGS_SHOWN_MAX, Finding, FindingKind, Findings};
use names::Names;
use registers::Registers;
pub use report::{
    Activity, AuditReport, Counts, LedgerShown, PolicyShown, PurposeShown, RESTS_ON, Share, Verdict, YearShown,
};
use spending::{Limits, Spending};
pub use timeline::PolicySource;
use timeline::{Standing, Timeline};

/// Ledger entries of one log at most: what an audit holds of each stays within some gigabytes.
pub const ENTRIES_MAX: u64 = 1 << 24;
/// How long a node may go on opening windows under a policy after the next version was logged, by default: until it has
/// taken up the next one, and through a centre's short absence.
pub const POLICY_GRACE_MS: u64 = 3_600_000;
/// By how much clocks of node and centre may differ, by default.
pub const CLOCK_SKEW_MS: u64 = 300_000;

/// What an audit allows for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditOptions {
    /// See [`POLICY_GRACE_MS`].
    pub policy_grace_ms: u64,
    /// For how long after its window a charge without release is pending rather than a gap; nothing: for as long as the
    /// window was.
    pub pending_ms: Option<u64>,
    /// See [`CLOCK_SKEW_MS`].
    pub clock_skew_ms: u64,
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self { policy_grace_ms: POLICY_GRACE_MS, pending_ms: None, clock_skew_ms: CLOCK_SKEW_MS }
    }
}

/// A release as it was audited, for lists of all of them.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditedRelease {
    /// Its leaf.
    pub index: u64,
    /// What the log says of it.
    pub logged: Box<ReleaseLogged>,
    /// When its data was contributed, by its charge.
    pub span: Option<Span>,
    /// The newest version of the policy that it names, of those logged before it.
    pub policy_version: Option<u64>,
    /// What was found wrong with it.
    pub findings: u64,
}

/// A node of a region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    region: RegionId,
    node: NodeId,
}

/// An audit under way.
pub struct Audit<S> {
    options: AuditOptions,
    timeline: Timeline<S>,
    names: Names,
    chains: HashMap<LedgerId, Chain>,
    ledger_of: BTreeMap<Place, LedgerId>,
    /// By tenant and region, then by ledger.
    spending: BTreeMap<(TenantId, RegionId), BTreeMap<LedgerId, Spending>>,
    conformity: Conformity,
    registers: Registers,
    activity: BTreeMap<u64, u64>,
    counts: Counts,
    findings: Findings,
    newest_ms: u64,
    /// Ledger entries in memory.
    held: u64,
}

impl<S: PolicySource> Audit<S> {
    /// An audit of a log of which nothing was read yet. Policy files come from `source`, by their digest.
    #[must_use]
    pub fn new(options: AuditOptions, source: S) -> Self {
        Self {
            options,
            timeline: Timeline::new(source),
            names: Names::default(),
            chains: HashMap::new(),
            ledger_of: BTreeMap::new(),
            spending: BTreeMap::new(),
            conformity: Conformity::default(),
            registers: Registers::default(),
            activity: BTreeMap::new(),
            counts: Counts::default(),
            findings: Findings::default(),
            newest_ms: 0,
            held: 0,
        }
    }

    /// Takes the leaf with number `index`. Leaves come in the log's order. Gives a release back with what was found.
    pub fn take(&mut self, index: u64, leaf: &[u8]) -> Option<AuditedRelease> {
        self.counts.leaves += 1;
        let Ok(entry) = LogEntry::decode(leaf) else {
            self.findings.add(FindingKind::Malformed, index, String::new(), "the leaf is no entry in its one form");
            return None;
        };
        match entry {
            LogEntry::Policy(logged) => {
                self.newest_ms = self.newest_ms.max(logged.logged_ms);
                self.timeline.logged(index, &logged, &mut self.findings);
            }
            LogEntry::Model(logged) => {
                self.newest_ms = self.newest_ms.max(logged.logged_ms);
                self.counts.models += 1;
                self.registers.model(index, &logged, &mut self.findings);
            }
            LogEntry::KeyEpoch(logged) => {
                self.newest_ms = self.newest_ms.max(logged.logged_ms);
                self.counts.key_epochs += 1;
                self.registers.key_epoch(index, &logged, &mut self.findings);
            }
            LogEntry::Ledger(logged) => {
                self.newest_ms = self.newest_ms.max(logged.logged_ms);
                self.ledger(index, &logged);
            }
            LogEntry::Release(logged) => {
                self.newest_ms = self.newest_ms.max(logged.accepted_ms);
                return Some(self.release(index, logged));
            }
        }
        None
    }

    /// Takes down that the log itself could not be read or does not hold: the tree, its checkpoint, a signature.
    pub fn unreadable(&mut self, sentence: impl Into<String>) {
        self.findings.add(FindingKind::Log, None, String::new(), sentence);
    }

    /// The leaves that were taken.
    #[must_use]
    pub const fn leaves(&self) -> u64 {
        self.counts.leaves
    }

    fn ledger(&mut self, index: u64, logged: &LedgerLogged) {
        let place = Place { region: logged.region.clone(), node: logged.node.clone() };
        let pinned = *self.ledger_of.entry(place.clone()).or_insert(logged.ledger);
        if pinned != logged.ledger {
            let sentence = format!("node {} of {} had ledger {pinned} before", logged.node, logged.region);
            self.findings.add(FindingKind::LedgerChanged, index, logged.ledger.to_string(), sentence);
        }
        let chain = self.chains.entry(logged.ledger).or_insert_with(|| Chain::new(logged.ledger, place.clone()));
        if *chain.place() != place {
            let Place { region, node } = chain.place();
            let sentence = format!("node {node} of {region} has this ledger, not {} of {}", place.node, place.region);
            self.findings.add(FindingKind::LedgerShared, index, logged.ledger.to_string(), sentence);
        }
        let (room, held) = (ENTRIES_MAX.saturating_sub(self.held), chain.held());
        let entries = chain.follow(index, logged, room, &mut self.findings);
        self.held += chain.held() - held;
        let Some(entries) = entries else { return };
        self.counts.entries += entries.len() as u64;
        for (number, entry) in entries {
            match entry {
                LedgerEntry::Charge(record) => self.charge(index, logged, number, &record),
                LedgerEntry::Burn(sequence) => {
                    self.counts.burns += 1;
                    let chain = self.chains.get_mut(&logged.ledger).expect("it was entered above");
                    chain.burn(index, sequence, &mut self.findings);
                }
            }
        }
    }

    fn charge(&mut self, index: u64, logged: &LedgerLogged, number: u64, record: &ChargeRecord) {
        self.counts.charges += 1;
        let detail = self.names.detail(record);
        let subject = || record.id.to_string();
        if (&record.id.region, &record.id.node) != (&logged.region, &logged.node) {
            let sentence = format!("a charge for another node stands in the ledger of {}", logged.node);
            self.findings.add(FindingKind::LedgerForeign, index, subject(), sentence);
        }
        if !self.names.charged(detail, record.id.window) {
            self.findings.add(FindingKind::ChargedTwice, index, subject(), "the release was charged before");
        }
        if record.span.until_s.saturating_mul(1000) > logged.logged_ms.saturating_add(self.options.clock_skew_ms) {
            self.findings.add(FindingKind::WindowOpen, index, subject(), "charged before its window had ended");
        }
        let standing = self.timeline.standing(index, record.policy, record.span, self.options.policy_grace_ms);
        if standing == Standing::Superseded {
            let sentence = format!("policy {} was superseded before the window began", record.policy);
            self.findings.add(FindingKind::PolicySuperseded, index, subject(), sentence);
        }
        let judged = self.timeline.set(record.policy).map(|set| conformity::charge(set, record));
        let (mismatches, limits) = judged.unwrap_or_default();
        for Mismatch { kind, sentence } in mismatches {
            self.findings.add(kind, index, subject(), sentence);
        }
        self.spend(index, logged, record, limits.as_ref());
        let chain = self.chains.get_mut(&logged.ledger).expect("a ledger is entered before its charges");
        chain.set(number, Slot::charge(record, detail));
        if !chain.opened(record.opening) {
            let sentence = format!("charge {number} is of an opening that had ended before");
            self.findings.add(FindingKind::LedgerOpening, index, logged.ledger.to_string(), sentence);
        }
    }

    /// Adds a charge to its tenant's sums, and holds them against the limits of the charge's own policy, as the node did.
    fn spend(&mut self, index: u64, logged: &LedgerLogged, record: &ChargeRecord, limits: Option<&Limits>) {
        let key = (record.id.tenant.clone(), logged.region.clone());
        let of_region = self.spending.entry(key).or_default();
        let spending = of_region.entry(logged.ledger).or_default();
        let (fresh, spent) = spending.add(record);
        let Some(limits) = limits else { return };
        for (kind, sentence) in spent.beyond(&limits.charge) {
            self.findings.add(kind, index, record.id.to_string(), sentence);
        }
        if fresh {
            let nodes = of_region.values().filter(|spending| spending.covers(&record.span)).count();
            if nodes as u64 > u64::from(limits.nodes) {
                let sentence =
                    format!("{nodes} nodes count the tenant's viewers, and the policy declares {}", limits.nodes);
                self.findings.add(FindingKind::Nodes, index, record.id.to_string(), sentence);
            }
        }
    }

    fn release(&mut self, index: u64, logged: Box<ReleaseLogged>) -> AuditedRelease {
        self.counts.releases += 1;
        let before = self.findings.total();
        let id = logged.id();
        if !logged.private {
            let sentence = "it is marked as not private: its noise was seeded or off";
            self.findings.add(FindingKind::NotPrivate, index, id.to_string(), sentence);
        }
        let chain = self.chains.get_mut(&logged.ledger);
        let settled = chain.map_or(Settled::NotCharged, |chain| chain.settle(&logged, &self.names));
        if let Some((kind, sentence)) = settled.finding(&logged) {
            self.findings.add(kind, index, id.to_string(), sentence);
        }
        let slot = settled.slot();
        let span = slot.map(|slot| slot.span);
        for (kind, sentence) in slot.iter().flat_map(|slot| slot.differences(&logged, &self.names)) {
            self.findings.add(kind, index, id.to_string(), sentence);
        }
        // What was charged under a policy never logged was found at the charge.
        if slot.is_none() {
            self.timeline.named(index, logged.policy);
        }
        let policy_version = self.timeline.version(logged.policy);
        if let Some(set) = self.timeline.set(logged.policy) {
            for Mismatch { kind, sentence } in self.conformity.release(set, &logged) {
                self.findings.add(kind, index, id.to_string(), sentence);
            }
        }
        self.timeline.released(logged.policy);
        let day = span.map_or(logged.accepted_ms / 1000, |span| span.until_s) / report::DAY_SECONDS;
        *self.activity.entry(day).or_default() += 1;
        let findings = self.findings.total() - before;
        AuditedRelease { index, logged, span, policy_version, findings }
    }

    /// What the log came to.
    #[must_use]
    pub fn finish(mut self) -> AuditReport {
        self.timeline.finish(&mut self.findings);
        for chain in self.chains.values() {
            for (number, slot) in chain.slots().filter(|(_, slot)| slot.state == State::Open) {
                let after_ms = self.options.pending_ms.unwrap_or((slot.span.until_s - slot.span.from_s) * 1000);
                let due_ms = slot.span.until_s.saturating_mul(1000).saturating_add(after_ms);
                if self.newest_ms < due_ms {
                    self.counts.pending += 1;
                    continue;
                }
                let id = self.names.id(slot.detail, slot.window);
                let sentence = format!("charge {number} of ledger {} has neither a release nor a burn", chain.id());
                self.findings.add(FindingKind::Gap, None, id.to_string(), sentence);
            }
        }
        report::of(self)
    }
}

#[cfg(test)]
mod tests;
