//! Credentials by SD-JWT VC: one claim of a presentation is checked and forgotten; a login can yield a credential.

use std::sync::Arc;

use attest::Pseudonym;
use attest::sd_jwt::{
    Expected, HolderProof, IssueRequest, JwkSet, Predicate, Presentation, PublicJwk, SdJwtError, TrustedKeys,
    VerifiedCredential,
};
use axum::Json;
use axum::extract::State;
use policies::{Check, IssuerKeys};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Service, Verified};
use crate::http::{JsonBody, JsonBodyAndBytes, Problem};
use crate::region::answers::Question;
use crate::region::identity::Identity;
use crate::region::identity::claims::VouchedClaims;
use crate::region::identity::issuers::Issuer;
use crate::region::identity::refusal::IdentityRefusal;
use crate::region::metrics::IdentityEvent;
use crate::region::node::Node;

const DAY_SECONDS: u64 = 86_400;

/// Whose viewer wants to present something.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChallengeRequest {
    /// The platform.
    tenant: String,
}

/// A nonce to bind a presentation, or the proof of a holder's key, to.
#[derive(Serialize, ToSchema)]
pub(crate) struct Challenge {
    /// For one use.
    nonce: String,
    /// Whom the presentation is for: its `aud`.
    audience: String,
    /// Unix ms at which the nonce ends.
    expires_ms: u64,
}

/// `POST /v1/identity/challenges`
#[utoipa::path(post, path = "/v1/identity/challenges", request_body = ChallengeRequest, responses(
    (status = 200, body = Challenge),
    (status = 422, description = "problem: tenant-unknown"),
))]
pub(crate) async fn challenge(
    State(node): State<Arc<Node>>,
    Service(identity): Service,
    JsonBody(request): JsonBody<ChallengeRequest>,
) -> Result<Json<Challenge>, IdentityRefusal> {
    let tenant = node.tenant_named(&request.tenant)?;
    let random = node.environment.entropy.bytes()?;
    let (nonce, expires_ms) = identity.challenges.issue(tenant.id.as_str(), random, node.environment.clock.now_ms());
    Ok(Json(Challenge { nonce, audience: identity.issuer().to_owned(), expires_ms }))
}

/// One question about the holder of a credential.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckRequest {
    /// The platform that asks.
    tenant: String,
    /// `age_over_18`, `subscriber_tier` or `region`.
    #[schema(value_type = String)]
    check: Check,
    /// For `subscriber_tier` and `region`: the value that is asked about.
    value: Option<String>,
    /// The nonce of `POST /v1/identity/challenges`, to which the presentation is bound.
    nonce: String,
    /// The SD-JWT with key binding; it has to disclose the claim that is asked about, and nothing else.
    presentation: String,
}

/// The answer to one question.
#[derive(Serialize, ToSchema)]
pub(crate) struct Checked {
    /// For the platform: a signed answer (compact JWS) that says whether it holds, of a pairwise subject.
    answer: String,
    /// Where it holds, for the device: a bearer token to ask this service for anonymous tokens. Not for the platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<String>,
    /// Unix seconds at which both end.
    expires_s: u64,
}

/// What the signed answer says.
#[derive(Serialize)]
struct CheckResult<'a> {
    holds: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
}

