#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| attest::content::live::fuzz::segment_info(data));
