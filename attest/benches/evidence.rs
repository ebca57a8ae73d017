//! Appraisal of silicon's evidence, of real samples at their own time: signatures, chains, forms, comparison.
//!
//! `cargo bench -p attest --bench evidence`
#![expect(missing_docs, reason = "criterion_group! writes a public function")]

use std::collections::BTreeSet;

use attest::evidence::chain::Anchors;
use attest::evidence::dcap::sgx::{self, SgxEvidence};
use attest::evidence::dcap::tdx::{self, TdxEvidence};
use attest::evidence::nitro::{self, NitroEvidence};
use attest::evidence::sev_snp::{self, SevSnpEvidence};
use criterion::{Criterion, criterion_group, criterion_main};
use policies::rules::{NitroValues, SevSnpValues, SgxValues, TdxValues};

macro_rules! sample {
    ($name:literal) => {
        include_bytes!(concat!("../src/evidence/samples/", $name)).to_vec()
    };
}

fn anchor(der: Vec<u8>) -> Anchors {
    Anchors::from_der(vec![der.into()])
}

fn sev_snp(criterion: &mut Criterion) {
    let evidence = SevSnpEvidence {
        report: sample!("snp_report_milan.bin").into(),
        vcek: sample!("snp_vcek_milan.der").into(),
        ask: sample!("snp_ask_milan.der").into(),
    };
    let anchors = anchor(sample!("snp_ark_milan.der"));
    criterion.bench_function("sev_snp", |bencher| {
        bencher.iter(|| {
            let found = sev_snp::verify(&evidence, &anchors, 1_795_478_400_000).expect("it verifies");
            sev_snp::compare(&found.claims, &SevSnpValues::default())
        });
    });
}

fn intel(criterion: &mut Criterion) {
    let anchors = anchor(sample!("intel_root.der"));
    let domain =
        TdxEvidence { quote: sample!("tdx_quote.bin").into(), collateral: sample!("tdx_quote_collateral.json").into() };
    criterion.bench_function("tdx", |bencher| {
        bencher.iter(|| {
            let found = tdx::verify(&domain, &anchors, 1_751_000_000_000).expect("it verifies");
            tdx::compare(&found.claims, &TdxValues::default())
        });
    });
    let enclave =
        SgxEvidence { quote: sample!("sgx_quote.bin").into(), collateral: sample!("sgx_quote_collateral.json").into() };
    let values = SgxValues { mrenclaves: BTreeSet::new(), tcb_statuses: BTreeSet::new() };
    criterion.bench_function("sgx", |bencher| {
        bencher.iter(|| {
            let found = sgx::verify(&enclave, &anchors, 1_751_000_000_000).expect("it verifies");
            sgx::compare(&found.claims, &values)
        });
    });
}

fn nitro(criterion: &mut Criterion) {
    let evidence = NitroEvidence { document: sample!("nitro_document.cose").into() };
    let anchors = anchor(sample!("nitro_root.der"));
    criterion.bench_function("nitro", |bencher| {
        bencher.iter(|| {
            let found = nitro::verify(&evidence, &anchors, 1_736_179_625_000).expect("it verifies");
            nitro::compare(&found.claims, &NitroValues::default())
        });
    });
}

criterion_group!(benches, sev_snp, intel, nitro);
criterion_main!(benches);
