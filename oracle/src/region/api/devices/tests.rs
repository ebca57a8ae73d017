use std::collections::BTreeMap;

use attest::{ApiKey, SigningKey, VerifyingKey};
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use minicbor::Encoder;
use policies::{Digest, PolicySet, TenantId};
use prometheus::Registry;
use rand_core::{OsRng, TryRngCore as _};
use serde_json::{Value, json};

use super::*;
use crate::client::{Client, ClientOptions};
use crate::clock::Clock;
use crate::cluster::Loopback;
use crate::region::testing::{environment, node_options};
use crate::region::{NodeOptions, TenantAccess, router};

/// Its grant names three profiles of devices.
const TENANT: &str = "demo-platform";
/// Its grant names only what no page can show.
const STRICT: &str = "strict-platform";
/// Its grant names none.
const NONE: &str = "none-platform";
const START_MS: u64 = 1_800_000_000_000;
const PROBLEM: &str = "urn:siwa:problem:";

/// The sample policies, with two tenants more.
fn policy_set() -> PolicySet {
    let mut files = policies::sample::files();
    let access = files.get_mut("access.toml").unwrap();
    let grant = |tenant: &str, devices: &str| {
        format!("\n[[grants]]\ntenant = \"{tenant}\"\nregions = [\"us-east\"]\npurposes = []\n{devices}")
    };
    access.extend(grant(STRICT, "devices = [\"demo-ios\"]\n").bytes());
    access.extend(grant(NONE, "").bytes());
    PolicySet::parse(&files).unwrap_or_else(|findings| panic!("{findings:?}"))
}

/// A region's node behind TLS, and a device that calls it.
struct Setting {
    node: Arc<Node>,
    key: VerifyingKey,
    client: Client,
    loopback: Loopback,
}

impl Setting {
    async fn start() -> Self {
        let mut rng = OsRng.unwrap_err();
        let answer_key = SigningKey::generate(&mut rng);
        let key = answer_key.verifying_key();
        let access = |name: &str| {
            let api_keys = vec![ApiKey::generate(&mut OsRng.unwrap_err()).hash()];
            (name.parse::<TenantId>().unwrap(), TenantAccess { api_keys, certificates: Vec::new() })
        };
        let tenants = BTreeMap::from([TENANT, STRICT, NONE].map(access));
        let options = NodeOptions { answer_key, ..node_options("us-east", policy_set(), tenants) };
        let node = Node::start(options, environment(Clock::manual(START_MS))).await.unwrap();
        let mut loopback = Loopback::new().unwrap();
        let identity = loopback.identity().unwrap();
        let routes = router(Arc::clone(&node));
        loopback.serve("region", identity, routes, &Registry::new(), Vec::new).await.unwrap();
        let roots = vec![loopback.ca.certificate().clone()];
        let client = Client::new(ClientOptions::new(loopback.listening[0].url.clone(), roots)).unwrap();
        Self { node, key, client, loopback }
    }

    async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let answer = self.client.post(path).json(body).any_status().send().await.unwrap();
        (answer.status, answer.json().unwrap())
    }

    async fn nonce(&self, tenant: &str) -> String {
        let (status, body) = self.post("/v1/attestation/challenges", &json!({"tenant": tenant})).await;
        assert_eq!((status, &body["expires_ms"]), (StatusCode::OK, &json!(START_MS + 300_000)), "{body}");
        body["nonce"].as_str().unwrap().to_owned()
    }

    async fn prove(&self, tenant: &str, nonce: &str, evidence: &Value) -> (StatusCode, Value) {
        let body = json!({"tenant": tenant, "nonce": nonce, "evidence": evidence});
        self.post("/v1/attestation/devices", &body).await
    }

    /// Refused as this problem, with this detail.
    async fn refused(&self, tenant: &str, nonce: &str, evidence: &Value, slug: &str, detail: Option<&str>) {
        let (status, problem) = self.prove(tenant, nonce, evidence).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        assert_eq!(problem["type"], json!(format!("{PROBLEM}{slug}")), "{problem}");
        if let Some(detail) = detail {
            assert_eq!(problem["detail"], json!(detail));
        }
    }
}

