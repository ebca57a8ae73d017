//! The identity service, the content oracle and the attestation of devices against programs that we did not write, over
//! HTTPS. `tests/peers` has their scripts.

mod content;
mod device;
mod live;
mod node;
mod script;
mod web_authn;

use attest::opaque::Stretching;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use node::{ISSUER, Installation, Node, TENANT, TrustedIssuer};
use script::Script;
use serde_json::{Value, json};

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn bytes(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

fn with(mut settings: Value, more: Value) -> Value {
    let more = more.as_object().expect("an object").clone();
    settings.as_object_mut().expect("an object").extend(more);
    settings
}

fn problem(name: &str) -> String {
    format!("urn:siwa:problem:{name}")
}

/// Takes a member out, so that the rest can be compared whole.
fn take(value: &mut Value, name: &str) -> Value {
    value.as_object_mut().and_then(|object| object.remove(name)).unwrap_or_else(|| panic!("no `{name}` in {value}"))
}

/// An assertion of an account; its subject.
fn account(node: &Node<'_>, assertion: &Value) -> Option<String> {
    let answer = node.answer(assertion);
    assert_eq!((answer.check.as_str(), answer.nonce.as_str()), ("account", "nonce-1"));
    assert_eq!(answer.result, json!({"account": true}));
    answer.sub
}

/// What a redemption came to: the node's word without a subject once, and a refusal afterwards.
fn check_redeemed(node: &Node<'_>, redeemed: &Value) {
    let answer = node.answer(&redeemed["answer"]);
    assert_eq!((answer.check.as_str(), answer.sub), ("token", None));
    assert_eq!((answer.nonce.as_str(), answer.result), ("nonce-1", json!({"verified_viewer": true})));
    assert_eq!(redeemed["status"], 200);
    assert_eq!(redeemed["again"], json!([401, problem("token-refused")]));
}

/// The whole of OPAQUE by the npm package that most would take, with the stretching that it takes by itself.
#[tokio::test]
async fn opaque_by_serenity() {
    let installation = Installation::new();
    let node = installation.start("open", None);
    let Some(script) = Script::start("opaque_serenity.mjs", &installation, &node.settings()) else { return };
    let mut result = script.result();
    let subject = account(&node, &take(&mut result, "assertion"));
    let failed = json!([401, problem("login-failed")]);
    let expected = json!({
        "registered": 202, "loggedIn": 200, "sameExportKey": true, "sameServer": true,
        "wrongPasswordOpens": false, "nobodyOpens": false, "nobodyLooksAlike": true,
        "refused": [failed, failed], "refusedAlike": true,
    });
    assert_eq!(result, expected);
    // Our own client opens the account that the other one made, since both stretch alike.
    let ours = device::login(&node.client(), "ann", &Stretching::recommended()).await;
    assert_eq!(account(&node, &ours["assertion"]), subject);
}

/// Nothing in common with our implementation but the RFC.
#[tokio::test]
async fn opaque_by_rfc9807_in_javascript() {
    let installation = Installation::new();
    let node = installation.start("open", None);
    let Some(script) = Script::start("opaque_rfc9807.mjs", &installation, &node.settings()) else { return };
    let mut result = script.result();
    let subject = account(&node, &take(&mut result, "assertion"));
    let expected = json!({
        "registered": 202, "loggedIn": 200, "sameExportKey": true, "wrongPasswordOpens": false, "nobodyOpens": false,
    });
    assert_eq!(result, expected);
    let ours = device::login(&node.client(), "bob", &Stretching::fast_for_tests()).await;
    assert_eq!(account(&node, &ours["assertion"]), subject);
}

#[tokio::test]
async fn privacy_pass_by_cloudflare() {
    let installation = Installation::new();
    let node = installation.start("open", None);
    let access = device::access(&node.client(), None).await;
    let settings = with(node.settings(), json!({"access": access}));
    let Some(script) = Script::start("privacy_pass.mjs", &installation, &settings) else { return };
    let mut result = script.result();
    let redeemed = take(&mut result, "redeemed");
    let redeemed = redeemed.as_array().expect("a list");
    // One of each type, three in a batch, two in a mixed batch, one in an unquoted header.
    assert_eq!(redeemed.len(), 8);
    redeemed.iter().for_each(|redeemed| check_redeemed(&node, redeemed));
    let host = ISSUER.strip_prefix("https://").expect("an https name");
    let origin = format!("{TENANT}.{host}");
    let expected = json!({
        "challenge": 401,
        "offered": [[2, host, origin], [1, host, origin]],
        "contexts": [0, 0],
        "issuerUrl": format!("{ISSUER}/v1/identity/tokens"),
        "directory": "application/private-token-issuer-directory",
        "keysAgree": true,
        "verifiesPublicly": true,
        "types": [1, 2],
        "names": ["VOPRF (P-384, SHA-384)", "Blind RSA (2048)"],
        "batchMediaType": "application/private-token-generic-batch-response",
        "forged": 401,
    });
    assert_eq!(result, expected);
}

#[tokio::test]
async fn voprf_by_cloudflare() {
    let installation = Installation::new();
    let node = installation.start("open", None);
    let access = device::access(&node.client(), None).await;
    let settings = with(node.settings(), json!({"access": access}));
    let Some(script) = Script::start("voprf.mjs", &installation, &settings) else { return };
    let mut result = script.result();
    check_redeemed(&node, &take(&mut result, "redeemed"));
    let expected = json!({
        "issued": [200, "application/private-token-response", 49 + 96],
        "authenticatorBytes": 48,
        "changedProof": "refused",
        "otherKey": "refused",
    });
    assert_eq!(result, expected);
}

/// Whether the holder is of age, as the node said it of the presentation.
fn check_holds(node: &Node<'_>, checked: &Value, holds: bool) -> Option<String> {
    assert_eq!(checked["status"], 200, "{checked}");
    let answer = node.answer(&checked["answer"]);
    assert_eq!((answer.check.as_str(), answer.result), ("age_over_18", json!({"holds": holds})));
    answer.sub
}

/// A refused presentation, and why.
fn check_refused(checked: &Value, name: &str, why: Option<&str>) {
    let said = (&checked["status"], &checked["type"], checked["detail"].as_str());
    assert_eq!(said, (&json!(422), &json!(problem(name)), why));
}

/// A credential that the node issued to the peer.
fn check_issued(node: &Node<'_>, issued: &Value) {
    let expected = json!({
        "iss": ISSUER, "vct": "urn:siwa:credential:viewer:1", "age_over_18": true, "subscriber_tier": "premium",
    });
    assert_eq!((&issued["claims"], &issued["holder"]), (&expected, &json!(true)));
    assert!(check_holds(node, &issued["checked"], true).is_some());
}

/// Starts a peer that issues, the node that trusts it, and tells the peer of the node.
async fn issuing_peer<'a>(name: &'static str, installation: &'a Installation) -> Option<(Script, Node<'a>)> {
    let own = json!({"certificate": installation.file("server.pem"), "key": installation.file("server.key")});
    let mut script = Script::start(name, installation, &own)?;
    let issuer = TrustedIssuer::introduced(&script.line());
    let node = installation.start("invite", Some(&issuer));
    let client = node.client();
    let access = device::access(&client, Some(json!({"age_over_18": true, "subscriber_tier": "premium"}))).await;
    let presented = device::presented(&client, &access, "age_over_18").await;
    script.tell(&with(node.settings(), json!({"access": access, "presented": presented})));
    Some((script, node))
}

