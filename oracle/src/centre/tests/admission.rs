//! Admission over real sockets: what a node proves on a connection, and who else gains by it.

use attest::binding::{Binding, BindingContext};
use attest::evidence::software;
use attest::{Attestation, Ear, Evidence};
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::post;
use policies::Digest;
use policies::rules::Status;

use super::*;
use crate::centre::admission::{AdmissionChallenge, AdmissionGiven};
use crate::client::{Answer, Client, ClientError, ClientOptions};
use crate::cluster::Loopback;
use crate::http::{BytesBody, ConditionState};

const LIST: &str = "/v1/models/demo-platform";
const OTHER_QUESTION: &str =
    "The evidence was made for another nonce, other keys, another policy or another connection.";

/// A centre that listens, and connections to it.
struct Door {
    harness: Harness,
    loopback: Loopback,
}

impl Door {
    async fn open() -> Self {
        let harness = Harness::admitting(AdmissionMode::Attested, CentreLimits::default(), false).await;
        let mut loopback = Loopback::new().unwrap();
        let identity = loopback.identity().unwrap();
        loopback.serve("centre", identity, harness.router.clone(), &Registry::new(), Vec::new).await.unwrap();
        Self { harness, loopback }
    }

    /// A client of the role that listens in this place.
    fn client_of(&self, nth: usize) -> Client {
        let roots = vec![self.loopback.ca.certificate().clone()];
        Client::new(ClientOptions::new(self.loopback.listening[nth].url.clone(), roots)).unwrap()
    }

    fn client(&self) -> Client {
        self.client_of(0)
    }

    /// What the node of this place in [`NODES`] states.
    fn binding(&self, node: usize, nonce: String) -> Binding {
        Binding {
            nonce,
            node: NODES[node].0.parse().unwrap(),
            region: NODES[node].1.parse().unwrap(),
            node_key: self.harness.keys[node].verifying_key(),
            answer_key: self.harness.keys[node].verifying_key(),
            tls_spki: Digest::of(b"spki"),
            oblivious_keys: Vec::new(),
            token_keys: Vec::new(),
            policy: self.harness.policies.digest(),
            config: Digest::of(b"config"),
            version: "0.1.0".to_owned(),
        }
    }

    /// Offers what a node says of itself, with evidence over `bound`.
    async fn offer(&self, client: &Client, node: usize, binding: Binding, bound: Digest) -> Answer {
        let key = &self.harness.keys[node];
        let statement = software::state(bound, "0.1.0", key, self.harness.clock.now_ms()).unwrap();
        let attestation = Attestation { binding, evidence: Evidence::Software(statement) };
        client.post("/v1/admission").json(&attestation).any_status().send().await.unwrap()
    }

    /// Everything as a node does it on this client's connection, with this nonce.
    async fn attest_with(&self, client: &Client, node: usize, nonce: String) -> Answer {
        let exporter = client.exporter().await.unwrap();
        let binding = self.binding(node, nonce);
        let bound = binding.digest(BindingContext::Admission { exporter: &exporter });
        self.offer(client, node, binding, bound).await
    }

    async fn attest(&self, client: &Client, node: usize) -> Answer {
        let nonce = nonce(client).await;
        self.attest_with(client, node, nonce).await
    }

    async fn admitted(&self, node: usize) -> Client {
        let client = self.client();
        assert_eq!(self.attest(&client, node).await.status, 200);
        client
    }

    fn admissions(&self, outcome: &str) -> u64 {
        let name = "siwa_centre_admissions_total";
        let families = self.harness.registry.gather();
        let family = families.iter().find(|family| family.name() == name).unwrap();
        let of = family.get_metric().iter().filter(|metric| metric.get_label()[0].value() == outcome);
        // A counter of whole numbers, far below 2^53.
        of.map(|metric| format!("{}", metric.get_counter().get_value()).parse::<u64>().unwrap()).sum()
    }
}

async fn nonce(client: &Client) -> String {
    let challenge: AdmissionChallenge = client.post("/v1/admission/challenges").send().await.unwrap().json().unwrap();
    challenge.nonce
}

