//! What a viewer's device shows the node after it proved something: a short-lived bearer token for the node alone.
//!
//! It is not the signed answer: that one goes to the platform, which must not be able to act as the viewer with it.
//! Whoever makes it is whoever reads it, and so it has a MAC and no signature, which would cost more than all else
//! that such a call does.
//!
//! ```text
//! base64url(claims) "." base64url(HMAC-SHA-256(key, "siwa access v1" 0x00 base64url(claims)))
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policies::{Check, TenantId};
use rand_core::CryptoRng;
use ring::hmac;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::pairwise::Pseudonym;
use crate::time::{OutOfLife, check_life};

pub mod fuzz;

const LABEL: &[u8] = b"siwa access v1\0";
/// The longest token that is read: a tenant's name, a service's and a few numbers are far below.
pub const TOKEN_BYTES_MAX: usize = 2048;
/// The longest life that a policy may give, a day.
pub const LIFETIME_SECONDS_MAX: u64 = 24 * 3600;

/// The key of a region's access tokens. No `Debug`; erased when dropped.
pub struct AccessKey(Zeroizing<[u8; 32]>);

/// The text is not a key's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an access key is 43 characters of base64url")]
pub struct InvalidAccessKey;

impl AccessKey {
    /// A new key from 32 bytes of the generator.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(bytes.as_mut());
        Self(bytes)
    }

    /// Reads what [`AccessKey::to_text`] wrote.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidAccessKey> {
        let decoded = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidAccessKey)?);
        let mut bytes = Zeroizing::new([0; 32]);
        if decoded.len() != bytes.len() {
            return Err(InvalidAccessKey);
        }
        bytes.copy_from_slice(&decoded);
        Ok(Self(bytes))
    }

    /// The key as text, to be sealed.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.0.as_ref()))
    }

    fn hmac(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.0.as_ref())
    }
}

fn authenticated(claims: &str) -> Vec<u8> {
    [LABEL, claims.as_bytes()].concat()
}

/// Who may ask for more, and until when. Times are Unix seconds.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// The region's identity service: who made it and who alone takes it.
    pub aud: String,
    /// The tenant whose viewer it is.
    pub tenant: TenantId,
    /// The viewer's pairwise pseudonym.
    pub sub: Pseudonym,
    /// What was proven.
    pub check: Check,
    /// When it was made.
    pub iat: u64,
    /// From when on it opens nothing.
    pub exp: u64,
}

/// Why an access token was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// Longer than [`TOKEN_BYTES_MAX`].
    #[error("the access token is too long")]
    TooLong,
    /// Not two parts of canonical base64url without padding.
    #[error("the access token is not two parts of base64url")]
    Form,
    /// Not made with this key, or changed since.
    #[error("the access token's MAC does not verify")]
    Mac,
    /// What was authenticated is not the claims that an access token has.
    #[error("the access token's claims cannot be read")]
    Claims,
    /// Made by another region's service.
    #[error("the access token is for another service")]
    Audience,
    /// Made in the future.
    #[error("the access token is not yet valid")]
    NotYetValid,
    /// Its time has passed.
    #[error("the access token has expired")]
    Expired,
    /// Lives longer than [`LIFETIME_SECONDS_MAX`], or not at all.
    #[error("the access token's lifetime is not allowed")]
    Lifetime,
}

impl From<OutOfLife> for AccessError {
    fn from(reason: OutOfLife) -> Self {
        match reason {
            OutOfLife::NotYetValid => Self::NotYetValid,
            OutOfLife::Expired => Self::Expired,
            OutOfLife::Lifetime => Self::Lifetime,
        }
    }
}

impl Access {
    /// The token's text.
    ///
    /// # Errors
    /// [`AccessError::TooLong`] when no one would read it.
    ///
    /// # Panics
    /// Never: texts and numbers serialise.
    pub fn seal(&self, key: &AccessKey) -> Result<String, AccessError> {
        let claims = serde_json::to_vec(self).expect("texts and numbers serialise");
        let mut token = URL_SAFE_NO_PAD.encode(claims);
        let tag = hmac::sign(&key.hmac(), &authenticated(&token));
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(tag, &mut token);
        if token.len() <= TOKEN_BYTES_MAX { Ok(token) } else { Err(AccessError::TooLong) }
    }

