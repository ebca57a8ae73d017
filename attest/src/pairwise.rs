//! Pairwise pseudonyms: a viewer is known to each tenant under another name, and to nobody by the platform's own.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policies::TenantId;
use rand_core::CryptoRng;
use ring::hmac;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const LABEL: &[u8] = b"siwa pairwise v1\0";

/// The secret from which a region derives pseudonyms. No `Debug`; erased when dropped.
pub struct PairwiseSecret(Zeroizing<[u8; 32]>);

/// The text is not a secret's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("pairwise secrets and pseudonyms are 43 characters of base64url")]
pub struct InvalidSecret;

impl PairwiseSecret {
    /// A new secret from 32 bytes of the generator.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(bytes.as_mut());
        Self(bytes)
    }

    /// A secret that was stored.
    #[must_use]
    pub fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// Reads the text of a secret file: 43 characters of base64url, surrounded by white space at most.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let decoded = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.trim()).map_err(|_| InvalidSecret)?);
        let mut bytes = Zeroizing::new([0; 32]);
        if decoded.len() != bytes.len() {
            return Err(InvalidSecret);
        }
        bytes.copy_from_slice(&decoded);
        Ok(Self(bytes))
    }

    /// The text for a secret file.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.0.as_ref()))
    }

    /// HMAC-SHA-256 (RFC 2104) of a label, then tenant and viewer, each behind its length as 8 bytes
    /// big-endian: no two (tenant, viewer) pairs give the same input.
    #[must_use]
    pub fn pseudonym(&self, tenant: &TenantId, viewer: &[u8]) -> Pseudonym {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, self.0.as_ref()));
        context.update(LABEL);
        for field in [tenant.as_str().as_bytes(), viewer] {
            context.update(&(field.len() as u64).to_be_bytes());
            context.update(field);
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.sign().as_ref());
        Pseudonym(bytes)
    }
}

/// A viewer's name towards one tenant in one region. It has no `Debug`, so that no log line shows it by accident;
/// [`fmt::Display`] gives the text that stands as an answer's `sub`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pseudonym([u8; 32]);

impl Pseudonym {
    /// A pseudonym that was stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl TryFrom<String> for Pseudonym {
    type Error = InvalidSecret;

    fn try_from(text: String) -> Result<Self, InvalidSecret> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidSecret)?;
        bytes.try_into().map(Self).map_err(|_| InvalidSecret)
    }
}

impl From<Pseudonym> for String {
    fn from(pseudonym: Pseudonym) -> Self {
        pseudonym.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secret() -> PairwiseSecret {
        PairwiseSecret::from_bytes(Zeroizing::new([7; 32]))
    }

    /// Computed apart from this code: HMAC-SHA-256 by Python's `hmac` over the same framing.
    #[test]
    fn known_answer() {
        let tenant = "demo-platform".parse().unwrap();
        assert_eq!(secret().pseudonym(&tenant, b"viewer-1").to_string(), "W_FfVG9FbXznmoGekb9nRP6_NKNMsGnQdFADETbD_sI");
    }

    #[test]
    fn secret_files_read_as_they_are_written() {
        let tenant = "demo-platform".parse().unwrap();
        let name = |secret: PairwiseSecret| secret.pseudonym(&tenant, b"v").to_string();
        let text = format!("{}\n", *secret().to_text());
        assert_eq!(PairwiseSecret::parse(&text).map(name), Ok(name(secret())));
        for bad in ["", "AAAA", &text.trim()[1..], &text.replace('B', "+")] {
            assert_eq!(PairwiseSecret::parse(bad).map(name), Err(InvalidSecret));
        }
    }

    proptest! {
        #[test]
        fn moving_the_border_gives_another_name(text in "[a-z]{2,20}", at in 1usize..19, viewer in "[a-z]{0,8}") {
            let at = at.min(text.len() - 1);
            let (short, moved) = (text[..at].parse().unwrap(), format!("{}{viewer}", &text[at..]));
            let whole = text.parse().unwrap();
            let one = secret().pseudonym(&whole, viewer.as_bytes());
            prop_assert!(one != secret().pseudonym(&short, moved.as_bytes()));
            prop_assert!(one == secret().pseudonym(&whole, viewer.as_bytes()));
        }
    }
}
