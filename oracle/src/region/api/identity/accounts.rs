//! Accounts by OPAQUE (RFC 9807): two round trips to register, two to log in. No password comes here.

use std::sync::Arc;

use attest::Pseudonym;
use attest::opaque::{AccountRecord, CredentialId, KE1_BYTES, OpaqueServer, REGISTRATION_REQUEST_BYTES};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use policies::{Check, Digest, Registration};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Service, Verified, bytes_of, nonce_of, text_of};
use crate::http::{JsonBody, JsonBodyAndBytes, Problem};
use crate::region::answers::Question;
use crate::region::identity::Identity;
use crate::region::identity::logins::{Begun, LoginsFull};
use crate::region::identity::redeem::SPENT;
use crate::region::identity::refusal::IdentityRefusal;
use crate::region::metrics::IdentityEvent;
use crate::region::node::Node;
use crate::region::tenant::Tenant;
use crate::store::identity::{Account, Gate, Registered};

/// A first message of registration or login.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpaqueStart {
    /// The platform.
    tenant: String,
    /// The account's name, 1 to 128 bytes, as its owner types it. Kept as a keyed hash only.
    user: String,
    /// Registration request or KE1 of RFC 9807, base64url.
    message: String,
}

/// The answer to a registration's first message.
#[derive(Serialize, ToSchema)]
pub(crate) struct RegistrationStarted {
    /// Registration response of RFC 9807, base64url.
    message: String,
}

/// The account that a message speaks of, after its tries were counted. A registration's first message evaluates the same
/// function of the password as a login's, and must not be a way around the limit.
fn named(
    node: &Node,
    identity: &Identity,
    request: &OpaqueStart,
) -> Result<(Arc<Tenant>, CredentialId, Vec<u8>), IdentityRefusal> {
    let tenant = node.tenant_named(&request.tenant)?;
    node.may_ask(tenant, Check::Account)?;
    let message = bytes_of("message", &request.message)?;
    // What cannot be a first message takes no try: whoever knows a name has to work to use up its tries.
    if !matches!(message.len(), REGISTRATION_REQUEST_BYTES | KE1_BYTES) {
        return Err(IdentityRefusal::Message { field: "message" });
    }
    let id = identity.setup.opaque.credential_id(&tenant.id, &request.user);
    let id = id.map_err(|_| IdentityRefusal::Text { field: "user" })?;
    let taken = identity.login_starts.take(id.as_bytes(), node.environment.clock.now_ms());
    taken.map_err(|retry_after_s| IdentityRefusal::LoginRate { retry_after_s })?;
    Ok((Arc::clone(tenant), id, message))
}

/// `POST /v1/identity/accounts/registration/start`
#[utoipa::path(post, path = "/v1/identity/accounts/registration/start", request_body = OpaqueStart, responses(
    (status = 200, body = RegistrationStarted),
    (status = 403, description = "problem: registration-closed, check-not-granted"),
    (status = 422, description = "problem: tenant-unknown, text-form, message-invalid"),
    (status = 429, description = "problem: too-many-requests"),
))]
pub(crate) async fn start_registration(
    State(node): State<Arc<Node>>,
    Service(identity): Service,
    JsonBody(request): JsonBody<OpaqueStart>,
) -> Result<Json<RegistrationStarted>, IdentityRefusal> {
    if identity.rules().rule.registration == Registration::Closed {
        return Err(IdentityRefusal::RegistrationClosed);
    }
    let (_, id, message) = named(&node, &identity, &request)?;
    let response = identity.setup.opaque.registration_start(&id, &message);
    let response = response.map_err(|_| IdentityRefusal::Message { field: "message" })?;
    Ok(Json(RegistrationStarted { message: text_of(&response) }))
}

/// A registration's second message.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegistrationFinish {
    /// The platform.
    tenant: String,
    /// The account's name, as in the first message.
    user: String,
    /// Registration record of RFC 9807, base64url.
    message: String,
    /// Where the policy asks for one: the invite that the platform gave.
    invite: Option<String>,
}

