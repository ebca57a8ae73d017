//! The centre's router as nodes, tenants and operators see it, over a real store and real releases.

mod access;
mod admission;
mod catalogues;
mod enrolment;
mod intake;
mod log;
mod models;
mod training;

use std::sync::Arc;

use aggregator::release::{Ledger, Noise, PlanInputs, Release, WindowAccumulator, WindowPlan};
use attest::{AdmissionMode, ApiKey, KnownNode, KnownNodes, NodeToken, SigningKey};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use personalize::{Arm, Catalogue, FEATURES, Frame, ItemIndex, Outcome, PerceptualKpi, SessionRecord};
use policies::rules::first_base_rate_ppm;
use policies::{NodeId, PolicySet, RegionId, TaskKind, TenantId, WindowId};
use prometheus::Registry;
use rand_core::{OsRng, TryRngCore as _};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt as _;
use zeroize::Zeroizing;

use super::{Centre, CentreLimits, CentreParts, router};
use crate::clock::Clock;
use crate::store::Store;
use crate::store::testing::{follow, seen};

/// The centre's name.
const CENTRE: &str = "centre-1";
/// The time at which tests begin.
const NOW_MS: u64 = 1_800_000_000_000;
/// A window that has closed by then, in regions whose windows are weeks.
const WINDOW: u64 = NOW_MS / 1000 / 604_800 - 10;
/// The first tenant, served in every region.
const DEMO: &str = "demo-platform";
/// The second tenant, not served in us-east.
const NORDLYS: &str = "nordlys-clips";

/// A centre under test, and the keys of everyone who calls it.
struct Harness {
    centre: Arc<Centre>,
    router: Router,
    clock: Clock,
    policies: PolicySet,
    operator: String,
    demo: String,
    nordlys: String,
    registry: Registry,
    keys: Vec<SigningKey>,
    folder: TempDir,
}

/// The pinned nodes, by their place in `Harness::keys`.
const NODES: [(&str, &str); 3] = [("node-w", "eu-west"), ("node-n", "eu-north"), ("node-u", "us-east")];

impl Harness {
    async fn new() -> Self {
        Self::with(CentreLimits::default(), false).await
    }

    async fn with(limits: CentreLimits, measurement: bool) -> Self {
        // Calls of this harness come by no connection: they show tokens.
        Self::admitting(AdmissionMode::PinnedKey, limits, measurement).await
    }

    async fn admitting(admission: AdmissionMode, limits: CentreLimits, measurement: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut rng = OsRng.unwrap_err();
        let keys: Vec<_> = NODES.iter().map(|_| SigningKey::generate(&mut rng)).collect();
        let pins = NODES.iter().zip(&keys).map(|((node, region), key)| KnownNode {
            node: node.parse().unwrap(),
            region: region.parse().unwrap(),
            key: Some(key.verifying_key()),
        });
        let [operator, demo, nordlys] = [(); 3].map(|()| ApiKey::generate(&mut rng));
        let (clock, registry, policies) = (Clock::manual(NOW_MS), Registry::new(), sample_policies());
        let centre = Centre::start(CentreParts {
            name: CENTRE.to_owned(),
            key: SigningKey::generate(&mut rng),
            attestation_key: SigningKey::generate(&mut rng),
            admission,
            nodes: KnownNodes::new(pins).unwrap(),
            tenants: [(tenant(DEMO), vec![demo.hash()]), (tenant(NORDLYS), vec![nordlys.hash()])].into(),
            operators: vec![operator.hash()],
            policies: signed(&policies),
            policy_folder: None,
            earlier_policies: Vec::new(),
            limits,
            measurement,
            clock: clock.clone(),
            store: Store::create_sqlite(&folder.path().join("centre.sqlite")).unwrap(),
            log: crate::log::testing::options(folder.path().join("log")),
            registry: registry.clone(),
        })
        .await
        .unwrap();
        let [operator, demo, nordlys] = [operator, demo, nordlys].map(|key| key.expose().to_owned());
        let router = router(Arc::clone(&centre));
        Self { centre, router, clock, policies, operator, demo, nordlys, registry, keys, folder }
    }

    /// A fresh token of a pinned node.
    fn token(&self, node: usize) -> String {
        let token = NodeToken::new(&NODES[node].0.parse().unwrap(), CENTRE, self.clock.now_ms());
        token.sign(&self.keys[node]).unwrap()
    }

