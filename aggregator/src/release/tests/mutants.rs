//! What a whole release must be, cell by cell, with the noise known: each test finds a planted fault of `.ci/mutants` that
//! nothing else finds as soon.

use std::collections::BTreeMap;
use std::sync::Arc;

use personalize::SessionRecord;
use policies::PrivacyUnit;

use super::fixture::{key, open, outcome, plan, rng, rules, seen, session, unit};
use super::memory::{Memory, now};
use crate::release::{Envelope, Ledger, Noise, Release, ReleaseBody, SegmentKind, WindowPlan};

/// The cells of each segment.
type Cells = BTreeMap<SegmentKind, Vec<i64>>;

fn frozen() -> Arc<WindowPlan> {
    Arc::new(plan(&rules(), unit(PrivacyUnit::ViewerWindow, 2), 5))
}

/// Three windows that differ as windows can: nobody, one viewer, and many that fill their clips.
fn windows() -> [Vec<SessionRecord>; 3] {
    let many = (0..40).map(|item| session(vec![outcome(item % 8, 1.0); 9]));
    [Vec::new(), vec![session(vec![outcome(0, 1.0), outcome(3, 0.0)])], many.collect()]
}

fn closed(plan: &Arc<WindowPlan>, sessions: &[SessionRecord]) -> Vec<crate::release::ClosedTask> {
    let mut window = open(plan);
    for (viewer, session) in sessions.iter().enumerate() {
        window.contribute(Some(&viewer.to_be_bytes()), session);
    }
    window.close().into_tasks()
}

fn sums(plan: &Arc<WindowPlan>, sessions: &[SessionRecord]) -> Cells {
    let each = closed(plan, sessions).into_iter().flat_map(|task| {
        let kinds: Vec<_> = task.plan().segments.iter().map(|segment| segment.kind).collect();
        kinds.into_iter().zip(task.into_sums().into_iter().map(|sums| sums.to_vec())).collect::<Vec<_>>()
    });
    each.collect()
}

/// What the window's releases say, read from the bytes that are sent.
fn released(plan: &Arc<WindowPlan>, sessions: &[SessionRecord], noise: &mut Noise) -> Cells {
    let store = Memory::default();
    now(Ledger::initialise(&store, &mut rng(2))).unwrap();
    let ledger = now(Ledger::open(store, &mut rng(3))).unwrap();
    let mut cells = Cells::new();
    for task in closed(plan, sessions) {
        let charge = now(ledger.charge(&task)).unwrap();
        let release = Release::new(seen(&ledger, charge), task, noise, &key()).unwrap();
        let sent = now(ledger.persist(&release)).unwrap().bytes;
        let body = ReleaseBody::decode(Envelope::decode(&sent).unwrap().body()).unwrap();
        cells.extend(body.segments.iter().map(|segment| (segment.kind, segment.values.to_vec())));
    }
    cells
}

/// The noise alone: what was released less what was summed.
fn noise_of(plan: &Arc<WindowPlan>, sessions: &[SessionRecord], noise: &mut Noise) -> Cells {
    let mut cells = released(plan, sessions, noise);
    for (kind, sums) in sums(plan, sessions) {
        cells.get_mut(&kind).unwrap().iter_mut().zip(sums).for_each(|(cell, sum)| *cell -= sum);
    }
    cells
}

/// Noise is drawn before the sums are looked at: the same generator gives the same noise, whatever it hides, and is
/// left in the same state.
#[test]
fn noise_does_not_depend_on_what_it_hides() {
    let plan = frozen();
    for seed in 0..20 {
        let [one, two, three] = windows().map(|sessions| {
            let mut noise = Noise::seeded([seed; 32]);
            let first = noise_of(&plan, &sessions, &mut noise);
            (first, noise_of(&plan, &[], &mut noise))
        });
        assert!(one == two && two == three, "seed {seed}");
    }
}

/// Every cell of every segment is noised, also those that nobody contributed to. σ is above 1.9·10⁵ in each, so that of
/// 20 × 163 cells one is 0 by chance with probability below 0.01, which these seeds do not meet.
#[test]
fn empty_keys_are_noised_like_others() {
    let plan = frozen();
    for seed in 0..20 {
        for sessions in windows() {
            let cells = noise_of(&plan, &sessions, &mut Noise::seeded([seed; 32]));
            assert_eq!(cells.values().map(Vec::len).sum::<usize>(), 163);
            for (kind, noise) in &cells {
                assert!(noise.iter().all(|noise| *noise != 0), "{kind:?} has a cell without noise");
            }
        }
    }
}

/// The noise of each segment has the variance that ρ and the unit's Δ demand, Δ²/2ρ, by numbers of the policy alone, to
/// six standard errors: sound noise fails with probability below 2·10⁻⁹ a segment.
#[test]
fn noise_is_as_large_as_the_policy_says() {
    const RELEASES: u32 = 2_500;
    // Quota 2; ρ = ½, of which item-counts gives four fifths to its rewards.
    let claims = [
        (SegmentKind::Rewards, 2.6 * 65_536.0, 0.4),
        (SegmentKind::Impressions, 20f64.sqrt() * 65_536.0, 0.1),
        (SegmentKind::Gram, 29.0 * 4_096.0 * 4_096.0, 0.5),
        (SegmentKind::Moments, 29.0 * 4.0 * 4_096.0 * 4_096.0, 0.5),
        (SegmentKind::Arms, 1.5 * 65_536.0, 0.5),
    ];
    let (plan, mut noise) = (frozen(), Noise::seeded([77; 32]));
    let mut squares: BTreeMap<SegmentKind, (f64, f64)> = BTreeMap::new();
    for _ in 0..RELEASES {
        for (kind, cells) in released(&plan, &[], &mut noise) {
            let entry = squares.entry(kind).or_default();
            *entry =
                (entry.0 + cells.iter().map(|cell| (*cell as f64).powi(2)).sum::<f64>(), entry.1 + cells.len() as f64);
        }
    }
    for (kind, clip, rho) in claims {
        let (sum, count) = squares[&kind];
        let ratio = sum / count / ((2.0 * clip).powi(2) / (2.0 * rho));
        assert!((ratio - 1.0).abs() < 6.0 * (2.0 / count).sqrt(), "{kind:?}: {ratio} of what is claimed");
    }
}
