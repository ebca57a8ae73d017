//! What tests of several kinds of evidence share: an appraisal around them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use policies::rules::{Anchor, Profile, ReferenceValues, Status};
use policies::{Digest, NodeId, RegionId};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::{Evidence, Surroundings};
use crate::appraisal::{Question, Verdict, appraise};
use crate::binding::{Binding, BindingContext};
use crate::challenge::FreshNonce;
use crate::keys::VerifyingKey;

const POLICY: Digest = Digest::from_bytes([7; 32]);

/// The nonce of a seed.
pub(super) fn nonce(seed: u64) -> FreshNonce {
    FreshNonce::generate(&mut ChaCha20Rng::seed_from_u64(seed))
}

/// What a node states under this nonce.
pub(super) fn binding(nonce: &FreshNonce) -> Binding {
    let key = |byte| VerifyingKey::from_bytes([byte; 32]);
    let (node, region): (NodeId, RegionId) = ("node-1".parse().unwrap(), "eu-west".parse().unwrap());
    Binding {
        nonce: nonce.as_str().to_owned(),
        node,
        region,
        node_key: key(1),
        answer_key: key(2),
        tls_spki: Digest::of(b"tls"),
        oblivious_keys: vec![Digest::of(b"capsules")],
        token_keys: vec![Digest::of(b"tokens")],
        policy: POLICY,
        config: Digest::of(b"config"),
        version: "1.0.0".to_owned(),
    }
}

/// The bytes that evidence must carry for a viewer, filled up with zeros.
pub(super) fn bound<const N: usize>(nonce: &FreshNonce) -> [u8; N] {
    let mut bytes = [0; N];
    bytes[..32].copy_from_slice(binding(nonce).digest(BindingContext::Viewer).as_bytes());
    bytes
}

/// A profile with these values and anchors (DER), and these serial numbers revoked.
pub(super) fn profile(values: ReferenceValues, anchors: &[&[u8]], revoked: &[&str]) -> Profile {
    let anchor = |der: &&[u8]| Anchor {
        path: "anchors/test.pem".to_owned(),
        pem: format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der)).into_bytes(),
    };
    Profile {
        name: "test".to_owned(),
        anchors: anchors.iter().map(anchor).collect(),
        revoked: revoked.iter().map(|serial| (*serial).to_owned()).collect(),
        status_best: Status::Affirming,
        values,
    }
}

/// Appraises for a viewer what a node states under `nonce`.
pub(super) fn appraised(evidence: &Evidence, profile: &Profile, nonce: FreshNonce, now_ms: u64) -> Verdict {
    let binding = binding(&nonce);
    let question = Question {
        binding: &binding,
        context: BindingContext::Viewer,
        profiles: &[profile],
        policy: POLICY,
        surroundings: Surroundings { now_ms, known_key: None, enrolled_by: &[] },
    };
    appraise(evidence, nonce, &question, &mut ChaCha20Rng::seed_from_u64(0))
}

/// The sentences of what decided.
pub(super) fn failing(verdict: &Verdict) -> Vec<&str> {
    verdict.failing().map(|claim| claim.sentence.as_str()).collect()
}

/// What every appraisal says of evidence that was made for something else.
pub(super) const UNBOUND: &str =
    "The evidence was made for another nonce, other keys, another policy or another connection.";
