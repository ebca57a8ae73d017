//! Streams over sockets: a tenant's calls to a node whose policy believes one authority.

use std::collections::BTreeMap;

use attest::content::live::fixtures::{Authority, Information, Key, Source, boxed, media};
use attest::{AnswerExpectation, ApiKey, SigningKey, VerifyingKey};
use axum::Router;
use policies::{Digest, PolicySet, TenantId};
use rand_core::{OsRng, TryRngCore as _};
use serde_json::{Value, json};

use super::*;
use crate::client::{Client, ClientOptions};
use crate::clock::Clock;
use crate::http::tests::{Running, patient, run};
use crate::region::content::ContentOptions;
use crate::region::testing::{environment, node_options};
use crate::region::{Node, NodeOptions, TenantAccess, router};

const START_MS: u64 = 1_800_000_000_000;
const TENANT: &str = "demo-platform";
const OTHER: &str = "other-platform";
const UNGRANTED: &str = "quiet-platform";

/// A node that checks content, a source that its policy believes, and clients over sockets.
struct Service {
    clock: Clock,
    client: Client,
    keys: BTreeMap<&'static str, ApiKey>,
    answer_key: VerifyingKey,
    policy: Digest,
    source: Source,
    authority: Authority,
    _running: Running,
}

fn policy_set(authority: &Authority) -> PolicySet {
    let mut files = policies::sample::files();
    files.insert("anchors/live.pem".to_owned(), authority.root_pem().into_bytes());
    let mut change = |path: &str, change: &dyn Fn(String) -> String| {
        let text = String::from_utf8(files.remove(path).unwrap()).unwrap();
        files.insert(path.to_owned(), change(text).into_bytes());
    };
    change("content.toml", &|text| text.replacen("anchors = []", "anchors = [\"anchors/live.pem\"]", 1));
    change("access.toml", &|text| {
        let grant = |tenant: &str, content: &str| {
            format!(
                "\n[[grants]]\ntenant = \"{tenant}\"\nregions = [\"us-east\"]\npurposes = []\ncontent = [{content}]\n"
            )
        };
        text + &grant(OTHER, "\"live\"") + &grant(UNGRANTED, "\"provenance\"")
    });
    PolicySet::parse(&files).unwrap_or_else(|findings| panic!("{findings:?}"))
}

impl Service {
    async fn new() -> Self {
        let mut rng = OsRng.unwrap_err();
        let authority = Authority::new("Nordlys");
        let source = Source::new("nordlys", authority.signer("Nordlys"), Key::p256(), START_MS);
        let keys: BTreeMap<_, _> = [TENANT, OTHER, UNGRANTED].map(|tenant| (tenant, ApiKey::generate(&mut rng))).into();
        let access = |key: &ApiKey| TenantAccess { api_keys: vec![key.hash()], certificates: Vec::new() };
        let answer_key = SigningKey::generate(&mut rng);
        let verifying = answer_key.verifying_key();
        let clock = Clock::manual(START_MS);
        let set = policy_set(&authority);
        let policy = set.digest();
        let tenants = keys.iter().map(|(tenant, key)| (tenant.parse().unwrap(), access(key))).collect();
        let content = Some(ContentOptions::default());
        let options = NodeOptions { answer_key, content, ..node_options("us-east", set, tenants) };
        let node = Node::start(options, environment(clock.clone())).await.unwrap();
        let routes: Router = router(node);
        let running = run(None, patient(), routes).await;
        let client = Client::new(ClientOptions::new(format!("http://{}", running.address), Vec::new())).unwrap();
        Self { clock, client, keys, answer_key: verifying, policy, source, authority, _running: running }
    }

    async fn post(&self, tenant: &'static str, path: &str, body: Vec<u8>) -> (u16, Value) {
        self.post_as(tenant, path, "video/mp4", body).await
    }

    async fn post_as(&self, tenant: &str, path: &str, media_type: &'static str, body: Vec<u8>) -> (u16, Value) {
        let call = self.client.post(path).bearer(self.keys[tenant].expose()).bytes(media_type, body);
        let answer = call.any_status().send().await.unwrap();
        (answer.status.as_u16(), answer.json().unwrap_or(Value::Null))
    }

    async fn delete(&self, tenant: &str, stream: &str) -> (u16, Value) {
        let path = format!("/v1/content/streams/{stream}");
        let answer = self.client.delete(&path).bearer(self.keys[tenant].expose()).any_status().send().await.unwrap();
        (answer.status.as_u16(), answer.json().unwrap_or(Value::Null))
    }

    /// Opens a stream of the tenant's.
    async fn open(&self, init: Vec<u8>) -> String {
        let (status, opened) = self.post(TENANT, "/v1/content/streams", init).await;
        assert_eq!(status, 201, "{opened}");
        opened["stream"].as_str().unwrap().to_owned()
    }

