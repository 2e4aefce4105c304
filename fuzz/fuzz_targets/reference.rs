//! Feeds `cargohold_fuzz::reference`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| cargohold_fuzz::reference::check(input));
