use std::sync::Arc;

use attest::SigningKey;
use policies::{Digest, PrivacyUnit, TaskRule, TaskSpec, WindowId};

use super::*;
use crate::centre::tests::intake::admission;
use crate::centre::{Expectations, OpenedRelease, Refusal, TaskSum, VerifiedRelease};
use crate::release::tests::fixture::{ITEMS, budget, frame, inputs, key, open, outcome, rho, rng, seen, session, unit};
use crate::release::tests::memory::{Memory, now};
use crate::release::wire::seal;
use crate::release::{Envelope, Gaussian, Ledger, Noise, Release, ReleaseBody, Stream, Variance, WindowPlan};

const HORIZON: usize = 365;

fn rule() -> TaskRule {
    let spec = TaskSpec::RunningTotals { clip: 2.0, horizon_windows: 4 };
    TaskRule { purpose: "experiments".parse().unwrap(), rho: rho(0.5), spec }
}

/// With C's norm as the noise of each row, the largest error over 365 windows is 2.945 times
/// that of one window by itself; the integers cost less than a thousandth. Independent noise has √365 = 19.1.
#[test]
fn the_error_over_a_year_is_the_published_one() {
    let rows = vec![vec![0]; HORIZON];
    // σ of a row = ‖C‖ times that of a single window's release at the same ρ.
    let unit = (blt::SCALE as f64).powi(2);
    let totals = Totals::of(&rows, 1, unit * blt::column_norm(365).powi(2)).unwrap();
    let errors: Vec<f64> = (1..=HORIZON).map(|windows| totals.so_far(windows).unwrap().sigma).collect();
    let largest = errors.iter().copied().fold(0.0, f64::max);
    assert!((2.940..2.950).contains(&largest), "{largest}");
    assert!(errors.is_sorted());
    // A sliding window of 30 is better than 30 independent ones (5.48), and never worse than two totals.
    let sliding = totals.sliding(HORIZON, 30).unwrap().sigma;
    assert!((2.0..4.0).contains(&sliding), "{sliding}");
}

/// Without noise, totals and differences are exact, to what floating point leaves.
#[test]
fn totals_invert_the_rows() {
    let sums: Vec<i64> = (0..HORIZON as i64).map(|window| (window * 7919) % 1000 - 300).collect();
    let column = blt::coefficients(365);
    let row = |t: usize| (0..=t).map(|s| column[t - s].cast_signed() * sums[s]).sum::<i64>();
    let rows: Vec<Vec<i64>> = (0..HORIZON).map(|t| vec![row(t), 2 * row(t)]).collect();
    let totals = Totals::of(&rows, 10, 0.0).unwrap();
    assert_eq!(totals.len(), HORIZON);
    for (windows, width) in [(1, 1), (2, 1), (200, 200), (365, 365), (365, 30), (100, 99)] {
        let expected = sums[windows - width..windows].iter().sum::<i64>() as f64 / 10.0;
        let Total { cells, sigma } = totals.sliding(windows, width).unwrap();
        assert!((cells[0] - expected).abs() < 1e-6 && (cells[1] - 2.0 * expected).abs() < 1e-6, "{windows} {width}");
        assert!(sigma.abs() < f64::EPSILON);
    }
    assert_eq!(totals.so_far(0), None);
    assert_eq!(totals.so_far(366), None);
    assert_eq!(totals.sliding(5, 6), None);
    assert_eq!(totals.sliding(5, 0), None);
}

/// The stated σ is the noise's: 400 streams of 40 rows of the exact sampler, totals and sliding sums, within 5 standard
/// errors of a standard deviation (3.5 % each).
#[test]
fn the_stated_error_is_the_real_one() {
    let variance = Variance::new(1 << 32, 1).unwrap();
    let gaussian = Gaussian::new(variance);
    let mut bits = crate::release::Bits::new(rng(3));
    let mut squares = [0.0f64; 3];
    let runs = 400;
    let mut stated = [0.0; 3];
    for _ in 0..runs {
        let rows: Vec<Vec<i64>> = (0..40).map(|_| vec![gaussian.sample(&mut bits)]).collect();
        let totals = Totals::of(&rows, 16, variance.as_f64()).unwrap();
        let sums = [totals.so_far(40), totals.so_far(3), totals.sliding(40, 10)].map(Option::unwrap);
        for (place, sum) in sums.iter().enumerate() {
            squares[place] += sum.cells[0].powi(2);
            stated[place] = sum.sigma;
        }
    }
    for (square, sigma) in squares.iter().zip(stated) {
        let ratio = (square / f64::from(runs)).sqrt() / sigma;
        assert!((0.82..1.18).contains(&ratio), "{ratio}");
    }
}

#[test]
fn rows_that_are_no_stream_are_refused() {
    assert_eq!(Totals::of(&[vec![1, 2], vec![1]], 1, 1.0), Err(NotAStream));
    assert_eq!(Totals::of(&vec![vec![0]; 1025], 1, 1.0), Err(NotAStream));
    assert!(Totals::of(&[], 1, 1.0).is_ok_and(|totals| totals.is_empty() && totals.so_far(0).is_none()));
}

