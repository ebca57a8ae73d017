//! A sparse keyset on its way from a window to the centre's sums.

use std::sync::Arc;

use attest::SigningKey;
use policies::{Digest, PrivacyUnit, TaskKind, TaskRule, TaskSpec, WindowId};
use proptest::prelude::*;

use super::intake::admission;
use crate::centre::{Expectations, MergeError, OpenedRelease, Refusal, TaskSum, VerifiedRelease};
use crate::release::tests::fixture::{ITEMS, budget, frame, inputs, key, open, outcome, rho, rng, seen, session, unit};
use crate::release::tests::memory::{Memory, now};
use crate::release::wire::{CborError, seal};
use crate::release::{Envelope, Ledger, Noise, PlanInputs, Release, ReleaseBody, SegmentKind, WindowPlan};

type Body = ReleaseBody<Vec<i64>>;

/// ρ = 400 leaves a twentieth of a pair of noise, so that a test knows what is released.
fn rule() -> TaskRule {
    let spec = TaskSpec::Transitions { pairs_max: 2, sessions_max: 5, delta: 1e-7 };
    TaskRule { purpose: "recommendations".parse().unwrap(), rho: rho(400.0), spec }
}

fn window_plan(window: u64, rules: &[TaskRule]) -> WindowPlan {
    let inputs = inputs(rules, unit(PrivacyUnit::Session, 1), window);
    WindowPlan::freeze(PlanInputs { budget: budget(500.0, 5_000.0), ..inputs }).unwrap()
}

/// Four sessions share the pair (0, 1), one has (5, 4) for itself, and a sixth comes too late.
fn envelope(window: u64, noise: &mut Noise, signer: &SigningKey) -> Vec<u8> {
    let rules = [rule()];
    let mut open = open(&Arc::new(window_plan(window, &rules)));
    for items in [[0, 1], [0, 1], [5, 4], [0, 1], [0, 1], [7, 8]] {
        open.contribute(None, &session(items.map(|item| outcome(item, 1.0)).to_vec()));
    }
    let store = Memory::default();
    now(Ledger::initialise(&store, &mut rng(2))).unwrap();
    let ledger = now(Ledger::open(store, &mut rng(3))).unwrap();
    let task = open.close().into_tasks().remove(0);
    let charge = now(ledger.charge(&task)).unwrap();
    let release = Release::new(seen(&ledger, charge), task, noise, signer).unwrap();
    now(ledger.persist(&release)).unwrap().bytes
}

fn verify(envelope: &[u8]) -> Result<VerifiedRelease, Refusal> {
    let (unit, budget, rules, frame) = (unit(PrivacyUnit::Session, 1), budget(500.0, 5_000.0), [rule()], frame());
    OpenedRelease::open(envelope, &admission("node-1", "eu-west"))?.verify(&Expectations {
        policy: Digest::of(b"policy"),
        unit: &unit,
        budget: &budget,
        rules: &rules,
        catalogue_items: ITEMS,
        frame: &frame,
        latest_window: WindowId(9),
        measurement: false,
    })
}

fn signed(window: u64, change: impl FnOnce(&mut Body)) -> Vec<u8> {
    let envelope = envelope(window, &mut Noise::from_os().unwrap(), &key());
    let mut body = ReleaseBody::decode(Envelope::decode(&envelope).unwrap().body()).unwrap().to_owned();
    change(&mut body);
    seal(&body.encode(), &key())
}

/// The shared pair arrives with its count; the pair that one session has does not, nor does the late one.
#[test]
fn shared_keys_arrive_and_owned_keys_do_not() {
    let release = verify(&envelope(5, &mut Noise::from_os().unwrap(), &key())).unwrap();
    let [segment] = release.segments() else { panic!("one segment") };
    assert_eq!((release.id().task, segment.kind), (TaskKind::Transitions, SegmentKind::Transitions));
    assert_eq!(segment.keys.as_deref(), Some(&[1][..]));
    // σ is a fourteenth of a pair, so half a pair is 7 σ.
    assert!(segment.values[0].abs_diff(4 << 16) < 1 << 15, "{}", segment.values[0]);
}

