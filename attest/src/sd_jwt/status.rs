//! Token Status List (draft-ietf-oauth-status-list): whether a credential was revoked, for many at a time.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status as Flate};
use serde::{Deserialize, Serialize};

use super::error::{JoseError, StatusError};
use super::jose::{self, Jws};
use super::jwk::TrustedKeys;
use super::{STATUS_FRESH_SECONDS_MAX, STATUS_LIST_BYTES_MAX, STATUS_TOKEN_BYTES_MAX, STATUS_TYP};
use crate::keys::SigningKey;
use crate::time::CLOCK_SKEW_SECONDS;

/// What a list says of one credential (draft-ietf-oauth-status-list §7.1). Only `Valid` lets anyone rely on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// In force.
    Valid,
    /// Revoked for good.
    Invalid,
    /// Not in force at present.
    Suspended,
    /// A value of the application's own; not to be relied on.
    Other(u8),
}

impl From<u8> for Status {
    fn from(value: u8) -> Self {
        match value {
            0 => Self::Valid,
            1 => Self::Invalid,
            2 => Self::Suspended,
            other => Self::Other(other),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Claims<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    sub: String,
    iat: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exp: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl: Option<u64>,
    #[serde(borrow)]
    status_list: List<'a>,
}

/// `lst` is base64url, in which nothing is ever escaped, so it is read in place.
#[derive(Serialize, Deserialize)]
struct List<'a> {
    bits: u8,
    lst: &'a str,
}

/// A verified list.
pub struct StatusList {
    bits: u8,
    bytes: Vec<u8>,
    fresh_until_s: u64,
}

impl StatusList {
    /// Verifies the token that was fetched from `uri` by the keys of the issuer whose credentials refer to it
    /// (draft-ietf-oauth-status-list §8.3).
    ///
    /// # Errors
    /// The first check of [`StatusError`] that fails.
    pub fn verify(token: &str, keys: &TrustedKeys, uri: &str, now_ms: u64) -> Result<Self, StatusError> {
        let now = now_ms / 1000;
        // 1. Bounded size; key, extensions, algorithm, type, signature.
        if token.len() > STATUS_TOKEN_BYTES_MAX {
            return Err(StatusError::TooLong);
        }
        let jws = Jws::parse(token).map_err(StatusError::Token)?;
        jws.verify_by_issuer(STATUS_TYP, keys).map_err(StatusError::Token)?;
        let payload = jws.payload().map_err(StatusError::Token)?;
        let claims: Claims<'_> = serde_json::from_slice(&payload).map_err(|_| StatusError::Claims)?;
        // 2. The issuer, where it is named, and the list that was asked for: another list has other entries.
        if claims.iss.as_deref().is_some_and(|issuer| issuer != keys.issuer()) {
            return Err(StatusError::Issuer);
        }
        if claims.sub != uri {
            return Err(StatusError::Subject);
        }
        // 3. In force. A list without `exp` expires all the same: an old one would hide every revocation since.
        if claims.iat > now.saturating_add(CLOCK_SKEW_SECONDS) {
            return Err(StatusError::NotYetValid);
        }
        let expires = claims.exp.unwrap_or(claims.iat.saturating_add(STATUS_FRESH_SECONDS_MAX));
        if expires.saturating_add(CLOCK_SKEW_SECONDS) <= now {
            return Err(StatusError::Expired);
        }
        let ttl = claims.ttl.unwrap_or(STATUS_FRESH_SECONDS_MAX).min(STATUS_FRESH_SECONDS_MAX);
        if ttl == 0 {
            return Err(StatusError::Claims);
        }
        // 4. The entries.
        let bytes = decode(claims.status_list.bits, claims.status_list.lst)?;
        let fresh_until_s = expires.min(now.saturating_add(ttl));
        Ok(Self { bits: claims.status_list.bits, bytes, fresh_until_s })
    }

    /// Until when the list may be asked, in Unix seconds: its `exp`, its `ttl` from now, or
    /// [`STATUS_FRESH_SECONDS_MAX`], what comes first. Whoever keeps it longer fetches it anew.
    #[must_use]
    pub const fn fresh_until_s(&self) -> u64 {
        self.fresh_until_s
    }

    /// The status of entry `index`.
    ///
    /// # Errors
    /// [`StatusError::Index`] where the list ends before it.
    pub fn status(&self, index: u64) -> Result<Status, StatusError> {
        // Entries fill a byte from its lowest bits on (§4.1).
        let entries = u64::from(8 / self.bits);
        let byte = usize::try_from(index / entries).ok().and_then(|at| self.bytes.get(at)).ok_or(StatusError::Index)?;
        let shift = (index % entries) * u64::from(self.bits);
        let mask = u8::MAX >> (8 - self.bits);
        Ok(((byte >> shift) & mask).into())
    }
}

/// A list to be published.
#[derive(Debug, Clone, Copy)]
pub struct StatusListRequest<'a> {
    /// The issuer, as verifiers know it.
    pub issuer: &'a str,
    /// Where it is fetched: the credentials' `uri`.
    pub uri: &'a str,
    /// When it is made, in Unix seconds.
    pub issued_s: u64,
    /// From when on it says nothing, in Unix seconds.
    pub expires_s: u64,
    /// How long it may be kept, in seconds.
    pub ttl_s: u64,
    /// Bits an entry: 1, 2, 4 or 8.
    pub bits: u8,
    /// The value of each entry. The last byte is filled up with 0.
    pub statuses: &'a [u8],
}

