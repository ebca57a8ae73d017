//! A made-up log that holds, for tests and for measuring.
//!
//! Every tenant of a policy set releases, window after window, what the policies let it, at one node a region.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use personalize::{Frame, ItemIndex};
use policies::{Digest, NodeId, PolicySet, RegionId, TenantId, WindowId};

use crate::log::{LedgerLogged, LogEntry, PolicyLogged, ReleaseLogged, SegmentLogged, UnitLogged};
use crate::release::chain::Opening;
use crate::release::{ChargeRecord, Head, LedgerEntry, LedgerId, PlanInputs, Span, TaskPlan, WindowPlan};

/// Items of the made-up catalogue, and of them in the frame.
const SIZES: (usize, u32) = (1000, 100);
/// The second in which the first windows begin: within 2023.
const BEGIN_S: u64 = 2800 * 604_800;
/// How long after a window its entries are logged, in milliseconds.
const LOGGED_AFTER_MS: u64 = 2000;

/// One region's node and its ledger.
struct SampleNode {
    region: RegionId,
    node: NodeId,
    ledger: LedgerId,
    head: Head,
    tenants: Vec<(TenantId, Vec<TaskPlan>)>,
}

/// Entries of a log, without end.
pub struct SampleLog<'a> {
    set: &'a PolicySet,
    nodes: Vec<SampleNode>,
    /// Windows that every node has closed.
    windows: u64,
    waiting: std::collections::VecDeque<LogEntry>,
}

impl<'a> SampleLog<'a> {
    /// A log of these policies, from its first leaf.
    #[must_use]
    pub fn new(set: &'a PolicySet) -> Self {
        let policy = PolicyLogged {
            version: 1,
            digest: set.digest(),
            bundle: Digest::of(b"bundle"),
            logged_ms: (BEGIN_S - 1) * 1000,
        };
        let nodes = (0_u8..).zip(set.regions().keys()).map(|(number, region)| node(set, region, number)).collect();
        Self { set, nodes, windows: 0, waiting: [LogEntry::Policy(policy)].into() }
    }

    /// One more window of every node: for each the charges of its tenants, then their releases.
    fn fill(&mut self) {
        let set = self.set;
        for node in &mut self.nodes {
            let Some(policy) = set.region(&node.region) else { continue };
            let window = WindowId(BEGIN_S.div_ceil(policy.unit.window_seconds.into()) + self.windows);
            let Some(span) = Span::of(&policy.unit, window) else { continue };
            let logged_ms = span.until_s * 1000 + LOGGED_AFTER_MS;
            let charges = charges(set, node, window, span);
            let (mut head, first) = (node.head, node.head.entries + 1);
            let mut entries = Vec::with_capacity(charges.len());
            for (record, _) in &charges {
                let bytes = LedgerEntry::Charge(record.clone()).encode();
                head = head.after(&bytes);
                entries.push(STANDARD.encode(bytes));
            }
            if entries.is_empty() {
                continue;
            }
            self.waiting.push_back(LogEntry::Ledger(LedgerLogged {
                region: node.region.clone(),
                node: node.node.clone(),
                ledger: node.ledger,
                first,
                entries,
                head: head.digest,
                logged_ms,
            }));
            for (sequence, (record, plan)) in (first..).zip(&charges) {
                let unit = UnitLogged::from(&policy.unit);
                let release = release(record, plan, (node.ledger, sequence), unit, policy.budget.delta, logged_ms);
                self.waiting.push_back(LogEntry::Release(Box::new(release)));
            }
            node.head = head;
        }
        self.windows += 1;
    }
}

impl Iterator for SampleLog<'_> {
    type Item = LogEntry;

    fn next(&mut self) -> Option<LogEntry> {
        if self.waiting.is_empty() {
            self.fill();
        }
        self.waiting.pop_front()
    }
}

fn node(set: &PolicySet, region: &RegionId, number: u8) -> SampleNode {
    let ledger = LedgerId([number; 16]);
    let node: NodeId = format!("node-{number}").parse().expect("a label");
    let tenants = set.grants().iter().filter(|grant| grant.regions.contains(region));
    let tenants = tenants.filter_map(|grant| Some((grant.tenant.clone(), plans(set, region, &grant.tenant, &node)?)));
    let tenants = tenants.collect();
    SampleNode { region: region.clone(), node, ledger, head: Head::empty(ledger), tenants }
}

fn plans(set: &PolicySet, region: &RegionId, tenant: &TenantId, node: &NodeId) -> Option<Vec<TaskPlan>> {
    let policy = set.region(region)?;
    let (catalogue_items, top) = SIZES;
    let plan = WindowPlan::freeze(PlanInputs {
        tenant: tenant.clone(),
        region: region.clone(),
        node: node.clone(),
        window: WindowId(0),
        unit: policy.unit.clone(),
        budget: policy.budget.clone(),
        policy: set.digest(),
        rules: &set.tasks_for(region, tenant),
        catalogue_items,
        frame: Frame {
            catalogue: Digest::of(b"catalogue"),
            base_rate_ppm: 100_000,
            top: (0..top).map(ItemIndex).collect(),
            weights_ppm: (0..top).map(|_| 1).collect(),
        },
        model_version: 1,
    });
    plan.ok().map(|plan| plan.tasks().to_vec())
}

fn charges<'a>(
    set: &PolicySet,
    node: &'a SampleNode,
    window: WindowId,
    span: Span,
) -> Vec<(ChargeRecord, &'a TaskPlan)> {
    let Some(policy) = set.region(&node.region) else { return Vec::new() };
    let of_tenants = node.tenants.iter().flat_map(|(tenant, plans)| plans.iter().map(move |plan| (tenant, plan)));
    let charge = |(tenant, plan): (&TenantId, &'a TaskPlan)| {
        let record = ChargeRecord {
            id: crate::release::ReleaseId {
                tenant: tenant.clone(),
                task: plan.kind,
                region: node.region.clone(),
                node: node.node.clone(),
                window,
            },
            span,
            purpose: plan.purpose.clone(),
            unit: policy.unit.unit,
            policy: set.digest(),
            rho: plan.rho,
            delta: plan.delta,
            opening: Opening([1; 16]),
        };
        (record, plan)
    };
    of_tenants.map(charge).collect()
}

/// What the centre logs of a release.
fn release(
    record: &ChargeRecord,
    plan: &TaskPlan,
    (ledger, sequence): (LedgerId, u64),
    unit: UnitLogged,
    stated_delta: f64,
    accepted_ms: u64,
) -> ReleaseLogged {
    let segments = plan.segments.iter().map(|segment| SegmentLogged {
        kind: segment.kind.as_str().to_owned(),
        cells: segment.cells as u64,
        sensitivity: segment.sensitivity,
        rho_picos: segment.rho.picos(),
        scale: segment.scale,
    });
    ReleaseLogged {
        tenant: record.id.tenant.clone(),
        task: record.id.task,
        region: record.id.region.clone(),
        node: record.id.node.clone(),
        window: record.id.window,
        purpose: record.purpose.clone(),
        unit,
        policy: record.policy,
        catalogue: Digest::of(b"catalogue"),
        frame: Digest::of(b"frame"),
        ledger,
        sequence,
        rho_picos: record.rho.picos(),
        delta_attos: record.delta.attos(),
        stated_delta,
        private: true,
        segments: segments.collect(),
        digest: Digest::of(record.id.to_string().as_bytes()),
        accepted_ms,
    }
}
