#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| attest::evidence::nitro::fuzz::cbor(data));
