//! Statistical audit of the whole release path: contribute → charge → noise → persist → the bytes that are sent.
//!
//! Two inputs differ by one viewer whose session fills its clip. The released cells are projected on the direction
//! of that session, which is where the two outputs differ most; for Gaussian noise the projection loses nothing.
//! In units of σ the projections must look like N(0, 1) and N(μ', 1) with μ' ≤ μ = Δ/σ:
//!
//! * for ε in {0, μ/4, μ, 2μ}, both ways round: P(S | with) ≤ e^ε·P(S | without) + δ(ε) on the set S that separates
//!   N(0, 1) and N(μ, 1) best, with Clopper–Pearson bounds;
//! * the means differ by μ at most, and by more than ½ μ (else nothing was measured);
//! * both variances are 1.
//!
//! A sound path fails with probability below [`FALSE_POSITIVES`].

use std::sync::Arc;

use attest::SigningKey;
use personalize::{Arm, PerceptualKpi, SessionRecord};
use policies::{PrivacyUnit, TaskRule, TaskSpec};

use super::fixture::{inputs, key, open, outcome, rho, rng, session, unit};
use super::memory::{Memory, now};
use super::statistics::{gaussian_delta, lower_bound, upper_bound};
use crate::release::{Contributed, Envelope, Ledger, Noise, Release, ReleaseBody, Segment, Variance, WindowPlan};

const RUNS: usize = 100_000;
/// Enough to find each fault: the standard error of a variance is 1 %.
const RUNS_WITH_FAULT: usize = 20_000;
const ALPHA: f64 = 1e-8;
const STANDARD_ERRORS: f64 = 6.0;
/// How likely a sound path is to fail [`the_real_path_passes`], which draws its noise anew each time: at each of two σ
/// there are 16 one-sided bounds of [`ALPHA`], and four deviations of [`STANDARD_ERRORS`], each below 2·10⁻⁹ (N ≥ 20,000).
const FALSE_POSITIVES: f64 = 1e-6;
const _: () = assert!(2.0 * (16.0 * ALPHA + 4.0 * 2e-9) < FALSE_POSITIVES);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finding {
    Epsilon,
    MeanShift,
    NothingMeasured,
    Variance,
}

/// One path to be audited: what runs, and what the policy claims of it, which the plan is not asked for.
struct Path {
    plan: Arc<WindowPlan>,
    noise: Noise,
    key: SigningKey,
    /// σ ÷ Δ, as claimed.
    ratio: f64,
}

/// Δ of a clip of 1 at a quota of 1, in integer units.
const SENSITIVITY: f64 = 65_536.0;

impl Path {
    /// `arm-reward` at σ = Δ · `ratio`, with a planted change of the plan behind the claim.
    fn new(ratio: f64, noise: Noise, fault: impl Fn(&mut Segment)) -> Self {
        let spec = TaskSpec::ArmReward { clip: 1.0 };
        let rules = [TaskRule { purpose: "experiments".parse().unwrap(), rho: rho(0.5 / (ratio * ratio)), spec }];
        let plan = WindowPlan::freeze(inputs(&rules, unit(PrivacyUnit::ViewerWindow, 1), 5)).unwrap();
        Self { plan: Arc::new(plan.planted(fault)), noise, key: key(), ratio }
    }

    /// One run on one input; the projection of what leaves the node, in units of the claimed σ.
    fn run(&mut self, with: bool) -> f64 {
        let mut window = open(&self.plan);
        let other = SessionRecord { arm: Arm::Uniform, ..session(vec![outcome(1, 0.0)]) };
        assert_eq!(window.contribute(Some(b"another"), &other), Contributed::Counted);
        if with {
            assert_eq!(window.contribute(Some(b"the unit"), &filling_session()), Contributed::Counted);
        }
        let store = Memory::default();
        now(Ledger::initialise(&store, &mut rng(2))).unwrap().unwrap();
        let ledger = now(Ledger::open(store, &mut rng(3))).unwrap();
        let task = window.close().into_tasks().remove(0);
        let charge = now(ledger.charge(&task)).unwrap();
        let release = Release::new(charge.seen_by_test(), task, &mut self.noise, &self.key).unwrap();
        let sent = now(ledger.persist(&release)).unwrap().bytes;
        let body = Envelope::decode(&sent).unwrap().body();
        let values = ReleaseBody::decode(body).unwrap().segments[0].values.to_vec();
        // The filling session is (½, ½, ½, ½)·Δ in the cells of the first arm.
        values[..4].iter().map(|value| *value as f64 * 0.5).sum::<f64>() / (SENSITIVITY * self.ratio)
    }

