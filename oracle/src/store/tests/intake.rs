//! Real releases through both halves: charged and kept at nodes' stores, verified and added at the centre's.

use std::collections::BTreeMap;
use std::sync::Arc;

use aggregator::centre::follow::Offer;
use aggregator::centre::store::Acceptance;
use aggregator::centre::{
    CentreStore as _, ChargeField, Expectations, FollowError, Followed, OpenedRelease, TaskSum, VerifiedRelease,
};
use aggregator::log::LogEntry;
use aggregator::release::{
    Contributed, Ledger, LedgerEntry, Noise, PlanInputs, Release, WindowAccumulator, WindowPlan,
};
use attest::{Admission, KnownNode, KnownNodes, NodeToken, SigningKey};
use personalize::{Arm, FEATURES, Frame, ItemIndex, Outcome, SessionRecord};
use policies::{Budget, NodeId, RegionId, TaskRule, TaskSpec, WindowId};
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
    Budget { delta: 1e-6, rho_per_window: rho(1_000_000_000_000), rho_per_year: Rho::MAX, purposes: BTreeMap::new() }
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
        let ledger = Ledger::open(scratch.store.clone(), &mut rng).await.unwrap();
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
            let release =
                Release::new(testing::seen(&self.ledger, charge).await, task, &mut Noise::off(), &self.key).unwrap();
            let bytes = self.ledger.persist(&release).await.unwrap().bytes;
            verified.push(self.verify(&bytes, frame));
        }
        verified
    }

    /// Lets the centre follow this node's ledger.
    async fn follow(&self, centre: &Store) -> Result<Head, FollowError> {
        testing::follow(centre, &self.ledger, self.region.as_str(), self.node.as_str(), NOW_MS).await
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
    for node in [&one, &two] {
        node.follow(&centre.store).await.unwrap();
    }
    for release in first.iter().chain(&second).chain(&third) {
        assert_eq!(centre.store.accept(release, NOW_MS).await, Ok(Acceptance::New));
    }
    let centre = centre.reopen();
    let logged: Vec<_> = first.iter().chain(&second).chain(&third).map(|release| release.logged(NOW_MS)).collect();
    let entries = centre.store.log_entries(0, 10).await.unwrap();
    let entries = entries.iter().map(|bytes| LogEntry::decode(bytes).unwrap());
    let releases: Vec<_> = entries.filter(|entry| matches!(entry, LogEntry::Release(_))).collect();
    assert_eq!(releases, logged);
    let LogEntry::Release(logged) = &logged[0] else { panic!("a release is logged as one") };
    assert_eq!((logged.id(), logged.sequence), (first[0].id().clone(), first[0].sequence()));
    assert_eq!((logged.catalogue, logged.unit.window_seconds), (Digest::of(b"catalogue"), 3600));
    assert_eq!(logged.segments.iter().map(|segment| segment.rho_picos).sum::<u64>(), logged.rho_picos);
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
    node.follow(&centre.store).await.unwrap();
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
    node.follow(&centre.store).await.unwrap();
    assert_eq!(centre.store.accept(&late[0], NOW_MS).await, Ok(Acceptance::New));
    let centre = centre.reopen();
    assert_eq!(centre.store.accept(&early[0], NOW_MS).await, Ok(Acceptance::SequenceRegress));
    assert_eq!(centre.store.accept(&late[1], NOW_MS).await, Ok(Acceptance::New));
    let stranger = Node::new("node-1").await;
    let fresh = stranger.releases(7, 3, &frame()).await;
    assert_eq!(stranger.follow(&centre.store).await, Err(FollowError::OtherLedger));
    assert_eq!(centre.store.accept(&fresh[0], NOW_MS).await, Ok(Acceptance::LedgerChanged));
    let second = Node::new("node-2").await;
    let other = second.releases(7, 3, &frame()).await;
    assert_eq!(centre.store.accept(&other[0], NOW_MS).await, Ok(Acceptance::NotCharged), "nothing followed yet");
    second.follow(&centre.store).await.unwrap();
    assert_eq!(centre.store.accept(&other[0], NOW_MS).await, Ok(Acceptance::New));
    assert_eq!(centre.store.releases(None, 0, 9).await.map(|kept| kept.len()), Ok(3));
}

