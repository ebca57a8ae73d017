//! One installation, its files, and what happens to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aggregator::release::{Ledger, ReleaseId};
use attest::{AdmissionMode, ApiKey, KnownNode, KnownNodes, PairwiseSecret, SigningKey, VerifyingKey};
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use policies::{Bundle, Digest, PolicySet, TenantId, WindowId};
use prometheus::Registry;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

use super::invariants::Seen;
use super::model::{ITEMS, Model};
use super::observe::Watch;
use super::operation::{Operation, Side};
use super::rules::{REGION, TENANT, policies};
use super::wire::Wire;
use crate::attester::AttestationOptions;
use crate::centre::{self, Centre, CentreLimits, CentreParts};
use crate::client::{Client, ClientOptions};
use crate::clock::Clock;
use crate::environment::{Entropy, Environment, NoiseMode};
use crate::region::{self, CentreLink, Node, NodeOptions, TenantAccess};
use crate::store::Store;
use crate::store::probe::fault::{self, Fuse};

const NODE: &str = "node-1";
const CENTRE: &str = "centre";
/// Four of the first policy's windows before a budget year ends.
const START_MS: u64 = (54 * 366 - 4 * 61) * 86_400_000;

/// A life of the node.
pub(super) struct NodeLife {
    pub(super) node: Arc<Node>,
    pub(super) store: Store,
    router: Router,
}

/// A life of the centre.
pub(super) struct CentreLife {
    centre: Arc<Centre>,
    pub(super) store: Store,
}

