//! Siwa's own client, for what a script is given beforehand and for looking at what it made.

use attest::SigningKey;
use attest::opaque::{ClientLogin, ClientRegistration, Stretching};
use attest::privacy_pass::{IssuerDirectory, PendingToken, TokenChallenge, TokenType, header};
use attest::sd_jwt::{HolderProof, present};
use oracle::client::Client;
use rand_core::{OsRng, TryRngCore as _};
use serde_json::{Value, json};

use super::node::{ISSUER, TENANT};
use super::{bytes, text};

const ACCOUNTS: &str = "/v1/identity/accounts";
pub(crate) const PASSWORD: &[u8] = b"correct horse";

async fn call(client: &Client, path: &str, body: &Value) -> Value {
    let answer = client.post(path).json(body).send().await.unwrap_or_else(|error| panic!("{path}: {error}"));
    if answer.body.is_empty() { Value::Null } else { answer.json().expect("JSON") }
}

fn field(value: &Value, name: &str) -> String {
    value[name].as_str().expect("a text").to_owned()
}

/// Registers, with an invite that vouches for claims where there are any.
pub(crate) async fn register(client: &Client, user: &str, claims: Option<Value>) {
    let mut rng = OsRng.unwrap_err();
    let (registration, message) = ClientRegistration::start(PASSWORD, &mut rng).expect("a password");
    let start = json!({"tenant": TENANT, "user": user, "message": text(&message)});
    let response = bytes(&field(&call(client, &format!("{ACCOUNTS}/registration/start"), &start).await, "message"));
    let finished = registration.finish(PASSWORD, &response, &mut rng, &Stretching::fast_for_tests());
    let mut finish = json!({"tenant": TENANT, "user": user, "message": text(&finished.expect("a response").0)});
    if let Some(claims) = claims {
        let invited = call(client, "/v1/identity/invites", &json!({"claims": claims})).await;
        finish["invite"] = invited["invite"].clone();
    }
    call(client, &format!("{ACCOUNTS}/registration/finish"), &finish).await;
}

/// Logs in: assertion and access.
pub(crate) async fn login(client: &Client, user: &str, stretching: &Stretching) -> Value {
    let mut rng = OsRng.unwrap_err();
    let (login, message) = ClientLogin::start(PASSWORD, &mut rng).expect("a password");
    let start = json!({"tenant": TENANT, "user": user, "message": text(&message)});
    let started = call(client, &format!("{ACCOUNTS}/login/start"), &start).await;
    let ke3 = login.finish(PASSWORD, &bytes(&field(&started, "message")), &mut rng, stretching);
    let message = text(&ke3.expect("the password opens the account").0);
    let finish = json!({"login": started["login"], "message": message, "nonce": "nonce-1"});
    call(client, &format!("{ACCOUNTS}/login/finish"), &finish).await
}

/// A new account's access token.
pub(crate) async fn access(client: &Client, claims: Option<Value>) -> String {
    register(client, "carol", claims).await;
    field(&login(client, "carol", &Stretching::fast_for_tests()).await, "access")
}

/// The `Authorization` that spends a new token.
pub(crate) async fn authorization(client: &Client, access: &str) -> String {
    let directory = client.get("/.well-known/private-token-issuer-directory").send().await.expect("a directory");
    let directory = IssuerDirectory::parse(&directory.body).expect("a directory");
    let key = directory.keys().iter().find(|key| key.key.token_type() == TokenType::VoprfP384).expect("a key");
    let host = ISSUER.strip_prefix("https://").expect("an https name");
    let origin = format!("{TENANT}.{host}");
    let challenge = TokenChallenge::new(TokenType::VoprfP384, host, None, &[&origin]);
    let (request, pending) =
        PendingToken::new(&challenge.expect("a challenge"), &key.key, &mut OsRng.unwrap_err()).expect("a request");
    let call = client.post("/v1/identity/tokens").bearer(access);
    let answer = call.bytes("application/private-token-request", request.to_bytes()).send().await.expect("a token");
    header::format_authorization(&pending.finalize(&answer.body).expect("a proof")).to_string()
}

/// A presentation, for a verifier elsewhere, of a credential that the node issued to a holder of ours.
pub(crate) async fn presented(client: &Client, access: &str, show: &str) -> String {
    let holder = SigningKey::generate(&mut OsRng.unwrap_err());
    let challenge = call(client, "/v1/identity/challenges", &json!({"tenant": TENANT})).await;
    let now_s = oracle::clock::Clock::system().now_s();
    let proof = HolderProof::sign(&holder, ISSUER, &field(&challenge, "nonce"), now_s).expect("a proof");
    let issued = client.post("/v1/identity/credentials").bearer(access).json(&json!({"proof": proof}));
    let issued: Value = issued.send().await.expect("a credential").json().expect("JSON");
    let credential = field(&issued, "credential");
    present(&credential, &[show], &holder, "https://verifier.example", "nonce-3", now_s).expect("a presentation")
}