    async fn judge(&self, stream: &str, segment: Vec<u8>) -> Value {
        let path = format!("/v1/content/streams/{stream}/segments");
        let (status, judged) = self.post(TENANT, &path, segment).await;
        assert_eq!(status, 200, "{judged}");
        judged
    }

    fn answer(&self, token: &Value, input: &[u8], nonce: &str) -> Value {
        let tenant: TenantId = TENANT.parse().unwrap();
        let expected =
            AnswerExpectation { issuer: "node-1", audience: tenant.as_str(), nonce, input: Digest::of(input) };
        let answer = attest::Answer::<Value>::verify(token.as_str().unwrap(), &self.answer_key, expected, START_MS);
        let answer = answer.unwrap();
        assert_eq!((answer.policy, answer.check.as_str(), answer.sub), (self.policy, "live", None));
        answer.result
    }
}

fn problem(name: &str) -> Value {
    json!(format!("urn:siwa:problem:{name}"))
}

/// What was said of where a segment stands.
fn order(judged: &Value) -> (&str, bool, bool) {
    (judged["order"].as_str().unwrap(), judged["whole"] == true, judged["accepted"] == true)
}

#[tokio::test]
async fn a_stream_is_opened_judged_and_forgotten() {
    let service = Service::new().await;
    let init = service.source.init();
    let (status, mut opened) = service.post(TENANT, "/v1/content/streams?nonce=n-1", init.clone()).await;
    assert_eq!(status, 201);
    let answer = opened.as_object_mut().unwrap().remove("answer").unwrap();
    let stream = opened.as_object_mut().unwrap().remove("stream").unwrap().as_str().unwrap().to_owned();
    let said = json!({
        "manifest": service.source.manifest_id, "method": "segment-info",
        "signer": {"common_name": "Nordlys", "organization": "Nordlys TV"}, "expires_ms": START_MS + 3_600_000,
    });
    assert_eq!(service.answer(&answer, &init, "n-1"), said);
    let mut whole = said;
    whole["idle_ms"] = json!(ContentLimits::default().stream_idle_ms);
    assert_eq!(opened, whole);

    let segment = service.source.segment(7);
    let path = format!("/v1/content/streams/{stream}/segments?nonce=n-2");
    let (status, mut judged) = service.post(TENANT, &path, segment.clone()).await;
    assert_eq!(status, 200);
    let answer = judged.as_object_mut().unwrap().remove("answer").unwrap();
    let said = json!({
        "stream": stream, "init": Digest::of(&init).to_string(),
        "signer": {"common_name": "Nordlys", "organization": "Nordlys TV"},
        "manifest": service.source.manifest_id, "number": 7, "accepted": true, "order": "in-order", "whole": true,
    });
    assert_eq!((service.answer(&answer, &segment, "n-2"), judged), (said.clone(), said));

    assert_eq!(service.delete(OTHER, &stream).await.1["type"], problem("stream-unknown"));
    assert_eq!(service.delete(TENANT, &stream).await, (204, Value::Null));
    assert_eq!(service.delete(TENANT, &stream).await.1["type"], problem("stream-unknown"));
    let path = format!("/v1/content/streams/{stream}/segments");
    assert_eq!(service.post(TENANT, &path, segment).await.1["type"], problem("stream-unknown"));
}

#[tokio::test]
async fn the_five_orders_over_the_wire_by_both_methods() {
    let service = Service::new().await;
    let source = &service.source;
    let mut previous = source.manifest_id.clone();
    let chained: Vec<Vec<u8>> = (0..6)
        .map(|number| {
            let (segment, id) = source.manifest_segment(number, &previous);
            previous = id;
            segment
        })
        .collect();
    let signed: Vec<Vec<u8>> = (0..6).map(|number| source.segment(number)).collect();
    let elsewhere = Information::by(&source.sessions[0], "urn:c2pa:another").segment(5, &media(5));
    let (stray, _) = source.manifest_segment(5, "urn:c2pa:another");
    for (init, segments, foreign) in [(source.init(), signed, elsewhere), (source.init_without_keys(), chained, stray)]
    {
        let stream = service.open(init).await;
        let judge = async |segment: &Vec<u8>| service.judge(&stream, segment.clone()).await;
        assert_eq!(order(&judge(&segments[0]).await), ("in-order", true, true));
        let gap = judge(&segments[3]).await;
        assert_eq!((order(&gap), &gap["missing"]), (("gap", true, true), &json!({"from": 1, "to": 2})));
        assert_eq!(order(&judge(&segments[3]).await), ("replay", true, false));
        assert_eq!(order(&judge(&segments[1]).await), ("reordered", true, true));
        assert_eq!(order(&judge(&segments[4]).await), ("in-order", true, true));
        let spliced = judge(&foreign).await;
        assert_eq!(order(&spliced), ("spliced", true, false));
        assert!(spliced["spliced"].is_string(), "{spliced}");
        let mut changed = segments[5].clone();
        *changed.last_mut().unwrap() ^= 1;
        let changed = judge(&changed).await;
        let failure = "the segment's hash was refused: the bytes are not those that were hashed";
        assert_eq!((order(&changed), &changed["failure"]), (("in-order", false, false), &json!(failure)));
        let unsigned = judge(&media(5)).await;
        assert_eq!((order(&unsigned), &unsigned["number"]), (("unknown", false, false), &Value::Null));
        assert_eq!(order(&judge(&segments[5]).await), ("in-order", true, true));
    }
}

