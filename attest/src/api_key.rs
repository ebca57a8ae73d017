//! Bearer keys of tenants and operators (RFC 6750): shown once, stored only as SHA-256.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policies::Digest;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// What every key begins with, so that scanners find one that was committed by mistake.
pub const PREFIX: &str = "siwa_";
/// The prefix and 32 bytes in base64url.
const TEXT_BYTES: usize = PREFIX.len() + 43;

/// A bearer key in clear. No `Debug`; erased when dropped.
pub struct ApiKey(Zeroizing<String>);

/// The text is not a key's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key is siwa_ and 43 characters of base64url")]
pub struct InvalidApiKey;

impl ApiKey {
    /// A new key: 32 bytes of the generator.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(bytes.as_mut());
        let mut text = Zeroizing::new(String::with_capacity(TEXT_BYTES));
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(bytes.as_ref(), &mut text);
        Self(text)
    }

    /// Reads a key's text.
    ///
    /// # Errors
    /// Another prefix or length, or not base64url.
    pub fn parse(text: &str) -> Result<Self, InvalidApiKey> {
        let body = text.strip_prefix(PREFIX).filter(|_| text.len() == TEXT_BYTES).ok_or(InvalidApiKey)?;
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(body).map_err(|_| InvalidApiKey)?);
        if bytes.len() == 32 { Ok(Self(Zeroizing::new(text.to_owned()))) } else { Err(InvalidApiKey) }
    }

    /// The text, for an `Authorization` header or the one time it is shown.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is stored in its place.
    #[must_use]
    pub fn hash(&self) -> ApiKeyHash {
        ApiKeyHash(Digest::of(self.0.as_bytes()))
    }
}

/// SHA-256 of a key's text; 64 hexadecimal digits in a config. A fast hash suffices: a key has 256 random bits.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApiKeyHash(Digest);

impl ApiKeyHash {
    /// The digest, for a config file.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.0
    }

    /// A digest from a config file.
    #[must_use]
    pub const fn from_digest(digest: Digest) -> Self {
        Self(digest)
    }

    /// Whether this is the hash of `key`. Takes the same time wherever the two differ.
    #[must_use]
    pub fn is_of(&self, key: &ApiKey) -> bool {
        let (own, other) = (self.0, key.hash().0);
        let difference = own.as_bytes().iter().zip(other.as_bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
        std::hint::black_box(difference) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::OsRng;
    use rand_core::TryRngCore as _;

    #[test]
    fn a_key_is_recognised_and_no_other_is() {
        let (one, two) = (ApiKey::generate(&mut OsRng.unwrap_err()), ApiKey::generate(&mut OsRng.unwrap_err()));
        assert!(one.expose().starts_with("siwa_"));
        let read = ApiKey::parse(one.expose()).map(|key| key.hash().digest());
        assert_eq!(read, Ok(one.hash().digest()));
        let hash: ApiKeyHash = serde_json::from_str(&serde_json::to_string(&one.hash()).unwrap()).unwrap();
        assert_eq!((hash.is_of(&one), hash.is_of(&two)), (true, false));
    }

    #[test]
    fn other_texts_are_refused() {
        let good = ApiKey::generate(&mut OsRng.unwrap_err()).expose().to_owned();
        let (shorter, padded) = (&good[..good.len() - 1], format!("{shorter}=", shorter = &good[..good.len() - 1]));
        for bad in ["", "siwa_", shorter, &padded, &good.replace("siwa_", "awis_"), &format!("{good}A")] {
            assert_eq!(ApiKey::parse(bad).map(|key| key.expose().len()), Err(InvalidApiKey), "{}", bad.len());
        }
    }

    /// Any single bit of the hash decides.
    #[test]
    fn every_bit_counts() {
        let key = ApiKey::generate(&mut OsRng.unwrap_err());
        for bit in 0..256 {
            let mut bytes = *key.hash().digest().as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!ApiKeyHash::from_digest(Digest::from_bytes(bytes)).is_of(&key));
        }
    }
}