fn envelope(window: u64, stream: &mut Stream, noise: &mut Noise, signer: &SigningKey) -> Vec<u8> {
    let rules = [rule()];
    let plan = WindowPlan::freeze(inputs(&rules, unit(PrivacyUnit::Session, 1), window)).unwrap();
    let mut open = open(&Arc::new(plan));
    for _ in 0..window {
        open.contribute(None, &session(vec![outcome(0, 1.0)]));
    }
    let store = Memory::default();
    now(Ledger::initialise(&store, &mut rng(2))).unwrap();
    let ledger = now(Ledger::open(store, &mut rng(3))).unwrap();
    let task = open.close().into_tasks().remove(0);
    let charge = now(ledger.charge(&task)).unwrap();
    let release = Release::continuing(seen(&ledger, charge), task, noise, signer, stream).unwrap();
    now(ledger.persist(&release)).unwrap().bytes
}

fn verify(envelope: &[u8], measurement: bool) -> Result<VerifiedRelease, Refusal> {
    let (unit, budget, rules, frame) = (unit(PrivacyUnit::Session, 1), budget(2.0, 20.0), [rule()], frame());
    OpenedRelease::open(envelope, &admission("node-1", "eu-west"))?.verify(&Expectations {
        policy: Digest::of(b"policy"),
        unit: &unit,
        budget: &budget,
        rules: &rules,
        catalogue_items: ITEMS,
        frame: &frame,
        latest_window: WindowId(20),
        measurement,
    })
}

/// Windows 5, 6 and 8 with so many sessions, without noise: the centre reads 5, 11, 19, and 8 for the last alone.
#[test]
fn rows_travel_to_the_centre_and_add_up() {
    let mut stream = Stream::new();
    let verified =
        [5, 6, 8].map(|window| verify(&envelope(window, &mut stream, &mut Noise::off(), &key()), true).unwrap());
    let places = verified.iter().map(|release| release.segments()[0].stream.unwrap());
    assert_eq!(places.map(|place| (place.first, place.step)).collect::<Vec<_>>(), [(5, 0), (5, 1), (5, 2)]);
    let rows: Vec<_> = verified.iter().map(|release| release.segments()[0].values.clone()).collect();
    let segment = &verified[0].segments()[0];
    let totals = Totals::of(&rows, segment.scale, segment.variance.as_f64()).unwrap();
    for (windows, sessions) in [(1, 5.0), (2, 11.0), (3, 19.0)] {
        assert!((totals.so_far(windows).unwrap().cells[0] - sessions).abs() < 1e-9);
    }
    assert!((totals.sliding(3, 1).unwrap().cells[0] - 8.0).abs() < 1e-9);
    // Rows of one stream do not add up cell by cell, and no running sum pretends that they do.
    let mut sum = TaskSum::of(&verified[0]);
    assert_eq!(sum.add(&verified[1]), Ok(()));
    assert_eq!((sum.releases, sum.segments.len()), (2, 0));
    assert_eq!(TaskSum::decode(&sum.encode()), Ok(sum));
}

#[test]
fn each_lie_about_the_place_has_its_refusal() {
    type Body = ReleaseBody<Vec<i64>>;
    let signed = |change: fn(&mut Body)| {
        let mut stream = Stream::new();
        let mut noise = Noise::from_os().unwrap();
        envelope(5, &mut stream, &mut noise, &key());
        let envelope = envelope(8, &mut stream, &mut noise, &key());
        let mut body = ReleaseBody::decode(Envelope::decode(&envelope).unwrap().body()).unwrap().to_owned();
        change(&mut body);
        seal(&body.encode(), &key())
    };
    fn place(body: &mut Body) -> &mut crate::release::StreamBody {
        body.segments[0].stream.as_mut().unwrap()
    }
    type Lie = (fn(&mut Body), Refusal);
    let lies: [Lie; 7] = [
        // Beyond the horizon of 4; more rows than windows; a first row that is not the first; a later one that is.
        (|b| (place(b).first, place(b).step) = (0, 4), Refusal::Stream),
        (|b| place(b).step = 4, Refusal::Stream),
        (|b| place(b).step = 0, Refusal::Stream),
        (|b| place(b).first = 8, Refusal::Stream),
        (|b| place(b).first = 9, Refusal::Stream),
        (|b| b.segments[0].sensitivity -= 1, Refusal::Sensitivity),
        (|b| b.segments[0].values[0] = i64::MAX, Refusal::Value),
    ];
    assert_eq!(verify(&signed(|_| ()), false).map(|release| release.is_private()), Ok(true));
    for (index, (lie, refusal)) in lies.into_iter().enumerate() {
        assert_eq!(verify(&signed(lie), false).err(), Some(refusal), "lie {index}");
    }
}
