//! Feeds `cargohold_fuzz::authorization`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| cargohold_fuzz::authorization::check(input));
