//! A node and its centre over real sockets; where a test needs a centre that behaves badly, it plays one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use attest::binding::Binding;
use attest::evidence::software;
use attest::{Evidence, SigningKey};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use axum::routing::{get, post};
use http_body_util::BodyExt as _;
use policies::Digest;
use prometheus::Registry;
use rand_core::{OsRng, TryRngCore as _};
use tower::ServiceExt as _;

use super::*;
use crate::client::{Client, ClientOptions};
use crate::cluster::{Cluster, ClusterOptions, Loopback};
use crate::http::{ConditionState, Problem};
use crate::region::router;
use crate::region::tests::{CONFIG, SPKI, node_admitted_by};

fn admissions(node: &Node, outcome: &str) -> u64 {
    node.metrics.admissions.with_label_values(&[outcome]).get()
}

/// State and detail of the condition `admission`.
fn standing(node: &Node) -> Option<(ConditionState, String)> {
    let mut conditions = node.conditions().into_iter();
    let condition = conditions.find(|condition| condition.name == "admission")?;
    Some((condition.state, condition.detail.into_owned()))
}

fn met() -> Option<(ConditionState, String)> {
    Some((ConditionState::Met, String::new()))
}

async fn cluster() -> Cluster {
    let cluster = Cluster::start(ClusterOptions::for_bench().unwrap()).await.unwrap();
    let items =
        (0..3).map(|n| format!("{{\"id\":\"c{n}\",\"title\":\"t\",\"kind\":\"clip\",\"tags\":[],\"year\":null}}"));
    cluster.upload_catalogue(&items.collect::<Vec<_>>().join("\n")).await.unwrap();
    cluster
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admission_that_ends_is_renewed_and_no_release_is_lost() {
    let cluster = cluster().await;
    let node = &cluster.nodes()[0];
    assert_eq!(standing(node), met());
    let before = admissions(node, "admitted");
    // Known to the node: within a turn an hour passes, which is as long as the policy lets a result live.
    let turn = cluster.turn().await.unwrap();
    assert_eq!((turn.released > 0, admissions(node, "admitted")), (true, before + 1));
    // Not known to the node: the centre says that it asks for one.
    node.admissions.current.lock().await.as_mut().unwrap().expires_ms = u64::MAX;
    let turn = cluster.turn().await.unwrap();
    assert_eq!((turn.released > 0, admissions(node, "admitted")), (true, before + 2));
    // While it holds, nothing is attested.
    node.pull().await;
    assert_eq!((admissions(node, "admitted"), admissions(node, "refused")), (before + 2, 0));
    assert_eq!(standing(node), met());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admission_of_another_connection_is_not_relied_on() {
    let cluster = cluster().await;
    let node = &cluster.nodes()[0];
    let before = admissions(node, "admitted");
    node.admissions.current.lock().await.as_mut().unwrap().exporter = Exporter::new([1; 32]);
    node.pull().await;
    assert_eq!((standing(node), admissions(node, "admitted")), (met(), before + 1));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anyone_sees_the_key_that_the_node_serves_with() {
    let cluster = cluster().await;
    let options = ClientOptions::new(cluster.node_urls()[0].clone(), cluster.roots());
    let client = Client::new(options).unwrap();
    let answer = client.get("/v1/attestation?nonce=0123456789abcdef").send().await.unwrap();
    let attestation: Attestation = answer.json().unwrap();
    assert_eq!(attestation.binding.tls_spki, client.peer_spki().await.unwrap());
    cluster.stop().await;
}

/// A centre of which only admission is there: it refuses with this detail, or answers with this body.
async fn false_centre(refusal: Option<&'static str>, tries: &Arc<AtomicUsize>) -> Loopback {
    let tries = Arc::clone(tries);
    let admit = async move || {
        tries.fetch_add(1, Ordering::SeqCst);
        match refusal {
            Some(detail) => {
                Err(Problem::new(StatusCode::FORBIDDEN, "not-admitted", "The node is not admitted").with_detail(detail))
            }
            None => Ok(r#"{"ear":"","expires_ms":18446744073709551615}"#),
        }
    };
    let never = async || Problem::new(StatusCode::UNAUTHORIZED, "admission-required", "Not admitted");
    let router = Router::new()
        .route("/v1/admission/challenges", post(async || r#"{"nonce":"n","expires_ms":1}"#))
        .route("/v1/admission", post(admit))
        .route("/v1/models/{tenant}/current", get(never))
        .route("/v1/releases", post(async || Problem::unprocessable("release-refused", "Refused")));
    let mut loopback = Loopback::new().unwrap();
    let identity = loopback.identity().unwrap();
    loopback.serve("centre", identity, router, &Registry::new(), Vec::new).await.unwrap();
    loopback
}

async fn node_at(loopback: &Loopback) -> Arc<Node> {
    let (url, roots) = (loopback.listening[0].url.clone(), vec![loopback.ca.certificate().clone()]);
    let key = SigningKey::generate(&mut OsRng.unwrap_err()).verifying_key();
    node_admitted_by(AdmissionMode::Attested, None, url, roots, key).await.0
}

#[tokio::test]
async fn a_refusal_is_told_to_the_operator_in_bounds() {
    const LONG: &str = "The boot log\u{7}\n has another end.";
    let tries = Arc::default();
    let loopback = false_centre(Some(LONG), &tries).await;
    let node = node_at(&loopback).await;
    let told =
        "the centre does not admit this node, whose evidence is of the kind software: The boot log has another end."
            .to_owned();
    assert_eq!(standing(&node), Some((ConditionState::Degraded, told)));
    assert_eq!((admissions(&node, "refused"), tries.load(Ordering::SeqCst)), (1, 1));
    // Nothing was called, and a release would be offered again: it was not about the release.
    let client = &node.centre.client;
    let error = node.at_centre(|| client.post("/v1/releases")).await.map(|answer| answer.status).unwrap_err();
    assert!(matches!(error, CentreCallError::Admission(AdmissionFailure::Refused(_))), "{error:?}");
    assert_eq!(error.status(), None);
    loopback.stop().await;
}

#[tokio::test]
async fn a_centre_that_never_admits_is_asked_twice_and_no_more() {
    let tries = Arc::default();
    let loopback = false_centre(None, &tries).await;
    let node = node_at(&loopback).await;
    // At its start: once before the call, once because the centre wants it.
    assert_eq!(tries.load(Ordering::SeqCst), 2);
    let client = &node.centre.client;
    let call = node.at_centre(|| client.get("/v1/models/replay-platform/current")).await;
    assert_eq!(call.map(|answer| answer.status).unwrap_err().status(), Some(401));
    assert_eq!(tries.load(Ordering::SeqCst), 3, "what it has by its own books is not asked for before the call");
    let release = node.at_centre(|| client.post("/v1/releases")).await;
    assert_eq!(release.map(|answer| answer.status).unwrap_err().status(), Some(422), "the call's own answer is told");
    loopback.stop().await;
}

#[tokio::test]
async fn a_centre_that_is_not_there_degrades() {
    let key = SigningKey::generate(&mut OsRng.unwrap_err()).verifying_key();
    let url = "http://127.0.0.1:9".to_owned();
    let (node, _) = node_admitted_by(AdmissionMode::Attested, None, url, Vec::new(), key).await;
    let told =
        "this node could not attest: the centre was not reached; its evidence is of the kind software".to_owned();
    assert_eq!(standing(&node), Some((ConditionState::Degraded, told)));
    assert_eq!(admissions(&node, "failed"), 1);
    let url = "http://127.0.0.1:9".to_owned();
    let (pinned, _) = node_admitted_by(AdmissionMode::PinnedKey, None, url, Vec::new(), key).await;
    assert_eq!((standing(&pinned), admissions(&pinned, "failed")), (None, 0));
}

/// A node without a centre, and what it answers to a question for evidence.
async fn ask(node: &Arc<Node>, query: &str) -> (u16, header::HeaderMap, Vec<u8>) {
    let request = Request::get(format!("/v1/attestation{query}")).body(Body::empty()).unwrap();
    let answer = router(Arc::clone(node)).oneshot(request).await.unwrap();
    let (head, body) = answer.into_parts();
    (head.status.as_u16(), head.headers, body.collect().await.unwrap().to_bytes().to_vec())
}

async fn alone() -> Arc<Node> {
    let key = SigningKey::generate(&mut OsRng.unwrap_err()).verifying_key();
    let url = "http://127.0.0.1:9".to_owned();
    node_admitted_by(AdmissionMode::PinnedKey, None, url, Vec::new(), key).await.0
}

#[tokio::test]
async fn anyone_is_shown_what_the_node_states() {
    let node = alone().await;
    let (status, headers, body) = ask(&node, "?nonce=0123456789abcdef").await;
    assert_eq!((status, &headers[header::CACHE_CONTROL]), (200, &"no-store".parse().unwrap()));
    let attestation: Attestation = serde_json::from_slice(&body).unwrap();
    let expected = Binding {
        nonce: "0123456789abcdef".to_owned(),
        node: node.name.clone(),
        region: node.region.clone(),
        node_key: node.node_key.verifying_key(),
        answer_key: node.answer_key.verifying_key(),
        tls_spki: Digest::of(SPKI),
        oblivious_keys: Vec::new(),
        token_keys: Vec::new(),
        policy: node.policy(),
        config: Digest::of(CONFIG),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    assert_eq!(attestation.binding, expected);
    let json = serde_json::to_value(&attestation.evidence).unwrap();
    let statement = software::SoftwareEvidence { statement: json["statement"].as_str().unwrap().to_owned() };
    assert_eq!(attestation.evidence, Evidence::Software(statement.clone()));
    let found = software::verify(&statement, &expected.node_key, node.environment.clock.now_ms()).unwrap();
    assert_eq!(found.bound, expected.digest(BindingContext::Viewer).as_bytes());
}

#[tokio::test]
async fn a_nonce_is_bounded_and_evidence_is_made_for_a_few_at_a_time() {
    let node = alone().await;
    let problem = |(status, _, body): (u16, header::HeaderMap, Vec<u8>)| {
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        (status, problem["type"].as_str().unwrap().trim_start_matches("urn:siwa:problem:").to_owned())
    };
    let is = |status, kind: &str| (status, kind.to_owned());
    let of = |letters| format!("?nonce={}", "n".repeat(letters));
    assert_eq!(ask(&node, &of(16)).await.0, 200);
    assert_eq!(ask(&node, &of(128)).await.0, 200);
    for letters in [0, 15, 129] {
        assert_eq!(problem(ask(&node, &of(letters)).await), is(422, "nonce-length"));
    }
    for query in ["", "?nonce=0123456789abcdef&more=1", "?nonce=0123456789abcdef&nonce=0123456789abcdef"] {
        assert_eq!(problem(ask(&node, query).await), is(422, "query-shape"));
    }
    let held = node.attesting.try_acquire_many(u32::try_from(node.attesting.available_permits()).unwrap()).unwrap();
    let (status, headers, body) = ask(&node, &of(16)).await;
    assert_eq!(headers[header::RETRY_AFTER], "1");
    assert_eq!(problem((status, headers, body)), is(503, "attestation-busy"));
    drop(held);
    assert_eq!(ask(&node, &of(16)).await.0, 200);
}