/// `POST /v1/identity/accounts/registration/finish`
///
/// The answer is the same whether the account was made or existed before: nobody learns who has one, and none is ever
/// overwritten. Whoever can log in afterwards has the account. Where the policy asks for an anonymous token, it stands
/// in `Authorization: PrivateToken`.
#[utoipa::path(post, path = "/v1/identity/accounts/registration/finish", request_body = RegistrationFinish, responses(
    (status = 202, description = "accepted: log in to see whether the account is yours"),
    (status = 401, description = "problem: token-refused"),
    (status = 403, description = "problem: registration-closed, not-invited, check-not-granted"),
    (status = 422, description = "problem: tenant-unknown, text-form, message-invalid"),
    (status = 429, description = "problem: too-many-requests"),
))]
pub(crate) async fn finish_registration(
    State(node): State<Arc<Node>>,
    Service(identity): Service,
    headers: HeaderMap,
    JsonBody(request): JsonBody<RegistrationFinish>,
) -> Result<StatusCode, IdentityRefusal> {
    let tenant = node.tenant_named(&request.tenant)?;
    node.may_ask(tenant, Check::Account)?;
    let id = identity.setup.opaque.credential_id(&tenant.id, &request.user);
    let id = id.map_err(|_| IdentityRefusal::Text { field: "user" })?;
    let record = OpaqueServer::registration_finish(&bytes_of("message", &request.message)?);
    let record = record.map_err(|_| IdentityRefusal::Message { field: "message" })?;
    let gate = match identity.rules().rule.registration {
        Registration::Closed => return Err(IdentityRefusal::RegistrationClosed),
        Registration::Open => {
            let now_ms = node.environment.clock.now_ms();
            let taken = identity.registrations.take(tenant.id.as_str().as_bytes(), now_ms);
            taken.map_err(|retry_after_s| IdentityRefusal::RegistrationRate { retry_after_s })?;
            Gate::Open
        }
        Registration::Invite => {
            let code = request.invite.as_deref().ok_or(IdentityRefusal::NotInvited)?;
            Gate::Invite { digest: Digest::of(code.as_bytes()), now_s: node.environment.clock.now_s() }
        }
        Registration::Token => {
            let token = identity.token_of(&node, &headers, tenant).await?;
            Gate::Token { token, now_ms: node.environment.clock.now_ms() }
        }
    };
    let account = Account {
        credential_id: *id.as_bytes(),
        tenant: tenant.id.clone(),
        // Random: an account that is made anew under the same name is another one.
        subject: Pseudonym::from_bytes(node.environment.entropy.bytes()?),
        record: record.to_bytes().to_vec(),
        claims: Vec::new(),
    };
    match identity.store.register(account, gate).await? {
        Registered::Accepted => {
            node.metrics.identity(&tenant.id, IdentityEvent::Registered, 1);
            Ok(StatusCode::ACCEPTED)
        }
        Registered::NotInvited => Err(IdentityRefusal::NotInvited),
        Registered::TokenSpent => Err(identity.token_refused(&node, &tenant.id, SPENT)),
    }
}

/// The answer to a login's first message.
#[derive(Serialize, ToSchema)]
pub(crate) struct LoginStarted {
    /// The login's name, for its second message within a minute.
    login: String,
    /// KE2 of RFC 9807, base64url.
    message: String,
}

/// `POST /v1/identity/accounts/login/start`
///
/// Answers alike for an account that does not exist.
#[utoipa::path(post, path = "/v1/identity/accounts/login/start", request_body = OpaqueStart, responses(
    (status = 200, body = LoginStarted),
    (status = 403, description = "problem: check-not-granted"),
    (status = 422, description = "problem: tenant-unknown, text-form, message-invalid"),
    (status = 429, description = "problem: too-many-requests"),
    (status = 503, description = "problem: logins-full, busy"),
))]
pub(crate) async fn start_login(
    State(node): State<Arc<Node>>,
    Service(identity): Service,
    JsonBody(request): JsonBody<OpaqueStart>,
) -> Result<Json<LoginStarted>, IdentityRefusal> {
    let (tenant, id, message) = named(&node, &identity, &request)?;
    let found = identity.store.login_record(*id.as_bytes()).await?;
    let subject = found.as_ref().map_or(identity.nobody, |found| found.subject);
    let record = match &found {
        Some(found) => Some(AccountRecord::from_bytes(&found.record).map_err(|_| IdentityRefusal::Store)?),
        None => None,
    };
    let started = identity.setup.opaque.login_start(&id, record.as_ref(), &message, &mut node.environment.rng()?);
    let (message, pending) = started.map_err(|_| IdentityRefusal::Message { field: "message" })?;
    let login: [u8; 16] = node.environment.entropy.bytes()?;
    let begun = Begun { tenant: tenant.id.clone(), subject, pending };
    let kept = identity.logins.begin(login, begun, node.environment.clock.now_ms());
    kept.map_err(|LoginsFull| IdentityRefusal::LoginsFull)?;
    node.metrics.identity(&tenant.id, IdentityEvent::LoginBegun, 1);
    Ok(Json(LoginStarted { login: text_of(&login), message: text_of(&message) }))
}