/// Status, problem and detail of an answer.
fn told(answer: &Answer) -> (u16, String, String) {
    let problem: Value = answer.json().unwrap();
    let kind = problem["type"].as_str().unwrap().strip_prefix("urn:siwa:problem:").unwrap().to_owned();
    (answer.status.as_u16(), kind, problem["detail"].as_str().unwrap_or_default().to_owned())
}

fn not_admitted(detail: &str) -> (u16, String, String) {
    (403, "not-admitted".to_owned(), detail.to_owned())
}

/// How a read is answered that needs an admission.
async fn read(client: &Client) -> Result<u16, (u16, String)> {
    match client.get(LIST).send().await {
        Ok(answer) => Ok(answer.status.as_u16()),
        Err(error) => Err((error.status().unwrap_or(0), error.problem().unwrap_or_default().to_owned())),
    }
}

fn required() -> Result<u16, (u16, String)> {
    Err((401, "admission-required".to_owned()))
}

#[tokio::test]
async fn an_admission_is_of_one_connection_and_dies_with_it() {
    let door = Door::open().await;
    let client = door.client();
    assert_eq!(read(&client).await, required());
    let given: AdmissionGiven = door.attest(&client, 0).await.json().unwrap();
    assert_eq!(given.expires_ms, NOW_MS + 300_000);
    let key = door.harness.centre.attestation_verifying_key();
    let ear = Ear::verify(&given.ear, &key, CENTRE, NOW_MS).unwrap();
    assert_eq!((ear.sub.as_deref(), ear.iss.as_str(), ear.exp - ear.iat), (Some("node-w"), CENTRE, 300));
    assert_eq!(ear.appraised().map(|appraised| appraised.status), Some(Status::Warning));
    assert_eq!(read(&client).await, Ok(200));
    // Another connection of the same node, beside it and after it.
    assert_eq!(read(&door.client()).await, required());
    drop(client);
    assert_eq!(read(&door.client()).await, required());
    assert_eq!((door.admissions("admitted"), door.admissions("refused")), (1, 0));
}

#[tokio::test]
async fn an_admission_ends_in_time_and_is_given_again() {
    let door = Door::open().await;
    let client = door.admitted(0).await;
    door.harness.clock.advance(299_999);
    assert_eq!(read(&client).await, Ok(200));
    door.harness.clock.advance(1);
    assert_eq!(read(&client).await, required());
    assert_eq!(door.attest(&client, 0).await.status, 200);
    assert_eq!(read(&client).await, Ok(200));
}

/// The relay stands between a node that believes it (its certificate is of the node's CA) and the centre: it hands the
/// centre's nonce on, and the node's genuine attestation back.
#[tokio::test]
async fn a_relayed_attestation_admits_nobody() {
    let mut door = Door::open().await;
    let relay = Arc::new(door.client());
    let challenge = async |State(relay): State<Arc<Client>>| {
        relay.post("/v1/admission/challenges").send().await.unwrap().body.into_response()
    };
    let forward = async |State(relay): State<Arc<Client>>, BytesBody(body): BytesBody| {
        let call = relay.post("/v1/admission").bytes("application/json", body).any_status();
        let answer = call.send().await.unwrap();
        (answer.status, answer.body).into_response()
    };
    let router = Router::new()
        .route("/v1/admission/challenges", post(challenge))
        .route("/v1/admission", post(forward))
        .with_state(Arc::clone(&relay));
    let identity = door.loopback.identity().unwrap();
    door.loopback.serve("relay", identity, router, &Registry::new(), Vec::new).await.unwrap();
    let victim = door.client_of(1);
    let answer = door.attest(&victim, 0).await;
    assert_eq!(told(&answer), not_admitted(OTHER_QUESTION));
    assert_eq!(read(&relay).await, required(), "the relay's connection has no admission");
    // What the node sees of the relay's key is not what the centre serves with.
    assert_ne!(victim.peer_spki().await.unwrap(), door.client().peer_spki().await.unwrap());
}

