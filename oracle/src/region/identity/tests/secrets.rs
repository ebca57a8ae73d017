//! Nothing that is secret, or says who somebody is, is ever logged or told back in an error.
//!
//! Whole journeys run with planted secrets, right and wrong in every way, while all that is traced at any level is kept;
//! then log and errors are searched for each secret, as text, in hexadecimal, in base64 and as `Debug` prints bytes. What
//! is seen is what this thread traces: the store's own thread and those that sign trace nothing of a call.

use std::io::Write;
use std::marker::PhantomData;
use std::sync::Mutex;

use attest::oblivious::{ClientContext, InnerRequest};
use axum::extract::Request as Incoming;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::*;

const PASSWORD: &str = "planted-password-7c41";
const USER: &str = "planted-user-5e09";
const TIER: &str = "planted-tier-a2d8";
const REGION: &str = "planted-region-19bb";
const VIEWER: &str = "planted-viewer-c06f";
const ADDRESS: &str = "192.0.2.77";

/// What was written, by whomever.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The secrets of a journey by what they are.
#[derive(Default)]
struct Planted(BTreeMap<String, Vec<u8>>);

impl Planted {
    fn text(&mut self, what: &str, secret: &str) {
        assert!(secret.len() >= 8, "{what} would be found by chance");
        self.0.insert(what.to_owned(), secret.as_bytes().to_vec());
    }

    fn bytes(&mut self, what: &str, secret: &[u8]) {
        assert!(secret.len() >= 16, "{what} would be found by chance");
        self.0.insert(what.to_owned(), secret.to_vec());
    }

    /// The secrets that stand in a text, however they are written.
    fn found_in(&self, text: &str) -> Vec<&str> {
        let stands = |secret: &[u8]| {
            let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
            // An encoding of a secret within something longer may begin at any of three offsets: its middle is the same.
            let inner = |offset: usize| {
                let at = &secret[offset..];
                STANDARD_NO_PAD.encode(&at[..at.len() / 3 * 3])
            };
            let list = format!("{:?}", &secret[..8]);
            let list = list.trim_matches(['[', ']']);
            let standard = [inner(0), inner(1), inner(2)];
            let in_base64 = standard
                .iter()
                .any(|part| text.contains(part) || text.contains(&part.replace('+', "-").replace('/', "_")));
            let as_text = std::str::from_utf8(secret).is_ok_and(|secret| text.contains(secret));
            as_text || in_base64 || text.contains(list) || text.to_lowercase().contains(&hex)
        };
        self.0.iter().filter(|(_, secret)| stands(secret)).map(|(what, _)| what.as_str()).collect()
    }
}

/// Keeps the head and body of every answer that is an error.
fn keep_errors(router: Router, kept: &Kept) -> Router {
    let kept = kept.clone();
    router.layer(from_fn(move |request: Incoming, next: Next| {
        let mut kept = kept.clone();
        async move {
            let (head, body) = next.run(request).await.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            if head.status.is_client_error() || head.status.is_server_error() {
                writeln!(kept, "{} {:?} {}", head.status, head.headers, String::from_utf8_lossy(&body)).unwrap();
            }
            Response::from_parts(head, Body::from(body))
        }
    }))
}

#[tokio::test]
async fn neither_log_nor_error_holds_a_secret() {
    let (log, mut errors, mut planted) = (Kept::default(), Kept::default(), Planted::default());
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _tracing = tracing::subscriber::set_default(subscriber);
    let invite_only = ("regions/us-east.toml", "registration = \"open\"", "registration = \"invite\"");
    let mut service = Service::with(&[invite_only]).await;
    service.router = keep_errors(service.router, &errors);
    for (what, secret) in [
        ("password", PASSWORD),
        ("user", USER),
        ("tier", TIER),
        ("region", REGION),
        ("viewer", VIEWER),
        ("address", ADDRESS),
        ("operator key", &prepared().operator),
        ("api key", service.api_key.expose()),
    ] {
        planted.text(what, secret);
    }
    account(&service, &mut planted).await;
    credential(&service, &mut planted).await;
    tokens(&service, &mut planted).await;
    sessions(&service, &mut planted).await;
    oblivious(&service, &mut planted, &mut errors).await;
    operate(&service).await;

    let (log, errors) = (log.text(), errors.text());
    assert!(errors.lines().count() > 150, "errors were kept: {}", errors.lines().count());
    assert!(log.contains("the identity folder cannot be used"), "and so was the log: {log}");
    assert!(planted.0.len() >= 20, "{:?}", planted.0.keys());
    assert_eq!(planted.found_in(&log), Vec::<&str>::new(), "{log}");
    assert_eq!(planted.found_in(&errors), Vec::<&str>::new(), "{errors}");
    // The search finds what it looks for.
    for secret in planted.0.values() {
        let written = [
            text(secret),
            STANDARD_NO_PAD.encode(secret),
            format!("{secret:?}"),
            text(&[b"{\"a\":\"", secret.as_slice(), b"\"}"].concat()),
        ];
        assert!(written.iter().all(|written| !planted.found_in(written).is_empty()));
    }
}

