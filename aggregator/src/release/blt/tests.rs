use std::sync::Arc;

use policies::{PrivacyUnit, TaskKind, TaskRule, TaskSpec, WindowId};
use proptest::prelude::*;

use super::*;
use crate::release::tests::fixture::{inputs, open, outcome, rho, session, unit};
use crate::release::{Contributed, PlanInputs, WindowPlan};

/// A window that releases running totals alone.
fn frozen(clip: f64, horizon_windows: u32, window: u64) -> Result<WindowPlan, PlanError> {
    let spec = TaskSpec::RunningTotals { clip, horizon_windows };
    let rules = [TaskRule { purpose: "experiments".parse().unwrap(), rho: rho(0.5), spec }];
    WindowPlan::freeze(inputs(&rules, unit(PrivacyUnit::Session, 1), window))
}

fn segment(horizon: u32) -> Segment {
    frozen(1.5, horizon, 5).unwrap().tasks()[0].segments[0]
}

fn id(window: u64) -> ReleaseId {
    ReleaseId { window: WindowId(window), ..frozen(1.5, 4, 5).unwrap().release_id(TaskKind::RunningTotals) }
}

/// A row without noise.
fn row(stream: &mut Stream, segment: &Segment, window: u64, sums: &[i64]) -> (Vec<i64>, StreamBody) {
    let plan = segment.stream.unwrap();
    stream.row((&id(window), segment, plan), Zeroizing::new(sums.to_vec()), vec![0; sums.len()])
}

#[test]
fn the_plan_states_every_bound() {
    let segment = segment(365);
    assert_eq!((segment.cells, segment.clip, segment.scale), (4, 98_304, 1 << 16));
    let square = u128::from(segment.clip).pow(2) * blt::column_square(365);
    let sensitivity = u128::from(segment.sensitivity);
    assert!(sensitivity.pow(2) >= square && (sensitivity - 1).pow(2) < square);
    assert_eq!(segment.stream.unwrap().reach, UNITS_MAX * 98_304 * blt::column_sum(365));
    // σ² = Δ² at ρ = ½, rounded up.
    assert!((segment.variance.as_f64().sqrt() / segment.sensitivity as f64 - 1.0).abs() < 1e-6);
}

#[test]
fn each_flaw_has_its_refusal() {
    assert_eq!(frozen(1.5, 0, 5).err(), Some(PlanError::Horizon));
    assert_eq!(frozen(1.5, 1025, 5).err(), Some(PlanError::Horizon));
    assert_eq!(frozen(f64::NAN, 4, 5).err(), Some(PlanError::Clip));
    assert_eq!(frozen(1e4, 1024, 5).err(), Some(PlanError::Sensitivity));
    let spec = TaskSpec::RunningTotals { clip: 1.5, horizon_windows: 4 };
    let rules = [TaskRule { purpose: "experiments".parse().unwrap(), rho: rho(0.5), spec }];
    let viewers = inputs(&rules, unit(PrivacyUnit::ViewerWindow, 1), 5);
    assert_eq!(WindowPlan::freeze(PlanInputs { ..viewers }).err(), Some(PlanError::Unit));
}

/// Every session at its bound in every window of every horizon up to 12: the rows move by Δ at most, and by all of it, to
/// the rounding of Δ, where the session is in the first window. Which cell it is in makes no difference.
#[test]
fn sensitivity_is_met_by_the_first_window_and_by_no_other() {
    for horizon in 1..=12u32 {
        let segment = segment(horizon);
        let square = u128::from(segment.sensitivity).pow(2);
        for at in 0..u64::from(horizon) {
            for cell in 0..4 {
                let (mut stream, mut moved) = (Stream::new(), 0u128);
                for window in 0..u64::from(horizon) {
                    let mut sums = [0; 4];
                    sums[cell] = if window == at { segment.clip.cast_signed() } else { 0 };
                    let (row, _) = row(&mut stream, &segment, window, &sums);
                    moved += row.iter().map(|value| u128::from(value.unsigned_abs()).pow(2)).sum::<u128>();
                }
                assert!(moved <= square, "{horizon} {at}");
                let next = u128::from(segment.sensitivity - 1).pow(2);
                assert_eq!(moved > next, at == 0, "{horizon} {at}");
            }
        }
    }
}

