//! Adding or removing one unit moves no segment by more than Δ: exact, in integers, noise off, over 100,000 pairs of
//! neighbouring windows with every task in each, half of their sessions adversarial.

use std::sync::Arc;

use personalize::{Arm, FEATURES, ItemIndex, Outcome, PerceptualKpi, SessionRecord};
use policies::PrivacyUnit;
use rand_core::RngCore as _;

use super::fixture::{ITEMS, frame, open, plan, rng, rules, unit};
use crate::release::{ClosedWindow, Contributed, SegmentKind};

/// A generator's choices: ordinary sessions, and such as try to get past the bounds.
struct Sessions(rand_chacha::ChaCha20Rng);

impl Sessions {
    fn below(&mut self, bound: u32) -> u32 {
        self.0.next_u32() % bound
    }

    fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len() as u32) as usize]
    }

    fn unit_interval(&mut self) -> f32 {
        self.below(1 << 20) as f32 / (1 << 20) as f32
    }

    fn next(&mut self) -> SessionRecord {
        let adversarial = self.below(2) == 0;
        let count = if adversarial { self.one_of(&[1, 2, 40, 500]) } else { 1 + self.below(30) };
        let (items, reward) = (1 + self.below(ITEMS as u32), self.one_of(&[0.0, 1.0, 0.5, f32::MIN_POSITIVE]));
        let outcomes = (0..count).map(|_| {
            let reward = if adversarial { reward } else { self.unit_interval() };
            Outcome { item: ItemIndex(self.below(items)), reward, features: self.features(adversarial) }
        });
        let outcomes = outcomes.collect();
        let kpi = PerceptualKpi {
            startup_ms: self.one_of(&[0, 10_000, 9_999, u32::MAX]),
            rebuffer_ms: self.one_of(&[0, 1, u32::MAX]),
            watched_ms: self.one_of(&[0, 1, u32::MAX]),
        };
        SessionRecord { catalogue: Some(frame().catalogue), arm: self.one_of(&Arm::ALL), outcomes, kpi }
    }

    fn features(&mut self, adversarial: bool) -> [f32; FEATURES] {
        std::array::from_fn(|_| {
            if adversarial {
                self.one_of(&[0.0, 4.0, -4.0, 1e-30, f32::MAX, f32::MIN, f32::MIN_POSITIVE, 0.577_350_3])
            } else {
                self.unit_interval() * 2.0 - 1.0
            }
        })
    }
}

fn sums(window: ClosedWindow) -> Vec<(SegmentKind, u64, Vec<i64>)> {
    let tasks = window.into_tasks();
    let segments: Vec<_> = tasks.iter().flat_map(|task| task.plan().segments.clone()).collect();
    let sums = tasks.into_iter().flat_map(|task| task.into_sums());
    segments.into_iter().zip(sums).map(|(segment, sum)| (segment.kind, segment.sensitivity, sum.to_vec())).collect()
}

/// Σ(difference)² ÷ Δ² of each segment, after the exact check that it is at most 1.
fn distance(with: ClosedWindow, without: ClosedWindow) -> Vec<(SegmentKind, f64)> {
    let pairs = sums(with).into_iter().zip(sums(without));
    let each = pairs.map(|((kind, sensitivity, with), (_, _, without))| {
        let squares = with.iter().zip(&without).map(|(a, b)| u128::from(a.abs_diff(*b)).pow(2));
        let (square, limit) = (squares.sum::<u128>(), u128::from(sensitivity).pow(2));
        assert!(square <= limit, "{kind:?}: {square} of {limit}");
        (kind, square as f64 / limit as f64)
    });
    each.collect()
}

/// What one unit of a plan may send: all sessions of a viewer, or one session.
#[derive(Clone, Copy)]
struct Tried {
    kind: PrivacyUnit,
    quota: u32,
    /// Sessions that the unit tries to send. They come first, between others, and last.
    own: u64,
}

/// The largest Σ(difference)² ÷ Δ² of each segment over so many pairs of neighbours.
fn closest(tried: Tried, neighbours: usize, seed: u8) -> Vec<(SegmentKind, f64)> {
    let plan = Arc::new(plan(&rules(), unit(tried.kind, tried.quota), 5));
    let mut sessions = Sessions(rng(seed));
    let mut largest: Vec<(SegmentKind, f64)> = Vec::new();
    for _ in 0..neighbours {
        let (mut with, mut without) = (open(&plan), open(&plan));
        for index in 0..2 * tried.own {
            let own = index % 2 == 0;
            let session = sessions.next();
            let viewer = if own { u64::MAX } else { index }.to_be_bytes();
            let became = with.contribute(Some(&viewer), &session);
            if !own {
                assert_eq!(without.contribute(Some(&viewer), &session), became);
            }
        }
        let found = distance(with.close(), without.close());
        if largest.is_empty() {
            largest = found;
        } else {
            largest.iter_mut().zip(found).for_each(|(most, new)| most.1 = most.1.max(new.1));
        }
    }
    assert_eq!(largest.len(), 5);
    largest
}

