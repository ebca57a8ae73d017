//! Services that lie, each in one thing.

use attest::SigningKey;
use attest::key_epoch::{EpochLog, EpochLogError, KeyKind, KeyUse, Period};
use attest::keys::JwkSet;
use attest::oblivious::{GatewayKey, ObliviousError};
use attest::privacy_pass::{
    BatchedTokenRequest, ClientError as TokenError, DirectoryKey, IssuerDirectory, IssuerKey, OfferedChallenge,
    PublicKey, TokenChallenge, TokenType, header, issue_batch,
};
use axum::Router;
use axum::body::Bytes;
use axum::extract::Json;
use axum::http::StatusCode;
use axum::http::header::WWW_AUTHENTICATE;
use axum::routing::{get, post};
use proptest::prelude::*;
use rand_core::{OsRng, TryRngCore as _};
use serde_json::{Value, json};

use super::keys::{CredentialIssuer, Epochs};
use super::tokens::check_offer;
use super::way::logged_configs;
use super::*;
use crate::client::ClientOptions;
use crate::http::tests::{Running, patient, run};
use crate::http::{Limits, Problem};
use IdentityClientError as E;

const ISSUER: &str = "https://node.example";

fn use_of(kind: KeyKind) -> KeyUse {
    KeyUse { kind, tenant: kind.is_of_tenants().then(|| TENANT.parse().unwrap()) }
}
const HOST: &str = "node.example";
const TENANT: &str = "demo";
const DAY_S: u64 = 86_400;

fn rng() -> impl rand_core::CryptoRng {
    OsRng.unwrap_err()
}

/// A service with one key of each kind, and a token key before the one in use.
struct Honest {
    log_key: SigningKey,
    log: EpochLog,
    credential: SigningKey,
    tokens: [IssuerKey; 2],
    gateway: GatewayKey,
    now_s: u64,
}

impl Honest {
    fn new() -> Self {
        let mut rng = rng();
        let now_s = Environment::production().clock.now_s();
        let log_key = SigningKey::generate(&mut rng);
        let credential = SigningKey::generate(&mut rng);
        let tokens = [(); 2].map(|()| IssuerKey::generate(TokenType::VoprfP384, &mut rng));
        let gateway = GatewayKey::generate(7, &mut rng);
        let mut log = EpochLog::default();
        let mut append = |kind: KeyKind, public: &[u8], begins_s| {
            let of = use_of(kind);
            let span = EpochLog::span(begins_s, Period { issues_s: 30 * DAY_S, overlap_s: 7 * DAY_S });
            log.append(ISSUER, &of, public, span, &log_key).unwrap();
        };
        append(KeyKind::Credential, credential.verifying_key().as_bytes(), now_s - 40 * DAY_S);
        append(KeyKind::Credential, credential.verifying_key().as_bytes(), now_s - DAY_S);
        append(KeyKind::TokenVoprf, tokens[0].public().as_bytes(), now_s - 20 * DAY_S);
        append(KeyKind::TokenVoprf, tokens[1].public().as_bytes(), now_s - DAY_S);
        append(KeyKind::Oblivious, &gateway.config(), now_s - DAY_S);
        Self { log_key, log, credential, tokens, gateway, now_s }
    }

    fn about(&self) -> CredentialIssuer {
        CredentialIssuer { issuer: ISSUER.to_owned(), jwks: JwkSet::of([&self.credential.verifying_key()]) }
    }

    fn epochs(&self) -> Epochs {
        Epochs { key: self.log_key.verifying_key().to_jwk(), statements: self.log.texts().to_vec() }
    }

    fn keys(&self) -> ServiceKeys {
        ServiceKeys::verify(self.about(), &self.epochs(), &Trust::default(), self.now_s).unwrap()
    }

    fn offer(&self, key: &PublicKey) -> OfferedChallenge {
        let origin = format!("{TENANT}.{HOST}");
        let challenge = TokenChallenge::new(TokenType::VoprfP384, HOST, None, &[&origin]).unwrap();
        OfferedChallenge { challenge, key: key.clone(), max_age_seconds: None }
    }
}

fn directory(keys: &[&PublicKey]) -> IssuerDirectory {
    let keys = keys.iter().map(|key| DirectoryKey { key: (*key).clone(), not_before_seconds: None }).collect();
    IssuerDirectory::new("/v1/identity/tokens", keys).unwrap()
}

