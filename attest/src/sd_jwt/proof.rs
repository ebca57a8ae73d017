//! A holder's proof to the issuer that it has the key a credential is to be bound to: the JWT proof of OpenID for
//! Verifiable Credential Issuance 1.0 (appendix F.1), with the key in the header's `jwk`.

use serde::{Deserialize, Serialize};

use super::error::{JoseError, SdJwtError};
use super::jose::{self, Jws};
use super::jwk::PublicJwk;
use super::{KEY_BINDING_AGE_SECONDS_MAX, PROOF_BYTES_MAX, PROOF_TYP};
use crate::keys::SigningKey;
use crate::time::CLOCK_SKEW_SECONDS;

#[derive(Serialize, Deserialize)]
struct Claims {
    aud: String,
    iat: u64,
    nonce: String,
}

/// A proof that was verified: whose key it is of, and for which nonce. That the nonce is used once is the caller's to
/// see to.
pub struct HolderProof {
    holder: PublicJwk,
    nonce: String,
}

impl HolderProof {
    /// Verifies a proof that is meant for the issuer named `audience`.
    ///
    /// # Errors
    /// [`SdJwtError::TooLong`], [`SdJwtError::KeyBinding`], [`SdJwtError::KeyBindingClaims`], [`SdJwtError::Audience`],
    /// [`SdJwtError::KeyBindingNotYetValid`] or [`SdJwtError::KeyBindingStale`], in this order.
    pub fn verify(token: &str, audience: &str, now_ms: u64) -> Result<Self, SdJwtError> {
        let now = now_ms / 1000;
        // 1. Bounded size; the key that the header brings, since its owner is whom the proof is about.
        if token.len() > PROOF_BYTES_MAX {
            return Err(SdJwtError::TooLong);
        }
        let jws = Jws::parse(token).map_err(SdJwtError::KeyBinding)?;
        let key = jws.embedded_key().ok_or(SdJwtError::KeyBinding(JoseError::Key))?;
        let holder = PublicJwk::from_json(&key).map_err(|_| SdJwtError::KeyBinding(JoseError::Key))?;
        // 2. Extensions, algorithm, type, signature by that key.
        jws.verify(PROOF_TYP, &holder).map_err(SdJwtError::KeyBinding)?;
        let payload = jws.payload().map_err(SdJwtError::KeyBinding)?;
        let claims: Claims = serde_json::from_slice(&payload).map_err(|_| SdJwtError::KeyBindingClaims)?;
        // 3. For this issuer, made just now.
        if claims.aud != audience {
            return Err(SdJwtError::Audience);
        }
        if claims.iat > now.saturating_add(CLOCK_SKEW_SECONDS) {
            return Err(SdJwtError::KeyBindingNotYetValid);
        }
        if now.saturating_sub(claims.iat) > KEY_BINDING_AGE_SECONDS_MAX {
            return Err(SdJwtError::KeyBindingStale);
        }
        Ok(Self { holder, nonce: claims.nonce })
    }

    /// The proof of `holder` for the issuer named `audience`, at `now_s` (Unix seconds).
    ///
    /// # Errors
    /// [`SdJwtError::TooLong`] where no issuer would read it.
    pub fn sign(holder: &SigningKey, audience: &str, nonce: &str, now_s: u64) -> Result<String, SdJwtError> {
        let claims = Claims { aud: audience.to_owned(), iat: now_s, nonce: nonce.to_owned() };
        let claims = serde_json::to_vec(&claims).map_err(|_| SdJwtError::KeyBinding(JoseError::Payload))?;
        let jwk = PublicJwk::from(holder.verifying_key()).to_json();
        let token = jose::sign_with_key(PROOF_TYP, &jwk, &claims, holder);
        if token.len() <= PROOF_BYTES_MAX { Ok(token) } else { Err(SdJwtError::TooLong) }
    }

    /// The key that was proven.
    #[must_use]
    pub const fn holder(&self) -> &PublicJwk {
        &self.holder
    }

    /// The nonce that the proof was made for.
    #[must_use]
    pub fn nonce(&self) -> &str {
        &self.nonce
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    const AUDIENCE: &str = "https://eu-west.example";
    const NOW_MS: u64 = 1_800_000_000_000;

    fn key(seed: u64) -> SigningKey {
        SigningKey::generate(&mut ChaCha20Rng::seed_from_u64(seed))
    }

    fn proof() -> String {
        HolderProof::sign(&key(1), AUDIENCE, "nonce-1", NOW_MS / 1000).unwrap()
    }

    fn nonce_of(token: &str, audience: &str, now_ms: u64) -> Result<String, SdJwtError> {
        HolderProof::verify(token, audience, now_ms).map(|proof| proof.nonce)
    }

    #[test]
    fn each_check_refuses_alone() {
        let verified = HolderProof::verify(&proof(), AUDIENCE, NOW_MS).unwrap();
        assert_eq!((*verified.holder(), verified.nonce()), (key(1).verifying_key().into(), "nonce-1"));
        assert_eq!(nonce_of(&proof(), "https://other.example", NOW_MS), Err(SdJwtError::Audience));
        assert_eq!(nonce_of(&proof(), AUDIENCE, NOW_MS - 31_000), Err(SdJwtError::KeyBindingNotYetValid));
        assert_eq!(nonce_of(&proof(), AUDIENCE, NOW_MS + 301_000), Err(SdJwtError::KeyBindingStale));
        assert_eq!(nonce_of(&"a".repeat(PROOF_BYTES_MAX + 1), AUDIENCE, NOW_MS), Err(SdJwtError::TooLong));
        let jose = |error| Err(SdJwtError::KeyBinding(error));
        let other = PublicJwk::from(key(2).verifying_key()).to_json();
        let claims = br#"{"aud":"https://eu-west.example","iat":1800000000,"nonce":"n"}"#;
        let forged = jose::sign_with_key(PROOF_TYP, &other, claims, &key(1));
        assert_eq!(nonce_of(&forged, AUDIENCE, NOW_MS), jose(JoseError::Signature), "another's key");
        let keyless = jose::sign(PROOF_TYP, None, claims, &key(1));
        assert_eq!(nonce_of(&keyless, AUDIENCE, NOW_MS), jose(JoseError::Key));
        let own = PublicJwk::from(key(1).verifying_key()).to_json();
        let binding = jose::sign_with_key("kb+jwt", &own, claims, &key(1));
        assert_eq!(nonce_of(&binding, AUDIENCE, NOW_MS), jose(JoseError::Type), "a key binding is no proof");
        let without = jose::sign_with_key(PROOF_TYP, &own, br#"{"aud":"x","iat":1}"#, &key(1));
        assert_eq!(nonce_of(&without, AUDIENCE, NOW_MS), Err(SdJwtError::KeyBindingClaims));
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_refused(at in any::<prop::sample::Index>(), bit in 0_u8..7) {
            let mut bytes = proof().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let text = String::from_utf8(bytes).unwrap();
            prop_assert!(HolderProof::verify(&text, AUDIENCE, NOW_MS).is_err());
        }
    }
}
