//! What evidence is bound to: the keys that a node serves with, the policy and config that it runs under, the verifier's
//! nonce, and for admission this one connection.
//!
//! The binding travels as JSON beside the evidence; the evidence carries [`Binding::digest`] in the field that its kind
//! has for that. The two contexts have different labels, so that what a node shows to any viewer admits nobody to a
//! centre.

use policies::{Digest, NodeId, RegionId};
use serde::{Deserialize, Serialize};

use crate::keys::VerifyingKey;

/// Bytes of a nonce at most.
pub const NONCE_BYTES_MAX: usize = 128;
/// Keys of each kind at most: every tenant of a region has token keys of its own.
pub const KEYS_MAX: usize = 1024;
/// The label under which a connection's exporter (RFC 8446 §7.5) is taken.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-siwa-admission-v1";

/// For whom evidence is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindingContext<'a> {
    /// For anyone who asks, with a nonce of their own.
    Viewer,
    /// For a centre, on the connection whose exporter this is.
    Admission {
        /// 32 bytes under [`EXPORTER_LABEL`].
        exporter: &'a [u8; 32],
    },
}

/// What a node states of itself beside its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// The verifier's nonce, as it came.
    pub nonce: String,
    /// The node.
    pub node: NodeId,
    /// The region it answers for.
    pub region: RegionId,
    /// The key that signs its releases.
    pub node_key: VerifyingKey,
    /// The key that signs its answers.
    pub answer_key: VerifyingKey,
    /// SHA-256 of the subject public key info (RFC 5280 §4.1) that its TLS listener serves with.
    pub tls_spki: Digest,
    /// SHA-256 of each key configuration (RFC 9458 §3) that it opens capsules with.
    pub oblivious_keys: Vec<Digest>,
    /// SHA-256 of each public key that it redeems anonymous tokens by.
    pub token_keys: Vec<Digest>,
    /// Digest of the policy in force.
    pub policy: Digest,
    /// SHA-256 of the config file.
    pub config: Digest,
    /// The program's version, by its own word.
    pub version: String,
}

impl Binding {
    /// The 32 bytes that evidence carries in `context`: SHA-256 over the context's label and every field, each with its
    /// length before it.
    #[must_use]
    pub fn digest(&self, context: BindingContext<'_>) -> Digest {
        let mut input = Vec::with_capacity(512);
        let mut field = |bytes: &[u8]| {
            // A field longer than 2^32 - 1 does not exist: every field is bounded far below.
            input.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
            input.extend_from_slice(bytes);
        };
        match context {
            BindingContext::Viewer => field(b"siwa attestation viewer v1"),
            BindingContext::Admission { exporter } => {
                field(b"siwa attestation admission v1");
                field(exporter);
            }
        }
        field(self.nonce.as_bytes());
        field(self.node.as_str().as_bytes());
        field(self.region.as_str().as_bytes());
        field(self.node_key.as_bytes());
        field(self.answer_key.as_bytes());
        field(self.tls_spki.as_bytes());
        for keys in [&self.oblivious_keys, &self.token_keys] {
            let joined: Vec<u8> = keys.iter().flat_map(|key| *key.as_bytes()).collect();
            field(&joined);
        }
        field(self.policy.as_bytes());
        field(self.config.as_bytes());
        field(self.version.as_bytes());
        Digest::of(&input)
    }

    /// Whether every part is within its bound.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        (1..=NONCE_BYTES_MAX).contains(&self.nonce.len())
            && self.version.len() <= 64
            && self.oblivious_keys.len() <= KEYS_MAX
            && self.token_keys.len() <= KEYS_MAX
    }
}

/// Whether the bytes that evidence carries are `digest`, and nothing but zeros after it.
#[must_use]
pub fn carries(bound: &[u8], digest: Digest) -> bool {
    bound
        .split_at_checked(32)
        .is_some_and(|(head, rest)| head == digest.as_bytes() && rest.iter().all(|byte| *byte == 0))
}

#[cfg(test)]
pub(crate) mod tests;
