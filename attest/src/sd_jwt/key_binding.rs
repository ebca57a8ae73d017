//! The key binding JWT (RFC 9901 §4.3): the holder signs what is shown, to whom, and when.

use serde::{Deserialize, Serialize};

use super::disclosure::digest;
use super::error::{JoseError, SdJwtError};
use super::jose::{self, Jws};
use super::jwk::PublicJwk;
use super::presentation::Expected;
use super::{KEY_BINDING_AGE_SECONDS_MAX, KEY_BINDING_TYP};
use crate::keys::SigningKey;
use crate::time::CLOCK_SKEW_SECONDS;

/// Further claims are ignored, as RFC 9901 §4.3 leaves it; `exp` and `nbf` mean what they mean in every JWT.
#[derive(Serialize, Deserialize)]
struct Claims {
    iat: u64,
    aud: String,
    nonce: String,
    sd_hash: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exp: Option<u64>,
}

/// Verifies `token` by the holder's key; `bound` is the text before it (RFC 9901 §7.3, step 5).
pub(super) fn verify(
    token: &str,
    bound: &str,
    holder: &PublicJwk,
    expected: &Expected<'_>,
    now: u64,
) -> Result<(), SdJwtError> {
    // 1. Form, extensions, algorithm, type, signature. A `kid` does not matter: the issuer said which key.
    let jws = Jws::parse(token).map_err(SdJwtError::KeyBinding)?;
    jws.verify(KEY_BINDING_TYP, holder).map_err(SdJwtError::KeyBinding)?;
    let claims = read(&jws.payload().map_err(SdJwtError::KeyBinding)?)?;
    // 2. For this verifier and this request.
    if claims.aud != expected.audience {
        return Err(SdJwtError::Audience);
    }
    if claims.nonce != expected.nonce {
        return Err(SdJwtError::Nonce);
    }
    // 3. Made just now. The age is by our clock without skew: who is late asks for another nonce.
    let latest = now.saturating_add(CLOCK_SKEW_SECONDS);
    if claims.iat > latest || claims.nbf.is_some_and(|time| time > latest) {
        return Err(SdJwtError::KeyBindingNotYetValid);
    }
    let expired = claims.exp.is_some_and(|time| time.saturating_add(CLOCK_SKEW_SECONDS) <= now);
    if expired || now.saturating_sub(claims.iat) > KEY_BINDING_AGE_SECONDS_MAX {
        return Err(SdJwtError::KeyBindingStale);
    }
    // 4. For exactly these disclosures of this credential.
    if claims.sd_hash == digest(bound) { Ok(()) } else { Err(SdJwtError::PresentedText) }
}

fn read(payload: &[u8]) -> Result<Claims, SdJwtError> {
    serde_json::from_slice(payload).map_err(|_| SdJwtError::KeyBindingClaims)
}

/// Signs for `bound` as its holder.
pub(super) fn sign(
    bound: &str,
    holder: &SigningKey,
    audience: &str,
    nonce: &str,
    now_s: u64,
) -> Result<String, SdJwtError> {
    let (aud, nonce, sd_hash) = (audience.to_owned(), nonce.to_owned(), digest(bound));
    let claims = Claims { iat: now_s, aud, nonce, sd_hash, nbf: None, exp: None };
    let claims = serde_json::to_vec(&claims).map_err(|_| SdJwtError::KeyBinding(JoseError::Payload))?;
    Ok(jose::sign(KEY_BINDING_TYP, None, &claims, holder))
}
