//! Checks of credentials: a nonce, then one claim of an SD-JWT with key binding, beside the two signatures in it.

use std::time::Duration;

use anyhow::Context as _;
use attest::SigningKey;
use attest::sd_jwt::{Expected, IssueRequest, JwkSet, Presentation, PublicJwk, TrustedKeys, present};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand_core::{OsRng, TryRngCore as _};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::json;

use super::cpu::Work;
use super::service::{Service, TENANT};
use crate::cli::bench::load::{Asked, Request};
use crate::client::{Client, ClientError};

const CLAIM: &str = "age_over_18";
const HOUR_SECONDS: u64 = 3600;

/// One holder's credential, shown over and over, each time for another nonce.
pub(super) struct Checks {
    credential: String,
    holder: SigningKey,
    issuer_key: PublicJwk,
    issuer: String,
    vct: String,
    now_s: u64,
}

impl Checks {
    /// A credential of the node's own, with three claims.
    pub(super) fn new(service: &Service) -> anyhow::Result<Self> {
        let mut rng = OsRng.unwrap_err();
        let holder = SigningKey::generate(&mut rng);
        let now_s = service.node.environment.clock.now_s();
        let rules = service.identity.rules();
        let rule = rules.issuers.own().context("the policy lets the node issue no credentials")?;
        let vct = rule.types.first().context("no type of credential")?.clone();
        let ring = service.identity.ring.load();
        let (_, key) = ring.credential_key(now_s).context("no key signs credentials now")?;
        let claims = json!({CLAIM: true, "subscriber_tier": "premium", "region": "us"});
        let issuer = service.identity.issuer().to_owned();
        let request = IssueRequest {
            issuer: issuer.clone(),
            vct: vct.clone(),
            issued_s: now_s,
            expires_s: now_s + HOUR_SECONDS,
            holder: holder.verifying_key().into(),
            always: service.identity.name_account(&TENANT.parse()?, service.subject()?, &mut rng),
            disclosable: claims.as_object().cloned().unwrap_or_default(),
            status: None,
        };
        let credential = request.issue(key, &mut rng)?;
        Ok(Self { credential, holder, issuer_key: key.verifying_key().into(), issuer, vct, now_s })
    }

    fn shown(&self, nonce: &str) -> anyhow::Result<String> {
        Ok(present(&self.credential, &[CLAIM], &self.holder, &self.issuer, nonce, self.now_s)?)
    }

    /// The two Ed25519 verifications of a presentation, by ring and nothing else.
    pub(super) fn signatures(&self, duration: Duration) -> anyhow::Result<Work> {
        let shown = self.shown("nonce")?;
        let credential = shown.split('~').next().unwrap_or_default();
        let binding = shown.rsplit('~').next().unwrap_or_default();
        let part = |token: &str, key: &PublicJwk| {
            let PublicJwk::Ed25519(key) = key else { anyhow::bail!("the node's keys are Ed25519") };
            let (input, signature) = token.rsplit_once('.').context("a JWS has three parts")?;
            let key = UnparsedPublicKey::new(&ED25519, *key.as_bytes());
            anyhow::Ok((input.to_owned(), URL_SAFE_NO_PAD.decode(signature)?, key))
        };
        let parts = [part(credential, &self.issuer_key)?, part(binding, &self.holder.verifying_key().into())?];
        Work::during(duration, || {
            for (input, signature, key) in &parts {
                let verified = key.verify(std::hint::black_box(input.as_bytes()), signature);
                verified.map_err(|_| anyhow::anyhow!("a signature does not verify"))?;
            }
            Ok(())
        })
    }

    /// [`Presentation::parse`] and [`Presentation::verify`].
    pub(super) fn verifications(&self, duration: Duration) -> anyhow::Result<Work> {
        let shown = self.shown("nonce")?;
        let keys = TrustedKeys::new(self.issuer.clone(), JwkSet::of_all([self.issuer_key]));
        let types = [self.vct.as_str()];
        let expected = Expected { types: &types, audience: &self.issuer, nonce: "nonce" };
        Work::during(duration, || {
            let presentation = Presentation::parse(std::hint::black_box(&shown))?;
            std::hint::black_box(presentation.verify(&keys, &expected, self.now_s * 1000)?.expires_s());
            Ok(())
        })
    }
}

#[derive(Deserialize)]
struct Challenge {
    nonce: String,
}

impl Asked for Checks {
    /// The body of the next check.
    type State = Vec<u8>;

    async fn prepare(&self, client: &Client, check: &mut Vec<u8>) -> Result<(), ClientError> {
        let challenge = client.post("/v1/identity/challenges").json(&json!({"tenant": TENANT})).send().await?;
        let Challenge { nonce } = challenge.json()?;
        let presentation = self.shown(&nonce).map_err(|_| ClientError::Request)?;
        let body = json!({"tenant": TENANT, "check": CLAIM, "nonce": nonce, "presentation": presentation});
        *check = body.to_string().into_bytes();
        Ok(())
    }

    fn request(&self, check: &mut Vec<u8>) -> Option<Request> {
        Some(Request::json("/v1/identity/credentials/check", std::mem::take(check)))
    }
}