/// The refusal's text, since errors of sources are not compared.
fn text<T>(result: Result<T, E>) -> String {
    result.map(|_| ()).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn keys_are_those_of_a_log_that_holds() {
    let honest = Honest::new();
    let verify = |about, epochs: &Epochs, trust: &Trust| {
        ServiceKeys::verify(about, epochs, trust, honest.now_s).map(|keys| keys.log().epochs().len())
    };
    let pinned = |key: &SigningKey| Trust { log_key: Some(key.verifying_key()), seen: Vec::new() };
    let seen = |statements: &[String]| Trust { log_key: None, seen: statements.to_vec() };
    let (about, epochs) = (|| honest.about(), honest.epochs());
    assert_eq!(verify(about(), &epochs, &Trust::default()).unwrap(), 5);
    assert_eq!(verify(about(), &epochs, &pinned(&honest.log_key)).unwrap(), 5);
    assert_eq!(verify(about(), &epochs, &seen(&epochs.statements[..3])).unwrap(), 5);
    // Another service's name, or none.
    for (name, refusal) in
        [("https://other.example", E::KeyLog(EpochLogError::Chain { number: 0 })), ("x", E::ServiceName)]
    {
        let named = CredentialIssuer { issuer: name.to_owned(), ..about() };
        assert_eq!(text(verify(named, &epochs, &Trust::default())), refusal.to_string());
    }
    // Another log, whole in itself.
    let other = Honest::new();
    let forged = Epochs { key: epochs.key.clone(), statements: other.epochs().statements };
    assert!(matches!(
        verify(about(), &forged, &Trust::default()),
        Err(E::KeyLog(EpochLogError::Jws { number: 0, .. }))
    ));
    assert!(matches!(verify(about(), &other.epochs(), &pinned(&honest.log_key)), Err(E::LogKey)));
    assert!(matches!(verify(about(), &epochs, &seen(&other.epochs().statements[..1])), Err(E::Forked)));
    // A log that forgot its end, or what stands within it.
    let mut shorter = honest.epochs();
    shorter.statements.pop();
    assert!(matches!(verify(about(), &shorter, &seen(&epochs.statements)), Err(E::Forked)));
    shorter.statements.remove(1);
    assert!(matches!(verify(about(), &shorter, &Trust::default()), Err(E::KeyLog(EpochLogError::Chain { number: 1 }))));
    // A credential key that nobody else has seen.
    let unlogged = CredentialIssuer { jwks: JwkSet::of([&other.credential.verifying_key()]), ..about() };
    assert!(matches!(verify(unlogged, &epochs, &Trust::default()), Err(E::KeyNotLogged)));
}

#[test]
fn a_challenge_is_everyones_or_nobodys() {
    let honest = Honest::new();
    let (keys, tenant) = (honest.keys(), TENANT.parse::<TenantId>().unwrap());
    let [old, now] = [honest.tokens[0].public(), honest.tokens[1].public()];
    let stranger = IssuerKey::generate(TokenType::VoprfP384, &mut rng());
    let all = directory(&[now, old, stranger.public()]);
    let check = |offer: &OfferedChallenge, directory: &IssuerDirectory| {
        check_offer(offer, &tenant, &keys, directory, honest.now_s)
    };
    assert_eq!(text(check(&honest.offer(now), &all)), "");
    let origin = format!("{TENANT}.{HOST}");
    for (issuer, context, origins) in [
        ("other.example", None, vec![origin.as_str()]),
        (HOST, Some([1; 32]), vec![origin.as_str()]),
        (HOST, None, vec!["other.node.example"]),
        (HOST, None, vec![origin.as_str(), "other.node.example"]),
        (HOST, None, vec![]),
    ] {
        let challenge = TokenChallenge::new(TokenType::VoprfP384, issuer, context, &origins).unwrap();
        let offer = OfferedChallenge { challenge, ..honest.offer(now) };
        assert!(matches!(check(&offer, &all), Err(E::Challenge)), "{issuer} {origins:?}");
    }
    assert!(matches!(check(&honest.offer(now), &directory(&[old])), Err(E::KeyNotListed)));
    // Listed and logged, but no longer the key that issues; listed and not logged.
    assert!(matches!(check(&honest.offer(old), &all), Err(E::KeyNotLogged)));
    assert!(matches!(check(&honest.offer(stranger.public()), &all), Err(E::KeyNotLogged)));
}

#[test]
fn clocks_may_differ_when_a_key_takes_over() {
    let honest = Honest::new();
    let (keys, taken_over_s) = (honest.keys(), honest.now_s - DAY_S);
    let issues = |place: usize, now_s| {
        keys.issues(&use_of(KeyKind::TokenVoprf), honest.tokens[place].public().as_bytes(), now_s)
    };
    for (now_s, both) in [
        (taken_over_s - 301, [true, false]),
        (taken_over_s - 300, [true, true]),
        (taken_over_s + 299, [true, true]),
        (taken_over_s + 300, [false, true]),
    ] {
        assert_eq!([issues(0, now_s), issues(1, now_s)], both, "{}", now_s - taken_over_s);
    }
}

/// A list of key configurations, each behind its length.
fn list(configs: &[Vec<u8>]) -> Vec<u8> {
    let framed = |config: &Vec<u8>| [&u16::try_from(config.len()).unwrap().to_be_bytes()[..], config].concat();
    configs.iter().flat_map(framed).collect()
}

#[test]
fn capsules_are_sealed_to_logged_keys() {
    let honest = Honest::new();
    let (keys, own, other) = (honest.keys(), honest.gateway.config(), GatewayKey::generate(9, &mut rng()).config());
    let logged = |configs: &[u8]| logged_configs(configs, &keys, honest.now_s);
    let both = [other.clone(), own.clone()];
    assert_eq!(logged(&list(&both)).unwrap(), list(&both[1..]));
    assert!(matches!(logged(&list(&[other])), Err(E::KeyNotLogged)));
    assert!(matches!(logged(&[]), Err(E::KeyNotLogged)));
    let whole = list(&[own]);
    for bytes in 1..whole.len() {
        assert!(matches!(logged(&whole[..bytes]), Err(E::Call(ClientError::AnswerForm))), "{bytes}");
    }
}

proptest! {
    /// Whatever is offered, nothing is used but what is logged.
    #[test]
    fn no_list_of_configurations_is_believed(offered in proptest::collection::vec(any::<u8>(), 0..200)) {
        let honest = Honest::new();
        prop_assert!(logged_configs(&offered, &honest.keys(), honest.now_s).is_err());
    }
}

/// A device of a service that answers with this router.
async fn device(router: Router) -> (Running, IdentityClient) {
    let limits = Limits { body_bytes_max: 100_000, ..patient() };
    let server = run(None, limits, router).await;
    let client = Client::new(ClientOptions::new(format!("http://{}", server.address), Vec::new())).unwrap();
    let environment = Arc::new(Environment::production());
    (server, IdentityClient::new(client, TENANT.parse().unwrap(), Stretching::fast_for_tests(), environment))
}

/// An issuer that offers one key and signs with `signing`.
fn issuer(honest: &Honest, signing: IssuerKey, dropped: usize) -> Router {
    let offered = honest.tokens[1].public().clone();
    let challenge = header::format_www_authenticate(&[honest.offer(&offered)]);
    let listed = directory(&[&offered]).to_json();
    let refuse = async move || (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, challenge)]);
    let signing = Arc::new(signing);
    let issue = async move |body: Bytes| {
        let batch = BatchedTokenRequest::parse(&body).unwrap();
        let kept = batch.requests()[dropped..].to_vec();
        let batch = BatchedTokenRequest::new(kept).unwrap();
        issue_batch(&batch, |_, _| Some(&*signing), &mut rng()).to_bytes()
    };
    Router::new()
        .route("/v1/identity/tokens/challenge", get(refuse))
        .route("/.well-known/private-token-issuer-directory", get(async move || listed))
        .route("/v1/identity/tokens", post(issue))
}

