//! Bytes in JSON: base64url without padding (RFC 4648 §5), bounded before they are decoded.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes as base64url text of at most `MAX` bytes.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Encoded<const MAX: usize>(pub Vec<u8>);

impl<const MAX: usize> std::ops::Deref for Encoded<MAX> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const MAX: usize> From<Vec<u8>> for Encoded<MAX> {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl<const MAX: usize> fmt::Debug for Encoded<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl<const MAX: usize> Serialize for Encoded<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(&self.0))
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Encoded<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        if text.len() > MAX.div_ceil(3) * 4 {
            return Err(D::Error::custom("the bytes are too many"));
        }
        let bytes = URL_SAFE_NO_PAD.decode(text.as_bytes()).map_err(|_| D::Error::custom("this is not base64url"))?;
        if bytes.len() > MAX { Err(D::Error::custom("the bytes are too many")) } else { Ok(Self(bytes)) }
    }
}

#[cfg(test)]
mod tests;
