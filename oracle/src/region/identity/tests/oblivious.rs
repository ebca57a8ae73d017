//! Capsules that do not open, and what is inside of those that do: what is offered there, in whose name, and no more.

use attest::oblivious::{ClientContext, InnerRequest, InnerResponse};
use axum::Extension;
use axum::routing::{any, post};

use super::*;
use crate::http::PeerCertificate;
use crate::region::api::identity::oblivious::{Inside, gateway};

const GATEWAY: &str = "/.well-known/ohttp-gateway";
const KEY_TYPE: &str = "https://iana.org/assignments/http-problem-types#ohttp-key";

fn inner(method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> InnerRequest {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
    let media_type = [("content-type".to_owned(), b"application/json".to_vec())];
    InnerRequest {
        method: method.to_owned(),
        path: path.to_owned(),
        headers: media_type.into_iter().chain(headers).collect(),
        body: body.to_string().into_bytes(),
    }
}

fn sealed(message: Vec<u8>) -> Request<Body> {
    Request::post(GATEWAY).header("content-type", "message/ohttp-req").body(Body::from(message)).unwrap()
}

impl Service {
    async fn seal(&self, request: &InnerRequest) -> (Vec<u8>, ClientContext) {
        let keys = self.get(GATEWAY).await;
        ClientContext::encapsulate(&keys.body, request, "us-east.example").unwrap()
    }

    async fn inside(&self, request: &InnerRequest) -> InnerResponse {
        let (message, context) = self.seal(request).await;
        let answered = self.call(sealed(message)).await;
        assert_eq!(answered.status, StatusCode::OK, "whatever stands inside");
        context.decapsulate(&answered.body).unwrap()
    }

    async fn ask_inside(&self, method: &str, path: &str) -> (u16, String) {
        let bearer = self.bearer();
        let answered = self.inside(&inner(method, path, &[("authorization", &bearer)], &json!({}))).await;
        let body: Value = serde_json::from_slice(&answered.body).unwrap_or(Value::Null);
        (answered.status, body["type"].as_str().unwrap_or_default().replace("urn:siwa:problem:", ""))
    }
}

#[tokio::test]
async fn what_does_not_open_is_refused_and_an_unknown_key_is_said_to_be_one() {
    let service = Service::new().await;
    let challenge = inner("POST", "/v1/identity/challenges", &[], &json!({"tenant": TENANT}));
    let (message, _) = service.seal(&challenge).await;
    assert_eq!(message.len(), 1024);
    let refused = (400, "oblivious-refused".to_owned());
    // The header: a key's id and the suite.
    for bit in 0..7 * 8 {
        let mut other = message.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        let answered = service.call(sealed(other)).await;
        assert_eq!(answered.problem(), (422, KEY_TYPE.to_owned()), "bit {bit}");
        assert_eq!(answered.headers["content-type"], "application/problem+json");
        assert_eq!(answered.json()["title"], "That key is not in use: fetch the keys anew");
    }
    for (bit, other) in flipped(&message).enumerate().skip(7 * 8) {
        assert_eq!(service.call(sealed(other)).await.problem(), refused, "bit {bit}");
    }
    for other in of_other_lengths(&message) {
        assert_eq!(service.call(sealed(other)).await.problem(), refused);
    }
    assert_eq!(service.call(sealed(vec![0; 64 * 1024 + 1])).await.problem(), refused);
    assert_eq!(service.call(sealed(vec![0; 256 * 1024 + 1])).await.problem(), (413, "body-too-large".to_owned()));
    for media_type in ["", "message/ohttp-res", "message/bhttp", "application/json", "message/ohttp-req; a=b"] {
        let request = Request::post(GATEWAY).header("content-type", media_type).body(Body::from(message.clone()));
        let answered = service.call(request.unwrap()).await;
        assert_eq!(answered.problem(), (415, "unsupported-media-type".to_owned()), "{media_type}");
    }
    let plain = Request::post(GATEWAY).body(Body::from(message)).unwrap();
    assert_eq!(service.call(plain).await.problem(), (415, "unsupported-media-type".to_owned()));
    // A key of another gateway with the same id.
    let id = service.get(GATEWAY).await.body[2];
    let other = attest::GatewayKey::generate(id, &mut OsRng.unwrap_err());
    let configs = attest::Gateway::new(vec![other]).unwrap().configs().to_vec();
    let (message, _) = ClientContext::encapsulate(&configs, &challenge, "us-east.example").unwrap();
    assert_eq!(service.call(sealed(message)).await.problem(), refused);
}

/// A relay may send a message twice: it opens twice, and a token inside is spent once.
#[tokio::test]
async fn a_replayed_capsule_spends_nothing_twice() {
    let service = Service::new().await;
    let token = service.any_token(TENANT, TokenType::VoprfP384).await;
    let shown = authorization(&token.to_bytes());
    let headers = [("authorization", shown.as_str())];
    let redeem = inner("POST", "/v1/identity/tokens/redeem", &headers, &json!({"nonce": "n"}));
    let keys = service.get(GATEWAY).await;
    let (message, context) = ClientContext::encapsulate(&keys.body, &redeem, "us-east.example").unwrap();
    let answers = [service.call(sealed(message.clone())).await, service.call(sealed(message)).await];
    assert_eq!(answers.each_ref().map(|answered| answered.status), [StatusCode::OK; 2]);
    // The second answer, which a client that waits for the first would take as well, says no.
    assert_ne!(answers[0].body, answers[1].body);
    assert_eq!(context.decapsulate(&answers[1].body).unwrap().status, 401);
    assert_eq!(service.redeem(&token).await.problem(), (401, "token-refused".to_owned()));
}

/// The platform's key inside opens what is offered there, and nothing beside it, however the path is written.
#[tokio::test]
async fn only_what_is_offered_is_there() {
    let service = Service::new().await;
    let not_found = (404, "not-found".to_owned());
    assert_eq!(service.ask_inside("POST", "/v1/sessions").await.0, 201, "the key is good");
    assert_eq!(service.ask_inside("POST", "/v1/sessions?a=/v1/identity/invites").await.0, 201);
    for (method, path) in [
        ("POST", "/v1/identity/invites"),
        ("POST", "/v1/identity/accounts/registration/start"),
        ("POST", "/v1/identity/accounts/registration/finish"),
        ("POST", "/v1/identity/accounts/login/start"),
        ("POST", "/v1/identity/accounts/login/finish"),
        ("DELETE", "/v1/identity/account"),
        ("POST", "/v1/identity/credentials"),
        ("POST", "/v1/identity/tokens"),
        ("GET", "/v1/identity/tokens/challenge?tenant=demo-platform"),
        ("GET", "/v1/identity/epochs"),
        ("GET", "/.well-known/private-token-issuer-directory"),
        ("GET", "/.well-known/jwt-vc-issuer"),
        ("GET", "/.well-known/jwks.json"),
        ("POST", GATEWAY),
        ("GET", "/openapi.json"),
        ("GET", "/"),
        ("POST", "/v1/sessions/../identity/invites"),
        ("POST", "/v1/sessions/%2e%2e/identity/invites"),
        ("POST", "/v1/sessions/./../../v1/identity/invites"),
        ("POST", "/v1/sessions//identity/invites"),
        ("POST", "/v1/rank/../identity/invites"),
        ("POST", "/v1/identity/challenges/../invites"),
        ("POST", "/v1/identity/tokens/redeem/../../invites"),
        ("POST", "/v1/identity/credentials/check/.."),
        ("POST", "//v1/rank"),
        ("POST", "//v1/sessions"),
        ("POST", "/v1//sessions"),
        ("POST", "/v1/rankx"),
        ("POST", "/v1/rank/"),
        ("POST", "/v1/rank%00"),
        ("POST", "/v1/sessionsx"),
        ("POST", "/v1/sessions;x"),
        ("POST", "/v1/sessions/"),
        ("POST", "/v1/%73essions"),
        ("POST", "/%76%31/sessions"),
        ("POST", "/V1/sessions"),
        ("POST", "/v1/sessions%2f..%2fidentity%2finvites"),
        ("POST", "/v1/identity/invites?/v1/sessions"),
    ] {
        assert_eq!(service.ask_inside(method, path).await, not_found, "{method} {path}");
    }
    // What stands in the place of a session's name is one, of a session that does not exist.
    let unknown = (404, "session-unknown".to_owned());
    for path in ["/v1/sessions/..", "/v1/sessions/%2e%2e", "/v1/sessions/..%2f..%2fidentity%2faccount"] {
        assert_eq!(service.ask_inside("DELETE", path).await, unknown, "{path}");
        assert_eq!(service.ask_inside("POST", path).await, (405, "method-not-allowed".to_owned()), "{path}");
    }
    for method in ["GET", "PUT", "TRACE", "OPTIONS", "HEAD", "XYZ"] {
        assert_eq!(service.ask_inside(method, "/v1/rank").await.0, 405, "{method}");
    }
    // A whole address, or none, is no path.
    let keys = service.get(GATEWAY).await;
    for path in ["https://us-east.example/v1/rank", "*", "", "v1/rank"] {
        let request = inner("POST", path, &[], &json!({}));
        assert!(ClientContext::encapsulate(&keys.body, &request, "us-east.example").is_err(), "{path}");
    }
}

/// The relay's client certificate speaks for the relay.
#[tokio::test]
async fn the_connection_vouches_for_nothing_inside() {
    let service = Service::new().await;
    let with_certificate = |mut request: Request<Body>| {
        request.extensions_mut().insert(PeerCertificate(CERTIFICATE));
        request
    };
    let plain =
        Request::post("/v1/sessions").header("content-type", "application/json").body(Body::from("{}")).unwrap();
    assert_eq!(service.call(with_certificate(plain)).await.status, StatusCode::CREATED, "outside it is the platform's");
    for path in ["/v1/sessions", "/v1/rank"] {
        let (message, context) = service.seal(&inner("POST", path, &[], &json!({}))).await;
        let mut request = with_certificate(sealed(message));
        // Nor is the outer request's key the inner one's.
        request.headers_mut().insert("authorization", service.bearer().parse().unwrap());
        let answered = service.call(request).await;
        let inside = context.decapsulate(&answered.body).unwrap();
        let problem: Value = serde_json::from_slice(&inside.body).unwrap();
        assert_eq!((inside.status, &problem["type"]), (401, &json!("urn:siwa:problem:unauthorized")), "{path}");
    }
}

/// What could name the client by the back door does not come through: seen by routes that tell what they got.
#[tokio::test]
async fn cookies_and_what_proxies_write_are_dropped() {
    let service = Service::new().await;
    let tell = async |request: Request<Body>| {
        let seen: Vec<_> =
            request.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        assert!(request.extensions().get::<PeerCertificate>().is_none());
        let set = [("set-cookie", "id=1"), ("via", "1.1 a"), ("x-forwarded-for", "192.0.2.1"), ("etag", "\"a\"")];
        (axum::response::AppendHeaders(set), format!("{} {} {}", request.method(), request.uri(), seen.join("\n")))
    };
    let telling = Inside(Router::new().fallback(any(tell)));
    let router = Router::new().route(GATEWAY, post(gateway)).layer(Extension(telling));
    let router = router.with_state(Arc::clone(&service.node));
    let headers = [
        ("authorization", "Bearer a"),
        ("sec-gpc", "1"),
        ("cookie", "id=planted"),
        ("set-cookie", "id=planted"),
        ("forwarded", "for=planted"),
        ("x-forwarded-for", "planted"),
        ("x-forwarded-host", "planted"),
        ("x-real-ip", "planted"),
        ("via", "planted"),
        ("host", "planted"),
        ("content-length", "7"),
        ("transfer-encoding", "planted"),
        ("upgrade", "planted"),
        ("te", "planted"),
        ("connection", "x-planted, close"),
        ("x-planted", "planted"),
        ("keep-alive", "planted"),
    ];
    let (message, context) = service.seal(&inner("POST", "/v1/rank?q=1", &headers, &json!({}))).await;
    let mut request = sealed(message);
    for (name, value) in [("cookie", "id=planted"), ("x-forwarded-for", "planted"), ("via", "planted")] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request.extensions_mut().insert(PeerCertificate(CERTIFICATE));
    let answered = answered(router, request).await;
    let inside = context.decapsulate(&answered.body).unwrap();
    let seen = String::from_utf8(inside.body.clone()).unwrap();
    assert_eq!(seen, "POST /v1/rank?q=1 content-type: application/json\nauthorization: Bearer a\nsec-gpc: 1");
    let names: std::collections::BTreeSet<&str> = inside.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["content-type", "etag"].into(), "nor does anything come back that marks the client");
}
