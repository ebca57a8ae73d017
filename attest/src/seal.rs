//! Secrets at rest: sealed under the operator's key, each under a label that says what it is.
//!
//! Form: version byte 1 ‖ 32 random bytes of salt ‖ AES-256-GCM ciphertext and tag. The key of the AEAD is HKDF-SHA-256
//! (RFC 5869) of the operator's key with this salt and info `"siwa seal v1\0" ‖ label`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand_core::CryptoRng;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use zeroize::Zeroizing;

pub mod fuzz;

/// The longest secret that is sealed or opened.
pub const PLAINTEXT_BYTES_MAX: usize = 1024 * 1024;
/// What sealing adds to a secret.
pub const OVERHEAD_BYTES: usize = 1 + SALT_BYTES + TAG_BYTES;

const VERSION: u8 = 1;
const SALT_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
const INFO: &[u8] = b"siwa seal v1\0";

/// The key under which an operator keeps a node's secrets. No `Debug`, no `Clone`; erased when dropped.
pub struct OperatorKey(Zeroizing<[u8; 32]>);

/// The text is not an operator key's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an operator key is 43 characters of base64url")]
pub struct InvalidOperatorKey;

/// Why a secret was not sealed or not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Longer than [`PLAINTEXT_BYTES_MAX`], sealed or to be sealed.
    #[error("the secret is too long")]
    TooLong,
    /// Shorter than [`OVERHEAD_BYTES`].
    #[error("the sealed secret is too short")]
    TooShort,
    /// Sealed in a form that is not known.
    #[error("the sealed secret is of another version")]
    Version,
    /// Another key, another label, or changed bytes: which of them is not said.
    #[error("the sealed secret does not open")]
    Refused,
}

impl OperatorKey {
    /// A new key from 32 bytes of the generator.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(bytes.as_mut());
        Self(bytes)
    }

    /// Reads the text of a key file: 43 characters of base64url, surrounded by white space at most.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidOperatorKey> {
        let decoded = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.trim()).map_err(|_| InvalidOperatorKey)?);
        let mut bytes = Zeroizing::new([0; 32]);
        if decoded.len() != bytes.len() {
            return Err(InvalidOperatorKey);
        }
        bytes.copy_from_slice(&decoded);
        Ok(Self(bytes))
    }

    /// The text for a key file.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.0.as_ref()))
    }

    /// Seals `plaintext` as what `label` says.
    ///
    /// # Errors
    /// [`SealError::TooLong`]: it could not be opened again.
    pub fn seal(&self, label: &str, plaintext: &[u8], rng: &mut impl CryptoRng) -> Result<Vec<u8>, SealError> {
        if plaintext.len() > PLAINTEXT_BYTES_MAX {
            return Err(SealError::TooLong);
        }
        let mut salt = [0; SALT_BYTES];
        rng.fill_bytes(&mut salt);
        let mut sealed = Vec::with_capacity(OVERHEAD_BYTES + plaintext.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&salt);
        sealed.extend_from_slice(plaintext);
        let tag = self
            .derived(label, &salt)
            .seal_in_place_separate_tag(nonce(), Aad::from(label.as_bytes()), &mut sealed[1 + SALT_BYTES..])
            .expect("AES-GCM seals up to 64 GiB");
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Opens what [`OperatorKey::seal`] made under the same label.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn open(&self, label: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        // 1. Bounded size, known version.
        if sealed.len() > OVERHEAD_BYTES + PLAINTEXT_BYTES_MAX {
            return Err(SealError::TooLong);
        }
        if sealed.len() < OVERHEAD_BYTES {
            return Err(SealError::TooShort);
        }
        if sealed[0] != VERSION {
            return Err(SealError::Version);
        }
        // 2. Key, label and bytes belong together.
        let (salt, ciphertext) = sealed[1..].split_at(SALT_BYTES);
        let mut opened = Zeroizing::new(ciphertext.to_vec());
        let length = self
            .derived(label, salt)
            .open_in_place(nonce(), Aad::from(label.as_bytes()), &mut opened)
            .map_err(|_| SealError::Refused)?
            .len();
        opened.truncate(length);
        Ok(opened)
    }

    fn derived(&self, label: &str, salt: &[u8]) -> LessSafeKey {
        let info = [INFO, label.as_bytes()];
        let pseudorandom = Salt::new(HKDF_SHA256, salt).extract(self.0.as_ref());
        let key = pseudorandom.expand(&info, &AES_256_GCM).expect("an AES-256 key is far below HKDF's 8160 bytes");
        LessSafeKey::new(UnboundKey::from(key))
    }
}

