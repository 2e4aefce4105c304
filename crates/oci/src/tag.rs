//! Tags (`latest`, `1.27`): names that people give to manifests of a repository.
//!
//! A [`Tag`] fits the grammar of the OCI distribution specification, at most 128 bytes of ASCII. Some tags are written by
//! programs and belong to another manifest (its signatures, its list of referrers); [`Tag::subject`] tells which.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::{Digest, Excerpt};

/// What cosign appends to the tag that it derives from a digest.
const COSIGN_SUFFIXES: [&str; 3] = [".sig", ".att", ".sbom"];

/// The name of a tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Box<str>);

/// Why a text is not a tag.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TagError {
    /// Longer than [`Tag::MAX_BYTES`].
    #[error("tag {tag} is too long: at most {} characters are allowed", Tag::MAX_BYTES)]
    TooLong {
        /// The text that was given.
        tag: Excerpt,
    },
    /// It breaks the grammar.
    #[error("tag {tag} is invalid: it must start with a letter, a digit or '_', and may go on with these, '.' and '-'")]
    Grammar {
        /// The text that was given.
        tag: Excerpt,
    },
}

impl Tag {
    /// The longest tag, in bytes (all of them ASCII).
    pub const MAX_BYTES: usize = 128;

    /// Reads a tag.
    pub fn parse(text: &str) -> Result<Self, TagError> {
        if text.len() > Self::MAX_BYTES {
            return Err(TagError::TooLong { tag: Excerpt::of(text) });
        }
        if !is_tag(text.as_bytes()) {
            return Err(TagError::Grammar { tag: Excerpt::of(text) });
        }
        Ok(Self(text.into()))
    }

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The manifest that this tag belongs to, if a program derived it from a digest: `sha256-<hex>` holds the referrers of a
    /// manifest for clients without the referrers API, `sha256-<hex>.sig`, `.att` and `.sbom` are what cosign attaches to one.
    ///
    /// A sha512 digest is too long for a tag (135 characters). Clients cut it, and what is left of it names no manifest.
    pub fn subject(&self) -> Option<Digest> {
        let stem = COSIGN_SUFFIXES.iter().find_map(|suffix| self.0.strip_suffix(suffix)).unwrap_or(&self.0);
        let (algorithm, hex) = stem.split_once('-')?;
        Digest::parse(&format!("{algorithm}:{hex}")).ok()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        Self::parse(text)
    }
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]*`
fn is_tag(text: &[u8]) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    text.first().is_some_and(is_word) && text.iter().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Algorithm;

    fn subject(text: &str) -> Option<Digest> {
        Tag::parse(text).unwrap().subject()
    }

    #[test]
    fn tags_of_the_grammar() {
        for tag in ["latest", "1.27", "_", "V1", "a..b", "a.-_", "0", &"x".repeat(128)] {
            assert_eq!(Tag::parse(tag).map(|tag| tag.to_string()), Ok(tag.to_owned()));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for tag in ["", ".a", "-a", ".", "..", "a b", "a/b", "a:b", "a@b", "a+b", "a%", "a\0", "a\n", "é", "🦀"] {
            assert!(matches!(Tag::parse(tag), Err(TagError::Grammar { .. })), "{tag:?}");
        }
        assert!(matches!(Tag::parse(&"x".repeat(129)), Err(TagError::TooLong { .. })));
    }

    #[test]
    fn an_error_quotes_the_tag() {
        let message = Tag::parse("-rc1").unwrap_err().to_string();
        assert!(message.starts_with(r#"tag "-rc1" is invalid: it must start with"#), "{message}");
    }

    #[test]
    fn tags_that_programs_derive_from_a_digest_have_a_subject() {
        let digest = Digest::of(Algorithm::Sha256, b"image");
        let hex = digest.hex();
        for suffix in ["", ".sig", ".att", ".sbom"] {
            assert_eq!(subject(&format!("sha256-{hex}{suffix}")), Some(digest), "{suffix}");
        }
    }

    #[test]
    fn tags_that_people_give_have_none() {
        let hex = Digest::of(Algorithm::Sha256, b"image").hex();
        for tag in [
            "latest".to_owned(),
            "1.0.sig".to_owned(),
            "sha256".to_owned(),
            "sha256-".to_owned(),
            format!("sha256-{}", &hex[1..]),
            format!("sha256-{hex}0"),
            format!("sha256-{}", hex.to_uppercase()),
            format!("sha256-{hex}.cosign"),
            format!("sha256-{hex}.sig.sig"),
            format!("sha256.{hex}"),
            format!("sha384-{hex}"),
            // The tag that clients use for a sha512 digest, which is cut off.
            format!("sha512-{hex}"),
        ] {
            assert_eq!(subject(&tag), None, "{tag}");
        }
    }

    proptest! {
        #[test]
        fn what_the_specification_allows_is_read_and_written_back(text in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}") {
            let tag = Tag::parse(&text).unwrap();
            prop_assert_eq!(tag.as_str(), &text);
            prop_assert_eq!(tag.to_string().parse(), Ok(tag));
        }

        #[test]
        fn parsing_never_panics(text: String) {
            if let Ok(tag) = Tag::parse(&text) {
                let _ = tag.subject();
            }
        }
    }
}