#[tokio::test]
async fn other_frames_have_sums_of_their_own() {
    let centre = Scratch::new();
    let node = Node::new("node-1").await;
    let other = Frame { base_rate_ppm: 200_000, ..frame() };
    let releases = [node.releases(5, 3, &frame()).await, node.releases(6, 3, &other).await];
    node.follow(&centre.store).await.unwrap();
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
        node.follow(&centre.store).await.unwrap();
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
    let next = node.releases(6, 3, &frame()).await;
    node.follow(&centre.store).await.unwrap();
    for release in &releases {
        assert_eq!(centre.store.accept(release, NOW_MS).await, Ok(Acceptance::New));
    }
    let file = centre.file();
    drop(centre.store);
    let swap = "UPDATE sums SET bytes = (SELECT bytes FROM sums WHERE task = 'ranker-moments')";
    rusqlite::Connection::open(&file).unwrap().execute(swap, ()).unwrap();
    let store = Store::open_sqlite(&file).unwrap();
    assert_eq!(store.accept(&next[0], NOW_MS).await, Err(StoreError::Corrupt));
}

/// A centre's store in which `node`'s first charge stands as `change` leaves it.
async fn followed_with(node: &Node, change: impl FnOnce(&mut ChargeRecord)) -> Scratch {
    let centre = Scratch::new();
    let bytes = node.ledger.store().entries(0, 1).await.unwrap().remove(0);
    let LedgerEntry::Charge(mut record) = LedgerEntry::decode(&bytes).unwrap() else { panic!("the first is a charge") };
    change(&mut record);
    let entry = LedgerEntry::Charge(record).encode();
    let offer = Offer {
        region: node.region.clone(),
        node: node.node.clone(),
        ledger: node.ledger.id(),
        head: Head::empty(node.ledger.id()).after(&entry),
        after: 0,
        entries: vec![entry],
    };
    centre.store.follow(offer, NOW_MS).await.unwrap();
    centre
}

#[tokio::test]
async fn a_release_whose_charge_is_missing_burned_or_another_is_refused() {
    type Change = fn(&mut ChargeRecord);
    let node = Node::new("node-1").await;
    let releases = node.releases(5, 3, &frame()).await;
    let changes: [(Change, ChargeField); 7] = [
        (|charge| charge.id.window = WindowId(6), ChargeField::Id),
        (|charge| charge.span.until_s += 1, ChargeField::Span),
        (|charge| charge.purpose = "other".parse().unwrap(), ChargeField::Purpose),
        (|charge| charge.unit = PrivacyUnit::ViewerWindow, ChargeField::Unit),
        (|charge| charge.policy = Digest::of(b"other"), ChargeField::Policy),
        (|charge| charge.rho = rho(1), ChargeField::Rho),
        (|charge| charge.delta = Delta::from_attos(1).unwrap(), ChargeField::Delta),
    ];
    assert_eq!(changes.map(|(_, field)| field), ChargeField::ALL);
    for (change, field) in changes {
        let centre = followed_with(&node, change).await;
        let refused = centre.store.accept(&releases[0], NOW_MS).await;
        assert_eq!(refused, Ok(Acceptance::ChargeDiffers(field)));
    }
    let centre = followed_with(&node, |_| ()).await;
    assert_eq!(centre.store.accept(&releases[1], NOW_MS).await, Ok(Acceptance::NotCharged), "not followed so far");
    assert_eq!(centre.store.accept(&releases[0], NOW_MS).await, Ok(Acceptance::New));

    // A charge that is burned, and a release in spite of it: what only a node that lies does.
    let late = node.releases(6, 3, &frame()).await;
    let head = node.follow(&centre.store).await.unwrap();
    let burn = LedgerEntry::Burn(late[0].sequence()).encode();
    let (region, name, ledger) = (node.region.clone(), node.node.clone(), node.ledger.id());
    let offer = Offer { region, node: name, ledger, head: head.after(&burn), after: head.entries, entries: vec![burn] };
    centre.store.follow(offer, NOW_MS).await.unwrap();
    assert_eq!(centre.store.accept(&late[0], NOW_MS).await, Ok(Acceptance::Burned));
    assert_eq!(centre.store.accept(&late[1], NOW_MS).await, Ok(Acceptance::New));
    assert_eq!(centre.store.releases(None, 0, 9).await.map(|kept| kept.len()), Ok(2));
}