#[test]
fn each_lie_has_its_refusal() {
    fn sparse(body: &mut Body) -> &mut crate::release::SparseBody<Vec<i64>> {
        body.segments[0].sparse.as_mut().unwrap()
    }
    fn set(body: &mut Body, keys: &[i64]) {
        let value = body.segments[0].values[0];
        body.segments[0].values = vec![value; keys.len()];
        sparse(body).keys = keys.to_vec();
    }
    type Lie = (fn(&mut Body), Refusal);
    let lies: [Lie; 15] = [
        (|b| b.delta = policies::Delta::ZERO, Refusal::Delta),
        (|b| b.rho = rho(399.0), Refusal::Rho),
        (|b| sparse(b).threshold -= 1, Refusal::Threshold),
        (|b| b.segments[0].sensitivity += 1, Refusal::Sensitivity),
        (|b| b.segments[0].scale += 1, Refusal::Scale),
        (|b| set(b, &[2, 1]), Refusal::Keys),
        (|b| set(b, &[1, 1]), Refusal::Keys),
        (|b| set(b, &[-1, 1]), Refusal::Keys),
        (|b| set(b, &[144]), Refusal::Keys),
        // An item after itself.
        (|b| set(b, &[13]), Refusal::Keys),
        (|b| sparse(b).keys.push(2), Refusal::Keys),
        (|b| b.segments[0].values.push(1 << 30), Refusal::Keys),
        // Eleven keys, where five sessions have ten at most.
        (|b| set(b, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]), Refusal::Keys),
        (|b| b.segments[0].values[0] = sparse(b).threshold - 1, Refusal::Value),
        (|b| b.segments[0].values[0] = i64::MAX, Refusal::Value),
    ];
    for (index, (lie, refusal)) in lies.into_iter().enumerate() {
        assert_eq!(verify(&signed(5, lie)).err(), Some(refusal), "lie {index}");
    }
    assert_eq!(verify(&signed(5, |b| set(b, &[]))).map(|release| release.segments()[0].values.len()), Ok(0));
}

/// A kind has one form: a sparse one without keys and a dense one with them do not decode.
#[test]
fn the_kind_says_the_form() {
    let bare = signed(5, |b| b.segments[0].sparse = None);
    assert_eq!(verify(&bare).err(), Some(Refusal::Malformed(CborError::OutOfBounds)));
    let dense = signed(5, |b| b.segments[0].kind = SegmentKind::Arms);
    assert_eq!(verify(&dense).err(), Some(Refusal::Malformed(CborError::OutOfBounds)));
}

#[test]
fn sums_are_of_the_union_of_keys() {
    let with = |window, keys: &[i64], values: &[i64]| {
        let change = |body: &mut Body| {
            body.segments[0].values = values.to_vec();
            body.segments[0].sparse.as_mut().unwrap().keys = keys.to_vec();
        };
        verify(&signed(window, change)).unwrap()
    };
    let tall = 1 << 20;
    let mut sum = TaskSum::of(&with(5, &[1, 14], &[tall, tall + 1]));
    sum.add(&with(6, &[2, 14, 20], &[tall + 2, tall + 3, tall + 4])).unwrap();
    let segment = sum.segment(SegmentKind::Transitions).unwrap();
    assert_eq!(segment.keys.as_deref(), Some(&[1, 2, 14, 20][..]));
    assert_eq!(segment.values, [tall, tall + 2, 2 * tall + 4, tall + 4]);
    let bytes = sum.encode();
    assert_eq!(TaskSum::decode(&bytes), Ok(sum.clone()));
    let mut unsorted = sum.clone();
    unsorted.segments[0].keys = Some(vec![2, 1, 14, 20]);
    assert_eq!(TaskSum::decode(&unsorted.encode()), Err(CborError::OutOfBounds));
    let mut bare = sum.clone();
    bare.segments[0].keys = None;
    assert_eq!(TaskSum::decode(&bare.encode()), Err(CborError::OutOfBounds));
    // What cannot be added changes nothing.
    let before = bare.clone();
    assert_eq!(bare.add(&with(7, &[1], &[tall])), Err(MergeError::Shape));
    assert_eq!(bare, before);
    sum.segments[0].values[0] = i64::MAX;
    let before = sum.clone();
    assert_eq!(sum.add(&with(7, &[1], &[tall])), Err(MergeError::Full));
    assert_eq!(sum, before);
}

proptest! {
    /// A changed body of the sparse form, or of a row's, does not decode or is another that would have been written; cut
    /// short, nothing decodes.
    #[test]
    fn one_form_for_one_release(row: bool, at: prop::sample::Index, bit in 0u8..8, cut: prop::sample::Index) {
        let envelope = signed(5, |body| {
            let segment = &mut body.segments[0];
            segment.sparse.as_mut().unwrap().keys = vec![1, 30, 143];
            segment.values = vec![1, -300, i64::MAX];
            if row {
                (segment.kind, segment.sparse) = (SegmentKind::Totals, None);
                segment.stream = Some(crate::release::StreamBody { first: 3, step: 2 });
            }
        });
        let body = Envelope::decode(&envelope).unwrap().body().to_vec();
        prop_assert_eq!(ReleaseBody::decode(&body).map(|read| read.to_owned().encode()), Ok(body.clone()));
        let mut flipped = body.clone();
        flipped[at.index(body.len())] ^= 1 << bit;
        if let Ok(read) = ReleaseBody::decode(&flipped) {
            prop_assert_eq!(read.to_owned().encode(), flipped);
        }
        prop_assert!(ReleaseBody::decode(&body[..cut.index(body.len())]).is_err());
    }
}
