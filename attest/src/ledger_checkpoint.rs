//! How far the centre has seen a node's ledger: its signed statement, a JWS of type `siwa-ledger-checkpoint+jwt`.
//!
//! A node draws no noise before the centre has stated that it knows the charge. A ledger file that was put back to an
//! earlier state can therefore not spend again what it spent: the centre has seen more than the file holds.

use policies::{Digest, NodeId, RegionId};
use serde::{Deserialize, Serialize};

use crate::jws::{self, JwsError, Typ};
use crate::keys::{SigningKey, VerifyingKey};

/// Characters of a request's nonce.
pub const NONCE_CHARS: usize = 43;

/// The claims of a checkpoint. Anyone may write them down: what was verified is a [`VerifiedCheckpoint`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerCheckpoint {
    /// The ledger, 32 hexadecimal digits.
    pub ledger: String,
    /// The node whose ledger it is.
    pub node: NodeId,
    /// The node's region.
    pub region: RegionId,
    /// Entries that the centre has.
    pub entries: u64,
    /// What names them all.
    pub head: Digest,
    /// For whom it was made: the node.
    pub aud: NodeId,
    /// The nonce of the node's request.
    pub nonce: String,
    /// When it was signed, Unix seconds.
    pub iat: u64,
}

/// Why a checkpoint was refused. Holds nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The token itself.
    #[error("the checkpoint's token was refused")]
    Jws(#[from] JwsError),
    /// Of another ledger.
    #[error("the checkpoint is of another ledger")]
    Ledger,
    /// Of another node.
    #[error("the checkpoint is of another node")]
    Node,
    /// Of another region.
    #[error("the checkpoint is of another region")]
    Region,
    /// Made for someone else.
    #[error("the checkpoint was made for another node")]
    Audience,
    /// Made for another request.
    #[error("the checkpoint answers another request")]
    Nonce,
}

/// Whose checkpoint is expected.
#[derive(Debug, Clone, Copy)]
pub struct CheckpointExpectation<'a> {
    /// The ledger, 32 hexadecimal digits.
    pub ledger: &'a str,
    /// The node.
    pub node: &'a NodeId,
    /// Its region.
    pub region: &'a RegionId,
    /// The nonce of the request that it answers; nothing where it was kept from an earlier one.
    pub nonce: Option<&'a str>,
}

/// A checkpoint that the centre's key has signed for this node. It is nothing about how new it is, unless a nonce was
/// asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCheckpoint(LedgerCheckpoint);

impl LedgerCheckpoint {
    /// The checkpoint as a compact JWS.
    ///
    /// # Errors
    /// As [`jws::sign`].
    pub fn sign(&self, key: &SigningKey) -> Result<String, JwsError> {
        jws::sign(Typ::LedgerCheckpoint, self, key)
    }

    /// Verifies a checkpoint: 1. by the centre's key; 2. of this ledger, node and region; 3. made for this node; 4. in
    /// answer to this request.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify(
        token: &str,
        key: &VerifyingKey,
        expected: &CheckpointExpectation<'_>,
    ) -> Result<VerifiedCheckpoint, CheckpointError> {
        let claims: Self = jws::verify(token, Typ::LedgerCheckpoint, key)?;
        if claims.ledger != expected.ledger {
            return Err(CheckpointError::Ledger);
        }
        if claims.node != *expected.node {
            return Err(CheckpointError::Node);
        }
        if claims.region != *expected.region {
            return Err(CheckpointError::Region);
        }
        if claims.aud != *expected.node {
            return Err(CheckpointError::Audience);
        }
        if expected.nonce.is_some_and(|nonce| claims.nonce != nonce) {
            return Err(CheckpointError::Nonce);
        }
        Ok(VerifiedCheckpoint(claims))
    }
}

impl VerifiedCheckpoint {
    /// What it says.
    #[must_use]
    pub const fn claims(&self) -> &LedgerCheckpoint {
        &self.0
    }
}

#[cfg(test)]
mod tests;
