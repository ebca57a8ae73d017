//! Redemption: an anonymous token becomes, once, the word of a verified viewer of one tenant.

use std::sync::Arc;

use attest::privacy_pass::header::{format_www_authenticate, parse_authorization};
use attest::privacy_pass::{OfferedChallenge, RedeemKey, Token, TokenChallenge, TokenType, VerifiedToken, redeem};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use policies::{Digest, TenantId};

use super::Identity;
use super::refusal::IdentityRefusal;
use crate::region::metrics::IdentityEvent;
use crate::region::node::Node;
use crate::region::tenant::Tenant;
use crate::store::identity::{Reservation, Reserved, TokenName};

/// How long a token stays reserved for a call that never settles it.
const RESERVED_MS: u64 = 30_000;
/// Types in the order in which they are offered: the one that anyone can verify first.
pub(crate) const OFFERED: [TokenType; 2] = [TokenType::BlindRsa2048, TokenType::VoprfP384];
pub(crate) const SPENT: &str = "it was spent before";

impl Identity {
    /// The value of `WWW-Authenticate` that asks for a token for this tenant.
    pub(crate) fn offer(&self, tenant: &TenantId, now_s: u64) -> HeaderValue {
        let ring = self.ring.load();
        let offers = OFFERED.into_iter().filter_map(|token_type| {
            let key = ring.issues(tenant, token_type, now_s)?.key.public().clone();
            let challenge = challenge(self.issuer_host(), tenant, token_type);
            Some(OfferedChallenge { challenge, key, max_age_seconds: None })
        });
        let offers: Vec<_> = offers.collect();
        HeaderValue::try_from(format_www_authenticate(&offers)).expect("base64url and names of parameters")
    }

    /// The refusal of a token, with what would be taken in its place.
    pub(crate) fn token_refused(&self, node: &Node, tenant: &TenantId, why: &'static str) -> IdentityRefusal {
        IdentityRefusal::TokenRefused { why, challenge: self.offer(tenant, node.environment.clock.now_s()) }
    }

    /// The token of an `Authorization: PrivateToken`, verified for `tenant` and not yet spent.
    pub(crate) async fn token_of(
        self: &Arc<Self>,
        node: &Node,
        headers: &HeaderMap,
        tenant: &Tenant,
    ) -> Result<TokenName, IdentityRefusal> {
        let refused = |why| self.token_refused(node, &tenant.id, why);
        let token = presented(headers).ok_or_else(|| refused("there is none"))?;
        match self.verify_token(node, token).await? {
            Some((found, verified)) if found.id == tenant.id => Ok(name(&verified)),
            _ => Err(refused("it is not one of this service's for this tenant")),
        }
    }

    /// Verifies a token, and finds whose viewer it makes its holder. Nothing where no open challenge or accepted key
    /// fits it, or its authenticator does not verify.
    pub(crate) async fn verify_token(
        self: &Arc<Self>,
        node: &Node,
        token: Token,
    ) -> Result<Option<(Arc<Tenant>, VerifiedToken)>, IdentityRefusal> {
        let now_s = node.environment.clock.now_s();
        let verified = match token.token_type() {
            TokenType::BlindRsa2048 => self.verify_now(&token, now_s),
            // An evaluation over P-384 takes most of a millisecond.
            TokenType::VoprfP384 => {
                let identity = Arc::clone(self);
                self.workers.run(1, move || identity.verify_now(&token, now_s)).await?
            }
        };
        Ok(verified.and_then(|(tenant, verified)| Some((node.tenant(&tenant).cloned()?, verified))))
    }

    fn verify_now(&self, token: &Token, now_s: u64) -> Option<(TenantId, VerifiedToken)> {
        let ring = self.ring.load();
        // The challenge's type is part of its digest, so that all may stand in one list.
        let (digest, tenant) = self.challenges_open.iter().find(|(digest, _)| *digest == token.challenge_digest())?;
        // The key is that tenant's: a token that another tenant's viewer was entitled to is worth nothing here.
        let key_of = |_, id: &_| {
            let key = ring.accepting(id, now_s).filter(|key| key.epoch.tenant.as_ref() == Some(tenant));
            key.map(|key| RedeemKey::Issuer(&key.key))
        };
        redeem(token, key_of, &[*digest]).ok().map(|verified| (tenant.clone(), verified))
    }

    /// Reserves a token while what it pays for is done; [`Identity::settle`] ends that.
    pub(crate) async fn reserve(
        &self,
        node: &Node,
        tenant: &TenantId,
        token: TokenName,
    ) -> Result<Reservation, IdentityRefusal> {
        let now_ms = node.environment.clock.now_ms();
        let reservation = Reservation {
            token,
            name: node.environment.entropy.bytes()?,
            until_ms: now_ms.saturating_add(RESERVED_MS),
        };
        match self.store.reserve(reservation, now_ms).await? {
            Reserved::Yes => Ok(reservation),
            Reserved::Held => Err(IdentityRefusal::TokenHeld),
            Reserved::Spent => {
                node.metrics.identity(tenant, IdentityEvent::TokenRefused, 1);
                Err(self.token_refused(node, tenant, SPENT))
            }
        }
    }

    /// Spends a reserved token, or gives it back. False where the reservation had run out and another took the token:
    /// then what it paid for must not stand.
    pub(crate) async fn settle(&self, reservation: Reservation, spend: bool) -> Result<bool, IdentityRefusal> {
        Ok(self.store.settle(reservation, spend).await?)
    }

    /// Spends a token at once.
    pub(crate) async fn spend(&self, node: &Node, tenant: &TenantId, token: TokenName) -> Result<(), IdentityRefusal> {
        if self.store.spend(token, node.environment.clock.now_ms()).await? {
            node.metrics.identity(tenant, IdentityEvent::TokenSpent, 1);
            return Ok(());
        }
        node.metrics.identity(tenant, IdentityEvent::TokenRefused, 1);
        Err(self.token_refused(node, tenant, SPENT))
    }
}

/// What a token for this tenant's viewers answers. It is the same for everyone, so that tokens are fetched ahead of use
/// and say nothing of when and by whom.
pub(crate) fn challenge(issuer_host: &str, tenant: &TenantId, token_type: TokenType) -> TokenChallenge {
    let origin = format!("{tenant}.{issuer_host}");
    TokenChallenge::new(token_type, issuer_host, None, &[&origin])
        .expect("a host and a tenant's name are visible ASCII without commas, and short")
}

/// The digests of every challenge that is open at a service, and whose viewers each is for.
pub(super) fn open_challenges<'a>(
    issuer_host: &str,
    tenants: impl Iterator<Item = &'a TenantId>,
) -> Vec<(Digest, TenantId)> {
    let both = |tenant: &TenantId| {
        OFFERED.map(|token_type| (challenge(issuer_host, tenant, token_type).digest(), tenant.clone()))
    };
    tenants.flat_map(both).collect()
}

/// What the store knows a token by.
pub(crate) fn name(token: &VerifiedToken) -> TokenName {
    TokenName { key_id: *token.key_id().as_bytes(), nonce: *token.nonce() }
}

/// The token that a request presents as its credential, if it can be read as one.
pub(crate) fn presented(headers: &HeaderMap) -> Option<Token> {
    parse_authorization(headers.get(AUTHORIZATION)?.to_str().ok()?).ok()
}
