//! Feeds `cargohold_fuzz::range`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| cargohold_fuzz::range::check(input));
