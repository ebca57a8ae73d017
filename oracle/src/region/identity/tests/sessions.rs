//! Where sessions need a verified viewer: what shows one, and what does not.

use attest::{Answer, Confidence};

use super::credentials::key;
use super::*;

const VERIFIED: Change<'_> = (
    "access.toml",
    "tokens_for = [\"account\", \"age_over_18\"]",
    "tokens_for = [\"account\", \"age_over_18\"]\nverified_viewers = true",
);

impl Service {
    async fn begin(&self, bearer: &str, body: &Value) -> Answered {
        self.post("/v1/sessions", Some(bearer), body).await
    }

    async fn prove(&self, proof: Value) -> Answered {
        self.begin(&self.bearer(), &json!({"proof": proof})).await
    }

    /// A signed answer to a check of a credential that says this.
    async fn answer_to(&self, check: &str, claim: Value, value: Option<&str>) -> String {
        let holder = key(1);
        let credential = self.issued(json!({check: claim}), &holder, |_| {});
        let nonce = self.nonce(TENANT).await;
        let shown = self.shown(&credential, &[check], &holder, &nonce);
        self.check(TENANT, check, value, &nonce, &shown).await.text("answer")
    }

    fn claims(&self, check: &str, result: Value) -> Answer<Value> {
        Answer {
            iss: "node-1".to_owned(),
            aud: TENANT.to_owned(),
            sub: None,
            iat: self.clock.now_s(),
            exp: self.clock.now_s() + 600,
            jti: "j".to_owned(),
            nonce: "n".to_owned(),
            input: Digest::of(b""),
            policy: Digest::of(b""),
            check: check.to_owned(),
            result,
            confidence: Confidence::CERTAIN,
        }
    }
}

fn refused() -> (u16, String) {
    (401, "proof-refused".to_owned())
}

#[tokio::test]
async fn a_verified_viewer_is_one_whom_the_node_vouched_for_or_who_holds_a_token() {
    let service = Service::with(&[VERIFIED]).await;
    let bare = service.begin(&service.bearer(), &json!({})).await;
    assert_eq!(bare.problem(), (401, "proof-required".to_owned()));
    let offers = header::parse_www_authenticate(bare.headers["www-authenticate"].to_str().unwrap()).unwrap();
    assert_eq!(offers.len(), 2);
    for offer in offers {
        assert_eq!(offer.challenge.origin_info(), ["demo-platform.us-east.example"]);
    }
    for none in [json!({"viewer": "v"}), json!({"proof": null})] {
        assert_eq!(service.begin(&service.bearer(), &none).await.problem(), (401, "proof-required".to_owned()));
    }
    // Another tenant, of whom the policy does not ask it.
    let other = format!("Bearer {}", service.other_key.expose());
    let unverified = service.begin(&other, &json!({})).await;
    assert_eq!((unverified.status, &unverified.json()["verified"]), (StatusCode::CREATED, &json!(false)));

    assert_eq!(service.register("ann", b"password", &json!({})).await.status, StatusCode::ACCEPTED);
    let assertion = service.login("ann", b"password").await.unwrap().text("assertion");
    let age = service.answer_to("age_over_18", json!(true), None).await;
    let token = service.any_token(TENANT, TokenType::BlindRsa2048).await;
    for proof in [json!({"assertion": assertion}), json!({"assertion": age}), json!({"token": text(&token.to_bytes())})]
    {
        let created = service.prove(proof).await;
        assert_eq!((created.status, &created.json()["verified"]), (StatusCode::CREATED, &json!(true)));
    }
    let token = service.any_token(TENANT, TokenType::VoprfP384).await;
    let created = service.begin(&authorization(&token.to_bytes()), &json!({})).await;
    assert_eq!((created.status, &created.json()["verified"]), (StatusCode::CREATED, &json!(true)));
}

