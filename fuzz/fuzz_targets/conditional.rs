//! Feeds `cargohold_fuzz::conditional`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| cargohold_fuzz::conditional::check(input));
