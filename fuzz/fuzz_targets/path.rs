//! Feeds `cargohold_fuzz::path`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| cargohold_fuzz::path::check(input));
