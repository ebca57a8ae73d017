//! Foreign issuers at a real HTTPS server: their keys, and their lists of what was revoked.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use attest::sd_jwt::{IssueRequest, StatusListRequest, StatusReference};
use axum::extract::{Path, State};
use axum::routing::get;

use super::credentials::key;
use super::setting::policy_set;
use super::*;
use crate::http::DevelopmentCa;
use crate::http::tests::{Running, patient, run, server_tls};
use crate::region::identity::IdentityError;
use crate::region::identity::issuers::Issuers;

const VCT: &str = "urn:eudi:pid:1";

/// What a host serves by path, and how often it was asked.
#[derive(Clone, Default)]
struct Host {
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    asked: Arc<AtomicUsize>,
}

impl Host {
    async fn run(&self, ca: &DevelopmentCa) -> Running {
        let serve = async |State(host): State<Self>, Path(path): Path<String>| {
            host.asked.fetch_add(1, Ordering::SeqCst);
            host.files.lock().unwrap().get(&path).cloned().ok_or(StatusCode::NOT_FOUND)
        };
        let router = Router::new().route("/{*path}", get(serve)).with_state(self.clone());
        run(Some(server_tls(ca, None)), patient(), router).await
    }

    fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.files.lock().unwrap().insert(path.to_owned(), bytes.into());
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// A service that trusts one foreign issuer, which runs.
struct Foreign {
    service: Service,
    issuer: String,
    host: Host,
    ca: DevelopmentCa,
    address: SocketAddr,
    server: RefCell<Option<Running>>,
}

fn jwks(key: &SigningKey) -> String {
    let jwk = key.verifying_key().to_jwk();
    json!({"keys": [jwk]}).to_string()
}

impl Foreign {
    /// An issuer whose keys stand in a file, or at its own address.
    async fn new(by_url: bool, status: &str) -> Self {
        let (ca, host) = (DevelopmentCa::generate().unwrap(), Host::default());
        let server = host.run(&ca).await;
        let issuer = format!("https://127.0.0.1:{}", server.address.port());
        let keys = match by_url {
            true => format!("jwks_url = \"{issuer}/keys\""),
            false => "keys_file = \"issuers/nordlys-id.jwks.json\"".to_owned(),
        };
        let rule = format!(
            "[[issuers]]\nown = true\ntypes = [\"t\"]\nchecks = [\"subscriber_tier\"]\nstatus = \"if-present\"\n\
             [[issuers]]\nissuer = \"{issuer}\"\n{keys}\ntypes = [\"{VCT}\"]\nchecks = [\"age_over_18\"]\n\
             status = \"{status}\"\n"
        );
        let file = jwks(&key(1));
        host.put("keys", file.clone());
        // A key file that nobody names is an error of the policy: with keys by URL another issuer names it.
        let spare = "[[issuers]]\nissuer = \"https://spare.example\"\nkeys_file = \"issuers/nordlys-id.jwks.json\"\n\
             types = [\"t\"]\nchecks = [\"age_over_18\"]\nstatus = \"required\"\n";
        let rule = if by_url { rule + spare } else { rule };
        let changes = [("issuers.toml", "", rule.as_str()), ("issuers/nordlys-id.jwks.json", "", file.as_str())];
        let service = Service::trusting(&changes, vec![ca.certificate().clone()]).await;
        Self { service, issuer, host, ca, address: server.address, server: RefCell::new(Some(server)) }
    }

    async fn stop(&self) {
        let Running { drain, serving, .. } = self.server.take().unwrap();
        drain.order();
        assert_eq!(serving.await.unwrap(), 0);
    }

    async fn check(&self, signer: &SigningKey, status: Option<StatusReference>) -> Answered {
        let holder = key(2);
        let change = |request: &mut IssueRequest| {
            request.issuer.clone_from(&self.issuer);
            VCT.clone_into(&mut request.vct);
            request.status = status;
        };
        let credential = self.service.issued_by(signer, json!({"age_over_18": true}), &holder, change);
        self.service.check_age(|nonce| self.service.shown(&credential, &["age_over_18"], &holder, nonce)).await
    }

    async fn check_listed(&self, index: u64, uri: String) -> Answered {
        self.check(&key(1), Some(StatusReference { index, uri })).await
    }

