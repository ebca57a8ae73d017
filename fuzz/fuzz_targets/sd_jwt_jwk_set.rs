#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| attest::sd_jwt::fuzz::jwk_set(data));
