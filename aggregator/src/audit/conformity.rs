//! Whether charges and releases are what their policy gives.
//!
//! The plan is frozen again by [`WindowPlan::freeze`]. A frame is not in the log, only its digest: the number of its items
//! is read from the cells of a Gram, and held against the policy's `items_max`; what the frame names is not known, and
//! nothing that protects a viewer follows from it. Cells of one catalogue, and of one frame, are of one number.

use std::collections::HashMap;

use personalize::{Frame, ItemIndex};
use policies::{
    Delta, Digest, PolicySet, PurposeId, RegionId, RegionPolicy, Rho, TaskKind, TaskRule, TenantId, UnitRule,
};

use super::finding::FindingKind;
use super::spending::Limits;
use crate::log::{ReleaseLogged, SegmentLogged};
use crate::release::plan::triangle;
use crate::release::store::ChargeLimits;
use crate::release::{ChargeRecord, PlanInputs, SegmentKind, Span, TaskPlan, WindowPlan};

/// In what an entry differs from its policy.
#[derive(Debug, Clone)]
pub(super) struct Mismatch {
    pub(super) kind: FindingKind,
    pub(super) sentence: String,
}

fn mismatch(kind: FindingKind, sentence: impl Into<String>) -> Mismatch {
    Mismatch { kind, sentence: sentence.into() }
}

/// What a policy says of a tenant's task in a region; what it takes of a frame and catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PlanKey {
    policy: Digest,
    tenant: TenantId,
    region: RegionId,
    task: TaskKind,
}

/// Items of the catalogue and of the frame.
type Sizes = (usize, usize);

/// Plans and sizes that were met.
#[derive(Default)]
pub(super) struct Conformity {
    /// The last plan of each, which the next release most often has too.
    plans: HashMap<PlanKey, (Sizes, Result<TaskPlan, String>)>,
    /// Cells by what they follow from: a catalogue or a frame.
    cells: HashMap<(Digest, SegmentKind), u64>,
}

/// What a policy allows a tenant in a region.
fn ruled<'a>(
    set: &'a PolicySet,
    (tenant, region, task): (&TenantId, &RegionId, TaskKind),
) -> Result<(&'a RegionPolicy, &'a TaskRule), Mismatch> {
    let refused = |sentence: String| mismatch(FindingKind::NotGranted, sentence);
    let policy = set.region(region).ok_or_else(|| refused(format!("the policy has no region {region}")))?;
    let grant = set.grant(region, tenant);
    let grant = grant.ok_or_else(|| refused(format!("the policy grants {tenant} nothing in {region}")))?;
    let rule = policy.tasks.iter().find(|rule| rule.spec.kind() == task);
    let rule = rule.ok_or_else(|| refused(format!("the policy has no task {task} in {region}")))?;
    if !grant.purposes.contains(&rule.purpose) {
        return Err(refused(format!("the policy grants {tenant} no {} in {region}", rule.purpose)));
    }
    Ok((policy, rule))
}

/// What one release of a task costs. A δ that is no number costs all there is.
fn price(rule: &TaskRule) -> (Rho, Delta) {
    (rule.rho, rule.spec.delta().unwrap_or(Delta::ONE))
}

/// In what a charge differs from its policy, and the limits that the policy sets it.
pub(super) fn charge(set: &PolicySet, record: &ChargeRecord) -> (Vec<Mismatch>, Option<Limits>) {
    let id = &record.id;
    let (policy, rule) = match ruled(set, (&id.tenant, &id.region, id.task)) {
        Ok(ruled) => ruled,
        Err(refused) => return (vec![refused], None),
    };
    let charge = ChargeLimits::of(&policy.budget, &record.purpose);
    let limits = Limits { charge, nodes: policy.unit.nodes };
    let mut found = Vec::new();
    if record.purpose != rule.purpose {
        found.push(purpose(&record.purpose, rule));
    }
    if record.unit != policy.unit.unit {
        found.push(mismatch(FindingKind::Unit, "it protects another unit than the policy's"));
    }
    if Span::of(&policy.unit, id.window) != Some(record.span) {
        found.push(mismatch(FindingKind::Unit, "its time is not that of its window by the policy"));
    }
    let (rho, delta) = price(rule);
    if record.rho != rho {
        found.push(mismatch(FindingKind::Rho, format!("ρ {} is charged, and the policy's is {rho}", record.rho)));
    }
    if record.delta != delta {
        found.push(mismatch(FindingKind::Delta, format!("δ {} is charged, and the policy's is {delta}", record.delta)));
    }
    (found, Some(limits))
}

impl Conformity {
    /// The least standard deviation of the noise of any plan that was met, in integer units.
    pub(super) fn sigma_least(&self) -> Option<f64> {
        let plans = self.plans.values().filter_map(|(_, plan)| plan.as_ref().ok());
        let variances = plans.flat_map(|plan| &plan.segments).map(|segment| segment.variance.as_f64());
        variances.min_by(f64::total_cmp).map(f64::sqrt)
    }

    /// In what a release differs from its policy.
    pub(super) fn release(&mut self, set: &PolicySet, logged: &ReleaseLogged) -> Vec<Mismatch> {
        let (policy, rule) = match ruled(set, (&logged.tenant, &logged.region, logged.task)) {
            Ok(ruled) => ruled,
            Err(refused) => return vec![refused],
        };
        let mut found = Vec::new();
        if logged.purpose != rule.purpose {
            found.push(purpose(&logged.purpose, rule));
        }
        if UnitRule::from(&logged.unit) != policy.unit {
            found.push(mismatch(FindingKind::Unit, "its unit, window, quota or factors are not the policy's"));
        }
        let (rho, delta) = price(rule);
        if logged.rho_picos != rho.picos() {
            let sentence =
                format!("{} · 10⁻¹² of ρ are released, and the policy's are {}", logged.rho_picos, rho.picos());
            found.push(mismatch(FindingKind::Rho, sentence));
        }
        if logged.delta_attos != delta.attos() || logged.stated_delta.to_bits() != policy.budget.delta.to_bits() {
            found.push(mismatch(FindingKind::Delta, "its δ, or the δ at which ε is stated, is not the policy's"));
        }
        self.segments(policy, rule, logged, &mut found);
        found
    }