#[tokio::test]
async fn of_two_parallel_uses_of_a_nonce_one_wins() {
    let door = Door::open().await;
    let (one, two) = (door.client(), door.client());
    for _ in 0..5 {
        let nonce = nonce(&one).await;
        let (first, second) =
            tokio::join!(door.attest_with(&one, 0, nonce.clone()), door.attest_with(&two, 0, nonce.clone()));
        let (won, lost) = if first.status == 200 { (first, second) } else { (second, first) };
        assert_eq!(won.status, 200);
        assert_eq!(told(&lost), not_admitted("The nonce was used."));
    }
    assert_eq!((door.admissions("admitted"), door.admissions("refused")), (5, 5));
}

#[tokio::test]
async fn what_viewers_are_shown_admits_nobody() {
    let door = Door::open().await;
    let client = door.client();
    let binding = door.binding(0, nonce(&client).await);
    let bound = binding.digest(BindingContext::Viewer);
    assert_eq!(told(&door.offer(&client, 0, binding, bound).await), not_admitted(OTHER_QUESTION));
    assert_eq!(read(&client).await, required());
}

#[tokio::test]
async fn the_last_attempt_on_a_connection_stands() {
    let door = Door::open().await;
    let client = door.admitted(0).await;
    assert_eq!(read(&client).await, Ok(200));
    let forged = door.attest_with(&client, 0, "A".repeat(54)).await;
    assert_eq!(told(&forged), not_admitted("The nonce is not one of this centre, or its time has run out."));
    assert_eq!(read(&client).await, required());
}

#[tokio::test]
async fn a_nonce_runs_out() {
    let door = Door::open().await;
    let client = door.client();
    let nonce = nonce(&client).await;
    door.harness.clock.advance(attest::challenge::CHALLENGE_MS);
    let late = door.attest_with(&client, 0, nonce).await;
    assert_eq!(told(&late), not_admitted("The nonce is not one of this centre, or its time has run out."));
}

#[tokio::test]
async fn who_is_not_expected_or_shows_too_little_is_told_why() {
    let door = Door::open().await;
    let client = door.client();
    // The region of the second node asks for hardware.
    let weak = door.attest(&client, 1).await;
    assert_eq!(told(&weak), not_admitted("The policy accepts no evidence of the kind software here."));
    let exporter = client.exporter().await.unwrap();
    let offer = async |change: &dyn Fn(&mut Binding)| {
        let mut binding = door.binding(0, nonce(&client).await);
        change(&mut binding);
        let bound = binding.digest(BindingContext::Admission { exporter: &exporter });
        told(&door.offer(&client, 0, binding, bound).await)
    };
    let unknown = "no node of this name is expected in this region.";
    assert_eq!(offer(&|binding| binding.node = node("node-x")).await, not_admitted(unknown));
    assert_eq!(offer(&|binding| binding.region = region("us-east")).await, not_admitted(unknown));
    let other_key = door.harness.keys[1].verifying_key();
    assert_eq!(
        offer(&|binding| binding.node_key = other_key).await,
        not_admitted("another key is pinned for this node.")
    );
    assert_eq!(
        offer(&|binding| binding.policy = Digest::of(b"other")).await,
        not_admitted("the node's policy is not known here, or lets no node of the region attest.")
    );
    assert_eq!(
        offer(&|binding| binding.version = "v".repeat(65)).await,
        not_admitted("the attestation is larger than it may be.")
    );
}

#[tokio::test]
async fn a_release_needs_an_admission_of_its_own_node() {
    let door = Door::open().await;
    door.harness.upload(&jsonl(20)).await;
    let release = door.harness.release(0).await;
    let send = async |client: &Client| {
        let sent = client.post("/v1/releases").bytes("application/cbor", release.clone()).send().await;
        sent.map(|answer| answer.status.as_u16())
            .map_err(|error: ClientError| (error.status().unwrap_or(0), error.problem().unwrap_or_default().to_owned()))
    };
    assert_eq!(send(&door.client()).await, required());
    let other = door.admitted(2).await;
    assert_eq!(send(&other).await, Err((422, "release-refused".to_owned())), "the admission is of another node");
    assert_eq!(send(&door.admitted(0).await).await, Ok(200));
}