#[tokio::test]
async fn tokens_are_kept_where_they_verify() {
    let honest = Honest::new();
    let keys = honest.keys();
    let own = || {
        let secret = honest.tokens[1].to_secret_bytes();
        IssuerKey::from_secret_bytes(TokenType::VoprfP384, &secret).unwrap()
    };
    let (_server, client) = device(issuer(&honest, own(), 0)).await;
    let tokens = client.tokens(&keys, "access", TokenType::VoprfP384, 3).await.unwrap();
    assert_eq!(tokens.iter().map(|token| honest.tokens[1].verifies(token)).collect::<Vec<_>>(), [true; 3]);
    assert!(matches!(client.tokens(&keys, "access", TokenType::BlindRsa2048, 3).await, Err(E::NotOffered)));
    assert_eq!(
        text(client.tokens(&keys, "access", TokenType::VoprfP384, 65).await),
        "the issuer's response was refused"
    );

    // Another key whose requests are named by the same byte: one in 256.
    let named = honest.tokens[1].public().id().truncated();
    let mut others = std::iter::repeat_with(|| IssuerKey::generate(TokenType::VoprfP384, &mut rng()));
    let other = others.find(|key| key.public().id().truncated() == named).unwrap();
    let (_server, client) = device(issuer(&honest, other, 0)).await;
    let lied = client.tokens(&keys, "access", TokenType::VoprfP384, 3).await;
    assert!(matches!(lied, Err(E::Token(TokenError::Response))));
    let (_server, client) = device(issuer(&honest, own(), 1)).await;
    let short = client.tokens(&keys, "access", TokenType::VoprfP384, 3).await;
    assert!(matches!(short, Err(E::Token(TokenError::BatchCount))));
}

