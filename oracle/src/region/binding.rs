//! What this node states of itself beside its evidence: the keys that it serves with now, its policy and its config.

use attest::Attestation;
use attest::binding::{Binding, BindingContext};
use policies::Digest;

use super::identity::ring::KeyRing;
use super::node::Node;
use crate::attester::AttesterError;

impl Node {
    /// The binding of this moment, for a nonce of at most [`attest::binding::NONCE_BYTES_MAX`] bytes.
    pub(crate) fn binding(&self, nonce: String) -> Binding {
        let (oblivious_keys, token_keys) = self.identity.as_ref().map_or_else(Default::default, |identity| {
            let ring = identity.ring.load();
            (oblivious_keys(&ring), token_keys(&ring, self.environment.clock.now_s()))
        });
        Binding {
            nonce,
            node: self.name.clone(),
            region: self.region.clone(),
            node_key: self.node_key.verifying_key(),
            answer_key: self.answer_key.verifying_key(),
            tls_spki: self.tls_spki,
            oblivious_keys,
            token_keys,
            policy: self.policy(),
            config: self.config,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// What is shown to anyone who asks with a nonce. It admits nobody to a centre: the context is another.
    ///
    /// # Errors
    /// The root of trust gave no evidence.
    pub(crate) async fn attestation(&self, nonce: String) -> Result<Attestation, AttesterError> {
        let binding = self.binding(nonce);
        let evidence = self.attester.evidence(binding.digest(BindingContext::Viewer)).await?;
        Ok(Attestation { binding, evidence })
    }
}

/// Digests of the published key configurations. Each stands in `application/ohttp-keys` with its length before it, in
/// two bytes (RFC 9458 §3.2).
fn oblivious_keys(ring: &KeyRing) -> Vec<Digest> {
    let mut keys = Vec::new();
    let mut rest = ring.gateway.as_ref().map_or(&[][..], |gateway| gateway.configs());
    while let Some((length, tail)) = rest.split_at_checked(2) {
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        let Some((config, tail)) = tail.split_at_checked(length) else { break };
        keys.push(Digest::of(config));
        rest = tail;
    }
    keys
}

/// Digests of the public keys whose tokens are redeemed now, in an order of their own.
fn token_keys(ring: &KeyRing, now_s: u64) -> Vec<Digest> {
    let accepted = ring.tokens.iter().filter(|key| key.epoch.accepts(now_s));
    let mut keys: Vec<Digest> = accepted.map(|key| Digest::of(key.key.public().as_bytes())).collect();
    keys.sort_unstable();
    keys
}
