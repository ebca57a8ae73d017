//! The identity service of a node, called through its router as devices and platforms call it.

mod access;
mod accounts;
mod credentials;
mod enumeration;
mod issuers;
mod journey;
mod keys;
mod lists;
mod oblivious;
mod overload;
mod registration;
mod secrets;
mod sessions;
mod setting;
mod tokens;

use std::collections::BTreeMap;
use std::sync::Arc;

use attest::opaque::{ClientLogin, ClientRegistration, Stretching};
use attest::privacy_pass::{PendingToken, PublicKey, Token, TokenChallenge, TokenType, header};
use attest::sd_jwt::HolderProof;
use attest::{ApiKey, Pseudonym, SigningKey};
use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::BodyExt as _;
use policies::{Check, Digest, TenantId};
use rand_core::{OsRng, TryRngCore as _};
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{Identity, IdentityLimits};
use crate::clock::Clock;
use crate::http::Limits;
use crate::identity_folder::IdentityFolder;
use crate::region::{Node, router};
use setting::{folder, prepared, start};

const START_MS: u64 = 1_800_000_000_000;
const TENANT: &str = "demo-platform";
const OTHER: &str = "other-platform";
/// The account behind credentials that tests make with the service's own key.
const SUBJECT: Pseudonym = Pseudonym::from_bytes([9; 32]);
const ISSUER: &str = "https://us-east.example";

/// The fingerprint of a client certificate that authenticates [`TENANT`].
const CERTIFICATE: Digest = Digest::from_bytes([0xce; 32]);

/// A node of the sample region `us-east`, where anyone may register, with an identity folder of its own.
struct Service {
    node: Arc<Node>,
    router: Router,
    clock: Clock,
    api_key: ApiKey,
    other_key: ApiKey,
    files: tempfile::TempDir,
}

/// A policy file, what it says, and what a test has it say instead. Nothing stands for the whole file.
type Change<'a> = (&'a str, &'a str, &'a str);

/// An answer: its status, head and JSON (or nothing, where it is none).
struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answered {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    fn text(&self, field: &str) -> String {
        self.json()[field].as_str().unwrap_or_else(|| panic!("no {field} in {}", self.json())).to_owned()
    }

    /// The problem's type and status.
    fn problem(&self) -> (u16, String) {
        let kind = self.text("type");
        (self.status.as_u16(), kind.trim_start_matches("urn:siwa:problem:").to_owned())
    }
}

