//! Credentials by SD-JWT (RFC 9901): received, and shown one claim at a time.

use attest::SigningKey;
use attest::sd_jwt::{HolderProof, PublicJwk, present, receive};
use policies::Check;
use serde::{Deserialize, Serialize};

use super::{IdentityClient, IdentityClientError, Secret, ServiceKeys, Way};

const CHALLENGES: &str = "/v1/identity/challenges";
const CREDENTIALS: &str = "/v1/identity/credentials";
const CHECK: &str = "/v1/identity/credentials/check";

/// A credential with all its disclosures, verified. A secret of the holder.
pub(crate) struct Credential {
    /// The SD-JWT.
    pub(crate) text: Secret,
    /// The names of what it can show.
    pub(crate) claims: Vec<String>,
    /// Unix seconds at which it ends.
    pub(crate) expires_s: u64,
}

/// An answer about one claim.
#[derive(Deserialize)]
pub(crate) struct Checked {
    /// For the platform: a signed answer that says whether it holds.
    pub(crate) answer: String,
    /// Where it holds, for the service alone: what opens tokens. A secret.
    pub(crate) access: Option<Secret>,
    /// Unix seconds at which both end.
    pub(crate) expires_s: u64,
}

#[derive(Serialize)]
struct ChallengeRequest<'a> {
    tenant: &'a str,
}

#[derive(Deserialize)]
struct Challenge {
    nonce: String,
    audience: String,
}

#[derive(Serialize)]
struct CredentialRequest {
    proof: String,
}

#[derive(Deserialize)]
struct Issued {
    credential: Secret,
    expires_s: u64,
}

#[derive(Serialize)]
struct CheckRequest<'a> {
    tenant: &'a str,
    check: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    nonce: &'a str,
    presentation: &'a str,
}

impl IdentityClient {
    /// A credential of the account that `access` was given for, bound to the holder's key, of the type `vct`.
    ///
    /// # Errors
    /// A call that was refused, or a credential that does not verify under the logged keys or is not the holder's.
    pub(crate) async fn credential(
        &self,
        keys: &ServiceKeys,
        access: &str,
        holder: &SigningKey,
        vct: &str,
    ) -> Result<Credential, IdentityClientError> {
        let nonce = self.challenge(keys, &self.direct()).await?;
        let proof = HolderProof::sign(holder, keys.issuer(), &nonce, self.environment.clock.now_s())?;
        let call = self.client.post(CREDENTIALS).bearer(access).json(&CredentialRequest { proof });
        let Issued { credential: text, expires_s } = call.send().await?.json()?;
        let own = PublicJwk::from(holder.verifying_key());
        let claims = receive(&text, keys.credential_keys(), &[vct], &own, self.environment.clock.now_ms())?;
        // What stands in the open besides, for the service itself, is nothing to show.
        let claims = claims.into_iter().map(|(name, _)| name).filter(|name| name.parse::<Check>().is_ok());
        Ok(Credential { text, claims: claims.collect(), expires_s })
    }

    /// Shows the one claim that `check` asks about, by `way`, and gives the service's answer.
    ///
    /// # Errors
    /// A credential that cannot show it, or a call that was refused.
    pub(crate) async fn check(
        &self,
        keys: &ServiceKeys,
        credential: &str,
        holder: &SigningKey,
        check: Check,
        value: Option<&str>,
        way: &Way<'_>,
    ) -> Result<Checked, IdentityClientError> {
        let nonce = self.challenge(keys, way).await?;
        let (check, now_s) = (check.as_str(), self.environment.clock.now_s());
        let presentation = present(credential, &[check], holder, keys.issuer(), &nonce, now_s)?;
        let (tenant, presentation) = (self.tenant.as_str(), presentation.as_str());
        let request = CheckRequest { tenant, check, value, nonce: &nonce, presentation };
        Ok(way.post(CHECK, None, &request).await?.json()?)
    }

    /// A nonce for this service and no other: what is signed for it must be of no use elsewhere.
    async fn challenge(&self, keys: &ServiceKeys, way: &Way<'_>) -> Result<String, IdentityClientError> {
        let request = ChallengeRequest { tenant: self.tenant.as_str() };
        let challenge: Challenge = way.post(CHALLENGES, None, &request).await?.json()?;
        if challenge.audience == keys.issuer() { Ok(challenge.nonce) } else { Err(IdentityClientError::Audience) }
    }
}
