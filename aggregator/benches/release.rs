//! The sampler, a release with a Gram of 1000 items, and what the centre does with it.
//!
//! `cargo bench -p aggregator --bench release`
#![expect(missing_docs, reason = "criterion_group! writes a public function")]

use std::collections::BTreeMap;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use aggregator::centre::{Expectations, OpenedRelease, TaskSum};
use aggregator::release::{
    Bits, Burned, ChargeEntry, CommitError, Countersigned, Gaussian, Head, KeptCheckpoint, Ledger, LedgerId,
    LedgerState, LedgerStore, Noise, PersistError, PlanInputs, Release, ReleaseId, Span, Spent, StoreError,
    StoredRelease, Variance, WindowAccumulator, WindowPlan,
};
use attest::ledger_checkpoint::CheckpointExpectation;
use attest::{Admission, KnownNode, KnownNodes, LedgerCheckpoint, NodeToken, SigningKey};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use personalize::{Arm, Outcome, PerceptualKpi, SessionRecord};
use personalize::{FEATURES, Frame, ItemIndex};
use policies::{Budget, Digest, PrivacyUnit, PurposeId, Rho, TaskRule, TaskSpec, TenantId, UnitRule, WindowId};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use zeroize::Zeroizing;

const ITEMS: u32 = 1000;
const LEDGER: LedgerId = LedgerId([1; 16]);

/// A ledger that takes every charge and forgets it: what is measured is not the disk.
struct Forgetful;

impl LedgerStore for Forgetful {
    async fn initialise(&self, _: LedgerId) -> Result<bool, StoreError> {
        Ok(true)
    }
    async fn open(&self) -> Result<LedgerState, StoreError> {
        Ok(LedgerState { id: LEDGER, head: Head::empty(LEDGER), checkpoint: None })
    }
    async fn burn_open_charges(&self) -> Result<Burned, StoreError> {
        Ok(Burned { releases: Vec::new(), head: Head::empty(LEDGER) })
    }
    async fn commit_charge(&self, _: ChargeEntry, _: Head) -> Result<Head, CommitError> {
        Ok(seen_head())
    }
    async fn persist_noised(&self, _: StoredRelease) -> Result<(), PersistError> {
        Ok(())
    }
    async fn unsent(&self, _: u64, _: usize) -> Result<Vec<StoredRelease>, StoreError> {
        Ok(Vec::new())
    }
    async fn mark_sent(&self, _: &ReleaseId) -> Result<(), StoreError> {
        Ok(())
    }
    async fn closed_until(&self, _: &TenantId) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }
    async fn close_until(&self, _: &TenantId, _: u64) -> Result<(), StoreError> {
        Ok(())
    }
    async fn spent(&self, _: &TenantId, _: Option<&PurposeId>, _: Span) -> Result<Spent, StoreError> {
        Ok(Spent::default())
    }
    async fn entries(&self, _: u64, _: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        Ok(Vec::new())
    }
    async fn head_at(&self, _: u64) -> Result<Option<Head>, StoreError> {
        Ok(Some(seen_head()))
    }
    async fn keep_checkpoint(&self, _: KeptCheckpoint) -> Result<(), StoreError> {
        Ok(())
    }
}

/// The one head that there ever is, so that one checkpoint covers every charge.
fn seen_head() -> Head {
    Head { entries: 1, digest: Digest::of(b"head") }
}

/// The centre's word for it.
fn countersigned(ledger: &Ledger<Forgetful>, plan: &WindowPlan, key: &SigningKey) -> Countersigned {
    let name = LEDGER.to_string();
    let (node, region) = (plan.node(), plan.region());
    let claims = LedgerCheckpoint {
        ledger: name.clone(),
        node: node.clone(),
        region: region.clone(),
        entries: seen_head().entries,
        head: seen_head().digest,
        aud: node.clone(),
        nonce: String::new(),
        iat: 0,
    };
    let token = claims.sign(key).expect("it signs");
    let expected = CheckpointExpectation { ledger: &name, node, region, nonce: None };
    let verified = LedgerCheckpoint::verify(&token, &key.verifying_key(), &expected).expect("its own");
    now(ledger.countersign(&verified, token)).expect("the one head")
}

fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("nothing here waits"),
    }
}

fn key() -> SigningKey {
    SigningKey::generate(&mut ChaCha20Rng::from_seed([1; 32]))
}

fn unit() -> UnitRule {
    UnitRule { unit: PrivacyUnit::ViewerWindow, window_seconds: 3600, quota: 1, region_factor: 1, nodes: 1 }
}

fn budget() -> Budget {
    Budget { delta: 1e-6, rho_per_window: Rho::MAX, rho_per_year: Rho::MAX, purposes: BTreeMap::new() }
}

fn rules() -> [TaskRule; 1] {
    let rho = Rho::from_f64_up(0.025).expect("a small number");
    let purpose = "recommendations".parse().expect("a name");
    [TaskRule { purpose, rho, spec: TaskSpec::CoEngagement { items_max: ITEMS } }]
}