/// Bodies that a call with these fields is refused with: each field changed, of another type, missing, or too many; no
/// JSON at all, no media type.
async fn spoil(service: &Service, path: &str, authorization: Option<&str>, body: &Value) {
    let mut bodies = vec![body.to_string() + "}", format!("[{body}]"), format!("{}x", &body.to_string()[1..])];
    for name in body.as_object().unwrap().keys() {
        let mut spoilt = [body.clone(), body.clone(), body.clone()];
        let value = &body[name];
        spoilt[0][name] = json!([value]);
        spoilt[1][name] = json!(format!("{}\u{e9}", value.as_str().unwrap_or_default()));
        spoilt[2].as_object_mut().unwrap().remove(name);
        spoilt[2][format!("{name}-{}", value.as_str().unwrap_or_default())] = value.clone();
        bodies.extend(spoilt.iter().map(ToString::to_string));
    }
    for body in bodies {
        for media_type in ["application/json", "text/plain"] {
            let mut request = Request::post(path).header("content-type", media_type).header("x-forwarded-for", ADDRESS);
            if let Some(value) = authorization {
                request = request.header("authorization", value);
            }
            service.call(request.body(Body::from(body.clone())).unwrap()).await;
        }
    }
}

async fn account(service: &Service, planted: &mut Planted) {
    let claims = json!({"claims": {"age_over_18": true, "subscriber_tier": TIER, "region": REGION}});
    let invited = service.post("/v1/identity/invites", Some(&service.bearer()), &claims).await;
    let invite = invited.text("invite");
    planted.text("invite", &invite);
    spoil(service, "/v1/identity/invites", Some(&service.bearer()), &claims["claims"]).await;
    spoil(service, "/v1/identity/invites", None, &claims).await;
    let upload = service.upload(TENANT, USER, PASSWORD.as_bytes()).await.unwrap_or_else(|_| panic!("invited"));
    planted.bytes("registration record", &upload);
    let finish = json!({"tenant": TENANT, "user": USER, "message": text(&upload), "invite": invite});
    let path = "/v1/identity/accounts/registration/finish";
    assert_eq!(service.post(path, None, &finish).await.status, StatusCode::ACCEPTED);
    spoil(service, path, None, &finish).await;
    let refused = service.post(path, None, &finish).await;
    assert_eq!(refused.problem(), (403, "not-invited".to_owned()));

    let (_, ke1) = ClientLogin::start(PASSWORD.as_bytes(), &mut OsRng.unwrap_err()).unwrap();
    let start = json!({"tenant": TENANT, "user": USER, "message": text(&ke1)});
    planted.bytes("KE1", &ke1);
    for what in ["registration", "login"] {
        spoil(service, &format!("/v1/identity/accounts/{what}/start"), None, &start).await;
    }
    // The limit by name has to be waited for.
    service.clock.advance(7_200_000);
    let BegunLogin { login, ke3 } = service.begin_login(TENANT, USER, PASSWORD.as_bytes()).await.unwrap();
    planted.bytes("KE3", &ke3);
    planted.text("login", &login);
    let finish = json!({"login": login, "message": text(&ke3), "nonce": "nonce-planted"});
    let path = "/v1/identity/accounts/login/finish";
    let logged_in = service.post(path, None, &finish).await;
    planted.text("access", &logged_in.text("access"));
    planted.text("assertion", &logged_in.text("assertion"));
    spoil(service, path, None, &finish).await;
    for _ in 0..12 {
        service.opaque_start("login", TENANT, USER, &ke1).await;
    }
    service.clock.advance(7_200_000);
}

