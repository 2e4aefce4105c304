//! Feeds `cargohold_fuzz::repository_name`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| cargohold_fuzz::repository_name::check(input));
