#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| attest::pdq::fuzz::picture(data));