fn frame() -> Frame {
    let top = (0..ITEMS).map(ItemIndex).collect();
    Frame { catalogue: Digest::of(b""), base_rate_ppm: 0, top, weights_ppm: vec![1_000_000; ITEMS as usize] }
}

fn plan(rules: &[TaskRule]) -> Arc<WindowPlan> {
    let inputs = PlanInputs {
        tenant: "demo".parse().expect("a name"),
        region: "eu-west".parse().expect("a name"),
        node: "node-1".parse().expect("a name"),
        window: WindowId(1),
        unit: unit(),
        budget: budget(),
        policy: Digest::of(b""),
        rules,
        catalogue_items: ITEMS as usize,
        frame: frame(),
        model_version: 1,
    };
    Arc::new(WindowPlan::freeze(inputs).expect("a sound plan"))
}

fn release(
    plan: &Arc<WindowPlan>,
    noise: &mut Noise,
    ledger: &Ledger<Forgetful>,
    seen: &Countersigned,
    key: &SigningKey,
) -> Vec<u8> {
    let window = WindowAccumulator::open(Arc::clone(plan), Zeroizing::new([2; 32]));
    let task = window.close().into_tasks().remove(0);
    let charge = now(ledger.charge(&task)).expect("every charge is taken");
    let charge = charge.seen(seen).unwrap_or_else(|_| unreachable!("one checkpoint covers all"));
    let release = Release::new(charge, task, noise, key).expect("its own charge");
    now(ledger.persist(&release)).expect("every release is kept").bytes
}

fn sampler(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("discrete gaussian");
    group.throughput(Throughput::Elements(1));
    let plan = plan(&rules());
    for (name, variance) in [
        ("sigma 1", Variance::new(1, 1).expect("small")),
        ("sigma 5.5", Variance::new(121, 4).expect("small")),
        ("sigma 2^20", Variance::new(1 << 40, 1).expect("a square")),
        ("sigma of the Gram", plan.tasks()[0].segments[0].variance),
    ] {
        let (gaussian, mut bits) = (Gaussian::new(variance), Bits::new(ChaCha20Rng::from_seed([3; 32])));
        group.bench_function(name, |bencher| bencher.iter(|| black_box(gaussian.sample(&mut bits))));
    }
    group.finish();
}

fn contribution(criterion: &mut Criterion) {
    let (plan, features) = (plan(&rules()), [0.2; FEATURES]);
    let outcomes = (0..20).map(|item| Outcome { item: ItemIndex(item * 7), reward: 1.0, features }).collect();
    let kpi = PerceptualKpi::default();
    let record = SessionRecord { catalogue: Some(frame().catalogue), arm: Arm::Adaptive, outcomes, kpi };
    let mut window = WindowAccumulator::open(plan, Zeroizing::new([2; 32]));
    let mut viewer = 0u32;
    criterion.bench_function("contribute 20 outcomes to a Gram", |bencher| {
        bencher.iter(|| {
            viewer += 1;
            window.contribute(Some(&viewer.to_le_bytes()), &record)
        });
    });
}

fn gram(criterion: &mut Criterion) {
    let (rules, key, mut noise) = (rules(), key(), Noise::from_os().expect("entropy"));
    let (plan, ledger) =
        (plan(&rules), now(Ledger::open(Forgetful, &mut ChaCha20Rng::from_seed([4; 32]))).expect("it opens"));
    let seen = countersigned(&ledger, &plan, &key);
    let mut group = criterion.benchmark_group("1000-item Gram");
    group.sample_size(20);
    group.bench_function("release", |bencher| bencher.iter(|| release(&plan, &mut noise, &ledger, &seen, &key)));

    let envelope = release(&plan, &mut noise, &ledger, &seen, &key);
    let node = plan.node().clone();
    let token = NodeToken::new(&node, "centre", 0).sign(&key).expect("it signs");
    let pinned = KnownNode { node, region: plan.region().clone(), key: Some(key.verifying_key()) };
    let pinned = KnownNodes::new([pinned]).expect("one node");
    let admission = Admission::by_pinned_key(&token, &pinned, "centre", 0).expect("it is pinned");
    let (unit, budget, frame) = (unit(), budget(), frame());
    let expected = Expectations {
        policy: Digest::of(b""),
        unit: &unit,
        budget: &budget,
        rules: &rules,
        catalogue_items: ITEMS as usize,
        frame: &frame,
        latest_window: WindowId(1),
        measurement: false,
    };
    let verify = || OpenedRelease::open(&envelope, &admission).and_then(|opened| opened.verify(&expected));
    group.bench_function("intake", |bencher| bencher.iter(verify));
    let verified = verify().unwrap_or_else(|refusal| unreachable!("{refusal}"));
    group.bench_function("merge", |bencher| {
        let sum = TaskSum::of(&verified);
        bencher.iter_batched_ref(|| sum.clone(), |sum| sum.add(&verified), BatchSize::LargeInput);
    });
    group.finish();
}

criterion_group!(benches, sampler, contribution, gram);
criterion_main!(benches);