/// What a browser answers where a page asks for no attestation.
fn registration(nonce: &str, relying_party: &str, origin: &str) -> Value {
    let challenge = URL_SAFE_NO_PAD.encode(nonce);
    let client_data = json!({"type": "webauthn.create", "challenge": challenge, "origin": origin}).to_string();
    let mut key = Encoder::new(Vec::new());
    key.map(5).unwrap().i8(1).unwrap().i8(2).unwrap().i8(3).unwrap().i8(-7).unwrap().i8(-1).unwrap().i8(1).unwrap();
    key.i8(-2).unwrap().bytes(&[4; 32]).unwrap().i8(-3).unwrap().bytes(&[5; 32]).unwrap();
    let head = [Digest::of(relying_party.as_bytes()).as_bytes().as_slice(), &[0x45, 0, 0, 0, 0]].concat();
    let data = [head, vec![0; 16], vec![0, 4, 1, 2, 3, 4], key.into_writer()].concat();
    let mut object = Encoder::new(Vec::new());
    object.map(3).unwrap().str("fmt").unwrap().str("none").unwrap().str("attStmt").unwrap().map(0).unwrap();
    object.str("authData").unwrap().bytes(&data).unwrap();
    json!({
        "kind": "web-authn",
        "attestation_object": URL_SAFE_NO_PAD.encode(object.into_writer()),
        "client_data": URL_SAFE_NO_PAD.encode(client_data),
    })
}

fn good(nonce: &str) -> Value {
    registration(nonce, "demo.example", "https://demo.example")
}

#[tokio::test]
async fn a_device_gets_a_result_that_its_platform_verifies() {
    let setting = Setting::start().await;
    let nonce = setting.nonce(TENANT).await;
    let (status, appraised) = setting.prove(TENANT, &nonce, &good(&nonce)).await;
    assert_eq!(status, StatusCode::OK, "{appraised}");
    let warning = "Nothing vouches for the authenticator, which the policy accepts with this warning.";
    assert_eq!(
        (&appraised["status"], &appraised["tier"], &appraised["profile"], &appraised["warnings"]),
        (&json!("warning"), &json!("software"), &json!("demo-web"), &json!([warning]))
    );
    assert_eq!(appraised["expires_s"], json!(START_MS / 1000 + 300));
    let ear = Ear::verify(appraised["ear"].as_str().unwrap(), &setting.key, TENANT, START_MS).unwrap();
    assert_eq!((ear.iss.as_str(), ear.sub.as_deref(), &ear.eat_nonce), ("node-1", None, &nonce));
    let told = ear.appraised().unwrap();
    assert_eq!(
        (told.status, told.policy.as_str()),
        (Status::Warning, &*format!("sha-256:{}#demo-web", setting.node.policy()))
    );
    let other = Ear::verify(appraised["ear"].as_str().unwrap(), &setting.key, STRICT, START_MS);
    assert_eq!(other, Err(attest::EarError::Audience));
    let ended = Ear::verify(appraised["ear"].as_str().unwrap(), &setting.key, TENANT, START_MS + 400_000);
    assert_eq!(ended, Err(attest::EarError::Life));
    setting.loopback.stop().await;
}

#[tokio::test]
async fn of_parallel_uses_of_a_nonce_one_wins() {
    let setting = Setting::start().await;
    let nonce = setting.nonce(TENANT).await;
    let evidence = good(&nonce);
    let (one, two, three) = tokio::join!(
        setting.prove(TENANT, &nonce, &evidence),
        setting.prove(TENANT, &nonce, &evidence),
        setting.prove(TENANT, &nonce, &evidence)
    );
    let mut outcomes = [one, two, three].map(|(status, body)| (status.as_u16(), body["type"].clone()));
    outcomes.sort_by_key(|(status, _)| *status);
    let refused = (422, json!(format!("{PROBLEM}challenge-refused")));
    assert_eq!(outcomes, [(200, Value::Null), refused.clone(), refused]);
    setting.refused(TENANT, &nonce, &evidence, "challenge-refused", None).await;
    setting.loopback.stop().await;
}

