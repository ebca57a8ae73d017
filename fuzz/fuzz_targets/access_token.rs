#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| attest::access::fuzz::token(data));
