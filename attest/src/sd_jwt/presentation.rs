//! The verifier's side: a presentation from hostile text to a [`VerifiedCredential`].

use serde_json::{Map, Value};

use super::credential::{StatusReference, VerifiedCredential};
use super::error::{JoseError, SdJwtError};
use super::jose::Jws;
use super::jwk::{PublicJwk, TrustedKeys};
use super::{CREDENTIAL_TYP, DISCLOSURES_MAX, PRESENTATION_BYTES_MAX, REGISTERED, disclosure, json, key_binding};
use crate::time::CLOCK_SKEW_SECONDS;

/// What the verifier asked for.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The credential types (`vct`) of which one is needed.
    pub types: &'a [&'a str],
    /// The verifier itself.
    pub audience: &'a str,
    /// The nonce of this request. That it is used once is the caller's to see to.
    pub nonce: &'a str,
}

/// A presentation whose form was read and of which nothing was verified: it tells whose keys to ask only.
/// It has no `Debug`: the claims are personal data.
pub struct Presentation<'a> {
    /// What the key binding covers: everything up to and including the last `~`.
    bound: &'a str,
    credential: Jws<'a>,
    payload: Map<String, Value>,
    issuer: String,
    disclosures: Vec<&'a str>,
    key_binding: Option<&'a str>,
}

/// What the issuer's part says, once it is verified.
pub(super) struct Opened {
    pub(super) vct: String,
    pub(super) expires_s: u64,
    pub(super) holder: PublicJwk,
    pub(super) status: Option<StatusReference>,
    pub(super) claims: Map<String, Value>,
}

impl<'a> Presentation<'a> {
    /// Reads the form (RFC 9901 §4): the issuer's JWT, disclosures, and a key binding JWT after the last `~`.
    ///
    /// # Errors
    /// [`SdJwtError::TooLong`], [`SdJwtError::Form`], [`SdJwtError::TooManyDisclosures`], [`SdJwtError::Credential`]
    /// for what is seen before a key is known, or [`SdJwtError::Claims`] when no issuer is named.
    pub fn parse(text: &'a str) -> Result<Self, SdJwtError> {
        if text.len() > PRESENTATION_BYTES_MAX {
            return Err(SdJwtError::TooLong);
        }
        let (bound, key_binding) = text.split_at(text.rfind('~').ok_or(SdJwtError::Form)? + 1);
        let mut parts = bound[..bound.len() - 1].split('~');
        let credential = parts.next().ok_or(SdJwtError::Form)?;
        let disclosures: Vec<&str> = parts.by_ref().take(DISCLOSURES_MAX).collect();
        if parts.next().is_some() {
            return Err(SdJwtError::TooManyDisclosures);
        }
        let credential = Jws::parse(credential).map_err(SdJwtError::Credential)?;
        let payload = credential.payload().map_err(SdJwtError::Credential)?;
        let mut payload = json::parse_object(&payload).map_err(|_| SdJwtError::Credential(JoseError::Payload))?;
        let issuer = text_claim(&mut payload, "iss")?;
        let key_binding = Some(key_binding).filter(|token| !token.is_empty());
        Ok(Self { bound, credential, payload, issuer, disclosures, key_binding })
    }

    /// The issuer that the credential names, to select whose keys are asked. Nothing vouches for it yet.
    #[must_use]
    pub fn unverified_issuer(&self) -> &str {
        &self.issuer
    }

    pub(super) fn disclosures(&self) -> &[&'a str] {
        &self.disclosures
    }

