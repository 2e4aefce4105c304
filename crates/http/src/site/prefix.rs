//! Where on its host the registry begins.

use std::{fmt, str::FromStr};

/// The longest, in bytes.
const MOST: usize = 255;

/// A path that begins and ends with a slash, such as `/registry/`; by default `/`, which is the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefix {
    /// Without its last slash.
    path: String,
}

/// Why a text is no prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it has to be a path that begins and ends with a slash, as in /registry/, of letters, digits and the signs - . _ ~"
)]
pub struct PrefixError;

impl Prefix {
    /// Without its last slash, so that paths can follow: empty for the root.
    pub fn as_path(&self) -> &str {
        &self.path
    }

    /// Whether it is the root.
    pub fn is_root(&self) -> bool {
        self.path.is_empty()
    }

    /// A prefix that a proxy has taken off, which may lack its last slash.
    pub(super) fn taken_off(text: &str) -> Option<Self> {
        let text = text.strip_suffix('/').unwrap_or(text);
        format!("{text}/").parse().ok()
    }

    /// This one, and the other below it.
    pub(super) fn below(&self, other: &Self) -> Self {
        Self { path: format!("{}{}", self.path, other.path) }
    }

    /// What follows it in a path, from its last slash on.
    pub(super) fn inside<'p>(&self, path: &'p str) -> Option<&'p str> {
        if self.is_root() {
            return Some(path);
        }
        path.strip_prefix(&self.path).filter(|rest| rest.starts_with('/'))
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let path = text.strip_suffix('/').filter(|_| text.len() <= MOST).ok_or(PrefixError)?;
        if path.is_empty() {
            return Ok(Self::default());
        }
        let mut segments = path.strip_prefix('/').ok_or(PrefixError)?.split('/');
        // An empty one would make of a path an address of another host; browsers take dots for steps.
        let is_segment = |segment: &str| {
            !matches!(segment, "" | "." | "..")
                && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        };
        if segments.all(is_segment) { Ok(Self { path: path.to_owned() }) } else { Err(PrefixError) }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/", self.path)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn begins_and_ends_with_a_slash() {
        for text in ["/", "/registry/", "/a/b-c/~d.e_f/", "/v2/"] {
            assert_eq!(text.parse::<Prefix>().unwrap().to_string(), text);
        }
        let long = format!("/{}/", "a".repeat(254));
        for text in
            ["", "registry/", "/registry", "//", "/a//b/", "//a/", "/../", "/./", "/a b/", "/a?/", "/%2f/", &long]
        {
            assert_eq!(text.parse::<Prefix>(), Err(PrefixError), "{text}");
        }
    }

    #[test]
    fn what_is_inside_begins_with_its_last_slash() {
        let prefix: Prefix = "/registry/".parse().unwrap();
        assert_eq!(prefix.inside("/registry/v2/"), Some("/v2/"));
        assert_eq!(prefix.inside("/registry/"), Some("/"));
        for path in ["/registry", "/registryv2/", "/v2/", "/", "/registry2/v2/"] {
            assert_eq!(prefix.inside(path), None, "{path}");
        }
        assert_eq!(Prefix::default().inside("/v2/"), Some("/v2/"));
    }

    #[test]
    fn a_proxy_may_leave_out_the_last_slash() {
        assert_eq!(Prefix::taken_off("/registry"), Prefix::taken_off("/registry/"));
        assert_eq!(Prefix::taken_off("/"), Some(Prefix::default()));
        assert_eq!(Prefix::taken_off(""), Some(Prefix::default()));
        assert_eq!(Prefix::taken_off("registry"), None);
        assert_eq!(Prefix::taken_off("//evil.example"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_the_same(text in r"\PC{0,20}|[/a.~-]{0,12}") {
            if let Ok(prefix) = text.parse::<Prefix>() {
                prop_assert!(!prefix.to_string().starts_with("//"));
                prop_assert_eq!(prefix.to_string(), text);
            }
        }
    }
}
