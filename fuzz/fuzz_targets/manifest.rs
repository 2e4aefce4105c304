//! Feeds `cargohold_fuzz::manifest`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| cargohold_fuzz::manifest::check(input));
