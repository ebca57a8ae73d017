#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| attest::evidence::tpm::fuzz::logs(data));