async fn credential(service: &Service, planted: &mut Planted) {
    let access = service.login(USER, PASSWORD.as_bytes()).await.unwrap().text("access");
    planted.text("second access", &access);
    let holder = SigningKey::generate(&mut OsRng.unwrap_err());
    let credential = service.credential(&access, &holder).await.text("credential");
    planted.text("credential", &credential);
    for disclosure in credential.split('~').skip(1).filter(|part| !part.is_empty()) {
        planted.text(&format!("disclosure {disclosure}"), disclosure);
    }
    let nonce = service.nonce(TENANT).await;
    planted.text("challenge", &nonce);
    let proof = HolderProof::sign(&holder, ISSUER, &nonce, service.clock.now_s()).unwrap();
    planted.text("holder's proof", &proof);
    let bearer = format!("Bearer {access}");
    spoil(service, "/v1/identity/credentials", Some(&bearer), &json!({"proof": proof})).await;
    let shown = service.shown(&credential, &["subscriber_tier"], &holder, &nonce);
    planted.text("presentation", &shown);
    let check =
        json!({"tenant": TENANT, "check": "subscriber_tier", "value": TIER, "nonce": nonce, "presentation": shown});
    let path = "/v1/identity/credentials/check";
    let checked = service.post(path, None, &check).await;
    planted.text("answer", &checked.text("answer"));
    spoil(service, path, None, &check).await;
    let fresh = service.nonce(TENANT).await;
    let mut unused = check.clone();
    unused["nonce"] = json!(fresh);
    unused["presentation"] = json!(service.shown(&credential, &["region"], &holder, &fresh));
    spoil(service, path, None, &unused).await;
    // Access tokens with something wrong.
    for bad in
        [format!("{bearer}A"), bearer.replace("Bearer", "Basic"), bearer.to_lowercase(), format!("{bearer}.{bearer}")]
    {
        let request = Request::delete("/v1/identity/account").header("authorization", &bad);
        service.call(request.body(Body::empty()).unwrap()).await;
        service.post("/v1/sessions", Some(&bad), &json!({"viewer": VIEWER})).await;
    }
}

