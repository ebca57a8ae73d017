//! What it takes to appraise a recorded TPM quote with its logs, from evidence that was read to a verdict: 200 µs at most.

#![expect(missing_docs, reason = "criterion_group! writes a public function")]

use attest::appraisal::{Question, appraise};
use attest::binding::BindingContext;
use attest::challenge::FreshNonce;
use attest::evidence::Surroundings;
use attest::jws::fuzz::fixed_key;
use attest::{Attestation, Evidence};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use policies::Digest;
use policies::rules::{Anchor, Profile, ReferenceValues, Status, TpmValues};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

/// 2026-12-01, when the recorded enrolment was made.
const NOW_MS: u64 = 1_796_083_200_000;

fn benches(criterion: &mut Criterion) {
    let recorded = include_bytes!("../src/evidence/tpm/fixtures/attestation.json");
    let attestation: Attestation = serde_json::from_slice(recorded).expect("it was recorded");
    let Evidence::Tpm(tpm) = &attestation.evidence else { panic!("another kind") };
    let pcrs = tpm.pcrs.iter().map(|register| (register.number, [register.value].into()));
    let values = TpmValues { pcrs: pcrs.collect(), programs: [Digest::of(b"siwa, the program")].into() };
    let pem = include_bytes!("../src/evidence/tpm/fixtures/ek_issuer.pem").to_vec();
    let profile = Profile {
        name: "tpm".to_owned(),
        anchors: vec![Anchor { path: "anchors/maker.pem".to_owned(), pem }],
        revoked: [].into(),
        status_best: Status::Affirming,
        values: ReferenceValues::Tpm(values),
    };
    let question = Question {
        binding: &attestation.binding,
        context: BindingContext::Viewer,
        profiles: &[&profile],
        policy: attestation.binding.policy,
        surroundings: Surroundings { now_ms: NOW_MS, known_key: None, enrolled_by: &[fixed_key().verifying_key()] },
    };
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    // A recorded quote is for a recorded nonce, which no fresh one is: that is the one claim that fails.
    let verdict = appraise(&attestation.evidence, FreshNonce::generate(&mut rng), &question, &mut rng);
    let failing: Vec<&str> = verdict.failing().map(|claim| claim.sentence.as_str()).collect();
    assert_eq!(failing, ["The nonce is not the one that was given out for this."]);
    criterion.bench_function("appraise a TPM quote", |bencher| {
        let mut nonces = ChaCha20Rng::seed_from_u64(2);
        bencher.iter_batched(
            || FreshNonce::generate(&mut nonces),
            |nonce| appraise(&attestation.evidence, nonce, &question, &mut rng),
            BatchSize::SmallInput,
        );
    });
    criterion.bench_function("read and appraise a TPM quote", |bencher| {
        let mut nonces = ChaCha20Rng::seed_from_u64(3);
        let mut rng = ChaCha20Rng::seed_from_u64(4);
        bencher.iter_batched(
            || FreshNonce::generate(&mut nonces),
            |nonce| {
                let read: Attestation = serde_json::from_slice(recorded).expect("it was recorded");
                appraise(&read.evidence, nonce, &question, &mut rng)
            },
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(tpm, benches);
criterion_main!(tpm);
