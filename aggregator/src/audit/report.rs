//! What an audit came to.

use std::collections::BTreeMap;

use policies::{Digest, NodeId, PrivacyUnit, PurposeId, RegionId, Rho, TenantId, zcdp};
use serde::Serialize;

use super::chain::State;
use super::finding::{Finding, FindingKind};
use super::spending::Sum;
use super::timeline::PolicySource;
use super::{Audit, AuditOptions, Place};
use crate::release::{LedgerId, Span};

pub(super) const DAY_SECONDS: u64 = 86_400;
/// Points of the plot of releases over time at most.
const ACTIVITY_MAX: usize = 120;

/// What a verdict does not rest on the log alone for.
pub const RESTS_ON: [&str; 6] = [
    "The verdict is about every logged release: each was allowed by a logged policy and charged to its node's ledger.",
    "That the noise which was charged was drawn and added, and that a node counts a viewer no more often than its quota, \
     rests on nodes running the reviewed program: attestation and reproducible builds.",
    "That nothing but logged releases left a region rests on egress control, and on the centre's intake, which acts on \
     releases whose charges it has logged.",
    "That this log is the one that everybody sees rests on its checkpoints being compared: by witnesses, or by nodes \
     that keep the newest they saw.",
    "That a viewer is counted in no more regions and nodes in one window than the policy's factors say rests on the \
     operators' declaration of them.",
    "Budgets are held against the time that charges state; that a node states its windows truthfully rests on the \
     program it runs, and on charges being logged after their windows ended.",
];

/// Whether everything holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every logged release was allowed and charged.
    Holds,
    /// Nothing is wrong in what could be checked, and something could not be.
    Incomplete,
    /// Something is wrong.
    Broken,
}

impl Verdict {
    /// The verdict in a sentence.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Holds => "every logged release was allowed and charged",
            Self::Incomplete => "nothing is wrong in what could be checked, but not everything could be",
            Self::Broken => "the log shows what must not be",
        }
    }
}

/// How much was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Leaves of the log.
    pub leaves: u64,
    /// Ledger entries in them.
    pub entries: u64,
    /// Charges among those.
    pub charges: u64,
    /// Burns among those.
    pub burns: u64,
    /// Releases.
    pub releases: u64,
    /// Charges whose release may still come.
    pub pending: u64,
    /// Model pointers.
    pub models: u64,
    /// Statements of keys.
    pub key_epochs: u64,
}

/// A policy version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyShown {
    /// Its number.
    pub version: u64,
    /// Digest of its files.
    pub digest: Digest,
    /// Its leaf.
    pub leaf: u64,
    /// When it was logged, Unix milliseconds.
    pub logged_ms: u64,
    /// Whether its files are among those given.
    pub files: bool,
    /// Releases that name its digest.
    pub releases: u64,
}

/// A node's ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LedgerShown {
    /// Its name.
    pub ledger: LedgerId,
    /// The node's region.
    pub region: RegionId,
    /// The node.
    pub node: NodeId,
    /// Entries.
    pub entries: u64,
    /// The head, recomputed.
    pub head: Digest,
    /// Charges that have their release.
    pub released: u64,
    /// Charges that were burned.
    pub burned: u64,
    /// Charges that have neither.
    pub open: u64,
}

/// What one year cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct YearShown {
    /// The year: 366 days each, from the beginning of 1970.
    pub year: u64,
    /// Unix seconds of its first second.
    pub from_s: u64,
    /// Σρ of a viewer unit, at the node where each window cost most.
    pub rho: f64,
    /// The policy's limit; nothing for a unit that has none.
    pub limit: Option<f64>,
    /// Σδ beside ρ.
    pub delta: f64,
    /// (ε, δ) of the year by the tight conversion at the policy's δ; nothing for a unit without a bound for a year.
    pub epsilon: Option<f64>,
    /// The same by the privacy loss distribution of Gaussian noise, which is smaller, and still no less than it is.
    pub epsilon_pld: Option<f64>,
}

/// What one purpose cost, over all time and nodes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PurposeShown {
    /// The purpose.
    pub purpose: PurposeId,
    /// Σρ.
    pub rho: f64,
}

/// One tenant's viewers in one region.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Share {
    /// Whose viewers.
    pub tenant: TenantId,
    /// Where.
    pub region: RegionId,
    /// Whose contribution is protected, by the newest policy whose files are given.
    pub unit: Option<PrivacyUnit>,
    /// What is not promised, for a unit that promises less.
    pub caution: Option<&'static str>,
    /// Nodes with charges.
    pub nodes: u64,
    /// Windows with charges.
    pub windows: u64,
    /// Charges, burned ones too.
    pub charges: u64,
    /// Charges that have their release.
    pub releases: u64,
    /// The largest Σρ of a unit over overlapping windows at one node.
    pub rho_window: f64,
    /// The policy's limit of it.
    pub rho_window_limit: Option<f64>,
    /// δ beside ρ in the window where it was largest.
    pub delta_window: f64,
    /// δ at which ε is stated, of the policy.
    pub stated_delta: Option<f64>,
    /// ε of a unit and window, by the tight conversion.
    pub epsilon_window: Option<f64>,
    /// The same by the privacy loss distribution.
    pub epsilon_window_pld: Option<f64>,
    /// The years.
    pub years: Vec<YearShown>,
    /// The purposes.
    pub purposes: Vec<PurposeShown>,
}

