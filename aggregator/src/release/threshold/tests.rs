use std::collections::BTreeMap;
use std::sync::Arc;

use policies::{Delta, PrivacyUnit, TaskRule, TaskSpec, UnitRule};
use proptest::prelude::*;

use super::*;
use crate::release::accumulator::SegmentSum;
use crate::release::tests::fixture::{ITEMS, inputs, open, outcome, rho, session, unit};
use crate::release::{ClosedWindow, Contributed, Noise, PlanInputs, Segment, WindowPlan};

/// A window that releases transitions alone.
fn frozen(pairs_max: u32, sessions_max: u32, delta: f64, unit: UnitRule) -> Result<WindowPlan, PlanError> {
    let spec = TaskSpec::Transitions { pairs_max, sessions_max, delta };
    let rules = [TaskRule { purpose: "recommendations".parse().unwrap(), rho: rho(0.5), spec }];
    let inputs = inputs(&rules, unit, 5);
    let budget = policies::Budget { delta: 0.5, ..inputs.budget.clone() };
    WindowPlan::freeze(PlanInputs { budget, ..inputs })
}

fn plan(pairs_max: u32, sessions_max: u32, delta: f64, unit: UnitRule) -> Arc<WindowPlan> {
    Arc::new(frozen(pairs_max, sessions_max, delta, unit).unwrap())
}

fn segment(plan: &WindowPlan) -> Segment {
    plan.tasks()[0].segments[0]
}

fn keyset(window: ClosedWindow) -> Keyset {
    let sums = window.into_tasks().remove(0).into_sums();
    match sums.into_iter().next() {
        Some(SegmentSum::Sparse(keyset)) => keyset,
        _ => panic!("transitions are sparse"),
    }
}

/// A session that likes each item, in this order.
fn liking(items: &[u32]) -> personalize::SessionRecord {
    session(items.iter().map(|item| outcome(*item, 1.0)).collect())
}

#[test]
fn a_pair_is_an_item_and_the_one_liked_next() {
    let plan = plan(3, 10, 0.01, unit(PrivacyUnit::Session, 1));
    let counted = |record| {
        let mut window = open(&plan);
        assert_eq!(window.contribute(None, &record), Contributed::Counted);
        keyset(window.close()).sums().into_iter().collect::<Vec<_>>()
    };
    let key = |first: u64, second: u64| (first * ITEMS as u64 + second, 1 << 16);
    assert_eq!(counted(liking(&[3, 1, 7])), [key(1, 7), key(3, 1)]);
    // Skipped items are no targets, but come before one; three pairs count, and each of them once.
    let skipped = session(vec![outcome(5, 1.0), outcome(2, 0.49), outcome(4, 0.5)]);
    assert_eq!(counted(skipped), [key(2, 4)]);
    assert_eq!(counted(liking(&[0, 1, 0, 1, 0, 2, 3])), [key(0, 1), key(0, 2), key(1, 0)]);
    assert_eq!(counted(liking(&[6, 6])), []);
}

#[test]
fn the_plan_states_every_bound() {
    let rule = UnitRule { region_factor: 2, nodes: 2, ..unit(PrivacyUnit::ViewerWindow, 3) };
    let plan = plan(8, 100, 1e-3, rule);
    let segment = segment(&plan);
    let sparse = segment.sparse.unwrap();
    assert_eq!((segment.cells, segment.scale, segment.clip), (800, 1 << 16, 185_364));
    // 12 sessions · √(2·8) pairs.
    assert_eq!(segment.sensitivity, (12 * 4) << 16);
    assert_eq!((sparse.universe, sparse.pairs_max, sparse.sessions_max), (144, 8, 100));
    // A key's 12 sessions, and noise that passes with probability 10⁻³ ÷ 96: 4.26 σ, σ = Δ.
    let sigmas = (sparse.threshold - (12 << 16)) as f64 / segment.sensitivity as f64;
    assert!((4.26..4.32).contains(&sigmas), "{sigmas}");
    assert_eq!(plan.tasks()[0].delta, Delta::from_f64_up(1e-3).unwrap());
}

#[test]
fn each_flaw_has_its_refusal() {
    let refusal = |pairs, sessions, delta| frozen(pairs, sessions, delta, unit(PrivacyUnit::Session, 1)).err();
    assert_eq!(refusal(0, 10, 0.01), Some(PlanError::Cells));
    assert_eq!(refusal(8, 0, 0.01), Some(PlanError::Cells));
    assert_eq!(refusal(64, 1 << 20, 0.01), Some(PlanError::Cells));
    assert_eq!(refusal(1, u32::MAX, 0.01), Some(PlanError::Cells));
    for delta in [0.0, -1.0, f64::NAN, 1.5] {
        assert_eq!(refusal(8, 10, delta), Some(PlanError::Delta), "{delta}");
    }
    assert_eq!(refusal(8, 10, 0.6), Some(PlanError::OverBudget));
    let large = UnitRule { quota: u32::MAX, ..unit(PrivacyUnit::ViewerWindow, 1) };
    assert_eq!(frozen(8, 10, 0.01, large).err(), Some(PlanError::Sensitivity));
}

/// Worst cases met exactly: a unit whose sessions are all alike and take the place of others that are all alike.
#[test]
fn the_bound_with_displacement_is_met() {
    let plan = plan(2, 2, 0.01, unit(PrivacyUnit::ViewerWindow, 2));
    let (mut with, mut without) = (open(&plan), open(&plan));
    for _ in 0..2 {
        with.contribute(Some(b"unit"), &liking(&[0, 1, 2]));
    }
    for window in [&mut with, &mut without] {
        for _ in 0..2 {
            window.contribute(Some(b"other"), &liking(&[3, 4, 5]));
        }
    }
    let (with, without) = (keyset(with.close()).sums(), keyset(without.close()).sums());
    assert_eq!(square_distance(&with, &without), u128::from(segment(&plan).sensitivity).pow(2));
}