#[tokio::test]
async fn an_assertion_is_this_nodes_to_this_tenant_in_force_and_says_yes() {
    let service = Service::with(&[VERIFIED]).await;
    let assert = async |assertion: &str| service.prove(json!({"assertion": assertion})).await;
    let sign = |answer: Answer<Value>| answer.sign(&answer_key()).unwrap();
    let account = || service.claims("account", json!({"account": true}));
    assert_eq!(assert(&sign(account())).await.status, StatusCode::CREATED, "the form is right");
    for (what, answer) in [
        ("another tenant's", Answer { aud: OTHER.to_owned(), ..account() }),
        ("another node's", Answer { iss: "node-2".to_owned(), ..account() }),
        ("of the future", Answer { iat: account().iat + 31, exp: account().exp + 31, ..account() }),
        ("expired", Answer { iat: account().iat - 630, exp: account().iat - 30, ..account() }),
        ("too long", Answer { exp: account().iat + 86_401, ..account() }),
        ("no account", service.claims("account", json!({"account": false}))),
        ("no result", service.claims("account", json!({}))),
        ("a word", service.claims("account", json!({"account": "true"}))),
        ("of a ranking", service.claims("rank", json!({"account": true, "holds": true}))),
        ("of a token", service.claims("token", json!({"verified_viewer": true}))),
        ("no", service.claims("age_over_18", json!({"holds": false}))),
        ("account for age", service.claims("age_over_18", json!({"account": true}))),
        ("age for account", service.claims("account", json!({"holds": true}))),
        ("admits to nothing", service.claims("subscriber_tier", json!({"holds": true, "value": "gold"}))),
        ("not granted", service.claims("region", json!({"holds": true, "value": "north"}))),
    ] {
        assert_eq!(assert(&sign(answer)).await.problem(), refused(), "{what}");
    }
    assert_eq!(assert(&account().sign(&key(9)).unwrap()).await.problem(), refused(), "a stranger's");
    let as_access = attest::jws::sign(attest::Typ::KeyEpoch, &account(), &answer_key()).unwrap();
    assert_eq!(assert(&as_access).await.problem(), refused());
    // As the service itself says no.
    let minor = service.answer_to("age_over_18", json!(false), None).await;
    let tier = service.answer_to("subscriber_tier", json!("gold"), Some("gold")).await;
    let redeemed = service.redeem(&service.any_token(TENANT, TokenType::BlindRsa2048).await).await.text("answer");
    for answer in [minor, tier, redeemed] {
        assert_eq!(assert(&answer).await.problem(), refused());
    }
    assert_eq!(service.register_at(OTHER, "ann", b"password", &json!({})).await.status, StatusCode::ACCEPTED);
    let others = service.login_at(OTHER, "ann", b"password").await.unwrap().text("assertion");
    assert_eq!(assert(&others).await.problem(), refused());
    // In time, to the second.
    let assertion = sign(account());
    service.clock.advance(629_000);
    assert_eq!(assert(&assertion).await.status, StatusCode::CREATED);
    service.clock.advance(1000);
    assert_eq!(assert(&assertion).await.problem(), refused());
}

#[tokio::test]
async fn every_bit_of_a_proof_counts() {
    let service = Service::with(&[VERIFIED]).await;
    let assertion = service.claims("account", json!({"account": true})).sign(&answer_key()).unwrap();
    for changed in flipped(assertion.as_bytes()).chain(of_other_lengths(assertion.as_bytes())) {
        let Ok(changed) = String::from_utf8(changed) else { continue };
        assert_eq!(service.prove(json!({"assertion": changed})).await.problem(), refused());
    }
    let token = service.any_token(TENANT, TokenType::BlindRsa2048).await;
    for changed in flipped(&token.to_bytes()).chain(of_other_lengths(&token.to_bytes())) {
        assert_eq!(service.prove(json!({"token": text(&changed)})).await.problem(), refused());
    }
    for bad in [json!({"token": "="}), json!({"token": ""}), json!({"assertion": ""}), json!({"assertion": "a.b.c"})] {
        assert_eq!(service.prove(bad).await.problem(), refused());
    }
    for shape in [json!({"other": "x"}), json!({"assertion": 1}), json!("x")] {
        assert_eq!(service.prove(shape).await.problem(), (422, "json-shape".to_owned()));
    }
    // One proof, and then the object has to end: the reader of JSON takes that for syntax.
    for number in [json!({}), json!({"assertion": "x", "token": "y"})] {
        assert_eq!(service.prove(number).await.problem(), (422, "json-syntax".to_owned()));
    }
    assert_eq!(service.prove(json!({"token": text(&token.to_bytes())})).await.status, StatusCode::CREATED);
}

/// A retried beginning is answered with the session that the token paid for, to whoever holds that token alone.
#[tokio::test]
async fn an_idempotency_key_is_worth_nothing_without_the_token() {
    let service = Service::with(&[VERIFIED]).await;
    let begin = async |authorization: &str, key: &str, body: Value| {
        let request = Request::post("/v1/sessions").header("content-type", "application/json");
        let request = request.header("authorization", authorization).header("idempotency-key", key);
        service.call(request.body(Body::from(body.to_string())).unwrap()).await
    };
    let spent = (401, "token-refused".to_owned());
    let token = service.any_token(TENANT, TokenType::BlindRsa2048).await;
    let shown = authorization(&token.to_bytes());
    let first = begin(&shown, "key", json!({})).await;
    assert_eq!(first.status, StatusCode::CREATED);
    let again = begin(&shown, "key", json!({})).await;
    assert_eq!((again.status, &again.body), (StatusCode::CREATED, &first.body), "paid for once, told twice");
    assert_eq!(begin(&shown, "other", json!({})).await.problem(), spent);
    assert_eq!(service.begin(&shown, &json!({})).await.problem(), spent);
    assert_eq!(begin(&shown, &"k".repeat(129), json!({})).await.problem(), (422, "text-length".to_owned()));
    // The same key of someone else: without a token, with another one, with this one forged.
    let mut forged = token.to_bytes().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(begin(&authorization(&forged), "key", json!({})).await.problem(), spent);
    let bearer = service.bearer();
    assert_eq!(begin(&bearer, "key", json!({})).await.problem(), (401, "proof-required".to_owned()));
    let other = service.any_token(TENANT, TokenType::BlindRsa2048).await;
    let others = begin(&authorization(&other.to_bytes()), "key", json!({})).await;
    assert_eq!(others.status, StatusCode::CREATED);
    assert_ne!(others.text("session"), first.text("session"));
    let assertion = service.claims("account", json!({"account": true})).sign(&answer_key()).unwrap();
    let named = begin(&bearer, "key", json!({"proof": {"assertion": assertion}})).await;
    assert_eq!(named.status, StatusCode::CREATED);
    assert_ne!(named.text("session"), first.text("session"));
}
