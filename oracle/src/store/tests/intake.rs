//! Real releases through both halves: charged and kept at nodes' stores, verified and added at the centre's.

use std::sync::Arc;

use aggregator::centre::store::Acceptance;
use aggregator::centre::{CentreStore as _, Expectations, OpenedRelease, TaskSum, VerifiedRelease};
use aggregator::release::{Contributed, Ledger, Noise, PlanInputs, Release, WindowAccumulator, WindowPlan};
use attest::{Admission, KnownNode, KnownNodes, NodeToken, SigningKey};
use personalize::{Arm, FEATURES, Frame, ItemIndex, Outcome, SessionRecord};
use policies::{Budget, Digest, NodeId, RegionId, TaskRule, TaskSpec, UnitRule};
use rand_core::{OsRng, TryRngCore as _};
use zeroize::Zeroizing;

use super::*;

const ITEMS: usize = 10;
const NOW_MS: u64 = 1_700_000_000_000;

fn rules() -> Vec<TaskRule> {
    let purpose = || "ranking".parse().unwrap();
    let counts = TaskSpec::ItemCounts { clip: 2.6, impressions_clip: 20.0, rewards_percent: 80, base_rate: 0.1 };
    let moments = TaskSpec::RankerMoments { norm: 3.0 };
    [counts, moments].map(|spec| TaskRule { purpose: purpose(), rho: rho(400_000_000_000), spec }).to_vec()
}

fn unit() -> UnitRule {
    UnitRule { unit: PrivacyUnit::Session, window_seconds: 3600, quota: 1, region_factor: 1, nodes: 1 }
}

fn budget() -> Budget {
    Budget { delta: 1e-6, rho_per_window: rho(1_000_000_000_000), rho_per_year: Rho::MAX }
}

/// A node with a ledger of its own.
struct Node {
    node: NodeId,
    region: RegionId,
    key: SigningKey,
    admission: Admission,
    ledger: Ledger<Store>,
    _scratch: Scratch,
}

impl Node {
    async fn new(name: &str) -> Self {
        let (node, region): (NodeId, RegionId) = (name.parse().unwrap(), "eu-west".parse().unwrap());
        let scratch = Scratch::new();
        let mut rng = OsRng.unwrap_err();
        Ledger::initialise(&scratch.store, &mut rng).await.unwrap().expect("there was none");
        let ledger = Ledger::open(scratch.store.clone()).await.unwrap();
        let key = SigningKey::generate(&mut rng);
        let pinned = KnownNode { node: node.clone(), region: region.clone(), key: Some(key.verifying_key()) };
        let token = NodeToken::new(&node, "centre", NOW_MS).sign(&key).unwrap();
        let pinned = KnownNodes::new([pinned]).unwrap();
        let admission = Admission::by_pinned_key(&token, &pinned, "centre", NOW_MS).unwrap();
        Self { node, region, key, admission, ledger, _scratch: scratch }
    }

    /// Both releases of a window in which one session liked `item`, exact for comparing, as the centre verified them.
    async fn releases(&self, window: u64, item: u32, frame: &Frame) -> Vec<VerifiedRelease> {
        let plan = WindowPlan::freeze(PlanInputs {
            tenant: tenant("demo"),
            region: self.region.clone(),
            node: self.node.clone(),
            window: WindowId(window),
            unit: unit(),
            budget: budget(),
            policy: Digest::of(b"policy"),
            rules: &rules(),
            catalogue_items: ITEMS,
            frame: frame.clone(),
            model_version: 0,
        });
        let mut open = WindowAccumulator::open(Arc::new(plan.unwrap()), Zeroizing::new([3; 32]));
        let outcome = Outcome { item: ItemIndex(item), reward: 1.0, features: [0.5; FEATURES] };
        let catalogue = Some(frame.catalogue);
        let record = SessionRecord { arm: Arm::Adaptive, catalogue, outcomes: vec![outcome], kpi: Default::default() };
        assert!(open.contribute(None, &record) == Contributed::Counted);
        let mut verified = Vec::new();
        for task in open.close().into_tasks() {
            let charge = self.ledger.charge(&task).await.unwrap();
            let release = Release::new(charge, task, &mut Noise::off(), &self.key).unwrap();
            let bytes = self.ledger.persist(&release).await.unwrap().bytes;
            verified.push(self.verify(&bytes, frame));
        }
        verified
    }