#[tokio::test]
async fn what_opens_no_stream() {
    let service = Service::new().await;
    let open = async |body| service.post(TENANT, "/v1/content/streams", body).await;
    let foreign = Source::new("thief", Authority::new("Thief").signer("Thief"), Key::p256(), START_MS);
    let refused = |why: &str| {
        (
            422,
            json!({"type": problem("stream-refused"), "title": "The init segment opens no stream", "status": 422, "detail": why}),
        )
    };
    let untrusted = "the signer is not trusted: the chain does not end in a trust anchor of the policy";
    assert_eq!(open(foreign.init()).await, refused(untrusted));
    assert_eq!(open(b"no boxes".to_vec()).await, refused("the init segment's boxes are malformed"));
    assert_eq!(
        open([service.source.init(), boxed(b"mdat", &[])].concat()).await,
        refused("the init segment holds media")
    );
    assert_eq!(open(vec![0; (1 << 20) + 1]).await.0, 413);
    let call = service.post_as(TENANT, "/v1/content/streams", "text/plain", service.source.init());
    assert_eq!(call.await.0, 415);
    let call = service.post(TENANT, "/v1/content/streams?nonce=", service.source.init());
    assert_eq!(call.await.1["type"], problem("text-length"));
    let call = service.post(UNGRANTED, "/v1/content/streams", service.source.init());
    assert_eq!(call.await.1["type"], problem("check-not-granted"));
    let answer = service.client.post("/v1/content/streams").bytes("video/mp4", service.source.init());
    assert_eq!(answer.any_status().send().await.unwrap().status.as_u16(), 401);
    for stream in ["x", "AAAAAAAAAAAAAAAAAAAAAA"] {
        let path = format!("/v1/content/streams/{stream}/segments");
        assert_eq!(service.post(TENANT, &path, media(1)).await.1["type"], problem("stream-unknown"));
    }
}

#[tokio::test]
async fn a_tenant_has_so_many_streams_and_idle_ones_end() {
    let service = Service::new().await;
    let mut streams = Vec::new();
    for _ in 0..ContentLimits::default().streams_of_tenant_max {
        streams.push(service.open(service.source.init()).await);
    }
    let full = service.post(TENANT, "/v1/content/streams", service.source.init()).await;
    assert_eq!((full.0, &full.1["type"]), (503, &problem("streams-full")));
    // Another tenant has its own, and sees none of these.
    let (status, _) = service.post(OTHER, "/v1/content/streams", service.source.init()).await;
    assert_eq!(status, 201);
    let path = format!("/v1/content/streams/{}/segments", streams[0]);
    assert_eq!(service.post(OTHER, &path, service.source.segment(1)).await.1["type"], problem("stream-unknown"));
    // What is used lives on; what is not ends.
    service.clock.advance(ContentLimits::default().stream_idle_ms - 1);
    assert_eq!(order(&service.judge(&streams[0], service.source.segment(1)).await), ("in-order", true, true));
    service.clock.advance(1);
    assert_eq!(order(&service.judge(&streams[0], service.source.segment(2)).await), ("in-order", true, true));
    let path = format!("/v1/content/streams/{}/segments", streams[1]);
    assert_eq!(service.post(TENANT, &path, service.source.segment(1)).await.1["type"], problem("stream-unknown"));
    assert_eq!(service.open(service.source.init()).await.len(), 22, "there is room again");
    assert_eq!(service.authority.anchors().certificates().len(), 1);
}

/// One of many parallel uses of a segment is in order, and all others replay it.
#[tokio::test]
async fn segments_of_a_stream_are_judged_one_after_the_other() {
    let service = Arc::new(Service::new().await);
    let stream = service.open(service.source.init()).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (service, stream) = (Arc::clone(&service), stream.clone());
        calls.spawn(async move {
            let judged = service.judge(&stream, service.source.segment(1)).await;
            judged["order"].as_str().unwrap().to_owned()
        });
    }
    let mut orders: Vec<String> = calls.join_all().await;
    orders.sort_unstable();
    let expected: Vec<&str> = std::iter::once("in-order").chain(std::iter::repeat_n("replay", 15)).collect();
    assert_eq!(orders, expected);
}
