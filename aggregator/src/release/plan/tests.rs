use personalize::{FrameError, ItemIndex};
use policies::{PrivacyUnit, TaskSpec};

use super::*;
use crate::release::tests::fixture::{ITEMS, budget, frame, inputs, plan, rho, rules, unit};

fn frozen(change: impl FnOnce(&mut PlanInputs<'_>, &mut Vec<TaskRule>)) -> Result<WindowPlan, PlanError> {
    let mut changed = rules();
    let mut inputs = inputs(&[], unit(PrivacyUnit::ViewerWindow, 1), 5);
    change(&mut inputs, &mut changed);
    WindowPlan::freeze(PlanInputs { rules: &changed, ..inputs })
}

fn refusal(change: impl FnOnce(&mut PlanInputs<'_>, &mut Vec<TaskRule>)) -> Option<PlanError> {
    frozen(change).err()
}

#[test]
fn every_key_is_there_and_the_parts_add_up() {
    let plan = plan(&rules(), unit(PrivacyUnit::ViewerWindow, 1), 5);
    let cells: Vec<_> = plan.tasks().iter().flat_map(|task| &task.segments).map(|segment| segment.cells).collect();
    assert_eq!(cells, [ITEMS, ITEMS, 36, 91, 12]);
    for task in plan.tasks() {
        let sum = task.segments.iter().try_fold(Rho::ZERO, |sum, segment| sum.checked_add(segment.rho));
        assert_eq!(sum, Some(task.rho), "{}", task.kind);
    }
    assert_eq!(plan.tasks()[0].segments[0].rho, rho(0.4));
    // The noise of each segment spends what it says: σ² = Δ²/2ρ, to the rounding.
    for segment in plan.tasks().iter().flat_map(|task| &task.segments) {
        let needed = (segment.sensitivity as f64).powi(2) / (2.0 * segment.rho.as_f64());
        assert!((1.0..1.000_001).contains(&(segment.variance.as_f64() / needed * (1.0 + 1e-12))), "{:?}", segment.kind);
    }
}

#[test]
fn the_same_inputs_give_the_same_plan() {
    let one = frozen(|_, _| ()).unwrap();
    assert_eq!(frozen(|_, rules| rules.reverse()), Ok(one.clone()));
    assert_eq!(one.release_id(TaskKind::CoEngagement).to_string(), "demo/co-engagement/eu-west/node-1/5");
}

/// Before the first model there is no Gram, and it costs nothing.
#[test]
fn an_empty_frame_skips_the_gram() {
    let plan = frozen(|inputs, _| inputs.frame = Frame::initial(frame().catalogue, 1)).unwrap();
    assert_eq!(
        plan.tasks().iter().map(|task| task.kind).collect::<Vec<_>>(),
        [TaskKind::ItemCounts, TaskKind::RankerMoments, TaskKind::ArmReward]
    );
}

#[test]
fn each_flaw_has_its_refusal() {
    let counts =
        |clip, percent| TaskSpec::ItemCounts { clip, impressions_clip: 1.0, rewards_percent: percent, base_rate: 0.1 };
    let spec = |spec| refusal(|_, rules| rules[0].spec = spec);
    for clip in [f64::NAN, -1.0, 0.0, 1e-9, f64::NEG_INFINITY] {
        assert_eq!(spec(counts(clip, 80)), Some(PlanError::Clip), "{clip}");
    }
    assert_eq!(spec(counts(2.6, 0)), Some(PlanError::Clip));
    assert_eq!(spec(counts(2.6, 100)), Some(PlanError::Clip));
    assert_eq!(spec(counts(f64::INFINITY, 80)), Some(PlanError::Sensitivity));
    assert_eq!(spec(counts(1e9, 80)), Some(PlanError::Sensitivity));
    assert_eq!(refusal(|_, rules| rules[2].spec = TaskSpec::RankerMoments { norm: 1e6 }), Some(PlanError::Sensitivity));
    assert_eq!(refusal(|inputs, _| inputs.unit.quota = 0), Some(PlanError::Sensitivity));
    assert_eq!(refusal(|inputs, _| inputs.unit.quota = u32::MAX), Some(PlanError::Sensitivity));
    assert_eq!(refusal(|_, rules| rules[1].rho = Rho::ZERO), Some(PlanError::Rho));
    assert_eq!(
        refusal(|_, rules| rules[1].spec = TaskSpec::CoEngagement { items_max: 7 }),
        Some(PlanError::FrameTooLarge)
    );
    assert_eq!(refusal(|_, rules| rules[1] = rules[0].clone()), Some(PlanError::RepeatedTask));
    assert_eq!(refusal(|inputs, _| inputs.budget = budget(1.999, 20.0)), Some(PlanError::OverBudget));
    assert_eq!(refusal(|_, rules| rules[0].rho = Rho::MAX), Some(PlanError::OverBudget));
    assert_eq!(refusal(|inputs, _| inputs.catalogue_items = CELLS_MAX + 1), Some(PlanError::Cells));
    let outside = |inputs: &mut PlanInputs<'_>| inputs.frame.top[0] = ItemIndex(99);
    assert_eq!(refusal(|inputs, _| outside(inputs)), Some(PlanError::Frame(FrameError::Items)));
}
