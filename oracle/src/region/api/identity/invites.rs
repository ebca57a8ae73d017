//! Invites: how a platform lets its viewers make accounts, and what it vouches for when it does.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use policies::{Check, Digest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Service, text_of};
use crate::http::{JsonBody, Problem};
use crate::region::authenticate::Caller;
use crate::region::identity::claims::VouchedClaims;
use crate::region::identity::refusal::IdentityRefusal;
use crate::region::node::Node;
use crate::store::identity::Invite;

/// Open invites of one tenant.
const INVITES_MAX: u32 = 100_000;
const SECONDS_DEFAULT: u32 = 7 * 86_400;
const SECONDS_MAX: u32 = 90 * 86_400;

/// An invite to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateInvite {
    /// What credentials of the account may say.
    #[serde(default)]
    claims: VouchedClaims,
    /// How long it may be used, up to 90 days; 7 days where nothing is said.
    seconds: Option<u32>,
}

/// An invite.
#[derive(Serialize, ToSchema)]
pub(crate) struct InviteCreated {
    /// The code, for one registration. It is shown this once.
    invite: String,
    /// Unix seconds at which it ends.
    expires_s: u64,
}

/// `POST /v1/identity/invites`
#[utoipa::path(post, path = "/v1/identity/invites", request_body = CreateInvite, responses(
    (status = 201, body = InviteCreated),
    (status = 401, description = "problem: unauthorized"),
    (status = 403, description = "problem: check-not-granted"),
    (status = 422, description = "problem: text-form"),
    (status = 503, description = "problem: invites-full"),
), security(("bearer" = [])))]
pub(crate) async fn create(
    State(node): State<Arc<Node>>,
    Service(identity): Service,
    Caller(tenant): Caller,
    JsonBody(request): JsonBody<CreateInvite>,
) -> Result<(StatusCode, Json<InviteCreated>), Problem> {
    node.may_ask(&tenant, Check::Account)?;
    let seconds = request.seconds.unwrap_or(SECONDS_DEFAULT);
    if !request.claims.fits() {
        return Err(IdentityRefusal::Text { field: "claims" }.into());
    }
    if !(1..=SECONDS_MAX).contains(&seconds) {
        return Err(IdentityRefusal::Text { field: "seconds" }.into());
    }
    let now_s = node.environment.clock.now_s();
    let expires_s = now_s + u64::from(seconds);
    let code: [u8; 16] = node.environment.entropy.bytes().map_err(IdentityRefusal::from)?;
    let invite = text_of(&code);
    let mut rng = node.environment.rng().map_err(IdentityRefusal::from)?;
    let kept = Invite {
        digest: Digest::of(invite.as_bytes()),
        tenant: tenant.id.clone(),
        claims: identity.seal_claims(&request.claims, &mut rng),
        expires_s,
    };
    if !identity.store.invite(kept, INVITES_MAX, now_s).await.map_err(IdentityRefusal::from)? {
        return Err(IdentityRefusal::InvitesFull.into());
    }
    Ok((StatusCode::CREATED, Json(InviteCreated { invite, expires_s })))
}