/// Releases of some days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Activity {
    /// Days since the beginning of 1970.
    pub day: u64,
    /// How many days.
    pub days: u64,
    /// Releases whose windows ended in them.
    pub releases: u64,
}

/// What an audit came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditReport {
    /// Whether everything holds.
    pub verdict: Verdict,
    /// How much was read.
    pub counts: Counts,
    /// The newest time that a leaf names, Unix milliseconds.
    pub newest_ms: u64,
    /// For how long windows may begin under a superseded policy, in milliseconds.
    pub policy_grace_ms: u64,
    /// For how long after its window a charge may wait for its release; nothing: as long as the window was.
    pub pending_ms: Option<u64>,
    /// Policy versions, in the log's order.
    pub policies: Vec<PolicyShown>,
    /// Ledgers.
    pub ledgers: Vec<LedgerShown>,
    /// Tenants by region.
    pub shares: Vec<Share>,
    /// Releases over time.
    pub activity: Vec<Activity>,
    /// What was found, the first [`super::FINDINGS_SHOWN_MAX`] of each kind.
    pub findings: Vec<Finding>,
    /// How much was found, by kind.
    pub findings_by_kind: BTreeMap<FindingKind, u64>,
    /// What the verdict rests on.
    pub rests_on: [&'static str; 6],
}

pub(super) fn of<S: PolicySource>(audit: Audit<S>) -> AuditReport {
    let (policies, shares) = (policies(&audit), shares(&audit));
    let ledgers = ledgers(&audit);
    let Audit { counts, newest_ms, options, activity, findings, .. } = audit;
    let (findings, findings_by_kind) = findings.into_parts();
    let verdict = if findings_by_kind.keys().any(|kind| !kind.is_unchecked()) {
        Verdict::Broken
    } else if findings_by_kind.is_empty() {
        Verdict::Holds
    } else {
        Verdict::Incomplete
    };
    let AuditOptions { policy_grace_ms, pending_ms, .. } = options;
    AuditReport {
        verdict,
        counts,
        newest_ms,
        policy_grace_ms,
        pending_ms,
        policies,
        ledgers,
        shares,
        activity: plotted(&activity),
        findings,
        findings_by_kind,
        rests_on: RESTS_ON,
    }
}

fn policies<S: PolicySource>(audit: &Audit<S>) -> Vec<PolicyShown> {
    let shown = audit.timeline.versions().map(|(version, files, releases)| PolicyShown {
        version: version.version,
        digest: version.digest,
        leaf: version.leaf,
        logged_ms: version.logged_ms,
        files,
        releases,
    });
    shown.collect()
}

fn ledgers<S>(audit: &Audit<S>) -> Vec<LedgerShown> {
    let mut shown: Vec<LedgerShown> = audit
        .chains
        .values()
        .map(|chain| {
            let Place { region, node } = chain.place().clone();
            let count = |wanted: fn(State) -> bool| chain.slots().filter(|(_, slot)| wanted(slot.state)).count() as u64;
            LedgerShown {
                ledger: chain.id(),
                region,
                node,
                entries: chain.head().entries,
                head: chain.head().digest,
                released: count(|state| matches!(state, State::Released(_))),
                burned: count(|state| state == State::Burned),
                open: count(|state| state == State::Open),
            }
        })
        .collect();
    shown.sort_by(|a, b| (&a.region, &a.node, a.ledger).cmp(&(&b.region, &b.node, b.ledger)));
    shown
}

fn shares<S: PolicySource>(audit: &Audit<S>) -> Vec<Share> {
    let mut released: BTreeMap<(TenantId, RegionId), u64> = BTreeMap::new();
    for chain in audit.chains.values() {
        let mut by_detail: BTreeMap<u32, u64> = BTreeMap::new();
        for (_, slot) in chain.slots().filter(|(_, slot)| matches!(slot.state, State::Released(_))) {
            *by_detail.entry(slot.detail).or_default() += 1;
        }
        for (detail, count) in by_detail {
            let tenant = audit.names.id(detail, policies::WindowId(0)).tenant;
            *released.entry((tenant, chain.place().region.clone())).or_default() += count;
        }
    }
    let shared = audit
        .spending
        .iter()
        .map(|(key, ledgers)| share(audit, key, ledgers, released.get(key).copied().unwrap_or_default()));
    shared.collect()
}