    fn audit(mut self, runs: usize) -> Vec<Finding> {
        let mu = 1.0 / self.ratio;
        let without: Vec<f64> = (0..runs).map(|_| self.run(false)).collect();
        let with: Vec<f64> = (0..runs).map(|_| self.run(true)).collect();
        let mut findings = Vec::new();
        for epsilon in [0.0, mu / 4.0, mu, 2.0 * mu] {
            let threshold = epsilon / mu + mu / 2.0;
            let above = |sample: &[f64]| sample.iter().filter(|x| **x > threshold).count() as u64;
            let below = |sample: &[f64]| sample.iter().filter(|x| **x < mu - threshold).count() as u64;
            let delta = gaussian_delta(epsilon, mu);
            for (one, other) in [(above(&with), above(&without)), (below(&without), below(&with))] {
                let least = lower_bound(one, runs as u64, ALPHA);
                let most = upper_bound(other, runs as u64, ALPHA);
                if least > epsilon.exp() * most + delta {
                    findings.push(Finding::Epsilon);
                }
            }
        }
        let ((mean, variance), (mean_with, variance_with)) = (moments(&without), moments(&with));
        let error = STANDARD_ERRORS * (2.0 / runs as f64).sqrt();
        if mean_with - mean > mu + error {
            findings.push(Finding::MeanShift);
        }
        if mean_with - mean < mu / 2.0 {
            findings.push(Finding::NothingMeasured);
        }
        if [variance, variance_with].iter().any(|variance| (variance - 1.0).abs() > error) {
            findings.push(Finding::Variance);
        }
        findings
    }
}

/// (1, 1, 1, 1) before it is clipped: one outcome of reward 1, the longest start-up, nothing but rebuffering.
fn filling_session() -> SessionRecord {
    let kpi = PerceptualKpi { startup_ms: u32::MAX, rebuffer_ms: 1, watched_ms: 0 };
    SessionRecord { arm: Arm::Adaptive, kpi, ..session(vec![outcome(0, 1.0)]) }
}

fn moments(sample: &[f64]) -> (f64, f64) {
    let mean = sample.iter().sum::<f64>() / sample.len() as f64;
    let square = sample.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
    (mean, square / (sample.len() - 1) as f64)
}

/// The path as it is, with noise of the operating system.
#[test]
fn the_real_path_passes() {
    for ratio in [1.0, 5.0] {
        assert_eq!(Path::new(ratio, Noise::from_os().unwrap(), |_| ()).audit(RUNS), [], "σ = {ratio} Δ");
    }
}

#[test]
fn missing_noise_is_found() {
    for ratio in [1.0, 5.0] {
        let findings = Path::new(ratio, Noise::off(), |_| ()).audit(RUNS_WITH_FAULT);
        assert!(findings.contains(&Finding::Epsilon) && findings.contains(&Finding::Variance), "{findings:?}");
    }
}

/// σ/2, and .9 σ: what a planted divisor does to ρ.
#[test]
fn less_noise_is_found() {
    for ratio in [1.0, 5.0] {
        for picos_factor in [4.0, 1.0 / 0.81] {
            let fault = |segment: &mut Segment| {
                let rho = rho(segment.rho.as_f64() * picos_factor);
                segment.variance = Variance::for_rho(segment.sensitivity, rho).unwrap();
            };
            let findings = Path::new(ratio, Noise::seeded([3; 32]), fault).audit(RUNS_WITH_FAULT);
            assert!(findings.contains(&Finding::Variance), "{findings:?}");
            assert!(picos_factor < 2.0 || findings.contains(&Finding::Epsilon), "{findings:?}");
        }
    }
}

/// A session that contributes twice what the policy says.
#[test]
fn twice_the_sensitivity_is_found() {
    for ratio in [1.0, 5.0] {
        let findings = Path::new(ratio, Noise::seeded([4; 32]), |segment| segment.clip *= 2).audit(RUNS_WITH_FAULT);
        assert!(findings.contains(&Finding::MeanShift) && findings.contains(&Finding::Epsilon), "{findings:?}");
    }
}
