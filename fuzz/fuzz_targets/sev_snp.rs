#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| attest::evidence::sev_snp::fuzz::report(data));
