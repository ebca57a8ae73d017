#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| attest::content::list::fuzz::bucket(data));