#[tokio::test]
async fn credentials_by_openwallet() {
    let installation = Installation::new();
    let Some((script, node)) = issuing_peer("sd_jwt.mjs", &installation).await else { return };
    let result = script.result();
    let theirs = &result["theirs"];
    for name in ["es256", "eddsa", "mixed", "valid"] {
        assert!(check_holds(&node, &theirs[name], true).is_some());
    }
    check_holds(&node, &theirs["minor"], false);
    check_refused(&theirs["revoked"], "credential-refused", Some("its issuer has revoked it"));
    check_refused(&theirs["suspended"], "credential-refused", Some("its issuer has suspended it"));
    check_refused(&theirs["notShown"], "claim-missing", None);
    let forged = "the key binding was refused: the token's signature does not verify";
    check_refused(&theirs["forged"], "credential-refused", Some(forged));
    for name in ["es256", "eddsa"] {
        let issued = &result["ours"][name];
        check_issued(&node, issued);
        assert_eq!(issued["header"], json!({"alg": "EdDSA", "typ": "dc+sd-jwt"}));
        assert_eq!(issued["named"], true);
        assert_eq!(issued["shown"], json!([null, "premium", "https://verifier.example"]));
    }
    assert_eq!(result["presented"], json!([true, null, "https://verifier.example"]));
}