/// `POST /v1/identity/credentials/check`
#[utoipa::path(post, path = "/v1/identity/credentials/check", request_body = CheckRequest, responses(
    (status = 200, body = Checked),
    (status = 403, description = "problem: check-not-granted"),
    (status = 422, description = "problem: challenge-refused, credential-refused, issuer-not-trusted, claim-missing, text-form"),
    (status = 503, description = "problem: issuer-unreachable"),
))]
pub(crate) async fn check(
    State(node): State<Arc<Node>>,
    Service(identity): Service,
    JsonBodyAndBytes(request, bytes): JsonBodyAndBytes<CheckRequest>,
) -> Result<Json<Checked>, IdentityRefusal> {
    // 1. The policy lets this tenant ask this.
    let tenant = node.tenant_named(&request.tenant)?;
    let predicate = predicate(&request)?;
    node.may_ask(tenant, request.check)?;
    // 2. The nonce is ours, for this tenant, in time. It is used up only by a presentation that verifies.
    let now_ms = node.environment.clock.now_ms();
    let nonce = identity.challenges.check(tenant.id.as_str(), &request.nonce, now_ms)?;
    // 3. An issuer that the policy trusts with this; its signature, the holder's, the times.
    let presentation = Presentation::parse(&request.presentation).map_err(refused)?;
    let (issuer, keys) = trusted(&identity, presentation.unverified_issuer(), request.check, now_ms)?;
    let types: Vec<&str> = issuer.rule.types.iter().map(String::as_str).collect();
    let expected = Expected { types: &types, audience: identity.issuer(), nonce: &request.nonce };
    let credential = presentation.verify(&keys, &expected, now_ms).map_err(|error| {
        node.metrics.identity(&tenant.id, IdentityEvent::CheckRefused, 1);
        refused(error)
    })?;
    // 4. Once.
    identity.challenges.use_up(tenant.id.as_str(), nonce, now_ms)?;
    // 5. Not revoked.
    issuer.check_status(credential.status(), &keys, now_ms).await?;
    // 6. For a credential of this service: this tenant vouched for it, and its account is still there.
    let account = match issuer.rule.keys {
        IssuerKeys::Own => Some(identity.account_behind(&tenant.id, &credential).await?),
        IssuerKeys::File { .. } | IssuerKeys::Url(_) => None,
    };
    // 7. The one claim. The rest of the presentation is dropped unread.
    let holds = credential.holds(predicate).ok_or(IdentityRefusal::ClaimMissing)?;
    let subject = subject(&node, &tenant.id, &credential);
    // Neither answer nor access says anything after the credential.
    let now_s = now_ms / 1000;
    let left = credential.expires_s().saturating_sub(now_s).max(1);
    let seconds = u64::from(identity.rules().rule.assertion_seconds).min(left);
    let (tenant, check) = (&tenant.id, request.check);
    let question = Question {
        tenant,
        subject: Some(subject),
        nonce: request.nonce,
        input: &bytes,
        check: check.as_str(),
        seconds,
    };
    let answer = node.answer(question, CheckResult { holds, value: request.value.as_deref() })?;
    // Tokens are counted by account, where there is one: holder keys are free.
    let access = identity.access(tenant, account.unwrap_or(subject), check, now_s, seconds);
    let expires_s = access.exp;
    let signed = || access.seal(identity.access_key()).map_err(|_| IdentityRefusal::NotSigned);
    let access = if holds { Some(signed()?) } else { None };
    node.metrics.identity(tenant, IdentityEvent::Checked, 1);
    Ok(Json(Checked { answer, access, expires_s }))
}

fn predicate(request: &CheckRequest) -> Result<Predicate<'_>, IdentityRefusal> {
    match (request.check, request.value.as_deref()) {
        (Check::AgeOver18, None) => Ok(Predicate::AgeOver18),
        (Check::SubscriberTier, Some(tier)) => Ok(Predicate::SubscriberTier(tier)),
        (Check::Region, Some(region)) => Ok(Predicate::Region(region)),
        (Check::Account, _) => Err(IdentityRefusal::Text { field: "check" }),
        (Check::AgeOver18, Some(_)) | (Check::SubscriberTier | Check::Region, None) => {
            Err(IdentityRefusal::Text { field: "value" })
        }
    }
}

/// The issuer of this name, if the policy trusts it with this check, and its keys.
fn trusted(
    identity: &Identity,
    name: &str,
    check: Check,
    now_ms: u64,
) -> Result<(Arc<Issuer>, TrustedKeys), IdentityRefusal> {
    let rules = identity.rules();
    let issuer = rules.issuers.named(name, identity.issuer()).cloned();
    let issuer =
        issuer.filter(|issuer| issuer.rule.checks.contains(&check)).ok_or(IdentityRefusal::IssuerNotTrusted)?;
    let keys = match issuer.rule.keys {
        IssuerKeys::Own => identity.own_keys(),
        IssuerKeys::File { .. } | IssuerKeys::Url(_) => issuer.keys(now_ms)?,
    };
    Ok((issuer, keys))
}

/// The holder's pairwise pseudonym towards this tenant: stable for one credential's issuer and one holder's key.
fn subject(node: &Node, tenant: &policies::TenantId, credential: &VerifiedCredential) -> Pseudonym {
    let mut name = b"credential\0".to_vec();
    name.extend_from_slice(&credential.subject());
    node.pseudonym(tenant, &name)
}

/// The whole chain of reasons, each of which is a fixed text.
fn refused(error: SdJwtError) -> IdentityRefusal {
    let why = match std::error::Error::source(&error) {
        None => error.to_string(),
        Some(source) => format!("{error}: {source}"),
    };
    IdentityRefusal::CredentialRefused { why }
}

