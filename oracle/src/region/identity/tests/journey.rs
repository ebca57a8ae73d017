//! The whole way: account, credential, tokens, and a session that nobody can tell from another.

use attest::oblivious::{ClientContext, InnerRequest};
use attest::sd_jwt::present;
use attest::{Answer, AnswerExpectation};
use policies::Digest;

use super::*;

#[tokio::test]
async fn an_account_yields_an_assertion_a_credential_and_tokens() {
    let service = Service::new().await;
    assert_eq!(service.register("ann", b"correct horse", &json!({})).await.status, StatusCode::ACCEPTED);
    let logged_in = service.login("ann", b"correct horse").await.unwrap();
    assert_eq!(logged_in.status, StatusCode::OK, "{}", logged_in.json());
    let key = answer_key().verifying_key();
    let assertion = logged_in.text("assertion");
    let answer = Answer::<Value>::verify_own(&assertion, &key, "node-1", TENANT, START_MS).unwrap();
    assert_eq!((answer.check.as_str(), answer.result), ("account", json!({"account": true})));
    assert_eq!(answer.nonce, "nonce-1");
    let again = service.login("ann", b"correct horse").await.unwrap().text("assertion");
    let again = Answer::<Value>::verify_own(&again, &key, "node-1", TENANT, START_MS).unwrap();
    assert_eq!(answer.sub, again.sub, "the same viewer");
    assert!(service.login("ann", b"wrong horse").await.is_none());

    let access = logged_in.text("access");
    for token_type in [TokenType::BlindRsa2048, TokenType::VoprfP384] {
        let token = service.token(&access, TENANT, token_type).await;
        let redeemed = service.redeem(&token).await;
        assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.json());
        let input = Digest::of(json!({"nonce": "nonce-2"}).to_string().as_bytes());
        let expected = AnswerExpectation { issuer: "node-1", audience: TENANT, nonce: "nonce-2", input };
        let answer = Answer::<Value>::verify(&redeemed.text("answer"), &key, expected, START_MS).unwrap();
        assert_eq!((answer.sub, answer.result), (None, json!({"verified_viewer": true})), "nobody in particular");
        let (status, problem) = service.redeem(&token).await.problem();
        assert_eq!((status, problem.as_str()), (401, "token-refused"));
    }
}

#[tokio::test]
async fn what_the_platform_vouched_for_is_shown_one_claim_at_a_time() {
    let invite_only = ("regions/us-east.toml", "registration = \"open\"", "registration = \"invite\"");
    let service = Service::with(&[invite_only]).await;
    let claims = json!({"claims": {"age_over_18": true, "subscriber_tier": "premium"}});
    let bearer = format!("Bearer {}", service.api_key.expose());
    let invited = service.post("/v1/identity/invites", Some(&bearer), &claims).await;
    assert_eq!(invited.status, StatusCode::CREATED, "{}", invited.json());
    let invite = json!({"invite": invited.text("invite")});
    assert_eq!(service.register("ann", b"password", &invite).await.status, StatusCode::ACCEPTED);
    let access = service.login("ann", b"password").await.unwrap().text("access");
    let holder = SigningKey::generate(&mut OsRng.unwrap_err());
    let issued = service.credential(&access, &holder).await;
    assert_eq!(issued.status, StatusCode::OK, "{}", issued.json());
    let credential = issued.text("credential");
    let check = async |check: &str, value: Option<&str>| {
        let nonce = service.nonce(TENANT).await;
        let shown = present(&credential, &[check], &holder, ISSUER, &nonce, service.clock.now_s()).unwrap();
        let body = json!({"tenant": TENANT, "check": check, "value": value, "nonce": nonce, "presentation": shown});
        (service.post("/v1/identity/credentials/check", None, &body).await, body)
    };
    let (checked, body) = check("age_over_18", None).await;
    assert_eq!(checked.status, StatusCode::OK, "{}", checked.json());
    let key = answer_key().verifying_key();
    let input = Digest::of(body.to_string().as_bytes());
    let nonce = body["nonce"].as_str().unwrap();
    let expected = AnswerExpectation { issuer: "node-1", audience: TENANT, nonce, input };
    let answer = Answer::<Value>::verify(&checked.text("answer"), &key, expected, START_MS).unwrap();
    assert_eq!((answer.check.as_str(), &answer.result), ("age_over_18", &json!({"holds": true})));
    for (value, holds) in [("premium", true), ("free", false)] {
        let (checked, _) = check("subscriber_tier", Some(value)).await;
        let tier = Answer::<Value>::verify_own(&checked.text("answer"), &key, "node-1", TENANT, START_MS).unwrap();
        assert_eq!(tier.result, json!({"holds": holds, "value": value}));
        assert_eq!((tier.sub, checked.json().get("access").is_some()), (answer.sub.clone(), holds));
    }
    // The positive answer to `age_over_18` admits to tokens; that to `subscriber_tier` does not, by the policy.
    let token = service.token(&checked.text("access"), TENANT, TokenType::BlindRsa2048).await;
    assert_eq!(service.redeem(&token).await.status, StatusCode::OK);
}

