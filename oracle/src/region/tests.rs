use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aggregator::release::{
    ChargeEntry, ChargeLimits, ChargeRecord, Ledger, LedgerStore as _, Opening, ReleaseId, Span,
};
use attest::{
    AdmissionMode, Answer, AnswerError, AnswerExpectation, ApiKey, ModelPointer, PairwiseSecret, SigningKey,
    VerifyingKey,
};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Request, StatusCode};
use axum::routing::get;
use http_body_util::BodyExt as _;
use personalize::{Catalogue, Model, ModelParts};
use policies::{Delta, Digest, PrivacyUnit, Rho, TaskKind, TenantId, WindowId};
use prometheus::Registry;
use rand_core::{OsRng, TryRngCore as _};
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::countersign::WINDOWS_WAITING_MAX;
use super::tenant::Serving;
use super::{CentreLink, Node, NodeOptions, TenantAccess, Turn, router};
use crate::attester::AttestationOptions;
use crate::client::{Client, ClientOptions};
use crate::clock::Clock;
use crate::cluster::{Loopback, MeasurementPolicies, TENANT, measurement_policies};
use crate::environment::{Entropy, Environment, NoiseMode};
use crate::http::{ConditionState, PeerCertificate};
use crate::log::testing::MadeLog;
use crate::store::Store;

/// Stands for a client certificate of the tenant.
const CERTIFICATE: &[u8] = b"certificate";
/// Stand for the key of a listener and a config file.
pub(super) const SPKI: &[u8] = b"spki";
pub(super) const CONFIG: &[u8] = b"config";
const START_MS: u64 = 1_700_000_000_000;

fn tenant() -> TenantId {
    TENANT.parse().unwrap()
}

fn jsonl() -> String {
    let item = |n| json!({"id": format!("c{n}"), "title": "t", "kind": "clip", "tags": [], "year": null}).to_string();
    (0..5).map(item).collect::<Vec<_>>().join("\n")
}

fn catalogue() -> Catalogue {
    Catalogue::parse(tenant(), 1, jsonl().as_bytes()).unwrap()
}

/// A node of one region, whose centre is at `url`, and to which it shows tokens of its key.
async fn node(
    store: Option<Store>,
    url: String,
    roots: Vec<CertificateDer<'static>>,
    key: VerifyingKey,
) -> (Arc<Node>, ApiKey) {
    node_admitted_by(AdmissionMode::PinnedKey, store, url, roots, key).await
}

pub(super) async fn node_admitted_by(
    admission: AdmissionMode,
    store: Option<Store>,
    url: String,
    roots: Vec<CertificateDer<'static>>,
    key: VerifyingKey,
) -> (Arc<Node>, ApiKey) {
    let mut rng = OsRng.unwrap_err();
    let MeasurementPolicies { regions, set } = measurement_policies(1, Some(2.0)).unwrap();
    let api_key = ApiKey::generate(&mut rng);
    let access = TenantAccess { api_keys: vec![api_key.hash()], certificates: vec![Digest::of(CERTIFICATE)] };
    let options = NodeOptions {
        name: "node-1".parse().unwrap(),
        region: regions[0].clone(),
        policies: super::testing::signed(&set),
        tenants: BTreeMap::from([(tenant(), access)]),
        node_key: SigningKey::generate(&mut rng),
        answer_key: SigningKey::generate(&mut rng),
        pairwise: PairwiseSecret::generate(&mut rng),
        centre: CentreLink {
            client: Client::new(ClientOptions::new(url, roots)).unwrap(),
            name: "centre".to_owned(),
            key,
            log: crate::log::testing::keys(),
            admission,
            interval: Duration::from_secs(30),
        },
        attestation: AttestationOptions::default(),
        tls_spki: Digest::of(SPKI),
        config: Digest::of(CONFIG),
        store,
        sessions_max: 10,
        identity: None,
        content: None,
        registry: Registry::new(),
    };
    let environment = Environment {
        clock: Clock::manual(START_MS),
        entropy: Entropy::Os,
        noise: NoiseMode::Calibrated,
        stop_at: None,
    };
    (Node::start(options, environment).await.unwrap(), api_key)
}

