//! Feeds `cargohold_fuzz::digest`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| cargohold_fuzz::digest::check(input));