#[tokio::test]
async fn a_challenge_that_is_refused_says_why() {
    let refuse = async || Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "tenant-unknown", "No such tenant");
    let router = Router::new().route("/v1/identity/tokens/challenge", get(refuse));
    let (_server, client) = device(router).await;
    let Err(E::Call(refused)) = client.tokens(&Honest::new().keys(), "a", TokenType::VoprfP384, 1).await else {
        panic!("tokens without a challenge")
    };
    assert_eq!(refused.problem(), Some("tenant-unknown"));
    let (_server, client) = device(Router::new().route("/v1/identity/tokens/challenge", get(async || "fine"))).await;
    let answered = client.tokens(&Honest::new().keys(), "a", TokenType::VoprfP384, 1).await;
    assert!(matches!(answered, Err(E::Call(ClientError::AnswerForm))), "an answer that is no refusal");
}

/// A nonce of another audience would make a presentation that is good there.
#[tokio::test]
async fn nothing_is_signed_for_another_audience() {
    let nonce = async || Json(json!({"nonce": "n", "audience": "https://bank.example", "expires_ms": 0}));
    let (_server, client) = device(Router::new().route("/v1/identity/challenges", post(nonce))).await;
    let holder = SigningKey::generate(&mut rng());
    let asked = client.credential(&Honest::new().keys(), "access", &holder, "urn:type").await;
    assert!(matches!(asked, Err(E::Audience)));
}

#[tokio::test]
async fn a_credential_of_another_is_not_kept() {
    let nonce = async || Json(json!({"nonce": "n", "audience": ISSUER, "expires_ms": 0}));
    let issued = async || Json(json!({"credential": "a.b.c~", "expires_s": 0}));
    let router =
        Router::new().route("/v1/identity/challenges", post(nonce)).route("/v1/identity/credentials", post(issued));
    let (_server, client) = device(router).await;
    let holder = SigningKey::generate(&mut rng());
    let asked = client.credential(&Honest::new().keys(), "access", &holder, "urn:type").await;
    assert!(matches!(asked, Err(E::Credential(_))));
}

/// A relay can drop a capsule, and nothing else.
#[tokio::test]
async fn a_relay_cannot_answer_for_the_node() {
    let honest = Honest::new();
    let (keys, configs) = (honest.keys(), list(&[honest.gateway.config()]));
    let (_node, client) = device(Router::new().route("/.well-known/ohttp-gateway", get(async move || configs))).await;
    let echo = async |body: Bytes| body;
    let (_relay, relay) = device(Router::new().route("/.well-known/ohttp-gateway", post(echo))).await;
    let way = client.oblivious(&keys, Some(&relay.client)).await.unwrap();
    let token = attest::privacy_pass::Token::parse(&[&[0, 1][..], &[7; 144]].concat()).unwrap();
    let redeemed = IdentityClient::redeem(&way, &token, "nonce").await;
    assert!(matches!(redeemed, Err(E::Oblivious(ObliviousError::Refused))));
}

#[tokio::test]
async fn an_account_goes_in_two_round_trips_without_its_password() {
    use attest::opaque::{CredentialId, OpaqueServer};
    let server = Arc::new(OpaqueServer::generate(&mut rng()));
    let id = |body: &Value| -> CredentialId {
        server
            .credential_id(&body["tenant"].as_str().unwrap().parse().unwrap(), body["user"].as_str().unwrap())
            .unwrap()
    };
    // 1. What is sent says nothing of the password, and is answered as OPAQUE does.
    let sent = Arc::new(std::sync::Mutex::new(Vec::<Value>::new()));
    let (log, opaque) = (Arc::clone(&sent), Arc::clone(&server));
    let start = async move |Json(body): Json<Value>| {
        log.lock().unwrap().push(body.clone());
        let id = opaque.credential_id(&TENANT.parse().unwrap(), "ann").unwrap();
        let message = bytes_of(body["message"].as_str().unwrap()).unwrap();
        Json(json!({"message": text_of(&opaque.registration_start(&id, &message).unwrap())}))
    };
    let log = Arc::clone(&sent);
    let finish = async move |Json(body): Json<Value>| {
        log.lock().unwrap().push(body);
        StatusCode::ACCEPTED
    };
    let router = Router::new()
        .route("/v1/identity/accounts/registration/start", post(start))
        .route("/v1/identity/accounts/registration/finish", post(finish));
    let (_server, client) = device(router).await;
    client.register("ann", b"correct horse", Admission::Invite("code")).await.unwrap();
    let sent = sent.lock().unwrap();
    assert_eq!((sent.len(), &sent[1]["invite"], id(&sent[0]) == id(&sent[1])), (2, &json!("code"), true));
    assert!(!serde_json::to_string(&*sent).unwrap().contains(&text_of(b"correct horse")));
    // 2. The upload is a record that the server takes.
    let upload = bytes_of(sent[1]["message"].as_str().unwrap()).unwrap();
    assert_eq!(OpaqueServer::registration_finish(&upload).map(|record| record.to_bytes().len()), Ok(193));
}
