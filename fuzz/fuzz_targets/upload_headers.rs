//! Feeds `cargohold_fuzz::upload_headers`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| cargohold_fuzz::upload_headers::check(input));
