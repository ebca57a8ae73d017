//! Whether a session's viewer is a verified one: by an identity assertion that the platform passes on, or by an
//! anonymous token, which is spent when the session begins and not before.

use std::sync::Arc;

use attest::Answer;
use attest::privacy_pass::Token;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policies::{Check, Digest, Question, TenantId};
use serde::Deserialize;
use utoipa::ToSchema;

use super::sessions::{CreateSession, Creator, SessionCreated};
use crate::region::identity::redeem::name;
use crate::region::identity::refusal::IdentityRefusal;
use crate::region::metrics::IdentityEvent;
use crate::region::node::Node;
use crate::region::refusal::Refusal;
use crate::region::tenant::Tenant;
use crate::store::identity::{Reservation, TokenName};

/// That a viewer is a verified one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(crate) enum Proof {
    /// A signed answer of this node to the tenant: a login, or a check that holds and admits to anonymous tokens.
    Assertion(String),
    /// An anonymous token, base64url. It is spent.
    Token(String),
}

/// Who begins a session, and what is known of the viewer.
pub(crate) struct VerifiedViewer {
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) verified: bool,
    /// Whether a device began it with nothing but a token.
    pub(crate) anonymous: bool,
    /// The token to be spent.
    pub(crate) token: Option<TokenName>,
}

/// Checks what was shown, and that the policy is content with it. Spends nothing.
pub(crate) async fn verify(node: &Node, creator: Creator, request: &CreateSession) -> Result<VerifiedViewer, Refusal> {
    let tenant = match creator {
        Creator::Platform(tenant) => tenant,
        Creator::Device(token) => {
            let identity = node.identity.as_ref().ok_or(IdentityRefusal::Off)?;
            let (tenant, verified) = identity.verify_token(node, token).await?.ok_or(IdentityRefusal::TokenUnknown)?;
            if request.names_viewer() {
                return Err(IdentityRefusal::Text { field: "viewer" }.into());
            }
            return Ok(VerifiedViewer { tenant, verified: true, anonymous: true, token: Some(name(&verified)) });
        }
    };
    let token = match request.proof() {
        None => return without_proof(node, tenant),
        Some(Proof::Assertion(assertion)) => {
            check_assertion(node, &tenant, assertion)?;
            None
        }
        Some(Proof::Token(text)) => {
            let identity = node.identity.as_ref().ok_or(IdentityRefusal::Off)?;
            let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| IdentityRefusal::ProofRefused)?;
            let token = Token::parse(&bytes).map_err(|_| IdentityRefusal::ProofRefused)?;
            let verified = identity.verify_token(node, token).await?;
            let verified = verified.filter(|(found, _)| found.id == tenant.id).ok_or(IdentityRefusal::ProofRefused)?;
            Some(name(&verified.1))
        }
    };
    Ok(VerifiedViewer { tenant, verified: true, anonymous: false, token })
}

fn without_proof(node: &Node, tenant: Arc<Tenant>) -> Result<VerifiedViewer, Refusal> {
    if !node.allows(&tenant, Question::Serve) {
        return Err(Refusal::NotServed);
    }
    if !node.allows(&tenant, Question::Unverified) {
        let identity = node.identity.as_ref().ok_or(IdentityRefusal::Off)?;
        let challenge = identity.offer(&tenant.id, node.environment.clock.now_s());
        return Err(IdentityRefusal::ProofRequired { challenge }.into());
    }
    Ok(VerifiedViewer { tenant, verified: false, anonymous: false, token: None })
}

/// What an answer has to say to vouch for a viewer.
#[derive(Deserialize)]
struct Vouches {
    #[serde(default)]
    account: bool,
    #[serde(default)]
    holds: bool,
}

/// An answer of this node, to this tenant, still in force, of a kind that the policy lets vouch for a viewer.
fn check_assertion(node: &Node, tenant: &Tenant, assertion: &str) -> Result<(), IdentityRefusal> {
    let now_ms = node.environment.clock.now_ms();
    let key = node.answer_key.verifying_key();
    let answer = Answer::<Vouches>::verify_own(assertion, &key, node.name.as_str(), tenant.id.as_str(), now_ms);
    let answer = answer.map_err(|_| IdentityRefusal::ProofRefused)?;
    let vouches = match answer.check.parse() {
        Ok(check @ Check::Account) => {
            answer.result.account && node.allows(tenant, |tenant, region| Question::Check(tenant, region, check))
        }
        Ok(check) => {
            answer.result.holds && node.allows(tenant, |tenant, region| Question::Tokens(tenant, region, check))
        }
        Err(_) => false,
    };
    if vouches { Ok(()) } else { Err(IdentityRefusal::ProofRefused) }
}

impl VerifiedViewer {
    /// Reserves the token, if one pays.
    pub(crate) async fn reserve(&self, node: &Node) -> Result<Option<Reservation>, Refusal> {
        let (Some(token), Some(identity)) = (self.token, &node.identity) else { return Ok(None) };
        Ok(Some(identity.reserve(node, &self.tenant.id, token).await?))
    }
}

/// Spends the token of a session that began, and gives back that of one that did not.
///
/// # Errors
/// The token could not be spent: then the session does not stand.
pub(crate) async fn settle(
    node: &Node,
    tenant: &TenantId,
    reservation: Option<Reservation>,
    begun: &Result<Arc<SessionCreated>, Refusal>,
    key: Option<Digest>,
) -> Result<(), Refusal> {
    let (Some(reservation), Some(identity)) = (reservation, &node.identity) else { return Ok(()) };
    let settled = identity.settle(reservation, begun.is_ok()).await;
    let Ok(session) = begun else { return Ok(()) };
    if settled == Ok(true) {
        node.metrics.identity(tenant, IdentityEvent::TokenSpent, 1);
        return Ok(());
    }
    if let Some(key) = key {
        node.created.invalidate(&key);
    }
    if let Ok(id) = session.session_id().parse() {
        drop(node.sessions.remove(id));
    }
    Err(settled.err().unwrap_or(IdentityRefusal::ProofRefused).into())
}