impl Service {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    async fn with(changes: &[Change<'_>]) -> Self {
        Self::made(changes, Vec::new(), IdentityLimits::default()).await
    }

    /// A service that fetches from foreign issuers whom these roots vouch for.
    async fn trusting(changes: &[Change<'_>], issuers_ca: Vec<CertificateDer<'static>>) -> Self {
        Self::made(changes, issuers_ca, IdentityLimits::default()).await
    }

    async fn made(changes: &[Change<'_>], issuers_ca: Vec<CertificateDer<'static>>, limits: IdentityLimits) -> Self {
        let mut rng = OsRng.unwrap_err();
        let files = tempfile::tempdir().unwrap();
        for (path, bytes) in &prepared().files {
            let file = files.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, bytes).unwrap();
        }
        let (api_key, other_key) = (ApiKey::generate(&mut rng), ApiKey::generate(&mut rng));
        let clock = Clock::manual(START_MS);
        let node = start(&files, [&api_key, &other_key], &clock, changes, issuers_ca, limits).await;
        Self { router: limited(&node), node, clock, api_key, other_key, files }
    }

    /// Ends the process, as far as anything of it can be seen, and starts another over the same files.
    async fn restart(self, changes: &[Change<'_>]) -> Self {
        let Self { node, router, clock, api_key, other_key, files } = self;
        drop(router);
        drop(Arc::try_unwrap(node).map_err(|_| "the node is held elsewhere").unwrap());
        let limits = IdentityLimits::default();
        let node = start(&files, [&api_key, &other_key], &clock, changes, Vec::new(), limits).await;
        Self { router: limited(&node), node, clock, api_key, other_key, files }
    }

    fn identity(&self) -> &Arc<Identity> {
        self.node.identity.as_ref().unwrap()
    }

    fn folder(&self) -> IdentityFolder {
        folder(self.files.path())
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.api_key.expose())
    }

    async fn call(&self, request: Request<Body>) -> Answered {
        answered(self.router.clone(), request).await
    }

    async fn get(&self, path: &str) -> Answered {
        self.call(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, authorization: Option<&str>, body: &Value) -> Answered {
        let mut request = Request::post(path).header("content-type", "application/json");
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        self.call(request.body(Body::from(body.to_string())).unwrap()).await
    }

    async fn post_bytes(&self, path: &str, media_type: &str, access: &str, body: Vec<u8>) -> Answered {
        let request = Request::post(path).header("content-type", media_type);
        let request = request.header("authorization", format!("Bearer {access}"));
        self.call(request.body(Body::from(body)).unwrap()).await
    }

    /// Registers an account, with whatever else the second message needs.
    async fn register(&self, user: &str, password: &[u8], extra: &Value) -> Answered {
        self.register_at(TENANT, user, password, extra).await
    }

    async fn register_at(&self, tenant: &str, user: &str, password: &[u8], extra: &Value) -> Answered {
        match self.upload(tenant, user, password).await {
            Ok(upload) => self.finish_registration(tenant, user, &upload, None, extra).await,
            Err(refused) => refused,
        }
    }

    /// The second message of a registration, or what the first was refused with.
    async fn upload(&self, tenant: &str, user: &str, password: &[u8]) -> Result<Vec<u8>, Answered> {
        let mut rng = OsRng.unwrap_err();
        let (client, message) = ClientRegistration::start(password, &mut rng).unwrap();
        let started = self.opaque_start("registration", tenant, user, &message).await;
        if started.status != StatusCode::OK {
            return Err(started);
        }
        let response = bytes(&started.text("message"));
        let (upload, _) = client.finish(password, &response, &mut rng, &Stretching::fast_for_tests()).unwrap();
        Ok(upload)
    }

    /// A first message of `registration` or `login`.
    async fn opaque_start(&self, what: &str, tenant: &str, user: &str, message: &[u8]) -> Answered {
        let body = json!({"tenant": tenant, "user": user, "message": text(message)});
        self.post(&format!("/v1/identity/accounts/{what}/start"), None, &body).await
    }

    async fn finish_registration(
        &self,
        tenant: &str,
        user: &str,
        upload: &[u8],
        authorization: Option<&str>,
        extra: &Value,
    ) -> Answered {
        let mut body = json!({"tenant": tenant, "user": user, "message": text(upload)});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        self.post("/v1/identity/accounts/registration/finish", authorization, &body).await
    }

    /// Logs in; nothing where the client itself finds that the password is wrong.
    async fn login(&self, user: &str, password: &[u8]) -> Option<Answered> {
        self.login_at(TENANT, user, password).await
    }

    async fn login_at(&self, tenant: &str, user: &str, password: &[u8]) -> Option<Answered> {
        let begun = self.begin_login(tenant, user, password).await?;
        Some(self.finish_login(&begun.login, &begun.ke3).await)
    }

    /// A login up to its last message; nothing where the client itself finds that the password is wrong.
    async fn begin_login(&self, tenant: &str, user: &str, password: &[u8]) -> Option<BegunLogin> {
        let mut rng = OsRng.unwrap_err();
        let (client, ke1) = ClientLogin::start(password, &mut rng).unwrap();
        let started = self.opaque_start("login", tenant, user, &ke1).await;
        assert_eq!(started.status, StatusCode::OK, "{}", started.json());
        let ke2 = bytes(&started.text("message"));
        let (ke3, _) = client.finish(password, &ke2, &mut rng, &Stretching::fast_for_tests()).ok()?;
        Some(BegunLogin { login: started.text("login"), ke3 })
    }

    async fn finish_login(&self, login: &str, ke3: &[u8]) -> Answered {
        let body = json!({"login": login, "message": text(ke3), "nonce": "nonce-1"});
        self.post("/v1/identity/accounts/login/finish", None, &body).await
    }

    /// A new account's access token.
    async fn access(&self, user: &str) -> String {
        assert_eq!(self.register(user, b"password", &json!({})).await.status, StatusCode::ACCEPTED);
        self.login(user, b"password").await.unwrap().text("access")
    }

    /// An access token as the service itself makes it, for a subject without an account.
    fn minted(&self, tenant: &str, subject: u8, check: Check) -> String {
        self.minted_for(tenant, Pseudonym::from_bytes([subject; 32]), check)
    }

    fn minted_for(&self, tenant: &str, subject: Pseudonym, check: Check) -> String {
        let access = self.identity().access(&tenant.parse().unwrap(), subject, check, self.clock.now_s(), 600);
        access.seal(self.identity().access_key()).unwrap()
    }

    async fn nonce(&self, tenant: &str) -> String {
        self.post("/v1/identity/challenges", None, &json!({"tenant": tenant})).await.text("nonce")
    }

    /// A credential bound to `holder`.
    async fn credential(&self, access: &str, holder: &SigningKey) -> Answered {
        let nonce = self.nonce(TENANT).await;
        let proof = HolderProof::sign(holder, ISSUER, &nonce, self.clock.now_s()).unwrap();
        self.credential_for(access, &proof).await
    }

    async fn credential_for(&self, access: &str, proof: &str) -> Answered {
        self.post("/v1/identity/credentials", Some(&format!("Bearer {access}")), &json!({"proof": proof})).await
    }

    /// What a tenant asks for, and the key that issues it, as its `WWW-Authenticate` says.
    async fn offer(&self, tenant: &str, token_type: TokenType) -> (TokenChallenge, PublicKey) {
        let answered = self.get(&format!("/v1/identity/tokens/challenge?tenant={tenant}")).await;
        assert_eq!(answered.status, StatusCode::UNAUTHORIZED);
        let value = answered.headers["www-authenticate"].to_str().unwrap();
        let offers = header::parse_www_authenticate(value).unwrap();
        let offer = offers.into_iter().find(|offer| offer.challenge.token_type() == token_type).unwrap();
        (offer.challenge, offer.key)
    }

    /// One token for `tenant`.
    async fn token(&self, access: &str, tenant: &str, token_type: TokenType) -> Token {
        let (challenge, key) = self.offer(tenant, token_type).await;
        let (request, pending) = PendingToken::new(&challenge, &key, &mut OsRng.unwrap_err()).unwrap();
        let answered = self.ask_for_token(access, request.to_bytes()).await;
        assert_eq!(answered.status, StatusCode::OK, "{}", answered.json());
        assert_eq!(answered.headers["content-type"], "application/private-token-response");
        pending.finalize(&answered.body).unwrap()
    }

    /// A token for `tenant`, of a subject without an account: as many as a test needs.
    async fn any_token(&self, tenant: &str, token_type: TokenType) -> Token {
        let subject = Pseudonym::from_bytes(self.node.environment.entropy.bytes().unwrap());
        let named = self.node.tenant_named(tenant).unwrap();
        let check =
            *self.node.in_force().policies().grant(&self.node.region, &named.id).unwrap().tokens_for.first().unwrap();
        self.token(&self.minted_for(tenant, subject, check), tenant, token_type).await
    }

    async fn ask_for_token(&self, access: &str, request: Vec<u8>) -> Answered {
        self.post_bytes("/v1/identity/tokens", "application/private-token-request", access, request).await
    }

    async fn redeem(&self, token: &Token) -> Answered {
        self.redeem_bytes(&token.to_bytes()).await
    }

    async fn redeem_bytes(&self, token: &[u8]) -> Answered {
        let nonce = json!({"nonce": "nonce-2"});
        self.post("/v1/identity/tokens/redeem", Some(&authorization(token)), &nonce).await
    }
}

/// A login whose last message was made and not sent.
struct BegunLogin {
    login: String,
    ke3: Vec<u8>,
}

/// `Authorization: PrivateToken`, also for bytes that are no token.
fn authorization(token: &[u8]) -> String {
    format!("PrivateToken token=\"{}\"", base64::engine::general_purpose::URL_SAFE.encode(token))
}

/// Each message that differs from `message` in one bit.
fn flipped(message: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..message.len() * 8).map(|bit| {
        let mut flipped = message.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    })
}

/// Each beginning of `message`, and it with a byte more at its end.
fn of_other_lengths(message: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let longer = [message, &[0]].concat();
    (0..message.len()).map(|length| message[..length].to_vec()).chain([longer])
}

/// The node's routes under the limit of bodies that its listener sets.
fn limited(node: &Arc<Node>) -> Router {
    router(Arc::clone(node)).layer(DefaultBodyLimit::max(Limits::default().body_bytes_max))
}

async fn answered(router: Router, request: Request<Body>) -> Answered {
    let response = router.oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    Answered { status: head.status, headers: head.headers, body }
}

fn answer_key() -> SigningKey {
    use rand_core::SeedableRng as _;
    SigningKey::generate(&mut rand_chacha::ChaCha20Rng::seed_from_u64(7))
}

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn bytes(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}
