//! What a manifest is asked for by: a tag or a digest.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::{Digest, DigestError, Tag, TagError};

/// A tag or a digest. The two cannot be confused: a digest has a colon, a tag never.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// A name, which may mean another manifest tomorrow.
    Tag(Tag),
    /// The content itself.
    Digest(Digest),
}

/// Why a text is neither a tag nor a digest.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReferenceError {
    /// Without a colon, and not a tag.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// With a colon, and not a digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl Reference {
    /// Reads a reference: what contains a colon is a digest, everything else a tag.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.contains(':') { Ok(Self::Digest(Digest::parse(text)?)) } else { Ok(Self::Tag(Tag::parse(text)?)) }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(formatter),
            Self::Digest(digest) => digest.fmt(formatter),
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}

impl From<Tag> for Reference {
    fn from(tag: Tag) -> Self {
        Self::Tag(tag)
    }
}

impl From<Digest> for Reference {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Algorithm;

    #[test]
    fn a_colon_makes_a_digest() {
        let digest = Digest::of(Algorithm::Sha256, b"image");
        assert_eq!(Reference::parse(&digest.to_string()), Ok(digest.into()));
        assert_eq!(Reference::parse("latest"), Ok(Tag::parse("latest").unwrap().into()));
        assert!(matches!(Reference::parse("sha256:baddigeststring"), Err(ReferenceError::Digest(_))));
        assert!(matches!(Reference::parse("latest:1"), Err(ReferenceError::Digest(_))));
        assert!(matches!(Reference::parse(""), Err(ReferenceError::Tag(_))));
        assert!(matches!(Reference::parse("a/b"), Err(ReferenceError::Tag(_))));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(tag in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", content: Vec<u8>) {
            for reference in [
                Reference::from(Tag::parse(&tag).unwrap()),
                Reference::from(Digest::of(Algorithm::Sha512, &content)),
            ] {
                prop_assert_eq!(Reference::parse(&reference.to_string()), Ok(reference));
            }
        }

        #[test]
        fn parsing_never_panics(text: String) {
            let _ = Reference::parse(&text);
        }
    }
}