/// A node whose centre is not there, with a catalogue in place.
async fn alone(store: Option<Store>) -> (Arc<Node>, ApiKey) {
    let key = SigningKey::generate(&mut OsRng.unwrap_err()).verifying_key();
    // Port 9 of loopback: nobody listens, so that a connection is refused at once.
    let (node, api_key) = node(store, "http://127.0.0.1:9".to_owned(), Vec::new(), key).await;
    let catalogue = Arc::new(catalogue());
    let model = Model::prior(&catalogue, 100_000);
    node.tenant(&tenant()).unwrap().offer(Arc::new(Serving { catalogue, model }));
    node.open_missing_windows().await;
    (node, api_key)
}

async fn post(
    node: &Arc<Node>,
    key: &ApiKey,
    path: &str,
    headers: &[(&str, &str)],
    body: Value,
) -> (StatusCode, Value) {
    let mut request = Request::post(path).header("content-type", "application/json");
    request = request.header("authorization", format!("Bearer {}", key.expose()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_string())).unwrap();
    let response = router(Arc::clone(node)).oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

async fn begin(node: &Arc<Node>, key: &ApiKey, headers: &[(&str, &str)], body: Value) -> (Value, Value) {
    let (status, created) = post(node, key, "/v1/sessions", headers, body).await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    (created["session"].clone(), created)
}

async fn rank(node: &Arc<Node>, key: &ApiKey, session: &Value) -> StatusCode {
    post(node, key, "/v1/rank", &[], json!({"session": session, "candidates": ["c0", "c1"]})).await.0
}

fn degraded(node: &Node) -> Vec<&'static str> {
    let conditions = node.conditions().into_iter();
    conditions.filter(|condition| condition.state == ConditionState::Degraded).map(|condition| condition.name).collect()
}

async fn store(folder: &tempfile::TempDir) -> Store {
    let store = Store::create_sqlite(&folder.path().join("node.sqlite")).unwrap();
    Ledger::initialise(&store, &mut OsRng.unwrap_err()).await.unwrap();
    store
}

#[tokio::test]
async fn without_a_ledger_a_node_ranks_and_releases_nothing() {
    let (node, key) = alone(None).await;
    let (session, _) = begin(&node, &key, &[], json!({})).await;
    assert_eq!(rank(&node, &key, &session).await, StatusCode::OK);
    node.environment.clock.advance(3_600_000);
    assert_eq!(node.close_window().await, Turn::default());
    let (session, _) = begin(&node, &key, &[], json!({})).await;
    assert_eq!(rank(&node, &key, &session).await, StatusCode::OK);
    assert!(degraded(&node).contains(&"ledger"), "{:?}", node.conditions());
    assert_eq!(node.metrics.releases_suspended.get(), 1);
}

#[tokio::test]
async fn with_a_spent_budget_a_node_ranks_and_says_so_until_the_next_window() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    let (node, key) = alone(Some(store.clone())).await;
    let id = ReleaseId {
        tenant: tenant(),
        task: TaskKind::ArmReward,
        region: node.region.clone(),
        node: "node-2".parse().unwrap(),
        window: WindowId(START_MS / 3_600_000),
    };
    let record = ChargeRecord {
        span: Span::of(&node.in_force().rule.unit, id.window).unwrap(),
        id,
        purpose: "measurement".parse().unwrap(),
        unit: PrivacyUnit::Session,
        policy: Digest::of(b"policy"),
        rho: node.in_force().rule.budget.rho_per_window,
        delta: Delta::ZERO,
        opening: Opening([0; 16]),
    };
    let limits = ChargeLimits {
        window: Rho::MAX,
        year: Rho::MAX,
        delta_window: Delta::ZERO,
        purpose_window: None,
        purpose_year: None,
    };
    let entry = ChargeEntry { record, limits };
    let known = store.head_at(0).await.unwrap().unwrap();
    store.commit_charge(entry, known).await.unwrap();
    node.environment.clock.advance(3_600_000);
    assert_eq!(node.close_window().await, Turn { withheld: 2, ..Turn::default() });
    assert!(degraded(&node).contains(&"budget"), "{:?}", node.conditions());
    assert_eq!(node.metrics.releases_suspended.get(), 1);
    let (session, _) = begin(&node, &key, &[], json!({})).await;
    assert_eq!(rank(&node, &key, &session).await, StatusCode::OK);
    node.environment.clock.advance(3_600_000);
    assert_eq!(node.close_window().await, Turn { waiting: 2, ..Turn::default() });
    assert!(!degraded(&node).contains(&"budget"));
    assert_eq!(node.metrics.releases_suspended.get(), 0);
    assert!(degraded(&node).contains(&"countersigned"), "the centre is not there: {:?}", node.conditions());
}