#[tokio::test]
async fn tokens_of_pinned_keys_are_for_centres_that_say_so() {
    let door = Door::open().await;
    let token = door.harness.token(0);
    let shown = door.harness.get(LIST, &token).await.problem();
    let expected = "nodes are admitted by evidence here: tokens are not accepted";
    assert_eq!(shown, (401, "unauthorized".to_owned(), expected.to_owned()));
    // Nor on a connection that has an admission: the credential that is shown is what counts.
    let client = door.admitted(0).await;
    let by_token = client.get(LIST).bearer(&token).send().await.map(|answer| answer.status).unwrap_err();
    assert_eq!((by_token.status(), by_token.problem()), (Some(401), Some("unauthorized")));
    let releases = "/v1/releases?tenant=demo-platform";
    let as_node = client.get(releases).send().await.map(|answer| answer.status).unwrap_err();
    assert_eq!(as_node.status(), Some(403));
    let as_tenant = client.get(releases).bearer(&door.harness.demo).send().await.unwrap();
    assert_eq!(as_tenant.status, 200, "a tenant is a tenant on any connection");

    let fallback = Harness::new().await;
    assert_eq!(fallback.get(LIST, &fallback.token(0)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn bodies_are_bounded_and_of_one_form() {
    let door = Door::open().await;
    let client = door.client();
    let post = async |body: Vec<u8>| {
        let answer = client.post("/v1/admission").bytes("application/json", body).any_status().send().await.unwrap();
        let (status, kind, _) = told(&answer);
        (status, kind)
    };
    assert_eq!(post(b"{}".to_vec()).await, refused(422, "json-shape"));
    assert_eq!(post(b"{".to_vec()).await, refused(422, "json-syntax"));
    let nested = format!("{{\"binding\":{}", "[".repeat(100_000));
    assert_eq!(post(nested.into_bytes()).await.0, 422);
    let large = vec![b' '; attest::evidence::ATTESTATION_BYTES_MAX + 1];
    assert_eq!(post(large).await, refused(413, "body-too-large"));
}

#[tokio::test]
async fn without_a_connection_nobody_is_admitted() {
    let harness = Harness::new().await;
    let challenge = harness.call(Method::POST, "/v1/admission/challenges", None, "").await;
    assert_eq!(challenge.headers[header::CACHE_CONTROL], "no-store");
    let challenge: AdmissionChallenge = challenge.json();
    assert_eq!(challenge.expires_ms, NOW_MS + attest::challenge::CHALLENGE_MS);
    let door = Door { loopback: Loopback::new().unwrap(), harness };
    let binding = door.binding(0, challenge.nonce);
    let statement = software::state(Digest::of(b""), "0.1.0", &door.harness.keys[0], NOW_MS).unwrap();
    let attestation = Attestation { binding, evidence: Evidence::Software(statement) };
    let body = serde_json::to_vec(&attestation).unwrap();
    let reply = door.harness.call(Method::POST, "/v1/admission", None, body).await;
    assert_eq!(reply.problem(), not_admitted("The connection has no exporter."));
}

#[tokio::test]
async fn a_centre_tells_of_nodes_that_nobody_can_admit() {
    let condition = |harness: &Harness| {
        let mut conditions = harness.centre.conditions().into_iter();
        conditions.find(|condition| condition.name == "admission").map(|condition| (condition.state, condition.detail))
    };
    let attested = Harness::admitting(AdmissionMode::Attested, CentreLimits::default(), false).await;
    assert_eq!(condition(&attested), Some((ConditionState::Met, "".into())));
    assert_eq!(condition(&Harness::new().await), None);
    let mut files = policies::sample::files();
    let text = String::from_utf8(files["regions/us-east.toml"].clone()).unwrap();
    let (before, _) = text.split_once("[attestation]").unwrap();
    files.insert("regions/us-east.toml".to_owned(), before.as_bytes().to_vec());
    let Ok(centre) = Arc::try_unwrap({
        let Harness { centre, router, .. } = attested;
        drop(router);
        centre
    }) else {
        panic!("the centre is held elsewhere")
    };
    centre.put_in_force(signed(&PolicySet::parse(&files).unwrap()));
    let told = "the policy lets no node of their region attest: 1 nodes cannot be admitted";
    let condition = centre.conditions().into_iter().find(|condition| condition.name == "admission").unwrap();
    assert_eq!((condition.state, condition.detail), (ConditionState::Degraded, told.into()));
}
