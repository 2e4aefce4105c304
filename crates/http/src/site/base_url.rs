//! The address of the registry, as its operator says it.

use std::{fmt, str::FromStr};

use super::{Authority, Prefix, Scheme};

/// `http://` or `https://`, a host, and where on it the registry begins, if that is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    /// None if it has no path: then the registry's own prefix counts.
    pub(super) prefix: Option<Prefix>,
}

/// Why a text is no such address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it has to be an address with its scheme and host, as in https://registry.example.com:5000")]
pub struct BaseUrlError;

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, BaseUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(BaseUrlError)?;
        let scheme = Scheme::named(scheme).ok_or(BaseUrlError)?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let authority = authority.parse().map_err(|_| BaseUrlError)?;
        let prefix = Prefix::taken_off(path).ok_or(BaseUrlError)?;
        Ok(Self { scheme, authority, prefix: Some(prefix).filter(|prefix| !prefix.is_root()) })
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.scheme, self.authority)?;
        self.prefix.iter().try_for_each(|prefix| write!(formatter, "{prefix}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_a_scheme_and_a_host() {
        for text in ["https://registry.example.com", "http://localhost:5000", "https://[::1]:5000", "https://a/b/c/"] {
            assert_eq!(text.parse::<BaseUrl>().unwrap().to_string(), text);
        }
        assert_eq!("HTTPS://a/".parse::<BaseUrl>().unwrap().to_string(), "https://a");
        assert_eq!("https://a/b".parse::<BaseUrl>().unwrap().to_string(), "https://a/b/");
        for text in [
            "",
            "registry.example.com",
            "registry.example.com:5000",
            "ftp://a",
            "https://",
            "https://a?b",
            "https://a//b",
            "https://u@a",
            "https://a/?b",
        ] {
            assert_eq!(text.parse::<BaseUrl>(), Err(BaseUrlError), "{text}");
        }
    }
}
