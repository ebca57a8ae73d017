#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| attest::key_epoch::fuzz::log(data));