pub(super) struct World {
    folder: TempDir,
    pub(super) policies: [Arc<PolicySet>; 2],
    pub(super) tenant: TenantId,
    pub(super) noise: NoiseMode,
    /// Which policy is in force at the node.
    policy: usize,
    /// Rises with every change of it.
    policy_version: u64,
    lives: u64,
    key_number: u64,
    centre_key: VerifyingKey,
    api_key: ApiKey,
    node_clock: Clock,
    centre_clock: Clock,
    pub(super) wire: Arc<Wire>,
    url: String,
    watch: Arc<Watch>,
    node_fuse: Arc<Fuse>,
    centre_fuse: Arc<Fuse>,
    pub(super) node: Option<NodeLife>,
    pub(super) centre: Option<CentreLife>,
    /// Whether the centre stays away.
    away: bool,
    copy: Option<[Option<Vec<u8>>; 2]>,
    pub(super) model: Model,
    pub(super) drawn: BTreeSet<ReleaseId>,
    /// An older file was put back: what was promised of the newer one is void, what leaves is not.
    pub(super) put_back: bool,
    /// It was in this very operation.
    pub(super) just_put_back: bool,
    /// Something happened that may make the centre refuse a release for good.
    pub(super) excused: bool,
    pub(super) seen: Seen,
}

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// In memory where the system has such a folder: a commit waits for no disk.
fn folder() -> TempDir {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

impl World {
    /// An installation that runs, with a catalogue and an open window.
    pub(super) async fn new(noise: NoiseMode) -> Self {
        let (node_fuse, centre_fuse) = (Arc::<Fuse>::default(), Arc::<Fuse>::default());
        let wire = Wire::new(Arc::clone(&centre_fuse));
        let url = wire.listen().await;
        let mut world = Self {
            folder: folder(),
            policies: policies().map(Arc::new),
            tenant: TENANT.parse().unwrap(),
            noise,
            policy: 0,
            policy_version: 1,
            lives: 0,
            key_number: 0,
            centre_key: SigningKey::generate(&mut rng(1)).verifying_key(),
            api_key: ApiKey::generate(&mut rng(2)),
            node_clock: Clock::manual(START_MS),
            centre_clock: Clock::manual(START_MS),
            wire,
            url,
            watch: Watch::begin(),
            node_fuse,
            centre_fuse,
            node: None,
            centre: None,
            away: false,
            copy: None,
            model: Model::default(),
            drawn: BTreeSet::new(),
            put_back: false,
            just_put_back: false,
            excused: false,
            seen: Seen::default(),
        };
        world.start_centre().await;
        world.upload_catalogue().await;
        let store = Store::create_sqlite(&world.node_file()).unwrap();
        Ledger::initialise(&store, &mut rng(3)).await.unwrap();
        drop(store);
        world.start_node().await;
        world
    }

    fn node_file(&self) -> PathBuf {
        self.folder.path().join("node.sqlite")
    }

    async fn upload_catalogue(&self) {
        let item =
            |n| json!({"id": format!("c{n}"), "title": "t", "kind": "clip", "tags": [], "year": null}).to_string();
        let text = (0..ITEMS).map(item).collect::<Vec<_>>().join("\n");
        let request = Request::put(format!("/v1/catalogues/{TENANT}"))
            .header("authorization", format!("Bearer {}", self.api_key.expose()))
            .body(Body::from(text))
            .unwrap();
        let centre = Arc::clone(&self.centre.as_ref().unwrap().centre);
        let status = centre::router(centre).oneshot(request).await.unwrap().status();
        assert!(status.is_success(), "{status}");
    }

    fn node_key(&self) -> SigningKey {
        SigningKey::generate(&mut rng(100 + self.key_number))
    }

    /// The policy in force, signed.
    fn bundle(&self) -> Bundle {
        let (set, key) = (&self.policies[self.policy], SigningKey::generate(&mut rng(9)));
        crate::policy_signing::self_signed(set, self.policy_version, key).unwrap()
    }

    async fn start_centre(&mut self) {
        self.stop_centre();
        loop {
            self.centre_fuse.blown.lower();
            let file = self.folder.path().join("centre.sqlite");
            let store = fault::with(&self.centre_fuse, || Store::create_sqlite(&file)).unwrap();
            let key = Some(self.node_key().verifying_key());
            let pinned = KnownNode { node: NODE.parse().unwrap(), region: REGION.parse().unwrap(), key };
            // Releases of the policy that was in force before may still arrive.
            let earlier = PolicySet::clone(&self.policies[1 - self.policy]);
            let parts = CentreParts {
                name: CENTRE.to_owned(),
                key: SigningKey::generate(&mut rng(1)),
                attestation_key: SigningKey::generate(&mut rng(4)),
                admission: AdmissionMode::PinnedKey,
                nodes: KnownNodes::new([pinned]).unwrap(),
                tenants: BTreeMap::from([(self.tenant.clone(), vec![self.api_key.hash()])]),
                operators: Vec::new(),
                policies: self.bundle(),
                policy_folder: None,
                earlier_policies: vec![earlier],
                limits: CentreLimits::default(),
                measurement: !self.noise.is_private(),
                clock: self.centre_clock.clone(),
                store: store.clone(),
                log: crate::log::testing::options(self.folder.path().join("log")),
                registry: Registry::new(),
            };
            let started = tokio::select! {
                biased;
                () = self.centre_fuse.blown.raised() => None,
                started = Centre::start(parts) => started.ok(),
            };
            if let Some(centre) = started {
                self.wire.attach(Some(centre::router(Arc::clone(&centre))));
                self.centre = Some(CentreLife { centre, store });
                return;
            }
        }
    }

    fn stop_centre(&mut self) {
        self.wire.attach(None);
        self.centre = None;
    }

    fn node_options(&self, store: Store) -> NodeOptions {
        let client = ClientOptions { answer_bytes_max: 1 << 22, ..ClientOptions::new(self.url.clone(), Vec::new()) };
        let access = TenantAccess { api_keys: vec![self.api_key.hash()], certificates: Vec::new() };
        NodeOptions {
            name: NODE.parse().unwrap(),
            region: REGION.parse().unwrap(),
            policies: self.bundle(),
            tenants: BTreeMap::from([(self.tenant.clone(), access)]),
            node_key: self.node_key(),
            answer_key: SigningKey::generate(&mut rng(5)),
            pairwise: PairwiseSecret::generate(&mut rng(6)),
            centre: CentreLink {
                client: Client::new(client).unwrap(),
                name: CENTRE.to_owned(),
                key: self.centre_key,
                log: crate::log::testing::keys(),
                admission: AdmissionMode::PinnedKey,
                interval: Duration::from_secs(30),
            },
            attestation: AttestationOptions::default(),
            tls_spki: Digest::of(b"spki"),
            config: Digest::of(b"config"),
            store: Some(store),
            sessions_max: 1000,
            identity: None,
            content: None,
            registry: Registry::new(),
        }
    }

    async fn start_node(&mut self) {
        self.stop_node();
        loop {
            self.node_fuse.blown.lower();
            self.watch.stopped.lower();
            self.lives += 1;
            let store = fault::with(&self.node_fuse, || Store::open_sqlite(&self.node_file())).unwrap();
            let environment = Environment {
                clock: self.node_clock.clone(),
                entropy: Entropy::seeded(self.lives),
                noise: self.noise,
                stop_at: None,
            };
            let options = self.node_options(store.clone());
            let started = tokio::select! {
                biased;
                () = self.node_fuse.blown.raised() => None,
                () = self.watch.stopped.raised() => None,
                started = Node::start(options, environment) => Some(started.unwrap_or_else(|error| panic!("{error}"))),
            };
            self.note_draws();
            if let Some(node) = started {
                let router = region::router(Arc::clone(&node));
                self.node = Some(NodeLife { node, store, router });
                return;
            }
        }
    }

    fn stop_node(&mut self) {
        self.node = None;
        self.model.restarts();
    }

    /// Lets the node do something, in which it may die. It is then started again.
    async fn on_node<T>(&mut self, work: impl AsyncFnOnce(&NodeLife) -> T) -> Option<T> {
        let life = self.node.as_ref().expect("a node runs between operations");
        let done = tokio::select! {
            biased;
            () = self.node_fuse.blown.raised() => None,
            () = self.watch.stopped.raised() => None,
            done = work(life) => Some(done),
        };
        self.note_draws();
        if done.is_none() {
            self.start_node().await;
        }
        self.mend_centre().await;
        done
    }

    /// A centre that died over a call is started again, unless it is to stay away.
    async fn mend_centre(&mut self) {
        if self.centre_fuse.blown.is_raised() {
            self.stop_centre();
            self.centre_fuse.blown.lower();
        }
        if self.centre.is_none() && !self.away {
            self.start_centre().await;
        }
    }

    fn note_draws(&mut self) {
        for id in self.watch.take_drawn() {
            assert!(!self.seen.diverged, "noise was drawn for {id} from a ledger that was put back");
            assert!(self.drawn.insert(id.clone()), "noise was drawn twice for {id}");
            self.model.draws(&id);
        }
    }

    /// Whether sessions are counted now.
    fn counts(&self) -> bool {
        let node = &self.node.as_ref().unwrap().node;
        node.tenant(&self.tenant).is_some_and(|tenant| tenant.window().is_some())
    }

    async fn call(&mut self, method: Method, path: &str, body: Value, refuses: bool) -> (StatusCode, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", self.api_key.expose()));
        if refuses {
            request = request.header("sec-gpc", "1");
        }
        let request = request.body(Body::from(body.to_string())).unwrap();
        let response = self.node.as_ref().unwrap().router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// A session that has liked an item of its own; nothing where there is no catalogue yet.
    async fn begin(&mut self, viewer: Option<u8>, refuses: bool) -> Option<(String, u32)> {
        let item = self.model.item()?;
        let viewer = viewer.map_or_else(|| format!("own-{item}"), |viewer| format!("shared-{viewer}"));
        let (status, created) = self.call(Method::POST, "/v1/sessions", json!({"viewer": viewer}), refuses).await;
        if status == StatusCode::SERVICE_UNAVAILABLE {
            return None;
        }
        assert_eq!(status, StatusCode::CREATED, "{created}");
        let name = created["session"].as_str().unwrap().to_owned();
        let like = json!({"signals": [{"type": "like", "seq": 1, "item": format!("c{item}")}]});
        let (status, _) = self.call(Method::POST, &format!("/v1/sessions/{name}/signals"), like, refuses).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        Some((name, item))
    }

    async fn visit(&mut self, viewer: Option<u8>, refuses: bool) {
        let Some((name, item)) = self.begin(viewer, refuses).await else { return };
        let end = format!("/v1/sessions/{name}/end");
        assert_eq!(self.call(Method::POST, &end, json!({"signals": []}), false).await.0, StatusCode::NO_CONTENT);
        if self.counts() && !refuses {
            self.model.ends(viewer, item);
        }
    }

    /// Ends or erases a living session.
    async fn leave(&mut self, number: u8, counts: bool) {
        let Some(last) = self.model.living.len().checked_sub(1) else { return };
        let place = usize::from(number).min(last);
        let found = self.model.is_found(place, self.node_clock.now_ms());
        let path = format!("/v1/sessions/{}", self.model.living[place].name);
        let status = if counts {
            self.call(Method::POST, &format!("{path}/end"), json!({"signals": []}), false).await.0
        } else {
            self.call(Method::DELETE, &path, Value::Null, false).await.0
        };
        assert_eq!(status, if found { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND });
        if found {
            let counts = counts && self.counts();
            self.model.leaves(place, counts);
        }
    }

    async fn turn(&mut self) {
        let node = Arc::clone(&self.node.as_ref().unwrap().node);
        let window = *node.turn.lock().await;
        let length_ms = u64::from(node.in_force().rule.unit.window_seconds) * 1000;
        let over_ms = (window.0 + 1) * length_ms;
        let wait_ms = over_ms.saturating_sub(self.node_clock.now_ms());
        self.node_clock.advance(wait_ms);
        self.centre_clock.advance(wait_ms);
        drop(node);
        let (now_ms, counts) = (self.node_clock.now_ms(), self.counts());
        self.model.sweeps(now_ms, counts);
        self.model.closes(window);
        self.on_node(async |life| life.node.close_window().await).await;
    }

    /// What happens, and what must hold afterwards.
    pub(super) async fn step(&mut self, operation: &Operation) {
        self.happens(operation).await;
        self.mend_centre().await;
        self.check().await;
    }

    async fn happens(&mut self, operation: &Operation) {
        match *operation {
            Operation::Visit { viewer, refuses } => self.visit(viewer, refuses).await,
            Operation::Begin => {
                let now_ms = self.node_clock.now_ms();
                if let Some((name, item)) = self.begin(None, false).await {
                    self.model.begins(name, item, now_ms);
                }
            }
            Operation::End(number) => self.leave(number, true).await,
            Operation::Erase(number) => self.leave(number, false).await,
            Operation::Turn => self.turn().await,
            Operation::Settle => {
                self.on_node(async |life| life.node.settle_now().await).await;
            }
            Operation::Send => {
                self.on_node(async |life| life.node.send_waiting().await).await;
            }
            Operation::Pull => {
                self.on_node(async |life| {
                    life.node.pull().await;
                    life.node.open_missing_windows().await;
                })
                .await;
            }
            Operation::Train => self.train().await,
            Operation::Jump { side, hours } => self.jump(side, hours),
            Operation::Mishap(target, mishap) => {
                self.excused |= matches!(mishap, super::operation::Mishap::CorruptRequest(_));
                self.wire.plan(target, mishap);
            }
            Operation::Replay(number) => self.wire.replay(number).await,
            Operation::Plant { side: Side::Node, planted } => self.node_fuse.plant(Some(planted)),
            Operation::Plant { side: Side::Centre, planted } => self.centre_fuse.plant(Some(planted)),
            Operation::StopAt(point, passes) => self.watch.stop_at(Some((point, passes))),
            Operation::Kill(Side::Node) => self.start_node().await,
            Operation::Kill(Side::Centre) => self.stop_centre(),
            Operation::Drain => {
                // Whoever drains discards the open window, and ends what lives into none.
                self.on_node(async |life| life.node.drain().await).await;
                self.start_node().await;
            }
            Operation::Away => {
                self.away = true;
                self.stop_centre();
            }
            Operation::Back => self.away = false,
            Operation::Copy => self.copy = Some(self.files().map(|file| fs::read(file).ok())),
            Operation::PutBack => self.put_back().await,
            Operation::NodeKey => self.new_key().await,
            Operation::Policy => self.other_policy().await,
        }
    }

    async fn train(&mut self) {
        let Some(life) = &self.centre else { return };
        tokio::select! {
            biased;
            () = self.centre_fuse.blown.raised() => {}
            // A training that the store fails is tried again by an operator; whether one is published says its gate.
            _ = life.centre.train_now(&self.tenant) => {}
        }
    }

    fn jump(&mut self, side: Side, hours: i16) {
        self.excused = true;
        let clock = if side == Side::Node { &self.node_clock } else { &self.centre_clock };
        let ms = u64::from(hours.unsigned_abs()) * 3_600_000;
        // The clock's sum wraps: so it is set back.
        clock.advance(if hours < 0 { ms.wrapping_neg() } else { ms });
    }

    fn files(&self) -> [PathBuf; 2] {
        ["node.sqlite", "node.sqlite-wal"].map(|name| self.folder.path().join(name))
    }

    async fn put_back(&mut self) {
        let Some(copy) = self.copy.clone() else { return };
        self.stop_node();
        (self.put_back, self.just_put_back) = (true, true);
        for (file, bytes) in self.files().iter().zip(copy) {
            match bytes {
                Some(bytes) => fs::write(file, bytes).unwrap(),
                None => fs::remove_file(file).unwrap_or_default(),
            }
        }
        self.start_node().await;
    }

    /// A node's key is changed in both configs; what was signed by the old one and did not arrive is refused.
    async fn new_key(&mut self) {
        self.excused = true;
        self.key_number += 1;
        if self.centre.is_some() {
            self.start_centre().await;
        }
        self.start_node().await;
    }

    async fn other_policy(&mut self) {
        self.policy = 1 - self.policy;
        self.policy_version += 1;
        if self.centre.is_some() {
            self.start_centre().await;
        }
        self.start_node().await;
    }

    /// Nothing goes wrong any more.
    pub(super) async fn heal(&mut self) {
        self.wire.heal();
        self.node_fuse.plant(None);
        self.centre_fuse.plant(None);
        self.watch.stop_at(None);
        self.away = false;
        self.mend_centre().await;
        let [node_ms, centre_ms] = [&self.node_clock, &self.centre_clock].map(Clock::now_ms);
        self.node_clock.advance(centre_ms.saturating_sub(node_ms));
        self.centre_clock.advance(node_ms.saturating_sub(centre_ms));
        self.start_node().await;
    }

    /// Everything that was persisted arrives, once nothing goes wrong any more.
    pub(super) async fn ends(&mut self) {
        self.heal().await;
        for _ in 0..2 {
            self.visit(None, false).await;
            self.turn().await;
            self.on_node(async |life| life.node.send_waiting().await).await;
            self.check().await;
        }
        self.check_arrival().await;
    }

    /// The window that is open at the node.
    pub(super) async fn open_window(&self) -> Option<WindowId> {
        let open = *self.node.as_ref()?.node.turn.lock().await;
        self.counts().then_some(open)
    }
}
