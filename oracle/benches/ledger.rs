//! What a release costs where it is durable: charge, noise and persist of a histogram of 10,000 keys, each commit synced.
//!
//! `cargo bench -p oracle --bench ledger`
#![expect(missing_docs, reason = "criterion_group! writes a public function")]

use std::collections::BTreeMap;
use std::sync::Arc;

use aggregator::release::{Ledger, Noise, PlanInputs, Release, WindowAccumulator, WindowPlan};
use attest::ledger_checkpoint::CheckpointExpectation;
use attest::{LedgerCheckpoint, SigningKey};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use oracle::store::Store;
use personalize::Frame;
use policies::{Budget, Digest, PrivacyUnit, Rho, TaskRule, TaskSpec, UnitRule, WindowId};
use rand_core::{OsRng, TryRngCore as _};
use zeroize::Zeroizing;

/// Two segments of as many cells: 10,000 keys.
const ITEMS: usize = 5_000;

fn plan(window: u64) -> Arc<WindowPlan> {
    let spec = TaskSpec::ItemCounts { clip: 2.6, impressions_clip: 4.4721, rewards_percent: 80, base_rate: 0.1 };
    let rho = Rho::from_picos(16_250_000_000).expect("small");
    let rules = [TaskRule { purpose: "recommendations".parse().expect("a name"), rho, spec }];
    let inputs = PlanInputs {
        tenant: "demo".parse().expect("a name"),
        region: "eu-west".parse().expect("a name"),
        node: "node-1".parse().expect("a name"),
        window: WindowId(window),
        unit: UnitRule { unit: PrivacyUnit::ViewerWindow, window_seconds: 3600, quota: 1, region_factor: 2, nodes: 1 },
        budget: Budget { delta: 1e-6, rho_per_window: Rho::MAX, rho_per_year: Rho::MAX, purposes: BTreeMap::new() },
        policy: Digest::of(b"policy"),
        rules: &rules,
        catalogue_items: ITEMS,
        frame: Frame::initial(Digest::of(b"catalogue"), 100_000),
        model_version: 0,
    };
    Arc::new(WindowPlan::freeze(inputs).expect("a sound plan"))
}

/// One release; the centre's word is signed, verified and kept as well.
async fn release(ledger: &Ledger<Store>, window: WindowAccumulator, noise: &mut Noise, key: &SigningKey) {
    let task = window.close().into_tasks().remove(0);
    let charge = ledger.charge(&task).await.expect("the budget is ample");
    let (head, id, name) = (ledger.head(), task.id(), ledger.id().to_string());
    let claims = LedgerCheckpoint {
        ledger: name.clone(),
        node: id.node.clone(),
        region: id.region.clone(),
        entries: head.entries,
        head: head.digest,
        aud: id.node.clone(),
        nonce: String::new(),
        iat: 0,
    };
    let token = claims.sign(key).expect("it signs");
    let expected = CheckpointExpectation { ledger: &name, node: &id.node, region: &id.region, nonce: None };
    let verified = LedgerCheckpoint::verify(&token, &key.verifying_key(), &expected).expect("its own");
    let countersigned = ledger.countersign(&verified, token).await.expect("its own head");
    let seen = charge.seen(&countersigned).unwrap_or_else(|_| unreachable!("the head covers it"));
    let release = Release::new(seen, task, noise, key).expect("its own charge");
    ledger.persist(&release).await.expect("it is kept");
}

fn histogram(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let mut rng = OsRng.unwrap_err();
    let ledger = runtime.block_on(async {
        let store = Store::create_sqlite(&folder.path().join("bench.sqlite")).expect("a store");
        Ledger::initialise(&store, &mut rng).await.expect("it is made");
        Ledger::open(store, &mut rng).await.expect("it opens")
    });
    let (mut noise, key) = (Noise::from_os().expect("entropy"), SigningKey::generate(&mut rng));
    let mut window = 480_000;
    criterion.bench_function("charge, countersign, noise and persist 10,000 keys", |bencher| {
        bencher.iter_batched(
            || {
                window += 1;
                WindowAccumulator::open(plan(window), Zeroizing::new([7; 32]))
            },
            |window| runtime.block_on(release(&ledger, window, &mut noise, &key)),
            BatchSize::LargeInput,
        );
    });
}

criterion_group!(benches, histogram);
criterion_main!(benches);
