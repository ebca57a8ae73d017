//! Bodies of the fuzz targets of evidence: what a peer sends, up to the verdict.

use std::collections::BTreeSet;

use policies::rules::{Profile, ReferenceValues, SoftwareValues, Status};
use rand_core::{CryptoRng, RngCore};
use rustls_pki_types::CertificateDer;
use webpki::KeyUsage;

use super::chain::Anchors;
use super::{ATTESTATION_BYTES_MAX, Attestation, Surroundings};
use crate::appraisal::{Question, appraise};
use crate::binding::{BindingContext, carries};
use crate::challenge::FreshNonce;

const NOW_MS: u64 = 1_800_000_000_000;

/// Body of the fuzz target `attestation`: any bytes as what a node sends, and the appraisal of what reads.
///
/// # Panics
/// When a nonce that nobody sent admits, or what was read is written otherwise.
pub fn attestation(data: &[u8]) {
    if data.len() > ATTESTATION_BYTES_MAX {
        return;
    }
    let Ok(attestation) = serde_json::from_slice::<Attestation>(data) else { return };
    let written = serde_json::to_vec(&attestation).expect("what was read can be written");
    assert_eq!(serde_json::from_slice::<Attestation>(&written).ok().as_ref(), Some(&attestation));
    let binding = &attestation.binding;
    if !binding.is_bounded() {
        return;
    }
    let context = BindingContext::Admission { exporter: &[7; 32] };
    assert!(carries(binding.digest(context).as_bytes(), binding.digest(context)));
    let profile = Profile {
        name: "software".to_owned(),
        anchors: Vec::new(),
        revoked: BTreeSet::new(),
        status_best: Status::Affirming,
        values: ReferenceValues::Software(SoftwareValues { versions: [binding.version.clone()].into() }),
    };
    let question = Question {
        binding,
        context,
        profiles: &[&profile],
        policy: binding.policy,
        surroundings: Surroundings { now_ms: NOW_MS, known_key: Some(&binding.node_key), enrolled_by: &[] },
    };
    let mut rng = Counter(1);
    let verdict = appraise(&attestation.evidence, FreshNonce::generate(&mut rng), &question, &mut rng);
    assert_eq!(verdict.status(), Status::Contraindicated, "the nonce is another");
    assert!(verdict.failing().next().is_some(), "a claim says so");
}

/// Body of the fuzz target `certificate_chain`: certificates, each with its length before it in two bytes, the first
/// being the leaf and the last the anchor.
pub fn certificate_chain(data: &[u8]) {
    let mut certificates = Vec::new();
    let mut rest = data;
    while let Some((length, tail)) = rest.split_at_checked(2) {
        let length = usize::from(u16::from_be_bytes([length[0], length[1]])).min(tail.len());
        let (certificate, tail) = tail.split_at(length);
        certificates.push(CertificateDer::from(certificate.to_vec()));
        rest = tail;
        if certificates.len() > 2 * super::chain::INTERMEDIATES_MAX {
            break;
        }
    }
    let Some(anchor) = certificates.pop() else { return };
    let anchors = Anchors::from_der(vec![anchor.clone()]);
    let leaf = certificates.first().unwrap_or(&anchor);
    let intermediates = certificates.get(1..).unwrap_or_default();
    let algorithms = [webpki::ring::ECDSA_P256_SHA256, webpki::ring::ECDSA_P384_SHA384];
    let verified = anchors.verify(leaf, intermediates, KeyUsage::server_auth(), &algorithms, NOW_MS);
    let revoked = anchors.check_revoked(leaf);
    assert!(verified.is_err() || revoked.is_ok(), "what verified is not revoked");
}

/// Numbers that anyone can tell: for fuzzing alone.
struct Counter(u64);

impl RngCore for Counter {
    fn next_u32(&mut self) -> u32 {
        self.0 += 1;
        u32::try_from(self.0 & 0xffff_ffff).unwrap_or_default()
    }

    fn next_u64(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 += 1;
            *byte = self.0.to_le_bytes()[0];
        }
    }
}

impl CryptoRng for Counter {}
