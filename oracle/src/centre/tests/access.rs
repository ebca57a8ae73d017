use super::*;
use attest::jws::{self, Typ};

const LIST: &str = "/v1/models/demo-platform";

#[tokio::test]
async fn each_caller_may_do_its_own_and_nothing_else() {
    let harness = Harness::new().await;
    let (west, east) = (harness.token(0), harness.token(2));
    let other = "/v1/models/nordlys-clips";
    for (path, bearer, expected) in [
        (LIST, harness.demo.as_str(), 200),
        (LIST, &harness.nordlys, 403),
        (LIST, &harness.operator, 200),
        (LIST, &west, 200),
        (LIST, &east, 200),
        (other, &harness.demo, 403),
        (other, &harness.nordlys, 200),
        (other, &west, 200),
        // us-east is not granted to nordlys-clips, so its node learns nothing of it.
        (other, &east, 403),
        // A name that no tenant has is refused like a foreign one, but to operators.
        ("/v1/models/nobody", &harness.demo, 403),
        ("/v1/models/nobody", &harness.operator, 404),
        ("/v1/releases?tenant=demo-platform", &west, 403),
        ("/v1/releases?tenant=nordlys-clips", &harness.demo, 403),
        ("/v1/releases/totals?tenant=demo-platform", &harness.demo, 200),
    ] {
        assert_eq!(harness.get(path, bearer).await.status.as_u16(), expected, "{path}");
    }
    for bearer in [&harness.demo, &west] {
        let rollback = harness.call(Method::POST, &format!("{LIST}/rollback"), Some(bearer), r#"{"version":1}"#).await;
        assert_eq!(rollback.refusal(), refused(403, "forbidden"));
        let train = harness.call(Method::POST, &format!("{LIST}/train"), Some(bearer), "").await;
        assert_eq!(train.refusal(), refused(403, "forbidden"));
    }
    let put = harness.call(Method::PUT, "/v1/catalogues/demo-platform", Some(&harness.nordlys), jsonl(3)).await;
    assert_eq!(put.refusal(), refused(403, "forbidden"));
    for bearer in [&harness.demo, &harness.operator] {
        let sent = harness.call(Method::POST, "/v1/releases", Some(bearer), "x").await;
        assert_eq!(sent.refusal(), refused(403, "forbidden"));
    }
}

#[tokio::test]
async fn credentials_that_are_none_are_refused() {
    let harness = Harness::new().await;
    let unknown = ApiKey::generate(&mut OsRng.unwrap_err());
    assert_eq!(harness.call(Method::GET, LIST, None, "").await.refusal(), refused(401, "admission-required"));
    for bearer in ["", "x", unknown.expose(), &harness.demo[1..]] {
        assert_eq!(harness.get(LIST, bearer).await.refusal(), refused(401, "unauthorized"));
    }
    let twice = Request::get(LIST)
        .header(header::AUTHORIZATION, format!("Bearer {}", harness.demo))
        .header(header::AUTHORIZATION, format!("Bearer {}", harness.operator))
        .body(Body::empty())
        .unwrap();
    let twice = Reply::of(harness.router.clone().oneshot(twice).await.unwrap()).await;
    assert_eq!(twice.refusal(), refused(401, "unauthorized"));
    let basic = Request::get(LIST).header(header::AUTHORIZATION, format!("Basic {}", harness.demo));
    let basic = harness.router.clone().oneshot(basic.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(Reply::of(basic).await.refusal(), refused(401, "unauthorized"));
}

#[tokio::test]
async fn node_tokens_are_fresh_for_this_centre_and_from_a_pinned_key() {
    let harness = Harness::new().await;
    let detail = async |token: &str| {
        let (status, kind, detail) = harness.get(LIST, token).await.problem();
        assert_eq!((status, kind.as_str()), (401, "unauthorized"));
        detail
    };
    let good = NodeToken::new(&node("node-w"), CENTRE, NOW_MS);
    let signed = |token: &NodeToken| token.sign(&harness.keys[0]).unwrap();
    let stranger = SigningKey::generate(&mut OsRng.unwrap_err());
    assert_eq!(detail(&good.sign(&stranger).unwrap()).await, "no pinned node has this key");
    let elsewhere = NodeToken { aud: "centre-2".to_owned(), ..good.clone() };
    assert_eq!(detail(&signed(&elsewhere)).await, "the node token is for another centre");
    let renamed = NodeToken { iss: node("node-u"), ..good.clone() };
    assert_eq!(detail(&signed(&renamed)).await, "the node token names another node than its key does");
    let long = NodeToken { exp: good.iat + 3600, ..good.clone() };
    assert_eq!(detail(&signed(&long)).await, "the node token's lifetime is not allowed");
    let ahead = NodeToken { iat: good.iat + 31, exp: good.exp + 31, ..good.clone() };
    assert_eq!(detail(&signed(&ahead)).await, "the node token is not yet valid: the clocks differ");
    let answer = jws::sign(Typ::Answer, &good, &harness.keys[0]).unwrap();
    assert_eq!(detail(&answer).await, "the node token was refused");

    assert_eq!(harness.get(LIST, &signed(&good)).await.status, StatusCode::OK);
    harness.clock.advance(90_000);
    assert_eq!(detail(&signed(&good)).await, "the node token has expired");
}

#[tokio::test]
async fn public_pages_need_no_credential() {
    let harness = Harness::new().await;
    let public = async |path| harness.call(Method::GET, path, None, "").await.json::<Value>();
    assert_eq!(public("/").await["name"], CENTRE);
    let keys = public("/.well-known/jwks.json").await;
    assert_eq!(keys["keys"][0]["x"], harness.centre.verifying_key().to_string());
    let openapi = public("/openapi.json").await;
    assert_eq!(openapi["openapi"], "3.1.0");
    insta::assert_snapshot!("openapi", serde_json::to_string_pretty(&openapi).unwrap());
    assert_eq!(harness.call(Method::GET, "/nowhere", None, "").await.refusal(), refused(404, "not-found"));
    let method = harness.call(Method::DELETE, LIST, None, "").await;
    assert_eq!(method.refusal(), refused(405, "method-not-allowed"));
}