    fn verify(&self, envelope: &[u8], frame: &Frame) -> VerifiedRelease {
        let expected = Expectations {
            policy: Digest::of(b"policy"),
            unit: &unit(),
            budget: &budget(),
            rules: &rules(),
            catalogue_items: ITEMS,
            frame,
            latest_window: WindowId(100),
            measurement: true,
        };
        OpenedRelease::open(envelope, &self.admission).unwrap().verify(&expected).unwrap()
    }
}

fn frame() -> Frame {
    Frame::initial(Digest::of(b"catalogue"), 100_000)
}

fn added(releases: &[&VerifiedRelease]) -> TaskSum {
    let mut sum = TaskSum::of(releases[0]);
    releases[1..].iter().for_each(|release| sum.add(release).unwrap());
    sum
}

#[tokio::test]
async fn accepted_releases_add_up_and_are_kept_verbatim() {
    let (one, two) = (Node::new("node-1").await, Node::new("node-2").await);
    let centre = Scratch::new();
    let first = one.releases(5, 3, &frame()).await;
    let second = two.releases(5, 3, &frame()).await;
    let third = one.releases(6, 4, &frame()).await;
    for release in first.iter().chain(&second).chain(&third) {
        assert_eq!(centre.store.accept(release, NOW_MS).await, Ok(Acceptance::New));
    }
    let centre = centre.reopen();
    let sums = centre.store.sums(&tenant("demo")).await.unwrap();
    let expected: Vec<_> = (0..2).map(|task| added(&[&first[task], &second[task], &third[task]])).collect();
    assert_eq!(sums, expected);
    assert_eq!((sums[0].releases, sums[0].windows), (3, 2));
    // Two sessions liked item 3 and one item 4: (1 − 0.1) each, in integer units, truncated toward zero.
    let reward = |releases| f64::from(releases) * 0.9;
    let cells: Vec<f64> = sums[0].segments[0].reals().collect();
    assert!((cells[3] - reward(2)).abs() < 1e-3 && (cells[4] - reward(1)).abs() < 1e-3, "{cells:?}");
    assert_eq!(centre.store.sums(&tenant("other")).await, Ok(vec![]));

    let kept = centre.store.releases(Some(&tenant("demo")), 0, 100).await.unwrap();
    assert_eq!(kept.len(), 6);
    assert_eq!(kept[0].id, *third[1].id(), "the latest first");
    assert_eq!((kept[5].digest, kept[5].accepted_ms), (Digest::of(first[0].envelope()), NOW_MS));
    assert_eq!((kept[5].rho, kept[5].delta, kept[5].private), (rho(400_000_000_000), 1e-6, false));
    assert_eq!(centre.store.releases(None, 4, 1).await, Ok(kept[4..5].to_vec()));
    assert_eq!(centre.store.releases(Some(&tenant("other")), 0, 100).await, Ok(vec![]));
    assert_eq!(centre.store.release(first[0].id()).await, Ok(Some(first[0].envelope().to_vec())));
    assert_eq!(centre.store.release(&id(GRAM, 5)).await, Ok(None));
}

#[tokio::test]
async fn the_same_bytes_are_a_duplicate_and_other_bytes_a_conflict() {
    let centre = Scratch::new();
    let node = Node::new("node-1").await;
    let releases = node.releases(5, 3, &frame()).await;
    assert_eq!(centre.store.accept(&releases[0], NOW_MS).await, Ok(Acceptance::New));
    let before = centre.store.sums(&tenant("demo")).await.unwrap();
    assert_eq!(centre.store.accept(&releases[0], NOW_MS + 1).await, Ok(Acceptance::Duplicate));
    // The same window from a ledger that was made anew: other bytes under the same id.
    let impostor = Node::new("node-1").await.releases(5, 4, &frame()).await;
    assert_eq!(centre.store.accept(&impostor[0], NOW_MS).await, Ok(Acceptance::Conflict));
    assert_eq!(centre.store.sums(&tenant("demo")).await, Ok(before));
    assert_eq!(centre.store.releases(None, 0, 9).await.map(|kept| kept.len()), Ok(1));
}

