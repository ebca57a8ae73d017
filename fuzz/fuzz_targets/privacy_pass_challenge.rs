#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| attest::privacy_pass::fuzz::challenge(data));
