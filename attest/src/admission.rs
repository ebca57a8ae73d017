//! How the centre knows which node speaks: a short-lived token, signed by a key that the centre's config pins.
//!
//! An [`Admission`] has no public constructor but the checks themselves; code that asks for one cannot be
//! called before they passed.

use std::collections::BTreeMap;

use policies::{NodeId, RegionId};
use serde::{Deserialize, Serialize};

use crate::jws::{self, JwsError, Typ, UnverifiedJws};
use crate::keys::{KeyId, SigningKey, VerifyingKey};
use crate::time::{OutOfLife, check_life};

/// A node token lives a minute at most: what a thief of one request's header can do ends with it.
pub const TOKEN_LIFETIME_SECONDS_MAX: u64 = 60;

/// A node's claims towards the centre, as a JWS of type `siwa-node+jwt`. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeToken {
    /// The node.
    pub iss: NodeId,
    /// The centre's name.
    pub aud: String,
    /// When it was made.
    pub iat: u64,
    /// When it ends.
    pub exp: u64,
}

impl NodeToken {
    /// A token of `node` for the centre named `audience`, alive from now for a minute.
    #[must_use]
    pub fn new(node: &NodeId, audience: &str, now_ms: u64) -> Self {
        let iat = now_ms / 1000;
        Self { iss: node.clone(), aud: audience.to_owned(), iat, exp: iat + TOKEN_LIFETIME_SECONDS_MAX }
    }

    /// The token as a compact JWS, for an `Authorization: Bearer` header.
    ///
    /// # Errors
    /// As [`jws::sign`].
    pub fn sign(&self, key: &SigningKey) -> Result<String, JwsError> {
        jws::sign(Typ::Node, self, key)
    }
}

/// A node whose key the centre's operator wrote into the config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedNode {
    /// Its name.
    pub node: NodeId,
    /// The region it answers for.
    pub region: RegionId,
    /// Its public key.
    pub key: VerifyingKey,
}

/// All pinned nodes, each name and each key once.
#[derive(Debug, Clone, Default)]
pub struct PinnedNodes(BTreeMap<KeyId, PinnedNode>);

/// Two pinned nodes share a name or a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("two pinned nodes share a name or a key")]
pub struct PinnedTwice;

impl PinnedNodes {
    /// The set of these nodes.
    ///
    /// # Errors
    /// A name or a key stands twice.
    pub fn new(nodes: impl IntoIterator<Item = PinnedNode>) -> Result<Self, PinnedTwice> {
        let mut pinned = Self::default();
        for node in nodes {
            let known = pinned.0.values().any(|other| other.node == node.node);
            if known || pinned.0.insert(node.key.key_id(), node).is_some() {
                return Err(PinnedTwice);
            }
        }
        Ok(pinned)
    }

    /// Every node, in no order of meaning.
    pub fn iter(&self) -> impl Iterator<Item = &PinnedNode> {
        self.0.values()
    }
}

/// The witness that a node was admitted: who it is, for which region it speaks, by which key, until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    node: NodeId,
    region: RegionId,
    key: VerifyingKey,
    expires_ms: u64,
}

/// Why a node was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdmissionError {
    /// The token itself.
    #[error("the node token was refused")]
    Jws(#[from] JwsError),
    /// No pinned key has the token's key id.
    #[error("no pinned node has this key")]
    UnknownNode,
    /// The key is pinned for a node of another name.
    #[error("the node token names another node than its key does")]
    Issuer,
    /// Made for another centre.
    #[error("the node token is for another centre")]
    Audience,
    /// Made in the future.
    #[error("the node token is not yet valid: the clocks differ")]
    NotYetValid,
    /// Its time has passed.
    #[error("the node token has expired")]
    Expired,
    /// Lives longer than [`TOKEN_LIFETIME_SECONDS_MAX`], or not at all.
    #[error("the node token's lifetime is not allowed")]
    Lifetime,
}

impl From<OutOfLife> for AdmissionError {
    fn from(reason: OutOfLife) -> Self {
        match reason {
            OutOfLife::NotYetValid => Self::NotYetValid,
            OutOfLife::Expired => Self::Expired,
            OutOfLife::Lifetime => Self::Lifetime,
        }
    }
}

impl Admission {
    /// Admits the node that signed `token`, if its key is pinned, for the centre named `audience`.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn by_pinned_key(
        token: &str,
        pinned: &PinnedNodes,
        audience: &str,
        now_ms: u64,
    ) -> Result<Self, AdmissionError> {
        // 1. Form and header; the key id only selects among pinned keys.
        let unverified = UnverifiedJws::parse(token, Typ::Node)?;
        let pinned = pinned.0.iter().find(|(key_id, _)| unverified.names(key_id));
        let (_, node) = pinned.ok_or(AdmissionError::UnknownNode)?;
        // 2. Signature, then claims: the pinned name, this centre, now.
        let claims: NodeToken = unverified.verify(&node.key)?;
        if claims.iss != node.node {
            return Err(AdmissionError::Issuer);
        }
        if claims.aud != audience {
            return Err(AdmissionError::Audience);
        }
        check_life(claims.iat, claims.exp, TOKEN_LIFETIME_SECONDS_MAX, now_ms)?;
        let expires_ms = claims.exp.saturating_mul(1000);
        Ok(Self { node: node.node.clone(), region: node.region.clone(), key: node.key, expires_ms })
    }

    /// The node.
    #[must_use]
    pub const fn node(&self) -> &NodeId {
        &self.node
    }

    /// The region it speaks for.
    #[must_use]
    pub const fn region(&self) -> &RegionId {
        &self.region
    }

    /// The key that its releases must be signed by.
    #[must_use]
    pub const fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// When the admission ends, Unix milliseconds.
    #[must_use]
    pub const fn expires_ms(&self) -> u64 {
        self.expires_ms
    }
}

#[cfg(test)]
mod tests;