/// One session a unit, 60,000 pairs. The bounds are met to a part in a thousand where a session can fill them, so none is
/// larger than it need be.
#[test]
fn one_session_stays_within_the_clip() {
    for (kind, share) in closest(Tried { kind: PrivacyUnit::ViewerWindow, quota: 1, own: 1 }, 60_000, 1) {
        assert!(share > 0.998, "{kind:?} is never nearer than {share}");
    }
}

/// The same where the unit is the session and no pseudonym is looked at, 20,000 pairs.
#[test]
fn a_unit_of_one_session_stays_within_the_clip() {
    for (kind, share) in closest(Tried { kind: PrivacyUnit::Session, quota: 1, own: 1 }, 20_000, 4) {
        assert!(share > 0.998, "{kind:?} is never nearer than {share}");
    }
}

/// A unit of three sessions, which sends more than it may: Δ = 3 × clip. 12,000 pairs.
#[test]
fn a_quota_bounds_the_unit() {
    let largest = closest(Tried { kind: PrivacyUnit::ViewerWindow, quota: 3, own: 5 }, 12_000, 2);
    assert!(largest.iter().all(|(_, share)| *share > 0.25), "{largest:?}");
}

/// The same session over and over, which is the most that a quota lets through: three of them fill Δ, the fourth and what
/// follows count nothing. 8,000 pairs.
#[test]
fn a_quota_is_filled_and_never_passed() {
    let plan = Arc::new(plan(&rules(), unit(PrivacyUnit::ViewerWindow, 3), 5));
    let mut sessions = Sessions(rng(5));
    let mut largest = [0.0f64; 5];
    for _ in 0..8_000 {
        let mut with = open(&plan);
        let session = sessions.next();
        for count in 0..6 {
            let expected = if count < 3 { Contributed::Counted } else { Contributed::OverQuota };
            assert_eq!(with.contribute(Some(b"the unit"), &session), expected);
        }
        let found = distance(with.close(), open(&plan).close());
        largest.iter_mut().zip(found).for_each(|(most, (_, share))| *most = most.max(share));
    }
    assert!(largest.iter().all(|share| *share > 0.998), "{largest:?}");
}

#[test]
fn sensitivity_is_quota_times_factors_times_clip() {
    let rule = policies::UnitRule { region_factor: 2, nodes: 5, ..unit(PrivacyUnit::ViewerWindow, 3) };
    let plan = plan(&rules(), rule, 5);
    let segments: Vec<_> = plan.tasks().iter().flat_map(|task| &task.segments).collect();
    assert!(segments.iter().all(|segment| segment.sensitivity == 30 * segment.clip));
    let clips: Vec<_> = segments.iter().map(|segment| segment.clip).collect();
    assert_eq!(clips, [170_393, 293_085, 29 << 24, 29 << 26, 98_304]);
}

/// A session without the unit's pseudonym cannot be bounded, and what cannot be encoded moves nothing.
#[test]
fn what_is_refused_moves_nothing() {
    let plan = Arc::new(plan(&rules(), unit(PrivacyUnit::ViewerWindow, 9), 5));
    let spoil: [fn(&mut Outcome); 7] = [
        |outcome| outcome.reward = f32::NAN,
        |outcome| outcome.reward = -0.1,
        |outcome| outcome.reward = 1.000_1,
        |outcome| outcome.reward = f32::INFINITY,
        |outcome| outcome.features[3] = f32::NAN,
        |outcome| outcome.features[0] = f32::NEG_INFINITY,
        |outcome| outcome.item = ItemIndex(ITEMS as u32),
    ];
    let mut window = open(&plan);
    for change in spoil {
        let mut session = Sessions(rng(3)).next();
        change(session.outcomes.last_mut().unwrap());
        assert_eq!(window.contribute(Some(b"a"), &session), Contributed::Refused);
    }
    let mut session = Sessions(rng(3)).next();
    session.catalogue = Some(policies::Digest::of(b"another"));
    assert_eq!(window.contribute(Some(b"a"), &session), Contributed::Refused);
    session.catalogue = Some(plan.frame().catalogue);
    assert_eq!(window.contribute(None, &session), Contributed::NoPseudonym);
    session.outcomes.clear();
    assert_eq!(window.contribute(Some(b"a"), &session), Contributed::Empty);
    assert!(distance(window.close(), open(&plan).close()).iter().all(|(_, share)| *share == 0.0));
}