#[tokio::test]
async fn another_ledger_and_an_earlier_sequence_are_refused() {
    let centre = Scratch::new();
    let node = Node::new("node-1").await;
    let (early, late) = (node.releases(5, 3, &frame()).await, node.releases(6, 3, &frame()).await);
    assert_eq!(centre.store.accept(&late[0], NOW_MS).await, Ok(Acceptance::New));
    let centre = centre.reopen();
    assert_eq!(centre.store.accept(&early[0], NOW_MS).await, Ok(Acceptance::SequenceRegress));
    assert_eq!(centre.store.accept(&late[1], NOW_MS).await, Ok(Acceptance::New));
    let fresh = Node::new("node-1").await.releases(7, 3, &frame()).await;
    assert_eq!(centre.store.accept(&fresh[0], NOW_MS).await, Ok(Acceptance::LedgerChanged));
    let other = Node::new("node-2").await.releases(7, 3, &frame()).await;
    assert_eq!(centre.store.accept(&other[0], NOW_MS).await, Ok(Acceptance::New));
    assert_eq!(centre.store.releases(None, 0, 9).await.map(|kept| kept.len()), Ok(3));
}

#[tokio::test]
async fn other_frames_have_sums_of_their_own() {
    let centre = Scratch::new();
    let node = Node::new("node-1").await;
    let other = Frame { base_rate_ppm: 200_000, ..frame() };
    let releases = [node.releases(5, 3, &frame()).await, node.releases(6, 3, &other).await];
    for release in releases.iter().flatten() {
        assert_eq!(centre.store.accept(release, NOW_MS).await, Ok(Acceptance::New));
    }
    let sums = centre.store.sums(&tenant("demo")).await.unwrap();
    let mut expected: Vec<_> = releases.iter().flatten().map(TaskSum::of).collect();
    expected.sort_by_key(|sum| (sum.kind, sum.frame));
    assert_eq!(sums, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn releases_that_arrive_at_once_are_each_counted_once() {
    let centre = Scratch::new();
    let mut releases = Vec::new();
    for node in 0..6 {
        let node = Node::new(&format!("node-{node}")).await;
        releases.push(node.releases(5, 3, &frame()).await.swap_remove(0));
    }
    let mut tasks = tokio::task::JoinSet::new();
    for release in releases.iter().cloned().chain(releases.iter().cloned()) {
        let store = centre.store.clone();
        tasks.spawn(async move { store.accept(&release, NOW_MS).await.unwrap() });
    }
    let outcomes = tasks.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Acceptance::New).count(), 6);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Acceptance::Duplicate).count(), 6);
    let sums = centre.store.sums(&tenant("demo")).await.unwrap();
    let expected = added(&releases.iter().collect::<Vec<_>>());
    assert_eq!((sums[0].releases, &sums[0].segments[0].values), (6, &expected.segments[0].values));
}

#[tokio::test]
async fn a_damaged_sum_is_refused() {
    let centre = Scratch::new();
    let node = Node::new("node-1").await;
    let releases = node.releases(5, 3, &frame()).await;
    for release in &releases {
        assert_eq!(centre.store.accept(release, NOW_MS).await, Ok(Acceptance::New));
    }
    let file = centre.file();
    drop(centre.store);
    let swap = "UPDATE sums SET bytes = (SELECT bytes FROM sums WHERE task = 'ranker-moments')";
    rusqlite::Connection::open(&file).unwrap().execute(swap, ()).unwrap();
    let store = Store::open_sqlite(&file).unwrap();
    let next = node.releases(6, 3, &frame()).await;
    assert_eq!(store.accept(&next[0], NOW_MS).await, Err(aggregator::release::StoreError::Corrupt));
}