fn share<S: PolicySource>(
    audit: &Audit<S>,
    (tenant, region): &(TenantId, RegionId),
    ledgers: &BTreeMap<LedgerId, super::Spending>,
    releases: u64,
) -> Share {
    let policy = audit.timeline.newest_set().and_then(|set| set.region(region));
    let unit = policy.map(|policy| policy.unit.unit);
    let stated_delta = policy.map(|policy| policy.budget.delta);
    // Δ is made for all nodes and regions that may count a viewer, so that together they cost what one costs by itself:
    // a window costs a unit no more than at the node where it cost most.
    let mut windows: BTreeMap<Span, Sum> = BTreeMap::new();
    let mut purposes: BTreeMap<&PurposeId, u64> = BTreeMap::new();
    let (mut largest, mut charges) = (Sum::default(), 0);
    for spending in ledgers.values() {
        charges += spending.charges;
        largest = largest.max(spending.largest);
        for (span, sum) in spending.spans() {
            let most = windows.entry(span).or_default();
            *most = most.max(sum);
        }
        for (purpose, rho) in spending.purposes() {
            let sum = purposes.entry(purpose).or_default();
            *sum = sum.saturating_add(rho);
        }
    }
    let mut years: BTreeMap<u64, Sum> = BTreeMap::new();
    windows.iter().for_each(|(span, sum)| years.entry(span.year()).or_default().add(*sum));
    let bounded = unit == Some(PrivacyUnit::ViewerWindow);
    let limit = policy.filter(|_| bounded).map(|policy| policy.budget.rho_per_year.as_f64());
    let epsilon = |sum: Sum| stated_delta.map(|delta| zcdp::epsilon(rho(sum.rho), delta));
    let sigma = audit.conformity.sigma_least();
    let epsilon_pld = |sum: Sum| by_loss(rho(sum.rho), sigma?, stated_delta?);
    let year_shown = |(year, sum): (u64, Sum)| YearShown {
        year,
        from_s: year.saturating_mul(policies::UnitRule::SECONDS_PER_YEAR.into()),
        rho: rho(sum.rho),
        limit,
        delta: delta(sum.delta),
        epsilon: epsilon(sum).filter(|_| bounded),
        epsilon_pld: epsilon_pld(sum).filter(|_| bounded),
    };
    Share {
        tenant: tenant.clone(),
        region: region.clone(),
        unit,
        caution: (unit == Some(PrivacyUnit::Session)).then_some("no per-viewer or yearly bound"),
        nodes: ledgers.len() as u64,
        windows: windows.len() as u64,
        charges,
        releases,
        rho_window: rho(largest.rho),
        rho_window_limit: policy.map(|policy| policy.budget.rho_per_window.as_f64()),
        delta_window: delta(largest.delta),
        stated_delta,
        epsilon_window: epsilon(largest),
        epsilon_window_pld: epsilon_pld(largest),
        years: years.into_iter().map(year_shown).collect(),
        purposes: purposes
            .into_iter()
            .map(|(name, sum)| PurposeShown { purpose: name.clone(), rho: rho(sum) })
            .collect(),
    }
}

/// ε at δ of Gaussian noise that spends ρ in all, on integers with at least this deviation: nothing where that is too small.
///
/// The privacy loss of independent Gaussians is a Gaussian's of μ² = Σ2ρ, whatever the parts, and has a closed form. The
/// integers' noise is bounded by continuous noise of variance σ² − 9 (docs/accounting.md).
fn by_loss(rho: f64, sigma: f64, delta: f64) -> Option<f64> {
    const SMOOTHING: f64 = 9.0;
    let kept = 1.0 - SMOOTHING / (sigma * sigma);
    // The factor is more than what the square root and the quotient round.
    let mu = (2.0 * rho / kept).sqrt() * (1.0 + 1e-12);
    (sigma >= 4.0).then(|| zcdp::epsilon_of_gaussian(mu, delta))
}

fn rho(picos: u64) -> f64 {
    Rho::from_picos(picos).map_or(f64::INFINITY, Rho::as_f64)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for reports")]
fn delta(attos: u64) -> f64 {
    attos as f64 / 1e18
}

/// The days in [`ACTIVITY_MAX`] steps of one length at most.
fn plotted(days: &BTreeMap<u64, u64>) -> Vec<Activity> {
    let Some((first, last)) = days.keys().next().zip(days.keys().next_back()) else { return Vec::new() };
    let step = (last - first) / ACTIVITY_MAX as u64 + 1;
    let mut steps: BTreeMap<u64, u64> = BTreeMap::new();
    days.iter().for_each(|(day, releases)| *steps.entry((day - first) / step).or_default() += releases);
    steps.into_iter().map(|(number, releases)| Activity { day: first + number * step, days: step, releases }).collect()
}
