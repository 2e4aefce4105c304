//! Digests: the canonical text and nothing else, the same from text, from JSON and from the stored bytes.

use std::sync::LazyLock;

use cargohold_oci::Digest;
use regex_lite::Regex;

use crate::{input, refusal};

/// OCI image specification, descriptor.md, of the two algorithms.
static GRAMMAR: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$").expect("it is correct"));

/// Whether a text is a digest, by another reader than ours.
pub(crate) fn is_digest(text: &str) -> bool {
    GRAMMAR.is_match(text)
}

/// The input is a digest as text, and as the bytes that are stored.
pub fn check(input: &[u8]) {
    if let Some(digest) = Digest::from_bytes(input) {
        assert_eq!(digest.as_bytes(), input);
        check_digest(digest);
    }
    let Some(text) = input::text(input) else { return };
    let parsed = Digest::parse(text);
    assert_eq!(parsed.is_ok(), is_digest(text), "{text:?}");
    assert_eq!(serde_json::from_value(text.into()).ok(), parsed.as_ref().ok().copied());
    match parsed {
        Ok(digest) => {
            assert_eq!(digest.to_string(), text);
            check_digest(digest);
        }
        Err(error) => refusal::check(&error),
    }
}

fn check_digest(digest: Digest) {
    assert_eq!(digest.hash().len(), digest.algorithm().hash_len());
    assert_eq!(digest.to_string(), format!("{}:{}", digest.algorithm(), digest.hex()));
    assert!(is_digest(&digest.to_string()));
    assert_eq!(Digest::parse(&digest.to_string()), Ok(digest));
    assert_eq!(Digest::from_bytes(digest.as_bytes()), Some(digest));
    assert_eq!(Digest::from_hash(digest.algorithm(), digest.hash()), Some(digest));
}