/// The same row by row against the definition, whatever the sums: Σ Ĉ_{t−s}·x_s + z_t.
#[test]
fn a_session_of_a_window_is_in_its_row_and_all_later_ones() {
    let segment = segment(365);
    let column = blt::coefficients(365);
    let mut stream = Stream::new();
    for window in 0..365u64 {
        let sums = if window == 2 { [1 << 16, 0, -7, 0] } else { [0; 4] };
        let (values, place) = row(&mut stream, &segment, 100 + window, &sums);
        assert_eq!(place, StreamBody { first: 100, step: u32::try_from(window).unwrap() });
        let weight = window.checked_sub(2).map_or(0, |age| column[usize::try_from(age).unwrap()].cast_signed());
        assert_eq!(values, [weight << 16, 0, -7 * weight, 0]);
    }
}

proptest! {
    #[test]
    fn rows_are_the_matrix_times_the_sums_and_noise_of_their_own(
        sums in prop::collection::vec(prop::array::uniform2(-1_000_000i64..1_000_000), 1..20),
        noise in prop::collection::vec(any::<i32>(), 40),
    ) {
        let (segment, column) = (Segment { cells: 2, ..segment(20) }, blt::coefficients(20));
        let mut stream = Stream::new();
        for (step, own) in sums.iter().enumerate() {
            let samples: Vec<i64> = noise[2 * step..2 * step + 2].iter().map(|sample| i64::from(*sample)).collect();
            let sums_of = Zeroizing::new(own.to_vec());
            let window = id(step as u64);
            let (row, _) = stream.row((&window, &segment, segment.stream.unwrap()), sums_of, samples.clone());
            for cell in 0..2 {
                let expected: i64 = (0..=step).map(|s| column[step - s].cast_signed() * sums[s][cell]).sum();
                prop_assert_eq!(row[cell], expected + samples[cell]);
            }
        }
    }
}

/// What another noise, bound, series or horizon was charged covers no row of this one: the stream begins anew, and
/// nothing of the earlier windows is in it.
#[test]
fn a_stream_ends_where_its_charges_would_not_cover_it() {
    let plain = segment(4);
    let begun = || {
        let mut stream = Stream::new();
        row(&mut stream, &plain, 5, &[1 << 16; 4]);
        assert_eq!(row(&mut stream, &plain, 7, &[0; 4]).1, StreamBody { first: 5, step: 1 });
        stream
    };
    let anew = |(values, place): (Vec<i64>, StreamBody), first| {
        assert_eq!((values, place), (vec![4096; 4], StreamBody { first, step: 0 }));
    };
    let changes: [fn(&mut Segment); 5] = [
        |segment| segment.clip -= 1,
        |segment| segment.sensitivity += 1,
        |segment| segment.scale += 1,
        |segment| segment.variance = Variance::new(1, 2).unwrap(),
        |segment| segment.stream.as_mut().unwrap().horizon = 5,
    ];
    for change in changes {
        let mut segment = plain;
        change(&mut segment);
        anew(row(&mut begun(), &segment, 8, &[1; 4]), 8);
    }
    // Not after the last row; a row that was not kept.
    anew(row(&mut begun(), &plain, 7, &[1; 4]), 7);
    let mut ended = begun();
    ended.end();
    assert_eq!(ended.rows(), 0);
    anew(row(&mut ended, &plain, 8, &[1; 4]), 8);
    // Another tenant.
    let (mut stream, plan) = (begun(), plain.stream.unwrap());
    let other = ReleaseId { tenant: "other".parse().unwrap(), ..id(8) };
    anew(stream.row((&other, &plain, plan), Zeroizing::new(vec![1; 4]), vec![0; 4]), 8);
    // Full: four rows, and no fifth.
    let mut full = begun();
    assert_eq!(row(&mut full, &plain, 8, &[0; 4]).1.step, 2);
    assert_eq!(row(&mut full, &plain, 9, &[0; 4]).1.step, 3);
    anew(row(&mut full, &plain, 10, &[1; 4]), 10);
}

#[test]
fn a_session_counts_its_four_measures_whatever_its_arm() {
    let plan = Arc::new(frozen(2.0, 4, 5).unwrap());
    let mut window = open(&plan);
    for arm in personalize::Arm::ALL {
        let record = session(vec![outcome(0, 1.0), outcome(1, 0.0)]);
        let became = window.contribute(None, &personalize::SessionRecord { arm, ..record });
        assert_eq!(became, Contributed::Counted);
    }
    let sums = window.close().into_tasks().remove(0).into_sums().remove(0).to_vec();
    let arms = i64::try_from(personalize::Arm::ALL.len()).unwrap();
    // 1, mean reward ½, start-up ¼, rebuffering ¼.
    assert_eq!(sums, [arms << 16, arms << 15, arms << 14, arms << 14]);
}
