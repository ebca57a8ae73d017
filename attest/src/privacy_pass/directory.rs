//! The issuer's directory (RFC 9578 §4): where to send requests, and under which keys.

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::{InvalidPublicKey, PublicKey, TokenType};

/// A directory as JSON. The longest key has 456 characters, so this holds all that are allowed.
pub const DIRECTORY_BYTES_MAX: usize = 1024 * 1024;
/// Keys in a directory, those of unknown types counted.
pub const DIRECTORY_KEYS_MAX: usize = 1024;
/// The address of requests.
pub const REQUEST_URI_BYTES_MAX: usize = 2048;

/// Why a directory is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// Over [`DIRECTORY_BYTES_MAX`].
    #[error("the directory is too long")]
    TooLong,
    /// Not JSON with the members of RFC 9578 §4.
    #[error("the directory is not the JSON of RFC 9578")]
    Json,
    /// Empty, over its limit, or not visible ASCII.
    #[error("the address of requests is not a URI")]
    RequestUri,
    /// Over [`DIRECTORY_KEYS_MAX`].
    #[error("the directory has more than {DIRECTORY_KEYS_MAX} keys")]
    KeyCount,
    /// A key of a known type is not base64url.
    #[error("a key of the directory is not base64url")]
    Encoding,
    /// A key of a known type is invalid.
    #[error("a key of the directory is invalid")]
    Key(#[source] InvalidPublicKey),
}

/// One key of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryKey {
    /// The key.
    pub key: PublicKey,
    /// From when it may be used, in Unix seconds; at once if absent.
    pub not_before_seconds: Option<u64>,
}

/// Where to send requests, and the keys, the preferred one of a type first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerDirectory {
    request_uri: String,
    keys: Vec<DirectoryKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawDirectory {
    issuer_request_uri: String,
    token_keys: Vec<RawKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawKey {
    token_type: u16,
    token_key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_before: Option<u64>,
}

impl IssuerDirectory {
    /// A directory of these keys. `request_uri` is absolute, or relative to the directory's own address.
    ///
    /// # Errors
    /// [`DirectoryError::RequestUri`] or [`DirectoryError::KeyCount`].
    pub fn new(request_uri: &str, keys: Vec<DirectoryKey>) -> Result<Self, DirectoryError> {
        let visible = request_uri.bytes().all(|byte| byte.is_ascii_graphic());
        if request_uri.is_empty() || request_uri.len() > REQUEST_URI_BYTES_MAX || !visible {
            return Err(DirectoryError::RequestUri);
        }
        if keys.len() > DIRECTORY_KEYS_MAX {
            return Err(DirectoryError::KeyCount);
        }
        Ok(Self { request_uri: request_uri.to_owned(), keys })
    }

    /// Reads a directory. Keys of unknown types are left out.
    ///
    /// # Errors
    /// Each of [`DirectoryError`].
    pub fn parse(json: &[u8]) -> Result<Self, DirectoryError> {
        if json.len() > DIRECTORY_BYTES_MAX {
            return Err(DirectoryError::TooLong);
        }
        let raw: RawDirectory = serde_json::from_slice(json).map_err(|_| DirectoryError::Json)?;
        if raw.token_keys.len() > DIRECTORY_KEYS_MAX {
            return Err(DirectoryError::KeyCount);
        }
        let mut keys = Vec::with_capacity(raw.token_keys.len());
        for raw in &raw.token_keys {
            let Some(token_type) = TokenType::from_code(raw.token_type) else { continue };
            // Written with padding by RFC 9578; read without it too.
            let bytes = URL_SAFE_NO_PAD.decode(raw.token_key.trim_end_matches('='));
            let bytes = bytes.map_err(|_| DirectoryError::Encoding)?;
            let key = PublicKey::parse(token_type, &bytes).map_err(DirectoryError::Key)?;
            keys.push(DirectoryKey { key, not_before_seconds: raw.not_before });
        }
        Self::new(&raw.issuer_request_uri, keys)
    }

    /// The directory as JSON.
    ///
    /// # Panics
    /// Never: texts and numbers have a JSON form.
    #[must_use]
    pub fn to_json(&self) -> String {
        let raw_key = |entry: &DirectoryKey| RawKey {
            token_type: entry.key.token_type().code(),
            token_key: URL_SAFE.encode(entry.key.as_bytes()),
            not_before: entry.not_before_seconds,
        };
        let raw = RawDirectory {
            issuer_request_uri: self.request_uri.clone(),
            token_keys: self.keys.iter().map(raw_key).collect(),
        };
        serde_json::to_string(&raw).expect("texts and numbers have a JSON form")
    }

    /// Where requests are sent.
    #[must_use]
    pub fn request_uri(&self) -> &str {
        &self.request_uri
    }

    /// The keys in order.
    #[must_use]
    pub fn keys(&self) -> &[DirectoryKey] {
        &self.keys
    }

    /// The first key of this type that may be used at `now_ms` (Unix milliseconds).
    #[must_use]
    pub fn key_for(&self, token_type: TokenType, now_ms: u64) -> Option<&PublicKey> {
        let usable = |entry: &&DirectoryKey| {
            entry.key.token_type() == token_type && entry.not_before_seconds.is_none_or(|from| from <= now_ms / 1000)
        };
        self.keys.iter().find(usable).map(|entry| &entry.key)
    }
}
