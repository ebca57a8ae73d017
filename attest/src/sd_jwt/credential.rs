//! What a verifier learnt.

use serde_json::{Map, Value};

use super::error::SdJwtError;
use super::{STATUS_URI_BYTES_MAX, sha256};

/// A credential that its issuer signed, that is in force, and whose holder signed for this request. Whether it was
/// revoked is not known until [`Self::status`] was looked up. It has no `Debug`: the claims are personal data.
pub struct VerifiedCredential {
    pub(super) issuer: String,
    pub(super) vct: String,
    pub(super) expires_s: u64,
    pub(super) holder_thumbprint: [u8; 32],
    pub(super) status: Option<StatusReference>,
    pub(super) claims: Map<String, Value>,
}

impl VerifiedCredential {
    /// Who made it.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The credential's type.
    #[must_use]
    pub fn vct(&self) -> &str {
        &self.vct
    }

    /// From when on it says nothing, in Unix seconds.
    #[must_use]
    pub const fn expires_s(&self) -> u64 {
        self.expires_s
    }

    /// The claims that were disclosed or always visible, without the registered ones and without digests.
    #[must_use]
    pub const fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// The holder's key as its RFC 7638 thumbprint (SHA-256).
    #[must_use]
    pub const fn holder_thumbprint(&self) -> &[u8; 32] {
        &self.holder_thumbprint
    }

    /// Where its status stands; none when the issuer does not revoke.
    #[must_use]
    pub const fn status(&self) -> Option<&StatusReference> {
        self.status.as_ref()
    }

    /// A name for this issuer's holder that stays the same over presentations: SHA-256 of a label, then issuer and
    /// thumbprint, each behind its length as 8 bytes big-endian. It links; pseudonyms are derived from it.
    #[must_use]
    pub fn subject(&self) -> [u8; 32] {
        let mut framed = b"siwa sd-jwt subject v1\0".to_vec();
        for field in [self.issuer.as_bytes(), &self.holder_thumbprint] {
            framed.extend_from_slice(&(field.len() as u64).to_be_bytes());
            framed.extend_from_slice(field);
        }
        sha256(&framed)
    }
}

/// A place in a status list (draft-ietf-oauth-status-list §6.2). No `Debug`: it names one credential.
#[derive(Clone, PartialEq, Eq)]
pub struct StatusReference {
    /// The entry, from 0.
    pub index: u64,
    /// The list's address. It is the issuer's text: the caller decides whether it is fetched.
    pub uri: String,
}

impl StatusReference {
    /// Reads a credential's `status`. A status by any other mechanism is refused, for it could say "revoked".
    pub(super) fn parse(status: &Value) -> Result<Self, SdJwtError> {
        let list = status.get("status_list").ok_or(SdJwtError::StatusReference)?;
        let index = list.get("idx").and_then(Value::as_u64);
        let uri = list.get("uri").and_then(Value::as_str).filter(|uri| uri.len() <= STATUS_URI_BYTES_MAX);
        match (index, uri) {
            (Some(index), Some(uri)) => Ok(Self { index, uri: uri.to_owned() }),
            _ => Err(SdJwtError::StatusReference),
        }
    }
}