    /// Verifies a token that the service named `audience` made with `key`.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify(token: &str, key: &AccessKey, audience: &str, now_ms: u64) -> Result<Self, AccessError> {
        // 1. Bounded size, two parts.
        if token.len() > TOKEN_BYTES_MAX {
            return Err(AccessError::TooLong);
        }
        let (claims, tag) = token.split_once('.').ok_or(AccessError::Form)?;
        let tag = URL_SAFE_NO_PAD.decode(tag).map_err(|_| AccessError::Form)?;
        // 2. The MAC, compared in constant time, before anything of the claims is read.
        hmac::verify(&key.hmac(), &authenticated(claims), &tag).map_err(|_| AccessError::Mac)?;
        let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| AccessError::Form)?;
        let access: Self = serde_json::from_slice(&claims).map_err(|_| AccessError::Claims)?;
        // 3. For this service, now.
        if access.aud != audience {
            return Err(AccessError::Audience);
        }
        check_life(access.iat, access.exp, LIFETIME_SECONDS_MAX, now_ms)?;
        Ok(access)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, PairwiseSecret, SigningKey};
    use proptest::prelude::*;
    use rand_core::{OsRng, TryRngCore as _};

    const NOW_MS: u64 = 1_800_000_000_000;
    const AUDIENCE: &str = "https://eu-west.example";

    const KNOWN: &str = "eyJhdWQiOiJodHRwczovL2V1LXdlc3QuZXhhbXBsZSIsInRlbmFudCI6ImRlbW8tcGxhdGZvcm0iLCJzdWIiOiJB\
        QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBIiwiY2hlY2siOiJhY2NvdW50IiwiaWF0\
        IjoxODAwMDAwMDAwLCJleHAiOjE4MDAwMDA2MDB9.cN3QB94gOMWiHjA8m_arn0_0VoMUTeEpVQPfQsjqvRQ";

    fn key(byte: u8) -> AccessKey {
        AccessKey(Zeroizing::new([byte; 32]))
    }

    fn access() -> Access {
        let tenant: TenantId = "demo-platform".parse().unwrap();
        let sub = PairwiseSecret::from_bytes(Zeroizing::new([7; 32])).pseudonym(&tenant, b"account");
        let iat = NOW_MS / 1000;
        Access { aud: AUDIENCE.to_owned(), tenant, sub, check: Check::Account, iat, exp: iat + 600 }
    }

    /// Of a token that is refused, why; of one that is taken, its end.
    fn read(token: &str, key: &AccessKey, audience: &str, now_ms: u64) -> Result<u64, AccessError> {
        Access::verify(token, key, audience, now_ms).map(|access| access.exp)
    }

    fn of_claims(claims: &[u8]) -> String {
        let claims = URL_SAFE_NO_PAD.encode(claims);
        let tag = hmac::sign(&key(1).hmac(), &authenticated(&claims));
        format!("{claims}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    #[test]
    fn each_check_refuses_alone() {
        let (good, end) = (access(), NOW_MS / 1000 + 600);
        let token = good.seal(&key(1)).unwrap();
        assert!(Access::verify(&token, &key(1), AUDIENCE, NOW_MS).is_ok_and(|read| read == good));
        assert_eq!(read(&token, &key(1), "https://us-east.example", NOW_MS), Err(AccessError::Audience));
        assert_eq!(read(&token, &key(1), AUDIENCE, NOW_MS - 31_000), Err(AccessError::NotYetValid));
        assert_eq!(read(&token, &key(1), AUDIENCE, NOW_MS + 629_000), Ok(end));
        assert_eq!(read(&token, &key(1), AUDIENCE, NOW_MS + 630_000), Err(AccessError::Expired));
        assert_eq!(read(&token, &key(2), AUDIENCE, NOW_MS), Err(AccessError::Mac));
        let eternal = Access { exp: good.iat + LIFETIME_SECONDS_MAX + 1, ..access() }.seal(&key(1)).unwrap();
        assert_eq!(read(&eternal, &key(1), AUDIENCE, NOW_MS), Err(AccessError::Lifetime));
        let long = Access { aud: "a".repeat(TOKEN_BYTES_MAX), ..access() };
        assert_eq!(long.seal(&key(1)), Err(AccessError::TooLong));
        assert_eq!(read(&"a".repeat(TOKEN_BYTES_MAX + 1), &key(1), AUDIENCE, NOW_MS), Err(AccessError::TooLong));
        for (text, why) in [
            ("", AccessError::Form),
            (token.split_once('.').unwrap().0, AccessError::Form),
            (&format!("{token}="), AccessError::Form),
            (&format!("{token}.{token}"), AccessError::Form),
            (".", AccessError::Mac),
            (&token[..token.len() - 3], AccessError::Mac),
            (&token[1..], AccessError::Mac),
            (&of_claims(b"{}"), AccessError::Claims),
        ] {
            assert_eq!(read(text, &key(1), AUDIENCE, NOW_MS), Err(why), "{text}");
        }
    }

    /// By Python's `hmac` and `base64`.
    #[test]
    fn the_form_is_as_it_is_documented() {
        let access = Access { sub: Pseudonym::from_bytes([0; 32]), ..access() };
        assert_eq!(access.seal(&key(1)).unwrap(), KNOWN);
    }

    #[test]
    fn a_signed_answer_is_no_access_token() {
        let signer = SigningKey::generate(&mut OsRng.unwrap_err());
        let answer = crate::jws::sign(crate::jws::Typ::Answer, &access(), &signer).unwrap();
        assert_eq!(read(&answer, &key(1), AUDIENCE, NOW_MS), Err(AccessError::Form));
        // Nor the other way round.
        let token = access().seal(&key(1)).unwrap();
        let read = Answer::<()>::verify_own(&token, &signer.verifying_key(), "node-1", "demo-platform", NOW_MS);
        assert_eq!(read.map(|answer| answer.exp), Err(crate::JwsError::Parts.into()));
    }

    #[test]
    fn keys_are_read_as_they_were_written() {
        let made = AccessKey::generate(&mut OsRng.unwrap_err());
        let read_back = AccessKey::parse(&made.to_text()).unwrap();
        let token = access().seal(&made).unwrap();
        assert_eq!(read(&token, &read_back, AUDIENCE, NOW_MS), Ok(access().exp));
        for bad in ["", "AAAA", &format!("{}A", made.to_text().as_str()), &"?".repeat(43)] {
            assert_eq!(AccessKey::parse(bad).map(|_| ()), Err(InvalidAccessKey));
        }
    }

    #[test]
    fn the_fuzz_target_takes_what_is_a_token() {
        fuzz::token(access().seal(&key(1)).unwrap().as_bytes());
        fuzz::token(&serde_json::to_vec(&Access { aud: "https://siwa.example".to_owned(), ..access() }).unwrap());
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_token_by_chance(data: Vec<u8>) {
            fuzz::token(&data);
        }

        #[test]
        fn a_flipped_bit_is_refused(at in any::<prop::sample::Index>(), bit in 0_u8..7) {
            let mut bytes = access().seal(&key(1)).unwrap().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let text = String::from_utf8(bytes).unwrap();
            let why = read(&text, &key(1), AUDIENCE, NOW_MS);
            prop_assert!(matches!(why, Err(AccessError::Form | AccessError::Mac)), "{why:?}");
        }

        #[test]
        fn any_text_is_refused(text in ".{0,200}") {
            prop_assert!(read(&text, &key(1), AUDIENCE, NOW_MS).is_err());
        }

        /// Whatever was authenticated is read or refused.
        #[test]
        fn any_claims_are_refused(claims in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(read(&of_claims(&claims), &key(1), AUDIENCE, NOW_MS), Err(AccessError::Claims));
        }
    }
}
