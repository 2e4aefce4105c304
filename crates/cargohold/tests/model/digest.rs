//! Digests as the requests write them: text.

use std::fmt::Write;

use sha2::{Digest, Sha256, Sha512};

pub(crate) fn sha256(content: impl AsRef<[u8]>) -> String {
    format!("sha256:{}", hex(&Sha256::digest(content)))
}

pub(crate) fn sha512(content: impl AsRef<[u8]>) -> String {
    format!("sha512:{}", hex(&Sha512::digest(content)))
}

/// Whether a digest, whose algorithm is one of ours, is that of the content.
pub(crate) fn is_of(digest: &str, content: &[u8]) -> bool {
    digest == if digest.starts_with("sha512:") { sha512(content) } else { sha256(content) }
}

/// Whether a text is a digest by an algorithm that a registry must know.
pub(crate) fn is_digest(text: &str) -> bool {
    let hex = |rest: &str, length| {
        rest.len() == length && rest.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    };
    text.strip_prefix("sha256:").is_some_and(|rest| hex(rest, 64))
        || text.strip_prefix("sha512:").is_some_and(|rest| hex(rest, 128))
}

fn hex(hash: &[u8]) -> String {
    hash.iter().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02x}").expect("a string takes all that is written");
        digits
    })
}