    async fn call(&self, method: Method, path: &str, bearer: Option<&str>, body: impl Into<Body>) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(bearer) = bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {bearer}"));
        }
        let request = request.header(header::CONTENT_TYPE, "application/json").body(body.into()).unwrap();
        Reply::of(self.router.clone().oneshot(request).await.unwrap()).await
    }

    async fn get(&self, path: &str, bearer: &str) -> Reply {
        self.call(Method::GET, path, Some(bearer), Body::empty()).await
    }

    async fn upload(&self, text: &str) -> Reply {
        self.call(Method::PUT, "/v1/catalogues/demo-platform", Some(&self.demo), text.to_owned()).await
    }

    async fn send(&self, node: usize, envelope: &[u8]) -> Reply {
        self.call(Method::POST, "/v1/releases", Some(&self.token(node)), envelope.to_vec()).await
    }

    /// The catalogue that the centre has as current.
    fn catalogue(&self) -> Arc<Catalogue> {
        self.centre.tenant(&tenant(DEMO)).unwrap().catalogue().unwrap()
    }

    /// A node's ledger, new.
    async fn ledger(&self, file: &str) -> Ledger<Store> {
        let store = Store::create_sqlite(&self.folder.path().join(file)).unwrap();
        Ledger::initialise(&store, &mut OsRng.unwrap_err()).await.unwrap();
        Ledger::open(store, &mut OsRng.unwrap_err()).await.unwrap()
    }

    /// What a window of a node is planned with; the frame is that of a first window.
    fn inputs<'a>(&self, node: usize, window: u64, rules: &'a [policies::TaskRule]) -> PlanInputs<'a> {
        let (name, region) = NODES[node];
        let policy = self.policies.region(&region.parse().unwrap()).unwrap();
        let catalogue = self.catalogue();
        PlanInputs {
            tenant: tenant(DEMO),
            region: policy.region.clone(),
            node: name.parse().unwrap(),
            window: WindowId(window),
            unit: policy.unit.clone(),
            budget: policy.budget.clone(),
            policy: self.policies.digest(),
            rules,
            catalogue_items: catalogue.len(),
            frame: Frame::initial(catalogue.digest(), first_base_rate_ppm(rules)),
            model_version: 0,
        }
    }

    fn rules(&self, node: usize) -> Vec<policies::TaskRule> {
        self.policies.tasks_for(&NODES[node].1.parse().unwrap(), &tenant(DEMO))
    }

    /// All releases of a window of `node`, made as a node makes them.
    async fn releases(&self, node: usize, window: u64, ledger: &Ledger<Store>, noise: &mut Noise) -> Vec<Envelope> {
        let plan = WindowPlan::freeze(self.inputs(node, window, &self.rules(node))).unwrap();
        let mut open = WindowAccumulator::open(Arc::new(plan), Zeroizing::new([7; 32]));
        for viewer in 0..2000u32 {
            let _ = open.contribute(Some(&viewer.to_be_bytes()), &session(viewer, self.catalogue().digest()));
        }
        let mut made = Vec::new();
        for task in open.close().into_tasks() {
            let kind = task.id().task;
            let charge = ledger.charge(&task).await.unwrap();
            let release = Release::new(seen(ledger, charge).await, task, noise, &self.keys[node]).unwrap();
            made.push(Envelope { kind, bytes: ledger.persist(&release).await.unwrap().bytes });
        }
        let (name, region) = NODES[node];
        // A ledger that the centre does not follow is for the tests to refuse.
        let _ = follow(&self.centre.store, ledger, region, name, NOW_MS).await;
        made
    }

    /// One private release of `node` in [`WINDOW`].
    async fn release(&self, node: usize) -> Vec<u8> {
        let ledger = self.ledger(&format!("ledger-{node}.sqlite")).await;
        let mut made = self.releases(node, WINDOW, &ledger, &mut Noise::from_os().unwrap()).await;
        made.swap_remove(0).bytes
    }
}

/// A release as it is sent.
struct Envelope {
    kind: TaskKind,
    bytes: Vec<u8>,
}

/// An answer of the router.
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Reply {
    async fn of(response: axum::response::Response) -> Self {
        let (head, body) = response.into_parts();
        Self { status: head.status, headers: head.headers, body: body.collect().await.unwrap().to_bytes().to_vec() }
    }

    fn json<T: DeserializeOwned>(&self) -> T {
        assert!(self.status.is_success(), "{} {}", self.status, String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Status, the last part of the problem's type, and its detail.
    fn problem(&self) -> (u16, String, String) {
        let problem: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(self.headers[header::CONTENT_TYPE], crate::http::PROBLEM_MEDIA_TYPE);
        assert_eq!(problem["status"], self.status.as_u16());
        let kind = problem["type"].as_str().unwrap().strip_prefix("urn:siwa:problem:").unwrap().to_owned();
        (self.status.as_u16(), kind, problem["detail"].as_str().unwrap_or_default().to_owned())
    }

    fn refusal(&self) -> (u16, String) {
        let (status, kind, _) = self.problem();
        (status, kind)
    }
}

fn refused(status: u16, kind: &str) -> (u16, String) {
    (status, kind.to_owned())
}

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

/// The policy files that the project ships.
/// Signed by a key of its own.
fn signed(policies: &PolicySet) -> policies::Bundle {
    let key = SigningKey::generate(&mut OsRng.unwrap_err());
    crate::policy_signing::self_signed(policies, 1, key).unwrap()
}

fn sample_policies() -> PolicySet {
    PolicySet::parse(&policies::sample::files()).unwrap()
}

/// A catalogue of `items` items, as JSON Lines.
fn jsonl(items: u32) -> String {
    let line = |item| {
        let tag = ["comedy", "drama", "sport"][item as usize % 3];
        format!(r#"{{"id":"item-{item}","title":"Item {item}","kind":"vod","tags":["{tag}"],"year":2020}}"#)
    };
    (0..items).map(line).collect::<Vec<_>>().join("\n")
}

/// A session that liked its first item and skipped its second.
fn session(viewer: u32, catalogue: policies::Digest) -> SessionRecord {
    let outcome = |item, reward| Outcome { item: ItemIndex(item), reward, features: [0.5; FEATURES] };
    let outcomes = vec![outcome(viewer % 5, 1.0), outcome(5 + viewer % 5, 0.0)];
    let kpi = PerceptualKpi { startup_ms: 300, rebuffer_ms: 0, watched_ms: 60_000 };
    SessionRecord { arm: Arm::Adaptive, catalogue: Some(catalogue), outcomes, kpi }
}

/// Names that tests write often.
fn node(name: &str) -> NodeId {
    name.parse().unwrap()
}

fn region(name: &str) -> RegionId {
    name.parse().unwrap()
}