/// A login's second message.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginFinish {
    /// The login, as the first answer named it.
    login: String,
    /// KE3 of RFC 9807, base64url.
    message: String,
    /// The platform's nonce, 1 to 128 bytes, to which the assertion is bound.
    nonce: String,
}

/// A login that succeeded.
#[derive(Serialize, ToSchema)]
pub(crate) struct LoggedIn {
    /// For the platform: a signed answer (compact JWS) whose `sub` is the viewer's pairwise pseudonym.
    assertion: String,
    /// For the device: a bearer token to ask this service for credentials and anonymous tokens. Not for the platform.
    access: String,
    /// Unix seconds at which both end.
    expires_s: u64,
}

/// What an identity assertion says.
#[derive(Serialize)]
struct AccountResult {
    account: bool,
}

/// `POST /v1/identity/accounts/login/finish`
#[utoipa::path(post, path = "/v1/identity/accounts/login/finish", request_body = LoginFinish, responses(
    (status = 200, body = LoggedIn),
    (status = 401, description = "problem: login-failed"),
    (status = 422, description = "problem: text-form"),
))]
pub(crate) async fn finish_login(
    State(node): State<Arc<Node>>,
    Service(identity): Service,
    JsonBodyAndBytes(request, bytes): JsonBodyAndBytes<LoginFinish>,
) -> Result<Json<LoggedIn>, IdentityRefusal> {
    let nonce = nonce_of(request.nonce)?;
    let message = bytes_of("message", &request.message)?;
    let login = bytes_of("login", &request.login)?.try_into().map_err(|_| IdentityRefusal::Text { field: "login" })?;
    let begun = identity.logins.take(&login, node.environment.clock.now_ms()).ok_or(IdentityRefusal::LoginFailed)?;
    let Begun { tenant, subject, pending } = begun;
    if OpaqueServer::login_finish(pending, &message).is_err() {
        node.metrics.identity(&tenant, IdentityEvent::LoginFailed, 1);
        return Err(IdentityRefusal::LoginFailed);
    }
    let seconds = u64::from(identity.rules().rule.assertion_seconds);
    let check = Check::Account.as_str();
    let question = Question { tenant: &tenant, subject: Some(subject), nonce, input: &bytes, check, seconds };
    let assertion = node.answer(question, AccountResult { account: true })?;
    let access = identity.access(&tenant, subject, Check::Account, node.environment.clock.now_s(), seconds);
    let expires_s = access.exp;
    let access = access.seal(identity.access_key()).map_err(|_| IdentityRefusal::NotSigned)?;
    node.metrics.identity(&tenant, IdentityEvent::LoggedIn, 1);
    Ok(Json(LoggedIn { assertion, access, expires_s }))
}

/// `DELETE /v1/identity/account`
#[utoipa::path(delete, path = "/v1/identity/account", responses(
    (status = 204, description = "erased; what it was issued ends by itself"),
    (status = 401, description = "problem: access-refused"),
    (status = 403, description = "problem: access-insufficient"),
    (status = 404, description = "problem: account-gone"),
), security(("bearer" = [])))]
pub(crate) async fn erase(
    Service(identity): Service,
    Verified { access, tenant }: Verified,
) -> Result<StatusCode, Problem> {
    if access.check != Check::Account {
        return Err(IdentityRefusal::AccessInsufficient.into());
    }
    let erased = identity.store.erase_account(tenant.id.clone(), access.sub).await.map_err(IdentityRefusal::from)?;
    if erased { Ok(StatusCode::NO_CONTENT) } else { Err(IdentityRefusal::AccountGone.into()) }
}
