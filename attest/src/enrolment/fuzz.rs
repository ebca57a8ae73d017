//! Bodies of the fuzz targets of enrolment.

use policies::Digest;
use policies::rules::{Anchor, Profile, ReferenceValues, Status, TpmValues};
use rand_core::{CryptoRng, RngCore};

use super::{Challenge, EnrolmentRequest};
use crate::evidence::chain::Anchors;

/// Body of the fuzz target `enrolment_request`: any JSON as a request, and any bytes as a certificate.
pub fn request(data: &[u8]) {
    let profile = Profile {
        name: "fuzz".to_owned(),
        anchors: vec![Anchor { path: "anchors/fuzz.pem".to_owned(), pem: ISSUER.to_vec() }],
        revoked: ["1".to_owned()].into(),
        status_best: Status::Affirming,
        values: ReferenceValues::Tpm(TpmValues::default()),
    };
    if let Ok(request) = serde_json::from_slice::<EnrolmentRequest>(data) {
        drop(Challenge::make(&request, &profile, Digest::of(data), NOW_MS, &mut Counter(0)));
    }
    if let Ok(anchors) = Anchors::of(&profile) {
        drop(super::Endorsement::verify(&[data.to_vec().into()], &anchors, NOW_MS));
    }
    super::certificate::read_unverified(data);
}

/// 2026-12-01.
const NOW_MS: u64 = 1_796_083_200_000;
const ISSUER: &[u8] = include_bytes!("../evidence/tpm/fixtures/ek_issuer.pem");

struct Counter(u8);

impl RngCore for Counter {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }
    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
    }
}

impl CryptoRng for Counter {}