fn square_distance(one: &BTreeMap<u64, i64>, other: &BTreeMap<u64, i64>) -> u128 {
    let keys = one.keys().chain(other.keys()).collect::<std::collections::BTreeSet<_>>();
    let value = |sums: &BTreeMap<u64, i64>, key| sums.get(key).copied().unwrap_or(0);
    keys.into_iter().map(|key| u128::from(value(one, key).abs_diff(value(other, key))).pow(2)).sum()
}

proptest! {
    /// Adding a unit anywhere, to a window of few places: sums move by Δ at most, and the keys that only one of the two
    /// windows has are few and small.
    #[test]
    fn neighbours_stay_within_the_bounds(
        sessions in prop::collection::vec((0u8..5, prop::collection::vec(0u32..5, 0..6)), 0..12),
        quota in 1u32..4, pairs_max in 1u32..4, sessions_max in 1u32..6,
    ) {
        let plan = plan(pairs_max, sessions_max, 0.01, unit(PrivacyUnit::ViewerWindow, quota));
        let (mut with, mut without) = (open(&plan), open(&plan));
        for (viewer, items) in &sessions {
            let became = with.contribute(Some(&[*viewer]), &liking(items));
            if *viewer != 0 {
                prop_assert_eq!(without.contribute(Some(&[*viewer]), &liking(items)), became);
            }
        }
        let (with, without) = (keyset(with.close()).sums(), keyset(without.close()).sums());
        prop_assert!(with.len() <= (pairs_max * sessions_max) as usize);
        let limit = u128::from(segment(&plan).sensitivity).pow(2);
        prop_assert!(square_distance(&with, &without) <= limit);
        let bounds = bounds(pairs_max, u64::from(quota)).unwrap();
        for (one, other) in [(&with, &without), (&without, &with)] {
            let own: Vec<i64> = one.iter().filter(|(key, _)| !other.contains_key(*key)).map(|(_, sum)| *sum).collect();
            prop_assert!(own.len() as u64 <= bounds.keys);
            prop_assert!(own.iter().all(|sum| sum.unsigned_abs() <= bounds.of_key));
        }
    }

    /// What is released is each key's sum with the noise of one place, where that reaches τ, and nothing else.
    #[test]
    fn only_what_reaches_the_threshold_is_released(
        sessions in prop::collection::vec(prop::collection::vec(0u64..6, 1..4), 0..6),
        noise in prop::collection::vec(-200_000i64..200_000, 18), threshold in -50_000i64..250_000,
    ) {
        let plan = SparsePlan { universe: 6, pairs_max: 3, sessions_max: 6, threshold };
        let mut keyset = Keyset::new(plan);
        for keys in &sessions {
            let keys: std::collections::BTreeSet<_> = keys.iter().collect();
            keyset.add(&keys.into_iter().map(|key| (*key as usize, 1 << 16)).collect());
        }
        let sums = keyset.sums();
        let released = keyset.release(&noise, 1 << 16);
        // Keys stand in rising order over the places; the last place of each is the number of pairs up to it, less 1.
        let mut place = 0usize;
        let mut expected = Noised::default();
        for (key, sum) in sums {
            place += (sum >> 16) as usize;
            let noised = sum + noise[place - 1];
            if noised >= threshold {
                expected.keys.push(key.cast_signed());
                expected.values.push(noised);
            }
        }
        prop_assert_eq!(released, expected);
    }
}

/// δ planted at 0.2: a unit that owns all the keys it can, each with all it can add to one, is betrayed in at most that
/// share of 20,000 releases, and in no less than two thirds of it, so the bound is not idle. χ² of one degree at 10⁻⁶.
#[test]
fn owned_keys_pass_as_seldom_as_charged() {
    let delta = 0.2;
    let plan = plan(4, 4, delta, unit(PrivacyUnit::ViewerWindow, 2));
    let segment = segment(&plan);
    let mut noise = Noise::seeded([5; 32]);
    let runs = 20_000u32;
    let mut betrayed = 0u32;
    for _ in 0..runs {
        let mut keyset = Keyset::new(segment.sparse.unwrap());
        // Two sessions of 4 keys each: 8 keys once. Twice the same 4 would be fewer keys of 2.
        keyset.add(&(0..4).map(|key| (key, 1 << 16)).collect());
        keyset.add(&(4..8).map(|key| (key, 1 << 16)).collect());
        let samples = noise.draw(segment.variance, segment.cells);
        betrayed += u32::from(!keyset.release(&samples, 2 << 16).keys.is_empty());
    }
    let share = f64::from(betrayed) / f64::from(runs);
    let slack = 4.9 * (delta * (1.0 - delta) / f64::from(runs)).sqrt();
    assert!(share <= delta + slack && share >= delta * 2.0 / 3.0, "{share}");
}

/// The plan of 2²⁰ samples at most, whatever the window holds: an empty one draws as many.
#[test]
fn the_number_of_samples_is_the_plans() {
    let plan = plan(8, 1 << 17, 0.01, unit(PrivacyUnit::Session, 1));
    assert_eq!(segment(&plan).cells, crate::release::plan::CELLS_MAX);
    let released = keyset(open(&plan).close()).release(&[i64::MAX; 100], 1 << 16);
    assert_eq!(released, Noised::default());
}