impl Identity {
    /// The keys of credentials issued here, as a verifier takes them.
    fn own_keys(&self) -> TrustedKeys {
        let ring = self.ring.load();
        let keys = ring.credentials.iter().map(|(_, key)| PublicJwk::from(key.verifying_key()));
        TrustedKeys::new(self.issuer(), JwkSet::of_all(keys))
    }
}

/// A credential to be issued.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CredentialRequest {
    /// Proof that the device holds the key that the credential is to be bound to: a JWT of type
    /// `openid4vci-proof+jwt` with that key as `jwk`, this service as `aud`, and a nonce of `POST /v1/identity/challenges`.
    proof: String,
}

/// A credential that was issued.
#[derive(Serialize, ToSchema)]
pub(crate) struct CredentialIssued {
    /// The SD-JWT VC with all its disclosures. For the device alone.
    credential: String,
    /// Unix seconds at which it ends.
    expires_s: u64,
}

/// `POST /v1/identity/credentials`
///
/// Claims are what the tenant vouched for when it invited the viewer. The holder discloses them one by one.
#[utoipa::path(post, path = "/v1/identity/credentials", request_body = CredentialRequest, responses(
    (status = 200, body = CredentialIssued),
    (status = 401, description = "problem: access-refused"),
    (status = 403, description = "problem: access-insufficient"),
    (status = 404, description = "problem: account-gone"),
    (status = 422, description = "problem: credential-refused, challenge-refused, issuer-not-trusted"),
), security(("bearer" = [])))]
pub(crate) async fn issue(
    State(node): State<Arc<Node>>,
    Service(identity): Service,
    Verified { access, tenant }: Verified,
    JsonBody(request): JsonBody<CredentialRequest>,
) -> Result<Json<CredentialIssued>, Problem> {
    if access.check != Check::Account {
        return Err(IdentityRefusal::AccessInsufficient.into());
    }
    let rules = identity.rules();
    let rule = rules.issuers.own().ok_or(IdentityRefusal::IssuerNotTrusted)?;
    let now_ms = node.environment.clock.now_ms();
    let proof = HolderProof::verify(&request.proof, identity.issuer(), now_ms).map_err(refused)?;
    let nonce = identity.challenges.check(tenant.id.as_str(), proof.nonce(), now_ms).map_err(IdentityRefusal::from)?;
    identity.challenges.use_up(tenant.id.as_str(), nonce, now_ms).map_err(IdentityRefusal::from)?;
    let account = identity.store.account_of(tenant.id.clone(), access.sub).await.map_err(IdentityRefusal::from)?;
    let account = account.ok_or(IdentityRefusal::AccountGone)?;
    let VouchedClaims { age_over_18, subscriber_tier, region } = identity.open_claims(&account.claims)?;
    let mut disclosable = serde_json::Map::new();
    let mut put = |check: Check, value: Option<serde_json::Value>| {
        if let Some(value) = value.filter(|_| rule.checks.contains(&check)) {
            disclosable.insert(check.as_str().to_owned(), value);
        }
    };
    put(Check::AgeOver18, age_over_18.map(Into::into));
    put(Check::SubscriberTier, subscriber_tier.map(Into::into));
    put(Check::Region, region.map(Into::into));
    let ring = identity.ring.load();
    let (epoch, key) = ring.credential_key(now_ms / 1000).ok_or(IdentityRefusal::Store)?;
    let mut rng = node.environment.rng().map_err(IdentityRefusal::from)?;
    // Whole days: the second of its making would single the credential out. Never longer than its key is accepted.
    let issued_s = now_ms / 1000 / DAY_SECONDS * DAY_SECONDS;
    let lives_s = u64::from(identity.rules().rule.credential_days) * DAY_SECONDS;
    let expires_s = (issued_s + lives_s).min(epoch.accepted_until_s / DAY_SECONDS * DAY_SECONDS);
    let asked = IssueRequest {
        issuer: identity.issuer().to_owned(),
        vct: rule.types.first().cloned().unwrap_or_default(),
        issued_s,
        expires_s,
        holder: *proof.holder(),
        always: identity.name_account(&tenant.id, account.subject, &mut rng),
        disclosable,
        status: None,
    };
    let credential = asked.issue(key, &mut rng).map_err(|_| IdentityRefusal::NotSigned)?;
    node.metrics.identity(&tenant.id, IdentityEvent::CredentialIssued, 1);
    Ok(Json(CredentialIssued { credential, expires_s }))
}
