//! Repository names (`library/nginx`): components of lower-case letters and digits, joined by slashes.
//!
//! A [`RepositoryName`] fits the grammar of the OCI distribution specification 1.1 ("Pulling manifests", `<name>`) and has at
//! most 255 bytes, so it is safe in a path, in a header and in a database column as it stands.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::Excerpt;

/// The name of a repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName(Box<str>);

/// Why a text is not a repository name. Each is a `NAME_INVALID` to a client.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RepositoryNameError {
    /// Longer than [`RepositoryName::MAX_BYTES`].
    #[error("repository name {name} is too long: at most {} bytes are allowed", RepositoryName::MAX_BYTES)]
    TooLong {
        /// The text that was given.
        name: Excerpt,
    },
    /// It has upper-case letters, the one mistake that people make every day.
    #[error("repository name {name} is invalid: letters must be lower-case")]
    UpperCase {
        /// The text that was given.
        name: Excerpt,
    },
    /// It breaks the grammar in another way.
    #[error(
        "repository name {name} is invalid: between slashes there must be lower-case letters and digits, which may be \
         separated by one '.', one or two '_', or any number of '-'"
    )]
    Grammar {
        /// The text that was given.
        name: Excerpt,
    },
}

impl RepositoryName {
    /// The longest name, in bytes. The specification sets no limit; clients and the CNCF registry have this one.
    pub const MAX_BYTES: usize = 255;

    /// Reads a name.
    pub fn parse(text: &str) -> Result<Self, RepositoryNameError> {
        let name = || Excerpt::of(text);
        if text.len() > Self::MAX_BYTES {
            return Err(RepositoryNameError::TooLong { name: name() });
        }
        if is_name(text) {
            return Ok(Self(text.into()));
        }
        Err(if is_name(&text.to_ascii_lowercase()) {
            RepositoryNameError::UpperCase { name: name() }
        } else {
            RepositoryNameError::Grammar { name: name() }
        })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl FromStr for RepositoryName {
    type Err = RepositoryNameError;

    fn from_str(text: &str) -> Result<Self, RepositoryNameError> {
        Self::parse(text)
    }
}

/// `<component>(\/<component>)*`, a component being `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn is_name(text: &str) -> bool {
    text.split('/').all(|component| is_component(component.as_bytes()))
}

fn is_component(component: &[u8]) -> bool {
    let is_alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    // Between two neighbouring letters there is an empty run, which every rule for a separator lets pass.
    let is_separator = |run: &[u8]| matches!(run, b"." | b"_" | b"__") || run.iter().all(|byte| *byte == b'-');
    component.first().is_some_and(is_alphanumeric)
        && component.last().is_some_and(is_alphanumeric)
        && component.split(is_alphanumeric).all(is_separator)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_the_grammar() {
        for name in [
            "a",
            "0",
            "library/nginx",
            "a/b/c/d",
            "a.b",
            "a_b",
            "a__b",
            "a-b",
            "a-----b",
            "a.b_c__d-e",
            "a/blobs/b",
            "tags/list",
            "v2/v2",
            "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
            &"a".repeat(255),
        ] {
            assert_eq!(RepositoryName::parse(name).map(|name| name.to_string()), Ok(name.to_owned()));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for name in [
            "", "/", "a/", "/a", "a//b", ".", "..", "a/../b", "a..b", "a.-b", "a-.b", "a_-b", "a___b", "a._b", "-a",
            "a-", "_a", "a_", ".a", "a.", "a/_b", "a b", "a:b", "a@b", "a%2fb", "a\\b", "a\0", "a\n", "é", "a\u{301}",
        ] {
            assert!(matches!(RepositoryName::parse(name), Err(RepositoryNameError::Grammar { .. })), "{name:?}");
        }
        let long = "a/".repeat(127) + "ab";
        assert!(matches!(RepositoryName::parse(&long), Err(RepositoryNameError::TooLong { .. })));
        assert!(RepositoryName::parse(&long[..255]).is_ok());
    }

    #[test]
    fn upper_case_is_told_apart() {
        let message = |text: &str| RepositoryName::parse(text).unwrap_err().to_string();
        assert_eq!(message("Me/App"), r#"repository name "Me/App" is invalid: letters must be lower-case"#);
        assert!(message("Me//App").contains("between slashes"));
    }

    proptest! {
        #[test]
        fn what_the_specification_allows_is_read_and_written_back(
            text in r"[a-z0-9]{1,3}((\.|_|__|-{1,4})[a-z0-9]{1,3}){0,3}(/[a-z0-9]{1,3}((\.|_|__|-{1,4})[a-z0-9]{1,3}){0,3}){0,4}"
        ) {
            let name = RepositoryName::parse(&text).unwrap();
            prop_assert_eq!(name.as_str(), &text);
            prop_assert_eq!(name.to_string().parse(), Ok(name));
        }

        #[test]
        fn what_is_accepted_needs_no_escaping_anywhere(text in "[a-bA%._/ -]{0,8}") {
            if let Ok(name) = RepositoryName::parse(&text) {
                prop_assert_eq!(name.as_str(), &text);
                prop_assert!(text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'.' | b'_' | b'-' | b'/')));
                prop_assert!(!["..", "//", "___", "._", "_.", ".-", "-.", "_-", "-_"].iter().any(|bad| text.contains(bad)));
            }
        }

        #[test]
        fn parsing_never_panics(text: String) {
            let _ = RepositoryName::parse(&text);
        }
    }
}
