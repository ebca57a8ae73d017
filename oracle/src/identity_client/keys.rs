//! The service's keys: the log of epochs, and what stands in it.

use attest::VerifyingKey;
use attest::key_epoch::{EpochLog, KeyKind, KeyUse};
use attest::keys::{Jwk, JwkSet};
use attest::privacy_pass::{DIRECTORY_PATH, IssuerDirectory};
use attest::sd_jwt::{self, PublicJwk, TrustedKeys};
use serde::Deserialize;

use super::{IdentityClient, IdentityClientError};
use crate::client::ClientError;
use crate::region::identity_host;

const EPOCHS: &str = "/v1/identity/epochs";
const CREDENTIAL_ISSUER: &str = "/.well-known/jwt-vc-issuer";
/// How far this device's clock and the service's may differ, in seconds, when one key takes over from another.
const SKEW_SECONDS: u64 = 300;

/// What a device knows of a service beforehand. With neither, the first answer is believed.
#[derive(Default)]
pub(crate) struct Trust {
    /// The key that signs the log, as the operator published it elsewhere.
    pub(crate) log_key: Option<VerifyingKey>,
    /// The statements that were seen before, oldest first.
    pub(crate) seen: Vec<String>,
}

/// A service's name and keys, verified.
pub(crate) struct ServiceKeys {
    issuer: String,
    host: String,
    log_key: VerifyingKey,
    log: EpochLog,
    credential_keys: TrustedKeys,
}

/// `GET /v1/identity/epochs`
#[derive(Deserialize)]
pub(super) struct Epochs {
    pub(super) key: Jwk,
    pub(super) statements: Vec<String>,
}

/// `GET /.well-known/jwt-vc-issuer`
#[derive(Deserialize)]
pub(super) struct CredentialIssuer {
    pub(super) issuer: String,
    pub(super) jwks: JwkSet,
}

impl ServiceKeys {
    pub(super) fn verify(
        about: CredentialIssuer,
        epochs: &Epochs,
        trust: &Trust,
        now_s: u64,
    ) -> Result<Self, IdentityClientError> {
        // 1. A name that tokens and presentations can be bound to.
        let host = identity_host(&about.issuer).ok_or(IdentityClientError::ServiceName)?.to_owned();
        // 2. The log, from its first statement on, by the pinned key if there is one.
        let log_key = VerifyingKey::try_from(&epochs.key).map_err(|_| ClientError::AnswerForm)?;
        if trust.log_key.is_some_and(|pinned| pinned != log_key) {
            return Err(IdentityClientError::LogKey);
        }
        let log = EpochLog::verify(&epochs.statements.join("\n"), &about.issuer, &log_key)?;
        // 3. It continues what was seen before.
        if !log.texts().starts_with(&trust.seen) {
            return Err(IdentityClientError::Forked);
        }
        // 4. Keys that vouch for credentials stand in it.
        let logged = |jwk: &Jwk| {
            let key = VerifyingKey::try_from(jwk).map_err(|_| ClientError::AnswerForm)?;
            let stands = log.live(KeyKind::Credential, now_s).any(|epoch| epoch.public_bytes() == key.as_bytes());
            if stands { Ok(PublicJwk::from(key)) } else { Err(IdentityClientError::KeyNotLogged) }
        };
        let keys: Vec<PublicJwk> = about.jwks.keys.iter().map(logged).collect::<Result<_, _>>()?;
        let credential_keys = TrustedKeys::new(about.issuer.clone(), sd_jwt::JwkSet::of_all(keys));
        Ok(Self { issuer: about.issuer, host, log_key, log, credential_keys })
    }

    /// The service's name, `https://host[:port]`.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The host of its name, with its port.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The key that signs the log.
    pub(crate) const fn log_key(&self) -> VerifyingKey {
        self.log_key
    }

    /// Every key of the service, ever.
    pub(crate) const fn log(&self) -> &EpochLog {
        &self.log
    }

    /// The keys that verify credentials.
    pub(crate) const fn credential_keys(&self) -> &TrustedKeys {
        &self.credential_keys
    }

    /// Whether this is the one key of its use that issues now, give or take the clocks.
    pub(super) fn issues(&self, of: &KeyUse, public: &[u8], now_s: u64) -> bool {
        let times = [now_s.saturating_sub(SKEW_SECONDS), now_s, now_s.saturating_add(SKEW_SECONDS)];
        times.into_iter().filter_map(|at_s| self.log.issuing(of, at_s)).any(|epoch| epoch.public_bytes() == public)
    }

    /// Whether what is sealed to, or was made by, this key is accepted now.
    pub(super) fn stands(&self, kind: KeyKind, public: &[u8], now_s: u64) -> bool {
        self.log.live(kind, now_s).any(|epoch| epoch.public_bytes() == public)
    }
}

impl IdentityClient {
    /// Fetches the service's name and keys, and verifies them.
    ///
    /// # Errors
    /// No answer, or the first check that fails.
    pub(crate) async fn keys(&self, trust: &Trust) -> Result<ServiceKeys, IdentityClientError> {
        let about: CredentialIssuer = self.client.get(CREDENTIAL_ISSUER).send().await?.json()?;
        let epochs: Epochs = self.client.get(EPOCHS).send().await?.json()?;
        ServiceKeys::verify(about, &epochs, trust, self.environment.clock.now_s())
    }

    /// Fetches the directory of token keys (RFC 9578 §4), all of which must stand in the log.
    ///
    /// # Errors
    /// No answer, or [`IdentityClientError::KeyNotLogged`].
    pub(crate) async fn directory(&self, keys: &ServiceKeys) -> Result<IssuerDirectory, IdentityClientError> {
        let directory = IssuerDirectory::parse(&self.client.get(DIRECTORY_PATH).send().await?.body)?;
        let now_s = self.environment.clock.now_s();
        let logged = directory
            .keys()
            .iter()
            .all(|entry| keys.stands(KeyKind::of_token(entry.key.token_type()), entry.key.as_bytes(), now_s));
        if logged { Ok(directory) } else { Err(IdentityClientError::KeyNotLogged) }
    }
}
