//! What a program needs to be started, as its ELF header says (elf(5)).

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

/// The type of the program header that names the dynamic loader.
const PT_INTERP: u32 = 3;

/// Whether a 64-bit little-endian program starts without a dynamic loader, and so needs no library.
pub(crate) fn is_static(program: &Path) -> Result<bool> {
    let bytes = fs::read(program).with_context(|| program.display().to_string())?;
    types_of_program_headers(&bytes)
        .map(|types| !types.contains(&PT_INTERP))
        .with_context(|| format!("{} is no program", program.display()))
}

fn types_of_program_headers(bytes: &[u8]) -> Result<Vec<u32>> {
    ensure!(bytes.starts_with(b"\x7fELF\x02\x01"), "it is not ELF, 64 bits, little-endian");
    let at = |offset: usize, length: usize| bytes.get(offset..offset + length).context("it is cut off");
    let number = |offset, length| -> Result<usize> {
        let number = at(offset, length)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
        Ok(usize::try_from(number)?)
    };
    // Fields of Elf64_Ehdr: e_phoff, e_phentsize, e_phnum.
    let (start, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    (0..count).map(|header| Ok(u32::try_from(number(start + header * size, 4)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_is_dynamic() {
        assert!(!is_static(&std::env::current_exe().unwrap()).unwrap());
    }

    #[test]
    fn what_is_no_program_is_refused() {
        assert!(types_of_program_headers(b"#!/bin/sh\n").is_err());
        assert!(types_of_program_headers(b"\x7fELF\x02\x01").is_err());
    }
}