/// Sealed at the device, opened at the node: begin, rank and end, with a token and nothing else.
#[tokio::test]
async fn a_device_ranks_obliviously_with_a_token_alone() {
    let service = Service::new().await;
    let access = service.access("ann").await;
    let token = service.token(&access, TENANT, TokenType::BlindRsa2048).await;
    let keys = service.get("/.well-known/ohttp-gateway").await;
    assert_eq!(keys.headers["content-type"], "application/ohttp-keys");
    let call = async |method: &str, path: &str, authorization: &str, body: Value| {
        let request = InnerRequest {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: vec![
                ("content-type".to_owned(), b"application/json".to_vec()),
                ("authorization".to_owned(), authorization.as_bytes().to_vec()),
            ],
            body: body.to_string().into_bytes(),
        };
        let (sealed, context) = ClientContext::encapsulate(&keys.body, &request, "us-east.example").unwrap();
        let outer = Request::post("/.well-known/ohttp-gateway").header("content-type", "message/ohttp-req");
        let answered = service.call(outer.body(Body::from(sealed)).unwrap()).await;
        assert_eq!(
            (answered.status, &answered.headers["content-type"]),
            (StatusCode::OK, &"message/ohttp-res".parse().unwrap())
        );
        assert!(answered.body.len().is_power_of_two(), "padded");
        let inner = context.decapsulate(&answered.body).unwrap();
        (inner.status, serde_json::from_slice::<Value>(&inner.body).unwrap_or(Value::Null))
    };
    let authorization = header::format_authorization(&token);
    let (status, created) = call("POST", "/v1/sessions", &authorization, json!({})).await;
    assert_eq!((status, &created["verified"]), (201, &json!(true)), "{created}");
    let session = created["session"].as_str().unwrap();
    let bearer = format!("Bearer {session}");
    let rank = json!({"session": session, "candidates": ["c0", "c1"]});
    let (status, ranked) = call("POST", "/v1/rank", &bearer, rank.clone()).await;
    assert_eq!((status, ranked["order"].as_array().map(Vec::len)), (200, Some(2)), "{ranked}");
    // The token is spent, and the name of one session opens no other.
    assert_eq!(call("POST", "/v1/sessions", &authorization, json!({})).await.0, 401);
    let platform = format!("Bearer {}", service.api_key.expose());
    let named = service.post("/v1/sessions", Some(&platform), &json!({"viewer": "v"})).await.text("session");
    let of_the_platform = json!({"session": named, "candidates": ["c0"]});
    assert_eq!(call("POST", "/v1/rank", &bearer, of_the_platform.clone()).await.0, 404);
    assert_eq!(call("POST", "/v1/rank", &format!("Bearer {named}"), of_the_platform).await.0, 401);
    let ended = call("POST", &format!("/v1/sessions/{session}/end"), &bearer, json!({"signals": []})).await;
    assert_eq!(ended.0, 204);
    assert_eq!(call("POST", "/v1/rank", &bearer, rank).await.0, 401, "its name was its key");
    // What is not offered inside is not there.
    assert_eq!(call("GET", "/openapi.json", "", Value::Null).await.0, 404);
}
