//! Feeds `cargohold_fuzz::query`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| cargohold_fuzz::query::check(input));