/// Beyond the bound the oldest window is dropped: its charges are spent, and burned at the next start.
#[tokio::test]
async fn windows_wait_for_the_centre_up_to_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    let (node, _) = alone(Some(store.clone())).await;
    for closed in 1..=WINDOWS_WAITING_MAX {
        node.environment.clock.advance(3_600_000);
        assert_eq!(node.close_window().await, Turn { waiting: 2 * closed, ..Turn::default() });
    }
    assert!(!degraded(&node).contains(&"countersigning"));
    node.environment.clock.advance(3_600_000);
    let full = Turn { waiting: 2 * WINDOWS_WAITING_MAX, withheld: 2, released: 0 };
    assert_eq!(node.close_window().await, full);
    assert!(degraded(&node).contains(&"countersigning"), "{:?}", node.conditions());
    assert_eq!(store.unsent(0, 9).await, Ok(vec![]), "nothing was noised");
    drop(node);
    let burned = store.burn_open_charges().await.unwrap();
    assert_eq!(burned.releases.len(), 2 * (WINDOWS_WAITING_MAX + 1));
}

#[tokio::test]
async fn refusals_and_erasure_count_for_nothing_and_sessions_expire() {
    let folder = tempfile::tempdir().unwrap();
    let (node, key) = alone(Some(store(&folder).await)).await;
    let counted = |outcome: &str| node.metrics.contributions.with_label_values(&[TENANT, outcome]).get();
    let like = json!({"signals": [{"type": "like", "seq": 1, "item": "c0"}]});
    for (headers, body, contributes) in [
        (vec![("sec-gpc", "1")], json!({}), false),
        (vec![], json!({"contribute": false}), false),
        (vec![], json!({}), true),
    ] {
        let (session, created) = begin(&node, &key, &headers, body).await;
        assert_eq!(created["contributes"], contributes);
        let path = format!("/v1/sessions/{}/end", session.as_str().unwrap());
        assert_eq!(post(&node, &key, &path, &[], like.clone()).await.0, StatusCode::NO_CONTENT);
    }
    assert_eq!((counted("not-counted"), counted("counted")), (2, 1));
    // A refusal that comes later holds as well.
    let (session, _) = begin(&node, &key, &[], json!({})).await;
    let path = format!("/v1/sessions/{}/end", session.as_str().unwrap());
    assert_eq!(post(&node, &key, &path, &[("sec-gpc", "1")], like).await.0, StatusCode::NO_CONTENT);
    assert_eq!((counted("not-counted"), counted("counted")), (3, 1));
    // An idle session has ended, whether it was swept already or not.
    let (session, _) = begin(&node, &key, &[], json!({})).await;
    node.environment.clock.advance(86_400_000);
    assert_eq!(rank(&node, &key, &session).await, StatusCode::NOT_FOUND);
    node.sweep();
    assert_eq!((node.sessions.count(&tenant()), counted("empty")), (0, 1));
}

