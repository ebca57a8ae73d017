//! A small tenant: its policy, frame, sessions, keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use attest::ledger_checkpoint::CheckpointExpectation;
use attest::{LedgerCheckpoint, SigningKey, VerifiedCheckpoint};
use personalize::{Arm, FEATURES, Frame, ItemIndex, Outcome, PerceptualKpi, SessionRecord};
use policies::{Budget, Digest, PrivacyUnit, Rho, TaskRule, TaskSpec, UnitRule, WindowId};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use zeroize::Zeroizing;

use super::memory::{Memory, now};
use crate::release::{Charge, Head, Ledger, PlanInputs, SeenCharge, WindowAccumulator, WindowPlan};

pub(crate) const ITEMS: usize = 12;

pub(crate) fn rng(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}

pub(crate) fn key() -> SigningKey {
    SigningKey::generate(&mut rng(1))
}

pub(crate) fn unit(unit: PrivacyUnit, quota: u32) -> UnitRule {
    UnitRule { unit, window_seconds: 3600, quota, region_factor: 1, nodes: 1 }
}

pub(crate) fn rho(value: f64) -> Rho {
    Rho::from_f64_up(value).unwrap()
}

pub(crate) fn budget(window: f64, year: f64) -> Budget {
    Budget { delta: 1e-6, rho_per_window: rho(window), rho_per_year: rho(year), purposes: BTreeMap::new() }
}

/// One rule of every kind, ρ = ½ each.
pub(crate) fn rules() -> Vec<TaskRule> {
    let specs = [
        TaskSpec::ItemCounts { clip: 2.6, impressions_clip: 20f64.sqrt(), rewards_percent: 80, base_rate: 0.1 },
        TaskSpec::CoEngagement { items_max: 600 },
        TaskSpec::RankerMoments { norm: 2.0 },
        TaskSpec::ArmReward { clip: 1.5 },
    ];
    let rule = |spec| TaskRule { purpose: "recommendations".parse().unwrap(), rho: rho(0.5), spec };
    specs.into_iter().map(rule).collect()
}

/// The first eight of twelve items, of unlike weights.
pub(crate) fn frame() -> Frame {
    let top = (0..8).map(ItemIndex).collect();
    let weights_ppm = vec![1_000_000, 500_000, 250_000, 1_000_000, 70_000, 900_000, 1, 333_333];
    Frame { catalogue: Digest::of(b"catalogue"), base_rate_ppm: 100_000, top, weights_ppm }
}

pub(crate) fn inputs<'a>(rules: &'a [TaskRule], unit: UnitRule, window: u64) -> PlanInputs<'a> {
    PlanInputs {
        tenant: "demo".parse().unwrap(),
        region: "eu-west".parse().unwrap(),
        node: "node-1".parse().unwrap(),
        window: WindowId(window),
        unit,
        budget: budget(2.0, 20.0),
        policy: Digest::of(b"policy"),
        rules,
        catalogue_items: ITEMS,
        frame: frame(),
        model_version: 3,
    }
}

pub(crate) fn plan(rules: &[TaskRule], unit: UnitRule, window: u64) -> WindowPlan {
    WindowPlan::freeze(inputs(rules, unit, window)).unwrap()
}

pub(crate) fn open(plan: &Arc<WindowPlan>) -> WindowAccumulator {
    WindowAccumulator::open(Arc::clone(plan), Zeroizing::new([7; 32]))
}

pub(crate) fn outcome(item: u32, reward: f32) -> Outcome {
    Outcome { item: ItemIndex(item), reward, features: [0.25; FEATURES] }
}

pub(crate) fn session(outcomes: Vec<Outcome>) -> SessionRecord {
    let kpi = PerceptualKpi { startup_ms: 2500, rebuffer_ms: 1000, watched_ms: 3000 };
    SessionRecord { catalogue: Some(frame().catalogue), arm: Arm::Global, outcomes, kpi }
}

/// What the centre's key signs about a node's ledger, verified.
pub(crate) fn checkpoint(ledger: &Ledger<Memory>, node: &str, head: Head) -> (VerifiedCheckpoint, String) {
    let node = node.parse().unwrap();
    let region = "eu-west".parse().unwrap();
    let claims = LedgerCheckpoint {
        ledger: ledger.id().to_string(),
        node,
        region,
        entries: head.entries,
        head: head.digest,
        aud: "node-1".parse().unwrap(),
        nonce: String::new(),
        iat: 0,
    };
    let token = LedgerCheckpoint { aud: claims.node.clone(), ..claims.clone() }.sign(&key()).unwrap();
    let expected =
        CheckpointExpectation { ledger: &claims.ledger, node: &claims.node, region: &claims.region, nonce: None };
    (LedgerCheckpoint::verify(&token, &key().verifying_key(), &expected).unwrap(), token)
}

/// A charge that the centre has seen, by a checkpoint of where the ledger stands.
pub(crate) fn seen(ledger: &Ledger<Memory>, charge: Charge) -> SeenCharge {
    let (checkpoint, token) = checkpoint(ledger, "node-1", ledger.head());
    let countersigned = now(ledger.countersign(&checkpoint, token)).unwrap();
    charge.seen(&countersigned).unwrap_or_else(|_| panic!("the checkpoint covers the charge"))
}