    fn segments(&mut self, policy: &RegionPolicy, rule: &TaskRule, logged: &ReleaseLogged, found: &mut Vec<Mismatch>) {
        let Some(sizes) = sizes(logged) else {
            found.push(mismatch(FindingKind::Segments, "its cells are no catalogue's and no frame's"));
            return;
        };
        let key = PlanKey {
            policy: logged.policy,
            tenant: logged.tenant.clone(),
            region: logged.region.clone(),
            task: logged.task,
        };
        let (of, plan) = self.plans.entry(key).or_insert_with(|| (sizes, freeze(policy, rule, logged, sizes)));
        if *of != sizes {
            (*of, *plan) = (sizes, freeze(policy, rule, logged, sizes));
        }
        match plan {
            Err(error) => {
                found.push(mismatch(FindingKind::Segments, format!("the policy gives no such plan: {error}")))
            }
            Ok(plan) => compare(plan, &logged.segments, found),
        }
        for segment in &logged.segments {
            let Ok(kind) = segment.kind.parse::<SegmentKind>() else { continue };
            let of = match kind {
                SegmentKind::Rewards | SegmentKind::Impressions => logged.catalogue,
                SegmentKind::Gram => logged.frame,
                _ => continue,
            };
            if *self.cells.entry((of, kind)).or_insert(segment.cells) != segment.cells {
                let sentence = format!("its {} have other cells than those of the same {of}", kind.as_str());
                found.push(mismatch(FindingKind::Segments, sentence));
            }
        }
    }
}

fn purpose(claimed: &PurposeId, rule: &TaskRule) -> Mismatch {
    mismatch(FindingKind::Purpose, format!("it is for {claimed}, and the policy's task for {}", rule.purpose))
}

/// The sizes of catalogue and frame that give the cells of a release; nothing where none do.
fn sizes(logged: &ReleaseLogged) -> Option<Sizes> {
    let first = logged.segments.first()?;
    let cells = usize::try_from(first.cells).ok()?;
    match logged.task {
        TaskKind::ItemCounts => Some((cells, 0)),
        TaskKind::CoEngagement => {
            // The side of the triangle: n(n + 1)/2 cells.
            let side = cells.checked_mul(8)?.checked_add(1)?.isqrt().saturating_sub(1) / 2;
            (side > 0 && side <= personalize::frame::FRAME_ITEMS_MAX && triangle(side) == cells).then_some((side, side))
        }
        // Of one size, whatever the catalogue.
        TaskKind::RankerMoments | TaskKind::ArmReward | TaskKind::Transitions | TaskKind::RunningTotals => Some((1, 0)),
    }
}

fn freeze(
    policy: &RegionPolicy,
    rule: &TaskRule,
    logged: &ReleaseLogged,
    (items, top): Sizes,
) -> Result<TaskPlan, String> {
    let frame = Frame {
        catalogue: logged.catalogue,
        base_rate_ppm: 0,
        top: (0..top).filter_map(|item| u32::try_from(item).ok()).map(ItemIndex).collect(),
        weights_ppm: vec![1; top],
    };
    let plan = WindowPlan::freeze(PlanInputs {
        tenant: logged.tenant.clone(),
        region: logged.region.clone(),
        node: logged.node.clone(),
        window: logged.window,
        unit: policy.unit.clone(),
        budget: policy.budget.clone(),
        policy: logged.policy,
        rules: std::slice::from_ref(rule),
        catalogue_items: items,
        frame,
        model_version: 0,
    });
    let plan = plan.map_err(|error| error.to_string())?;
    plan.task(logged.task).cloned().ok_or_else(|| "the task is skipped".to_owned())
}

fn compare(plan: &TaskPlan, segments: &[SegmentLogged], found: &mut Vec<Mismatch>) {
    let of_plan = plan.segments.iter().map(|segment| segment.kind.as_str());
    if !of_plan.eq(segments.iter().map(|segment| segment.kind.as_str())) {
        found.push(mismatch(FindingKind::Segments, "its parts are not those of its task"));
        return;
    }
    for (planned, claimed) in plan.segments.iter().zip(segments) {
        let kind = planned.kind.as_str();
        if claimed.sensitivity != planned.sensitivity {
            let sentence =
                format!("Δ of its {kind} is {}, and by the policy {}", claimed.sensitivity, planned.sensitivity);
            found.push(mismatch(FindingKind::Sensitivity, sentence));
        }
        if claimed.rho_picos != planned.rho.picos() {
            let (claimed, planned) = (claimed.rho_picos, planned.rho.picos());
            let sentence = format!("{claimed} · 10⁻¹² of ρ go into its {kind}, and by the policy {planned}");
            found.push(mismatch(FindingKind::Rho, sentence));
        }
        if claimed.scale != planned.scale {
            let sentence = format!("the scale of its {kind} is {}, and of its task {}", claimed.scale, planned.scale);
            found.push(mismatch(FindingKind::Segments, sentence));
        }
        if claimed.cells != planned.cells as u64 {
            let sentence = format!("its {kind} are {} cells, and by its task {}", claimed.cells, planned.cells);
            found.push(mismatch(FindingKind::Segments, sentence));
        }
    }
}