#[tokio::test]
async fn a_full_node_refuses_and_the_same_idempotency_key_begins_once() {
    let (node, key) = alone(None).await;
    let keyed = [("idempotency-key", "k1")];
    let (first, _) = begin(&node, &key, &keyed, json!({})).await;
    assert_eq!(begin(&node, &key, &keyed, json!({})).await.0, first);
    for _ in 0..9 {
        begin(&node, &key, &[], json!({})).await;
    }
    let (status, problem) = post(&node, &key, "/v1/sessions", &[], json!({})).await;
    assert_eq!((status, &problem["type"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("urn:siwa:problem:sessions-full")));
    assert_eq!(rank(&node, &key, &first).await, StatusCode::OK, "nothing was evicted");
}

/// What the centre of the next test answers with.
type Shelf = Arc<Mutex<(String, Vec<u8>)>>;
/// Its transparency log, and the serial of the pointer that it proves.
type Log = Arc<Mutex<MadeLog>>;

fn false_centre(shelf: Shelf, log: Log) -> Router {
    let digest = catalogue().digest();
    let list = json!({"tenant": TENANT, "catalogues": [{"version": 1, "digest": digest, "items": 5}]}).to_string();
    let pointer = async |State(shelf): State<Shelf>| shelf.lock().unwrap().0.clone();
    let artifact = async |State(shelf): State<Shelf>| shelf.lock().unwrap().1.clone();
    let newest = Arc::clone(&log);
    let proof = async move || newest.lock().unwrap().newest_proof();
    let file = async move |Path(path): Path<String>| log.lock().unwrap().file(&path).ok_or(StatusCode::NOT_FOUND);
    Router::new()
        .route("/v1/models/{tenant}/current/proof", get(proof))
        .route("/log/{*path}", get(file))
        .route("/v1/catalogues/{tenant}", get(async move || list))
        .route("/v1/catalogues/{tenant}/1", get(async || jsonl()))
        .route("/v1/models/{tenant}/current", get(pointer))
        .route("/v1/models/{tenant}/{version}", get(artifact))
        .with_state(shelf)
}

#[tokio::test]
async fn a_tampered_model_is_refused_and_the_last_good_one_stays() {
    let key = SigningKey::generate(&mut OsRng.unwrap_err());
    let other = SigningKey::generate(&mut OsRng.unwrap_err());
    let catalogue = catalogue();
    let artifact = |version| {
        let parts = ModelParts { version, ..Model::prior(&catalogue, 100_000).parts() };
        Model::new(parts, &catalogue).unwrap().encode()
    };
    let log = Log::default();
    let pointer = |key: &SigningKey, version, serial, bytes: &[u8]| {
        let digest = Digest::of(bytes);
        log.lock().unwrap().add_model(tenant(), version, digest, serial);
        ModelPointer { tenant: tenant(), version, digest, serial, iat: START_MS / 1000 }.sign(key).unwrap()
    };
    let (one, two) = (artifact(1), artifact(2));
    let shelf: Shelf = Arc::new(Mutex::new((pointer(&key, 1, 5, &one), one.clone())));
    let mut loopback = Loopback::new().unwrap();
    let identity = loopback.identity().unwrap();
    loopback
        .serve("centre", identity, false_centre(Arc::clone(&shelf), Arc::clone(&log)), &Registry::new(), Vec::new)
        .await
        .unwrap();
    let (url, roots) = (loopback.listening[0].url.clone(), vec![loopback.ca.certificate().clone()]);
    let (node, _) = node(None, url, roots, key.verifying_key()).await;
    assert_eq!(node.model_version(&tenant()), Some(1));
    let altered = two[..two.len() - 1].to_vec();
    for (what, key, serial, pointed, artifact) in [
        ("another key", &other, 6, &two, two.clone()),
        ("an older serial", &key, 4, &two, two.clone()),
        ("the same serial for another model", &key, 5, &two, two.clone()),
        ("another model than the one pointed at", &key, 6, &two, artifact(3)),
        ("signed bytes that are no model", &key, 6, &altered, altered.clone()),
    ] {
        *shelf.lock().unwrap() = (pointer(key, 2, serial, pointed), artifact);
        node.pull().await;
        assert_eq!(node.model_version(&tenant()), Some(1), "{what}");
    }
    let token = pointer(&key, 2, 6, &two);
    log.lock().unwrap().add_model(tenant(), 2, Digest::of(&two), 7);
    *shelf.lock().unwrap() = (token, two.clone());
    node.pull().await;
    assert_eq!(node.model_version(&tenant()), Some(1), "a pointer that the log does not speak of");
    *shelf.lock().unwrap() = (pointer(&key, 2, 6, &two), two);
    node.pull().await;
    assert_eq!(node.model_version(&tenant()), Some(2));
    *shelf.lock().unwrap() = (pointer(&key, 1, 7, &one), one);
    node.pull().await;
    assert_eq!(node.model_version(&tenant()), Some(1), "a roll-back is a newer pointer to an older model");
    loopback.stop().await;
}

#[tokio::test]
async fn a_client_certificate_stands_for_a_key_and_a_wrong_key_is_not_saved_by_one() {
    let (node, key) = alone(None).await;
    let call = async |certificate: &[u8], authorization: Option<&str>| {
        let mut request = Request::post("/v1/sessions").header("content-type", "application/json");
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let mut request = request.body(Body::from("{}")).unwrap();
        request.extensions_mut().insert(PeerCertificate(Digest::of(certificate)));
        router(Arc::clone(&node)).oneshot(request).await.unwrap().status()
    };
    assert_eq!(call(CERTIFICATE, None).await, StatusCode::CREATED);
    assert_eq!(call(b"another", None).await, StatusCode::UNAUTHORIZED);
    assert_eq!(call(b"another", Some(&format!("Bearer {}", key.expose()))).await, StatusCode::CREATED);
    for wrong in ["Bearer siwa_wrong", "Basic YTpi", ""] {
        assert_eq!(call(CERTIFICATE, Some(wrong)).await, StatusCode::UNAUTHORIZED, "{wrong}");
    }
}

#[tokio::test]
async fn a_signed_ranking_is_bound_to_its_request() {
    let (node, key) = alone(None).await;
    let (session, _) = begin(&node, &key, &[], json!({"viewer": "v"})).await;
    let body = json!({"session": session, "candidates": ["c0", "c1"], "nonce": "n-1"});
    let (status, ranked) = post(&node, &key, "/v1/rank", &[], body.clone()).await;
    assert_eq!(status, StatusCode::OK);
    let request = Request::get("/.well-known/jwks.json").body(Body::empty()).unwrap();
    let keys =
        router(Arc::clone(&node)).oneshot(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    let keys: Value = serde_json::from_slice(&keys).unwrap();
    let public: VerifyingKey = keys["keys"][0]["x"].as_str().unwrap().parse().unwrap();
    let expected = |nonce, input: &Value| AnswerExpectation {
        issuer: "node-1",
        audience: TENANT,
        nonce,
        input: Digest::of(input.to_string().as_bytes()),
    };
    let verify = |expectation, now_ms| {
        let answer = ranked["answer"].as_str().unwrap();
        Answer::<Value>::verify(answer, &public, expectation, now_ms)
    };
    let answer = verify(expected("n-1", &body), START_MS).unwrap();
    assert_eq!((&answer.result["order"], answer.policy), (&ranked["order"], node.policy()));
    assert!(answer.sub.is_some_and(|subject| subject != "v"), "a pairwise pseudonym, not the platform's name");
    let refused = |expectation, now_ms| verify(expectation, now_ms).err();
    assert_eq!(refused(expected("n-2", &body), START_MS), Some(AnswerError::Question));
    assert_eq!(refused(expected("n-1", &json!({})), START_MS), Some(AnswerError::Question));
    assert_eq!(refused(expected("n-1", &body), START_MS + 600_000), Some(AnswerError::Expired));
}

/// What devices and platforms read of the API; a change of it shows here.
#[test]
fn the_api_is_described() {
    let described = serde_json::to_value(super::openapi()).unwrap();
    assert_eq!(described["openapi"], "3.1.0");
    insta::assert_snapshot!("openapi", serde_json::to_string_pretty(&described).unwrap());
}