/// Zero. Each salt gives a fresh key and each key seals once, so that no (key, nonce) pair comes twice; 32 random bytes
/// do not repeat, where the 12 of a random nonce might after 2^32 secrets.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand_core::{OsRng, TryRngCore as _};

    const LABEL: &str = "opaque server";

    fn key() -> OperatorKey {
        OperatorKey(Zeroizing::new([7; 32]))
    }

    fn opened(key: &OperatorKey, label: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        key.open(label, sealed).map(|plaintext| plaintext.to_vec())
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    /// Computed apart from this code: HKDF by Python's `hmac`, AES-256-GCM by pyca/cryptography; the salt is 00 to 1f.
    #[test]
    fn known_answer() {
        let sealed = hex(concat!(
            "01000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            "ce66bd0ba078d390435c2fd0edee2686482d0d9df0dc19a6fce5170a",
        ));
        assert_eq!(opened(&key(), LABEL, &sealed), Ok(b"known answer".to_vec()));
    }

    #[test]
    fn key_files_read_as_they_are_written() {
        let text = format!("{}\n", *key().to_text());
        assert_eq!(OperatorKey::parse(&text).map(|read| *read.0), Ok([7; 32]));
        for bad in ["", "AAAA", &text.trim()[1..], &text.replace('B', "+")] {
            assert_eq!(OperatorKey::parse(bad).map(|read| *read.0), Err(InvalidOperatorKey));
        }
    }

    #[test]
    fn another_key_or_label_opens_nothing() {
        let mut rng = OsRng.unwrap_err();
        let sealed = key().seal(LABEL, b"secret", &mut rng).unwrap();
        assert_eq!(opened(&key(), LABEL, &sealed), Ok(b"secret".to_vec()));
        assert_eq!(opened(&OperatorKey::generate(&mut rng), LABEL, &sealed), Err(SealError::Refused));
        for label in ["", "opaque", "opaque server ", "Opaque server"] {
            assert_eq!(opened(&key(), label, &sealed), Err(SealError::Refused));
        }
    }

    #[test]
    fn every_bit_counts() {
        let sealed = key().seal(LABEL, b"a secret of some bytes", &mut OsRng.unwrap_err()).unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let expected = if bit < 8 { SealError::Version } else { SealError::Refused };
            assert_eq!(opened(&key(), LABEL, &changed), Err(expected), "bit {bit}");
        }
    }

    #[test]
    fn other_lengths_are_refused() {
        let mut sealed = key().seal(LABEL, b"secret", &mut OsRng.unwrap_err()).unwrap();
        for length in 0..sealed.len() {
            let expected = if length < OVERHEAD_BYTES { SealError::TooShort } else { SealError::Refused };
            assert_eq!(opened(&key(), LABEL, &sealed[..length]), Err(expected), "{length}");
        }
        sealed.push(0);
        assert_eq!(opened(&key(), LABEL, &sealed), Err(SealError::Refused));
    }

    #[test]
    fn the_longest_secret_comes_back_and_a_longer_one_is_not_taken() {
        let mut rng = OsRng.unwrap_err();
        let mut long = vec![1; PLAINTEXT_BYTES_MAX];
        let sealed = key().seal(LABEL, &long, &mut rng).unwrap();
        assert!(opened(&key(), LABEL, &sealed).is_ok_and(|plaintext| plaintext == long));
        assert_eq!(opened(&key(), LABEL, &[sealed, vec![0]].concat()), Err(SealError::TooLong));
        long.push(1);
        assert_eq!(key().seal(LABEL, &long, &mut rng), Err(SealError::TooLong));
    }

    proptest! {
        #[test]
        fn what_is_sealed_comes_back(label in "[a-z ]{0,40}", plaintext: Vec<u8>) {
            let mut rng = OsRng.unwrap_err();
            let sealed = key().seal(&label, &plaintext, &mut rng).unwrap();
            prop_assert_eq!(sealed.len(), plaintext.len() + OVERHEAD_BYTES);
            prop_assert_ne!(&sealed, &key().seal(&label, &plaintext, &mut rng).unwrap());
            prop_assert_eq!(opened(&key(), &label, &sealed), Ok(plaintext));
        }

        #[test]
        fn no_bytes_open_by_chance(data: Vec<u8>) {
            fuzz::sealed(&data);
        }
    }
}