async fn tokens(service: &Service, planted: &mut Planted) {
    let access = service.minted(TENANT, 1, Check::Account);
    planted.text("third access", &access);
    for token_type in [TokenType::BlindRsa2048, TokenType::VoprfP384] {
        let token = service.token(&access, TENANT, token_type).await;
        planted.bytes(&format!("token {token_type:?}"), &token.to_bytes());
        planted.bytes(&format!("token's nonce {token_type:?}"), &token.nonce());
        let bytes = token.to_bytes().to_vec();
        let nonce = json!({"nonce": "nonce-planted"});
        let shown = authorization(&bytes);
        spoil(service, "/v1/identity/tokens/redeem", Some(&shown), &nonce).await;
        for bad in [
            authorization(&bytes[1..]),
            shown.replace("token=", "tok="),
            shown.replace('"', ""),
            format!("{shown},{shown}"),
        ] {
            service.post("/v1/identity/tokens/redeem", Some(&bad), &nonce).await;
        }
        let mut forged = bytes.clone();
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(service.redeem_bytes(&forged).await.status, StatusCode::UNAUTHORIZED);
        let other = format!("Bearer {}", service.other_key.expose());
        service.post("/v1/sessions", Some(&other), &json!({"proof": {"token": text(&bytes)}})).await;
        // It may have been spent by a spoilt body whose nonce was one all the same.
        service.redeem(&token).await;
        assert_eq!(service.redeem(&token).await.status, StatusCode::UNAUTHORIZED, "spent");
        let asked = service.ask_for_token(&access, bytes).await;
        assert_eq!(asked.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
}

async fn sessions(service: &Service, planted: &mut Planted) {
    let token = service.any_token(TENANT, TokenType::BlindRsa2048).await;
    let shown = authorization(&token.to_bytes());
    let session = service.post("/v1/sessions", Some(&shown), &json!({})).await.text("session");
    planted.text("session", &session);
    let bearer = format!("Bearer {session}");
    let rank = json!({"session": session, "candidates": ["c0", VIEWER]});
    for authorization in [Some(bearer.as_str()), Some(&service.bearer()), None] {
        spoil(service, "/v1/rank", authorization, &rank).await;
        spoil(service, &format!("/v1/sessions/{session}/signals"), authorization, &json!({"signals": VIEWER})).await;
        spoil(service, &format!("/v1/sessions/{session}x/end"), authorization, &json!({"signals": VIEWER})).await;
    }
    let viewer = json!({"viewer": VIEWER, "arm": VIEWER, "proof": {"assertion": VIEWER}});
    spoil(service, "/v1/sessions", Some(&service.bearer()), &viewer).await;
    for path in [format!("/{session}"), format!("/v1/identity/tokens/challenge?tenant={USER}"), format!("/v1/{USER}")] {
        service.get(&path).await;
    }
}

async fn oblivious(service: &Service, planted: &mut Planted, errors: &mut Kept) {
    let token = service.any_token(TENANT, TokenType::VoprfP384).await;
    planted.bytes("token inside", &token.to_bytes());
    let shown = authorization(&token.to_bytes());
    let keys = service.get("/.well-known/ohttp-gateway").await;
    for path in ["/v1/identity/tokens/redeem", "/v1/sessions", "/v1/rank", "/v1/identity/invites"] {
        for content in [format!("{{\"viewer\":\"{VIEWER}\""), json!({"viewer": VIEWER}).to_string()] {
            let request = InnerRequest {
                method: "POST".to_owned(),
                path: path.to_owned(),
                headers: vec![
                    ("content-type".to_owned(), b"application/json".to_vec()),
                    ("authorization".to_owned(), shown.as_bytes().to_vec()),
                    ("forwarded".to_owned(), format!("for={ADDRESS}").into_bytes()),
                ],
                body: content.into_bytes(),
            };
            let (mut message, context) = ClientContext::encapsulate(&keys.body, &request, "us-east.example").unwrap();
            let outer = |message: Vec<u8>| {
                let outer = Request::post("/.well-known/ohttp-gateway").header("content-type", "message/ohttp-req");
                outer.header("x-forwarded-for", ADDRESS).body(Body::from(message)).unwrap()
            };
            let answered = service.call(outer(message.clone())).await;
            let inside = context.decapsulate(&answered.body).unwrap();
            assert!(inside.status >= 400, "{path}");
            writeln!(errors, "{} {}", inside.status, String::from_utf8_lossy(&inside.body)).unwrap();
            message[100] ^= 1;
            assert_eq!(service.call(outer(message)).await.status, StatusCode::BAD_REQUEST);
        }
    }
}

/// What happens by itself, and what fails when it does: an erased key, files that do not open.
async fn operate(service: &Service) {
    assert!(service.folder().erase(0).unwrap());
    service.clock.advance(10_000);
    service.node.maintain_identity().await;
    let log = service.files.path().join("identity/epochs.log");
    let kept = std::fs::read(&log).unwrap();
    std::fs::write(&log, [&kept[..kept.len() / 2], &kept[kept.len() / 2 + 1..]].concat()).unwrap();
    service.clock.advance(10_000);
    service.node.maintain_identity().await;
}

struct Probe<T>(PhantomData<T>);

trait Silent {
    fn is_printed(&self) -> bool {
        false
    }
}

impl<T> Silent for Probe<T> {}

impl<T: std::fmt::Debug> Probe<T> {
    #[expect(clippy::unused_self, reason = "found before the trait's method where `T` has `Debug`")]
    fn is_printed(&self) -> bool {
        true
    }
}

/// Which of these types `{:?}` prints.
macro_rules! printed {
    ($($type:ty),* $(,)?) => {{
        let all = [$((stringify!($type), Probe::<$type>(PhantomData).is_printed())),*];
        all.into_iter().filter(|(_, printed)| *printed).map(|(name, _)| name).collect::<Vec<_>>()
    }};
}

/// A type without `Debug` is not logged by mistake: the compiler refuses it.
#[test]
fn what_holds_a_secret_cannot_be_printed() {
    use attest::access::{Access, AccessKey};
    use attest::{OperatorKey, PairwiseSecret};

    use crate::identity_folder::{Secret, Setup};
    use crate::region::identity::claims::VouchedClaims;
    use crate::region::identity::logins::Begun;
    use crate::store::identity::{Account, Gate, Invite, LoginRecord};
    let printed = printed![
        ApiKey,
        OperatorKey,
        PairwiseSecret,
        SigningKey,
        Setup,
        Secret,
        Identity,
        VouchedClaims,
        Begun,
        Account,
        Gate,
        Invite,
        LoginRecord,
        Token,
        PendingToken,
        InnerRequest,
        Access,
        AccessKey,
        attest::opaque::AccountRecord,
        attest::opaque::CredentialId,
        attest::opaque::OpaqueServer,
        attest::opaque::PendingLogin,
        attest::privacy_pass::IssuerKey,
        attest::GatewayKey,
        attest::Responder,
        attest::sd_jwt::IssueRequest,
        attest::sd_jwt::Presentation<'static>,
        attest::sd_jwt::VerifiedCredential,
        attest::sd_jwt::StatusReference,
        HolderProof,
        String,
    ];
    assert_eq!(printed, ["String"], "and the probe sees one that can");
}