#[tokio::test]
async fn what_was_released_cannot_be_burned_and_nothing_is_charged_twice() {
    let (centre, node) = (Scratch::new(), Node::new("node-1").await);
    let releases = node.releases(5, 3, &frame()).await;
    node.follow(&centre.store).await.unwrap();
    assert_eq!(centre.store.accept(&releases[0], NOW_MS).await, Ok(Acceptance::New));
    let head = node.ledger.head();
    let more = |entries: &[LedgerEntry]| {
        let entries: Vec<_> = entries.iter().map(LedgerEntry::encode).collect();
        let head = entries.iter().fold(head, |head, entry| head.after(entry));
        let (region, node_name, ledger) = (node.region.clone(), node.node.clone(), node.ledger.id());
        Offer { region, node: node_name, ledger, head, after: 2, entries }
    };
    for burned in [1, 3, 9, u64::MAX] {
        let refused = centre.store.follow(more(&[LedgerEntry::Burn(burned)]), NOW_MS).await;
        assert_eq!(refused, Err(FollowError::NoCharge), "{burned}");
    }
    let twice = centre.store.follow(more(&[LedgerEntry::Burn(2), LedgerEntry::Burn(2)]), NOW_MS).await;
    assert_eq!(twice, Err(FollowError::NoCharge), "and the first of them is undone");
    let first = node.ledger.store().entries(0, 1).await.unwrap().remove(0);
    let again = LedgerEntry::decode(&first).unwrap();
    assert_eq!(centre.store.follow(more(&[again]), NOW_MS).await, Err(FollowError::ChargedTwice));
    let followed = Followed { ledger: node.ledger.id(), head };
    assert_eq!(centre.store.followed(&node.region, &node.node).await, Ok(Some(followed)));
}

#[tokio::test]
async fn what_is_followed_and_accepted_is_queued_for_the_log() {
    let (centre, node) = (Scratch::new(), Node::new("node-1").await);
    let releases = node.releases(5, 3, &frame()).await;
    let head = node.follow(&centre.store).await.unwrap();
    assert_eq!(node.follow(&centre.store).await, Ok(head), "and no second leaf");
    assert_eq!(centre.store.accept(&releases[0], NOW_MS + 1).await, Ok(Acceptance::New));
    assert_eq!(centre.store.accept(&releases[0], NOW_MS + 2).await, Ok(Acceptance::Duplicate));
    let file = centre.file();
    drop(centre.store);
    let connection = rusqlite::Connection::open(&file).unwrap();
    let mut rows = connection.prepare("SELECT ordinal, bytes FROM log_entries ORDER BY ordinal").unwrap();
    let leaves: Vec<(u64, Vec<u8>)> =
        rows.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    assert_eq!(leaves.iter().map(|(ordinal, _)| *ordinal).collect::<Vec<_>>(), [0, 1]);
    let LogEntry::Ledger(ledger) = LogEntry::decode(&leaves[0].1).unwrap() else { panic!("the ledger's first") };
    assert_eq!((ledger.head(), ledger.first, ledger.entries.len()), (Some(head), 1, 2));
    let LogEntry::Release(release) = LogEntry::decode(&leaves[1].1).unwrap() else { panic!("then the release") };
    assert_eq!((release.id(), release.sequence), (releases[0].id().clone(), 1));
    assert_eq!((release.digest, release.accepted_ms), (Digest::of(releases[0].envelope()), NOW_MS + 1));
    let cells: Vec<_> = release.segments.iter().map(|segment| segment.cells).collect();
    assert_eq!((release.rho(), cells), (Some(rho(400_000_000_000)), vec![ITEMS as u64, ITEMS as u64]));
}
