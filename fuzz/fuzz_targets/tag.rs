//! Feeds `cargohold_fuzz::tag`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| cargohold_fuzz::tag::check(input));
