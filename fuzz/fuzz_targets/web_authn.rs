#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| attest::device::fuzz::web_authn(data));