    pub(super) fn bound(&self) -> &'a str {
        self.bound
    }

    pub(super) fn key_binding(&self) -> Option<&'a str> {
        self.key_binding
    }

    pub(super) fn unverified_payload(&self) -> &Map<String, Value> {
        &self.payload
    }

    /// Verifies a presentation by the issuer's keys, then that it answers what was asked, now (RFC 9901 §7.3).
    ///
    /// # Errors
    /// The first check of [`SdJwtError`] that fails.
    pub fn verify(
        self,
        keys: &TrustedKeys,
        expected: &Expected<'_>,
        now_ms: u64,
    ) -> Result<VerifiedCredential, SdJwtError> {
        let now = now_ms / 1000;
        // 1. A holder has to be here. The form was read, the size bounded, when this was parsed.
        let token = self.key_binding.ok_or(SdJwtError::KeyBindingMissing)?;
        let bound = self.bound;
        // 2. The issuer's part and the disclosures.
        let opened = self.open(keys, expected.types, now)?;
        // 3. The holder's part, by the key that the issuer wrote down.
        key_binding::verify(token, bound, &opened.holder, expected, now)?;
        Ok(VerifiedCredential {
            issuer: keys.issuer().to_owned(),
            vct: opened.vct,
            expires_s: opened.expires_s,
            holder_thumbprint: opened.holder.thumbprint(),
            status: opened.status,
            claims: opened.claims,
        })
    }

    /// Verifies all that the issuer vouches for (RFC 9901 §7.1).
    pub(super) fn open(mut self, keys: &TrustedKeys, types: &[&str], now: u64) -> Result<Opened, SdJwtError> {
        // 1. The issuer's key by `kid`; extensions, algorithm, type, signature.
        self.credential.verify_by_issuer(CREDENTIAL_TYP, keys).map_err(SdJwtError::Credential)?;
        // 2. Whose it is and what it is.
        if self.issuer != keys.issuer() {
            return Err(SdJwtError::Issuer);
        }
        let vct = text_claim(&mut self.payload, "vct")?;
        if !types.contains(&vct.as_str()) {
            return Err(SdJwtError::CredentialType);
        }
        // 3. In force. `exp` is required: without it a stolen key speaks for ever.
        let expires_s = time_claim(&self.payload, "exp")?.ok_or(SdJwtError::Claims)?;
        let not_before = time_claim(&self.payload, "nbf")?;
        if not_before.is_some_and(|time| time > now.saturating_add(CLOCK_SKEW_SECONDS)) {
            return Err(SdJwtError::NotYetValid);
        }
        if expires_s.saturating_add(CLOCK_SKEW_SECONDS) <= now {
            return Err(SdJwtError::Expired);
        }
        // 4. The disclosures.
        let mut claims = self.payload;
        disclosure::disclose(&mut claims, &self.disclosures)?;
        // 5. `iat` may be hidden (draft-ietf-oauth-sd-jwt-vc, registered claims), so it is looked at here.
        if time_claim(&claims, "iat")?.is_some_and(|time| time > now.saturating_add(CLOCK_SKEW_SECONDS)) {
            return Err(SdJwtError::NotYetValid);
        }
        // 6. The holder's key and the place of the status.
        let holder = holder_key(&claims)?;
        let status = claims.get("status").map(StatusReference::parse).transpose()?;
        for name in REGISTERED {
            claims.remove(name);
        }
        Ok(Opened { vct, expires_s, holder, status, claims })
    }
}

/// `cnf.jwk` (RFC 7800 §3.2).
pub(super) fn holder_key(claims: &Map<String, Value>) -> Result<PublicJwk, SdJwtError> {
    let jwk = claims.get("cnf").and_then(|cnf| cnf.get("jwk")).ok_or(SdJwtError::HolderKey)?;
    PublicJwk::from_json(jwk).map_err(|_| SdJwtError::HolderKey)
}

fn text_claim(claims: &mut Map<String, Value>, name: &str) -> Result<String, SdJwtError> {
    match claims.remove(name) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(SdJwtError::Claims),
    }
}

/// Whole Unix seconds; a fraction is refused.
fn time_claim(claims: &Map<String, Value>, name: &str) -> Result<Option<u64>, SdJwtError> {
    claims.get(name).map(|value| value.as_u64().ok_or(SdJwtError::Claims)).transpose()
}