#[tokio::test]
async fn credentials_by_python() {
    let installation = Installation::new();
    let Some((script, node)) = issuing_peer("sd_jwt_peer.py", &installation).await else { return };
    let result = script.result();
    let theirs = &result["theirs"];
    for name in ["es256", "eddsa", "mixed"] {
        assert!(check_holds(&node, &theirs[name], true).is_some());
    }
    check_holds(&node, &theirs["minor"], false);
    check_refused(&theirs["not_shown"], "claim-missing", None);
    let changed = "the key binding belongs to another presentation";
    check_refused(&theirs["changed"], "credential-refused", Some(changed));
    for name in ["es256", "eddsa"] {
        check_issued(&node, &result["ours"][name]);
    }
    assert_eq!(result["presented"], json!([true, null]));
}

/// An answer to a challenge request that came through the gateway.
fn check_challenged(challenged: &Value) {
    assert_eq!((&challenged["status"], &challenged["audience"]), (&json!(200), &json!(ISSUER)), "{challenged}");
    assert_eq!((&challenged["mediaType"], &challenged["bytes"]), (&json!("message/ohttp-res"), &json!(1024)));
}

/// A redemption that came through the gateway, and the same once more.
fn check_redeemed_obliviously(node: &Node<'_>, result: &Value) {
    let (redeemed, again) = (&result["redeemed"], &result["again"]);
    let repeated = json!({"status": redeemed["status"], "answer": redeemed["answer"],
        "again": [again["status"], again["type"]]});
    check_redeemed(node, &repeated);
}

async fn oblivious_peer<'a>(name: &'static str, installation: &'a Installation) -> Option<(Value, Node<'a>)> {
    let node = installation.start("open", None);
    let client = node.client();
    let access = device::access(&client, None).await;
    let authorization = device::authorization(&client, &access).await;
    let settings = with(node.settings(), json!({"authorization": authorization}));
    Some((Script::start(name, installation, &settings)?.result(), node))
}

#[tokio::test]
async fn oblivious_http_by_hpke_js() {
    let installation = Installation::new();
    let Some((result, node)) = oblivious_peer("ohttp.mjs", &installation).await else { return };
    assert_eq!(result["keys"], "application/ohttp-keys");
    assert_eq!(result["config"], json!([43, 41, "002000010001"]));
    check_challenged(&result["challenge"]);
    check_redeemed_obliviously(&node, &result);
    assert_eq!(result["notInside"]["status"], 404);
    assert_eq!(result["changed"], json!({"outer": 400, "type": problem("oblivious-refused")}));
    let other_key = "https://iana.org/assignments/http-problem-types#ohttp-key";
    assert_eq!(result["otherKey"], json!({"outer": 422, "type": other_key}));
}

#[tokio::test]
async fn oblivious_http_by_pyhpke() {
    let installation = Installation::new();
    let Some((result, node)) = oblivious_peer("ohttp_peer.py", &installation).await else { return };
    assert_eq!(result["keys"], "application/ohttp-keys");
    check_challenged(&result["challenge"]);
    check_challenged(&result["indeterminate"]);
    check_redeemed_obliviously(&node, &result);
}

/// The whole client of a private list, with nothing of ours but the wire.
#[tokio::test]
async fn private_lists_by_noble() {
    let installation = Installation::new();
    let clips: Vec<String> = (0..2000).map(|number| format!("clip-{number}")).collect();
    installation.list("demo-blocked", &clips);
    let node = installation.start("open", None);
    let client = node.client();
    let access = device::access(&client, None).await;
    let authorization = device::authorization(&client, &access).await;
    let settings = json!({"authorization": authorization, "list": "demo-blocked",
        "clips": ["clip-0", "clip-2000", "clip-1999", "clip-1000", "another"]});
    let Some(script) = Script::start("list_client.mjs", &installation, &with(node.settings(), settings)) else {
        return;
    };
    let refused = json!([401, problem("token-refused")]);
    let expected = json!({
        "signed": true, "status": 200, "listed": [true, false, true, true, false],
        "verified": [true, true, true, true, true], "lengths": 1, "changedProof": "refused", "otherKey": "refused",
        "again": refused, "none": refused,
    });
    assert_eq!(script.result(), expected);
}
