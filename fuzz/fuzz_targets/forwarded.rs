//! Feeds `cargohold_fuzz::forwarded`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| cargohold_fuzz::forwarded::check(input));
