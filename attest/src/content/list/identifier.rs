//! What is looked for, and the name of the list that it is looked for in.

use std::fmt;
use std::str::FromStr;

use policies::Digest;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{BITS_MAX, IDENTIFIER_BYTES_MAX};

/// Separates this hash from every other.
const BUCKET_LABEL: &[u8] = b"bucket-v1";

/// An identifier has no byte, or more than [`IDENTIFIER_BYTES_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an identifier has 1 to {IDENTIFIER_BYTES_MAX} bytes")]
pub struct InvalidIdentifier;

/// A clip's identifier: the SHA-256 digest of its bytes, or the platform's own id. No `Debug`: it says what somebody
/// looked at.
pub struct Identifier(Zeroizing<Vec<u8>>);

impl Identifier {
    /// An identifier of these bytes.
    ///
    /// # Errors
    /// [`InvalidIdentifier`].
    pub fn new(bytes: &[u8]) -> Result<Self, InvalidIdentifier> {
        if (1..=IDENTIFIER_BYTES_MAX).contains(&bytes.len()) {
            Ok(Self(Zeroizing::new(bytes.to_vec())))
        } else {
            Err(InvalidIdentifier)
        }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The first 16 bits of the unkeyed hash. The bucket is their first [`Geometry::bits`](super::Geometry::bits) bits.
    #[must_use]
    pub fn prefix(&self) -> u16 {
        let digest = Digest::of_parts(&[BUCKET_LABEL, &self.0]);
        let [first, second, ..] = *digest.as_bytes();
        u16::from_be_bytes([first, second])
    }
}

impl From<&Digest> for Identifier {
    fn from(digest: &Digest) -> Self {
        Self(Zeroizing::new(digest.as_bytes().to_vec()))
    }
}

/// The bucket of a prefix where buckets are chosen by `bits` bits, 16 at most.
pub(super) const fn bucket_of(prefix: u16, bits: u8) -> u32 {
    (prefix as u32) >> BITS_MAX.saturating_sub(bits)
}

/// The text is not a list's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a list's name is 1 to 63 of a-z, 0-9 and '-', with a letter or digit at both ends")]
pub struct InvalidListName;

/// The name of a list, one of its tenant's: 1 to 63 of `a-z 0-9 -`, beginning and ending with a letter or digit, so that
/// it can stand in a URL and a file name as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ListName(String);

impl ListName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ListName {
    type Err = InvalidListName;

    fn from_str(text: &str) -> Result<Self, InvalidListName> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for ListName {
    type Error = InvalidListName;

    fn try_from(text: String) -> Result<Self, InvalidListName> {
        let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
        let named = (1..=63).contains(&text.len()) && text.bytes().all(|byte| inner(&byte));
        if named && !text.starts_with('-') && !text.ends_with('-') { Ok(Self(text)) } else { Err(InvalidListName) }
    }
}

impl From<ListName> for String {
    fn from(name: ListName) -> Self {
        name.0
    }
}

impl fmt::Display for ListName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