#[tokio::test]
async fn a_nonce_is_one_tenants_in_time_and_used_up_by_what_fails() {
    let setting = Setting::start().await;
    // Another tenant's, an unknown one, one for which the evidence was not made.
    let nonce = setting.nonce(TENANT).await;
    setting.refused(STRICT, &nonce, &good(&nonce), "challenge-refused", None).await;
    setting.refused(TENANT, "AAAA", &good("AAAA"), "challenge-refused", None).await;
    let other = setting.nonce(TENANT).await;
    let detail = "The evidence was made for another nonce.";
    setting.refused(TENANT, &nonce, &good(&other), "device-refused", Some(detail)).await;
    setting.refused(TENANT, &nonce, &good(&nonce), "challenge-refused", None).await;
    // One that has run out.
    setting.node.environment.clock.advance(300_000);
    setting.refused(TENANT, &other, &good(&other), "challenge-refused", None).await;
    setting.loopback.stop().await;
}

#[tokio::test]
async fn what_the_policy_does_not_accept_is_refused_in_plain_words() {
    let setting = Setting::start().await;
    let kind = "The policy accepts no evidence of the kind web-authn here.";
    let page = "The page that asked is none of the policy's reference values.";
    let party = "The credential is for another relying party.";
    let chain = "The evidence does not verify: a certificate cannot be read.";
    let evil = "https://evil.example";
    let nonce = setting.nonce(STRICT).await;
    setting.refused(STRICT, &nonce, &good(&nonce), "device-refused", Some(kind)).await;
    for (evidence, detail) in [
        (&(|nonce: &str| registration(nonce, "demo.example", evil)) as &dyn Fn(&str) -> Value, page),
        (&|nonce| registration(nonce, "evil.example", "https://demo.example"), party),
        (&|nonce| registration(nonce, "evil.example", evil), &format!("{party} {page}")),
        (&|_| json!({"kind": "android", "chain": ["AQID"]}), chain),
    ] {
        let nonce = setting.nonce(TENANT).await;
        setting.refused(TENANT, &nonce, &evidence(&nonce), "device-refused", Some(detail)).await;
    }
    setting.loopback.stop().await;
}

#[tokio::test]
async fn what_is_not_granted_or_not_evidence_is_refused_before_the_nonce() {
    let setting = Setting::start().await;
    for (tenant, status, slug) in [
        (NONE, StatusCode::FORBIDDEN, "devices-not-granted"),
        ("nobody", StatusCode::UNPROCESSABLE_ENTITY, "tenant-unknown"),
        ("Not A Name", StatusCode::UNPROCESSABLE_ENTITY, "tenant-unknown"),
    ] {
        let (got, problem) = setting.post("/v1/attestation/challenges", &json!({"tenant": tenant})).await;
        assert_eq!((got, &problem["type"]), (status, &json!(format!("{PROBLEM}{slug}"))));
        let (got, problem) = setting.prove(tenant, "AAAA", &good("AAAA")).await;
        assert_eq!((got, &problem["type"]), (status, &json!(format!("{PROBLEM}{slug}"))));
    }
    let nonce = setting.nonce(TENANT).await;
    for evidence in [
        json!({"kind": "tpm"}),
        json!({"kind": "android", "chain": "AQID"}),
        json!({"kind": "android", "chain": vec!["AA"; 10]}),
        json!({"kind": "web-authn", "attestation_object": "=", "client_data": ""}),
    ] {
        let (status, problem) = setting.prove(TENANT, &nonce, &evidence).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        assert_ne!(problem["type"], json!(format!("{PROBLEM}challenge-refused")));
    }
    assert_eq!(setting.prove(TENANT, &nonce, &good(&nonce)).await.0, StatusCode::OK, "the nonce was not used");
    setting.loopback.stop().await;
}

/// With every permit taken, devices wait, and their nonces stay theirs.
#[tokio::test]
async fn a_busy_node_looks_at_no_more() {
    let setting = Setting::start().await;
    let nonce = setting.nonce(TENANT).await;
    let all = u32::try_from(APPRAISING_MAX).unwrap();
    let permits = setting.node.devices.appraising.acquire_many(all).await.unwrap();
    let (status, problem) = setting.prove(TENANT, &nonce, &good(&nonce)).await;
    assert_eq!((status, &problem["type"]), (StatusCode::SERVICE_UNAVAILABLE, &json!(format!("{PROBLEM}devices-busy"))));
    drop(permits);
    assert_eq!(setting.prove(TENANT, &nonce, &good(&nonce)).await.0, StatusCode::OK);
    setting.loopback.stop().await;
}
