//! Digests as text, computed here: the suite does not trust the code that it tests.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256, Sha512};

/// `sha256:` and the hash of `bytes` in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hexadecimal(&Sha256::digest(bytes)))
}

/// `sha512:` and the hash of `bytes` in hexadecimal.
pub(crate) fn sha512(bytes: &[u8]) -> String {
    format!("sha512:{}", hexadecimal(&Sha512::digest(bytes)))
}

/// The digest of `bytes` by the algorithm that `like` names.
pub(crate) fn same_algorithm(like: &str, bytes: &[u8]) -> String {
    if like.starts_with("sha512:") { sha512(bytes) } else { sha256(bytes) }
}

/// What stands behind the colon: the name of a blob's file in an OCI layout.
pub(crate) fn hash(digest: &str) -> &str {
    digest.split_once(':').map_or(digest, |(_, hash)| hash)
}

fn hexadecimal(hash: &[u8]) -> String {
    hash.iter().fold(String::with_capacity(hash.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::{hash, same_algorithm, sha256};

    #[test]
    fn the_digest_of_nothing_is_the_well_known_one() {
        assert_eq!(sha256(b""), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(hash("sha256:abc"), "abc");
        assert!(same_algorithm("sha512:x", b"").starts_with("sha512:cf83e1357eefb8bd"));
    }
}