impl StatusListRequest<'_> {
    /// The list as a status list token.
    ///
    /// # Errors
    /// [`StatusError::Expired`] for one that would not live; [`StatusError::Claims`] for a `ttl_s` of 0;
    /// [`StatusError::Bits`], [`StatusError::List`] or [`StatusError::TooLarge`].
    pub fn issue(&self, key: &SigningKey) -> Result<String, StatusError> {
        if self.expires_s <= self.issued_s {
            return Err(StatusError::Expired);
        }
        if self.ttl_s == 0 {
            return Err(StatusError::Claims);
        }
        let lst = encode(&pack(self.bits, self.statuses)?)?;
        let claims = Claims {
            iss: Some(self.issuer.to_owned()),
            sub: self.uri.to_owned(),
            iat: self.issued_s,
            exp: Some(self.expires_s),
            ttl: Some(self.ttl_s),
            status_list: List { bits: self.bits, lst: &lst },
        };
        let claims = serde_json::to_vec(&claims).map_err(|_| StatusError::Token(JoseError::Payload))?;
        Ok(jose::sign(STATUS_TYP, Some(key.verifying_key().key_id().as_str()), &claims, key))
    }
}

fn pack(bits: u8, statuses: &[u8]) -> Result<Vec<u8>, StatusError> {
    check_bits(bits)?;
    let entries = usize::from(8 / bits);
    let max = u8::MAX >> (8 - bits);
    if statuses.iter().any(|status| *status > max) {
        return Err(StatusError::List);
    }
    if statuses.len().div_ceil(entries) > STATUS_LIST_BYTES_MAX {
        return Err(StatusError::TooLarge);
    }
    let byte =
        |entries: &[u8]| entries.iter().rev().fold(0, |byte: u8, status| byte.unbounded_shl(bits.into()) | status);
    Ok(statuses.chunks(entries).map(byte).collect())
}

const fn check_bits(bits: u8) -> Result<(), StatusError> {
    if matches!(bits, 1 | 2 | 4 | 8) { Ok(()) } else { Err(StatusError::Bits) }
}

/// ZLIB (RFC 1950) in base64url.
pub(super) fn encode(bytes: &[u8]) -> Result<String, StatusError> {
    let mut compressor = Compress::new(Compression::best(), true);
    // Stored blocks are the worst case: 5 bytes each, and the frame.
    let mut compressed = Vec::with_capacity(bytes.len() + bytes.len() / 1024 + 64);
    match compressor.compress_vec(bytes, &mut compressed, FlushCompress::Finish) {
        Ok(Flate::StreamEnd) => Ok(URL_SAFE_NO_PAD.encode(compressed)),
        _ => Err(StatusError::List),
    }
}

/// Reads a list of `bits` an entry: one whole ZLIB stream, nothing behind it, and never more than
/// [`STATUS_LIST_BYTES_MAX`] of output, whatever the input promises.
pub(super) fn decode(bits: u8, lst: &str) -> Result<Vec<u8>, StatusError> {
    check_bits(bits)?;
    let input = URL_SAFE_NO_PAD.decode(lst).map_err(|_| StatusError::List)?;
    let mut decompressor = Decompress::new(true);
    let mut output = Vec::with_capacity((input.len() * 4).clamp(64, STATUS_LIST_BYTES_MAX));
    loop {
        let read = usize::try_from(decompressor.total_in()).map_err(|_| StatusError::List)?;
        let written = output.len();
        let rest = input.get(read..).unwrap_or_default();
        let end = decompressor.decompress_vec(rest, &mut output, FlushDecompress::None);
        let progress = decompressor.total_in() > read as u64 || output.len() > written;
        match end.map_err(|_| StatusError::List)? {
            Flate::StreamEnd => break,
            _ if output.len() < output.capacity() && !progress => return Err(StatusError::List),
            _ if output.len() < output.capacity() => {}
            // Full: one byte beyond the limit is enough to know.
            _ if output.len() > STATUS_LIST_BYTES_MAX => return Err(StatusError::TooLarge),
            _ => output.reserve_exact(output.len().min(STATUS_LIST_BYTES_MAX + 1 - output.len())),
        }
    }
    if output.len() > STATUS_LIST_BYTES_MAX {
        return Err(StatusError::TooLarge);
    }
    if decompressor.total_in() == input.len() as u64 { Ok(output) } else { Err(StatusError::List) }
}
