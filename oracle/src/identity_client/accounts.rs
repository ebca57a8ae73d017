//! Registration and login by OPAQUE (RFC 9807): the password stays on the device.

use std::sync::Arc;

use attest::opaque::{ClientLogin, ClientRegistration, OpaqueError};
use attest::privacy_pass::{Token, header};
use axum::http::header::AUTHORIZATION;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::way::sensitive;
use super::{IdentityClient, IdentityClientError, Secret, bytes_of, text_of};

const REGISTRATION_START: &str = "/v1/identity/accounts/registration/start";
const REGISTRATION_FINISH: &str = "/v1/identity/accounts/registration/finish";
const LOGIN_START: &str = "/v1/identity/accounts/login/start";
const LOGIN_FINISH: &str = "/v1/identity/accounts/login/finish";
const ACCOUNT: &str = "/v1/identity/account";

/// What lets a viewer make an account, as the region's policy asks for it.
pub(crate) enum Admission<'a> {
    /// Nothing.
    Open,
    /// An invite of the platform.
    Invite(&'a str),
    /// An anonymous token. It is spent.
    Token(&'a Token),
}

/// A login that succeeded.
#[derive(Deserialize)]
pub(crate) struct LoggedIn {
    /// For the platform: a signed answer about this viewer.
    pub(crate) assertion: String,
    /// For the service alone: what opens credentials and tokens. A secret.
    pub(crate) access: Secret,
    /// Unix seconds at which both end.
    pub(crate) expires_s: u64,
}

#[derive(Serialize)]
struct Start<'a> {
    tenant: &'a str,
    user: &'a str,
    message: String,
}

#[derive(Deserialize)]
struct Started {
    message: String,
    /// Of a login alone.
    login: Option<String>,
}

#[derive(Serialize)]
struct RegistrationFinish<'a> {
    tenant: &'a str,
    user: &'a str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    invite: Option<&'a str>,
}

#[derive(Serialize)]
struct LoginFinish<'a> {
    login: String,
    message: String,
    nonce: &'a str,
}

impl IdentityClient {
    /// Asks for an account. The service says the same whether it was made or existed before: [`IdentityClient::login`]
    /// shows whose it is.
    ///
    /// # Errors
    /// A password that is none, or a call that was refused.
    pub(crate) async fn register(
        &self,
        user: &str,
        password: &[u8],
        admission: Admission<'_>,
    ) -> Result<(), IdentityClientError> {
        let mut rng = self.environment.rng()?;
        let (registration, message) = ClientRegistration::start(password, &mut rng)?;
        let response = bytes_of(&self.start(REGISTRATION_START, user, &message).await?.message)?;
        let (secret, stretching) = (Zeroizing::new(password.to_vec()), Arc::clone(&self.stretching));
        let finish = move || registration.finish(&secret, &response, &mut rng, &stretching);
        let (upload, _export_key) = stretched(finish).await?;
        let (invite, token) = match admission {
            Admission::Open => (None, None),
            Admission::Invite(code) => (Some(code), None),
            Admission::Token(token) => (None, Some(token)),
        };
        let finish = RegistrationFinish { tenant: self.tenant.as_str(), user, message: text_of(&upload), invite };
        let mut call = self.client.post(REGISTRATION_FINISH).json(&finish);
        if let Some(token) = token {
            call = call.header(AUTHORIZATION, sensitive(&header::format_authorization(token))?);
        }
        call.send().await?;
        Ok(())
    }

    /// Logs in, with the platform's `nonce` (1 to 128 bytes), to which the assertion is bound.
    ///
    /// # Errors
    /// [`OpaqueError::Refused`] where name or password are wrong, or the service is not the one of the registration; a
    /// call that was refused.
    pub(crate) async fn login(
        &self,
        user: &str,
        password: &[u8],
        nonce: &str,
    ) -> Result<LoggedIn, IdentityClientError> {
        let mut rng = self.environment.rng()?;
        let (state, message) = ClientLogin::start(password, &mut rng)?;
        let started = self.start(LOGIN_START, user, &message).await?;
        let ke2 = bytes_of(&started.message)?;
        let (secret, stretching) = (Zeroizing::new(password.to_vec()), Arc::clone(&self.stretching));
        let (ke3, _export_key) = stretched(move || state.finish(&secret, &ke2, &mut rng, &stretching)).await?;
        let login = started.login.unwrap_or_default();
        let finish = LoginFinish { login, message: text_of(&ke3), nonce };
        Ok(self.client.post(LOGIN_FINISH).json(&finish).send().await?.json()?)
    }

    /// Erases the account that `access` was given for.
    ///
    /// # Errors
    /// A call that was refused.
    pub(crate) async fn erase(&self, access: &str) -> Result<(), IdentityClientError> {
        self.client.delete(ACCOUNT).bearer(access).send().await?;
        Ok(())
    }

    async fn start(&self, path: &str, user: &str, message: &[u8]) -> Result<Started, IdentityClientError> {
        let start = Start { tenant: self.tenant.as_str(), user, message: text_of(message) };
        Ok(self.client.post(path).json(&start).send().await?.json()?)
    }
}

/// Runs a step that stretches the password on a thread of its own: it takes most of a second.
async fn stretched<T: Send + 'static>(
    step: impl FnOnce() -> Result<T, OpaqueError> + Send + 'static,
) -> Result<T, IdentityClientError> {
    let done = tokio::task::spawn_blocking(step).await.expect("a step neither panics nor is cancelled");
    Ok(done?)
}
