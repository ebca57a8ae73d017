//! Verifier keys (C2SP signed-note): `name+hash+key`, where the key begins with its algorithm.

use std::fmt;
use std::str::FromStr;

use ring::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use super::line;
use crate::Digest;

/// Bytes of a key's name.
pub const NAME_BYTES_MAX: usize = 255;
/// Bytes of a key's text: name, hash, and base64 of 33 bytes.
const KEY_BYTES_MAX: usize = NAME_BYTES_MAX + 1 + 8 + 1 + 44;

/// How a key signs, as the first byte of its public form says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyAlgorithm {
    /// 0x01: Ed25519 over a note's text. A log's, and whoever else signs notes.
    Note,
    /// 0x04: Ed25519 over a checkpoint and a time (C2SP tlog-cosignature). A witness's.
    Cosignature,
}

impl KeyAlgorithm {
    const fn byte(self) -> u8 {
        match self {
            Self::Note => 1,
            Self::Cosignature => 4,
        }
    }
}

/// A public key with a name. Text form, also in serde: `name+hash+key`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VerifierKey {
    name: String,
    algorithm: KeyAlgorithm,
    public: [u8; 32],
}

/// The text is not a verifier key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVerifierKey {
    /// Not `name+hash+key`.
    #[error("a verifier key has the form name+hash+key")]
    Form,
    /// The name is empty, too long, or holds white space, a control character or a plus sign.
    #[error("a key's name has no white space and no plus sign, and 1 to 255 bytes")]
    Name,
    /// Neither Ed25519 nor a cosignature by Ed25519.
    #[error("the key's algorithm is not known here")]
    Algorithm,
    /// The hash is another's.
    #[error("the key's hash is not that of its name and key")]
    Hash,
}

impl VerifierKey {
    /// A key of this name.
    ///
    /// # Errors
    /// [`InvalidVerifierKey::Name`].
    pub fn new(name: &str, algorithm: KeyAlgorithm, public: [u8; 32]) -> Result<Self, InvalidVerifierKey> {
        if is_name(name) {
            Ok(Self { name: name.to_owned(), algorithm, public })
        } else {
            Err(InvalidVerifierKey::Name)
        }
    }

    /// Its name; for a log also the origin of its checkpoints.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it signs.
    #[must_use]
    pub const fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The Ed25519 public key.
    #[must_use]
    pub const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// What tells keys of one name apart: the first four bytes of SHA-256(name ‖ 0x0A ‖ algorithm ‖ key).
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        let digest = Digest::of_parts(&[self.name.as_bytes(), b"\n", &[self.algorithm.byte()], &self.public]);
        let [a, b, c, d, ..] = *digest.as_bytes();
        [a, b, c, d]
    }

    /// Whether `signature` is Ed25519 of exactly this message.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.public).verify(message, signature).is_ok()
    }
}

/// Whether a text can name a key.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |letter: char| !letter.is_whitespace() && !letter.is_control() && letter != '+';
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(plain)
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = u32::from_be_bytes(self.id());
        let key = line::encoded(&[&[self.algorithm.byte()], self.public.as_slice()].concat());
        write!(f, "{}+{id:08x}+{key}", self.name)
    }
}

impl FromStr for VerifierKey {
    type Err = InvalidVerifierKey;

    fn from_str(text: &str) -> Result<Self, InvalidVerifierKey> {
        if text.len() > KEY_BYTES_MAX {
            return Err(InvalidVerifierKey::Form);
        }
        // Base64 has plus signs of its own, a name has none.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(hash), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(InvalidVerifierKey::Form);
        };
        let bytes = line::decoded(key).ok_or(InvalidVerifierKey::Form)?;
        let (algorithm, public) = bytes.split_first().ok_or(InvalidVerifierKey::Form)?;
        let algorithm = match algorithm {
            1 => KeyAlgorithm::Note,
            4 => KeyAlgorithm::Cosignature,
            _ => return Err(InvalidVerifierKey::Algorithm),
        };
        let key = Self::new(name, algorithm, public.try_into().map_err(|_| InvalidVerifierKey::Form)?)?;
        let id = format!("{:08x}", u32::from_be_bytes(key.id()));
        if hash == id { Ok(key) } else { Err(InvalidVerifierKey::Hash) }
    }
}

impl TryFrom<String> for VerifierKey {
    type Error = InvalidVerifierKey;

    fn try_from(text: String) -> Result<Self, InvalidVerifierKey> {
        text.parse()
    }
}

impl From<VerifierKey> for String {
    fn from(key: VerifierKey) -> Self {
        key.to_string()
    }
}