    /// A list of: valid, revoked, suspended, something else.
    fn list(&self, signer: &SigningKey, uri: &str, issued_s: u64, expires_s: u64) -> String {
        let request = StatusListRequest {
            issuer: &self.issuer,
            uri,
            issued_s,
            expires_s,
            ttl_s: 600,
            bits: 2,
            statuses: &[0, 1, 2, 3],
        };
        request.issue(signer).unwrap()
    }
}

fn refused(why: &str) -> (u16, String, String) {
    (422, "credential-refused".to_owned(), why.to_owned())
}

fn told(answered: &Answered) -> (u16, String, String) {
    let (status, slug) = answered.problem();
    (status, slug, answered.text("detail"))
}

fn unreachable() -> (u16, String) {
    (503, "issuer-unreachable".to_owned())
}

#[tokio::test]
async fn what_its_issuer_revoked_is_refused() {
    let foreign = Foreign::new(false, "required").await;
    let uri = format!("{}/status/1", foreign.issuer);
    let now_s = foreign.service.clock.now_s();
    foreign.host.put("status/1", foreign.list(&key(1), &uri, now_s, now_s + 3600));
    let check = async |index| foreign.check_listed(index, uri.clone()).await;
    let valid = check(0).await;
    assert_eq!(valid.status, StatusCode::OK, "{}", valid.json());
    for (index, why) in [
        (1, "its issuer has revoked it"),
        (2, "its issuer has suspended it"),
        (3, "its issuer has revoked it"),
        (4, "its status list has no such entry"),
        (u64::MAX, "its status list has no such entry"),
    ] {
        assert_eq!(told(&check(index).await), refused(why), "{index}");
    }
    assert_eq!(foreign.host.asked(), 1, "the list is kept");
    let without = foreign.check(&key(1), None).await;
    assert_eq!(told(&without), refused("the policy requires a status, and it has none"));
    // The credential's own signature is looked at before anything is fetched for it.
    let elsewhere = StatusReference { index: 0, uri: format!("{}/status/2", foreign.issuer) };
    let forged = foreign.check(&key(9), Some(elsewhere)).await;
    assert_eq!(forged.problem(), (422, "credential-refused".to_owned()));
    assert_eq!(foreign.host.asked(), 1);
    // Kept as long as it says, then fetched anew: now everything is revoked.
    foreign.service.clock.advance(599_000);
    assert_eq!((check(0).await.status, foreign.host.asked()), (StatusCode::OK, 1));
    foreign.service.clock.advance(1000);
    assert_eq!((check(0).await.status, foreign.host.asked()), (StatusCode::OK, 2));
    // And where it can't be had then, nobody is believed.
    foreign.service.clock.advance(600_000);
    foreign.stop().await;
    assert_eq!(check(0).await.problem(), unreachable());
}

#[tokio::test]
async fn a_credential_never_decides_what_is_fetched() {
    let foreign = Foreign::new(false, "if-present").await;
    let elsewhere = Host::default();
    let other = elsewhere.run(&foreign.ca).await;
    let port = foreign.address.port();
    let why = "its status stands at another origin than its issuer";
    for uri in [
        format!("https://127.0.0.1:{}/status/1", other.address.port()),
        format!("https://localhost:{port}/status/1"),
        format!("http://127.0.0.1:{port}/status/1"),
        format!("HTTPS://127.0.0.1:{port}/status/1"),
        format!("https://127.0.0.1:{port}@127.0.0.1:{}/status/1", other.address.port()),
        format!("https://127.0.0.1:{port}.evil.example/status/1"),
        format!("https://127.0.0.1:{port}0/status/1"),
        format!("https://127.0.0.1:{port}?/status/1"),
        foreign.issuer.clone(),
        "/status/1".to_owned(),
        String::new(),
    ] {
        assert_eq!(told(&foreign.check_listed(0, uri.clone()).await), refused(why), "{uri}");
    }
    assert_eq!((foreign.host.asked(), elsewhere.asked()), (0, 0), "nobody was asked");
    assert_eq!(foreign.check(&key(1), None).await.status, StatusCode::OK, "one without a status is taken here");
}

#[tokio::test]
async fn a_list_that_is_not_the_issuers_for_this_now_is_none() {
    let foreign = Foreign::new(false, "required").await;
    let now_s = foreign.service.clock.now_s();
    let uri = |name: &str| format!("{}/{name}", foreign.issuer);
    let list = |signer, name: &str, issued_s, expires_s| foreign.list(&key(signer), &uri(name), issued_s, expires_s);
    let good = list(1, "good", now_s, now_s + 60);
    let mut changed = good.clone().into_bytes();
    changed[good.len() / 2] ^= 1;
    for (name, content) in [
        ("missing", None),
        ("garbage", Some("garbage".to_owned())),
        ("empty", Some(String::new())),
        ("binary", Some("\u{0}\u{ff}".to_owned())),
        ("expired", Some(list(1, "expired", now_s - 600, now_s - 30))),
        ("future", Some(list(1, "future", now_s + 31, now_s + 60))),
        ("stranger", Some(list(9, "stranger", now_s, now_s + 60))),
        ("another", Some(good.clone())),
        ("changed", Some(String::from_utf8(changed).unwrap())),
        ("oversized", Some("a".repeat(2 * 1024 * 1024 + 1))),
    ] {
        if let Some(content) = content {
            foreign.host.put(name, content);
        }
        let answered = foreign.check_listed(0, uri(name)).await;
        assert_eq!(
            (answered.problem(), &answered.headers["retry-after"]),
            (unreachable(), &"30".parse().unwrap()),
            "{name}"
        );
    }
    foreign.host.put("good", good);
    assert_eq!(foreign.check_listed(0, uri("good")).await.status, StatusCode::OK);
    foreign.service.clock.advance(90_000);
    let answered = foreign.check_listed(0, uri("good")).await;
    assert_eq!(answered.problem(), unreachable(), "kept no longer than it lives, and old when it came again");
}

#[tokio::test]
async fn where_the_list_cannot_be_had_the_credential_says_nothing() {
    let foreign = Foreign::new(false, "required").await;
    let uri = format!("{}/status/1", foreign.issuer);
    let now_s = foreign.service.clock.now_s();
    foreign.host.put("status/1", foreign.list(&key(1), &uri, now_s, now_s + 3600));
    foreign.stop().await;
    assert_eq!(foreign.check_listed(0, uri).await.problem(), unreachable());
    // Nor is it where whoever answers there has a certificate of somebody else.
    let impostor = DevelopmentCa::generate().unwrap();
    let answering = Foreign::new(false, "required").await;
    let rule = format!("issuer = \"{}\"", answering.issuer);
    let file = jwks(&key(1));
    let changes = [
        ("issuers.toml", "issuer = \"https://id.nordlys.example\"", rule.as_str()),
        ("issuers/nordlys-id.jwks.json", "", file.as_str()),
    ];
    let service = Service::trusting(&changes, vec![impostor.certificate().clone()]).await;
    let distrusting = Foreign { service, ..answering };
    let uri = format!("{}/status/1", distrusting.issuer);
    distrusting.host.put("status/1", distrusting.list(&key(1), &uri, now_s, now_s + 3600));
    assert_eq!(distrusting.check_listed(0, uri).await.problem(), unreachable());
    assert_eq!(distrusting.host.asked(), 0);
}

#[tokio::test]
async fn keys_by_url_are_fetched_kept_renewed_and_not_believed_for_ever() {
    let foreign = Foreign::new(true, "if-present").await;
    let service = &foreign.service;
    let check = async |signer| foreign.check(&key(signer), None).await;
    let later = async |ms| {
        service.clock.advance(ms);
        service.node.maintain_identity().await;
    };
    assert_eq!((check(1).await.status, foreign.host.asked()), (StatusCode::OK, 1), "at the node's start");
    assert_eq!(check(3).await.problem(), (422, "credential-refused".to_owned()));
    // Another set takes its place when it is next due, and not before; one that is none does not.
    foreign.host.put("keys", jwks(&key(3)));
    later(290_000).await;
    assert_eq!((check(1).await.status, foreign.host.asked()), (StatusCode::OK, 1));
    later(10_000).await;
    assert_eq!((check(3).await.status, foreign.host.asked()), (StatusCode::OK, 2));
    assert_eq!(check(1).await.problem(), (422, "credential-refused".to_owned()), "withdrawn");
    for none in ["garbage".to_owned(), "{}".to_owned(), json!({"keys": [{"kty": "OKP", "crv": "Ed25519"}]}).to_string()]
    {
        foreign.host.put("keys", none);
        later(300_000).await;
        assert_eq!(check(3).await.status, StatusCode::OK, "those that are known stay");
    }
    // An issuer that is away is believed for a day since it was last heard, to the millisecond.
    let heard = service.clock.now_ms() - 900_000;
    foreign.stop().await;
    service.clock.advance(heard + 86_400_000 - service.clock.now_ms());
    service.node.maintain_identity().await;
    assert_eq!(check(3).await.status, StatusCode::OK);
    service.clock.advance(1);
    assert_eq!(check(3).await.problem(), unreachable());
}

#[tokio::test]
async fn keys_are_not_fetched_where_nobody_is_believed() {
    let rules = "[[issuers]]\nissuer = \"https://a.example\"\nkeys_file = \"issuers/nordlys-id.jwks.json\"\n\
         types = [\"t\"]\nchecks = [\"age_over_18\", \"subscriber_tier\"]\nstatus = \"required\"\n\
         [[issuers]]\nissuer = \"https://b.example\"\njwks_url = \"https://b.example/keys\"\ntypes = [\"t\"]\n\
         checks = [\"age_over_18\"]\nstatus = \"required\"\n";
    let policies = policy_set(&[("issuers.toml", "", rules)]);
    let refused = Issuers::new(policies.issuers(), &[]).map(|_| ()).unwrap_err();
    assert!(matches!(&refused, IdentityError::NoRoots(issuer) if issuer == "https://b.example"), "{refused}");
    let unusable = (
        "issuers/nordlys-id.jwks.json",
        "",
        "{\"keys\": [{\"kty\": \"EC\", \"crv\": \"P-256\", \"x\": \"\", \"y\": \"\"}]}",
    );
    let refused = Issuers::new(policy_set(&[unusable]).issuers(), &[]).map(|_| ()).unwrap_err();
    assert!(matches!(&refused, IdentityError::Keys(issuer) if issuer == "https://id.nordlys.example"), "{refused}");
}
