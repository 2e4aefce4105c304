//! The authority of an address: a host, and a port if it is not the scheme's own (RFC 3986 §3.2).

use std::{fmt, net::Ipv6Addr, str::FromStr};

/// The longest name that DNS has, in bytes (RFC 1035 §2.3.4).
const MOST_HOST: usize = 255;

/// A host, with or without a port: nothing in it could end the address that it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority(String);

/// Why a text is no authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it has to be a name or an IP address, with or without a port, as in registry.example.com:5000 or [::1]:5000")]
pub struct AuthorityError;

impl Authority {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same with this port, if it has none and the port is no scheme's own.
    pub(super) fn on(self, port: u16) -> Self {
        let has_port = !self.0.ends_with(']') && self.0.contains(':');
        if has_port || matches!(port, 80 | 443) { self } else { Self(format!("{}:{port}", self.0)) }
    }
}

impl FromStr for Authority {
    type Err = AuthorityError;

    fn from_str(text: &str) -> Result<Self, AuthorityError> {
        let (is_host, port) = if let Some(literal) = text.strip_prefix('[') {
            let (address, port) = literal.split_once(']').ok_or(AuthorityError)?;
            (address.parse::<Ipv6Addr>().is_ok(), port)
        } else {
            let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
            ((1..=MOST_HOST).contains(&name.len()) && name.bytes().all(is_part), port)
        };
        let is_port = |port: &str| {
            port.bytes().all(|digit| digit.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
        };
        if !is_host || !(port.is_empty() || port.strip_prefix(':').is_some_and(is_port)) {
            return Err(AuthorityError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use http::Uri;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_and_addresses_with_and_without_a_port() {
        for text in ["a", "registry.example.com", "a_b-c.d.", "192.0.2.1:5000", "[::1]", "[2001:db8::1]:65535", "A:1"] {
            assert_eq!(text.parse::<Authority>().unwrap().as_str(), text);
        }
        let long = "a".repeat(256);
        for text in [
            "", ":1", "a:", "a:0", "a:65536", "a:+1", "a:b", "a:1:2", "::1", "[", "[]", "[::1", "[::1]x", "]", "a]",
            "[a]", "[::1]:", "user@a", "a/b", "a b", "a\"", "a,b", "a%2f", "\u{e9}", "a?b", "a#b", "a\\b", &long,
        ] {
            assert_eq!(text.parse::<Authority>(), Err(AuthorityError), "{text}");
        }
    }

    #[test]
    fn a_port_is_added_where_there_is_none() {
        let on = |text: &str, port| text.parse::<Authority>().unwrap().on(port).0;
        assert_eq!(on("a", 5000), "a:5000");
        assert_eq!(on("[::1]", 5000), "[::1]:5000");
        assert_eq!(on("a:1", 5000), "a:1");
        assert_eq!(on("[::1]:1", 5000), "[::1]:1");
        assert_eq!((on("a", 443), on("a", 80)), ("a".to_owned(), "a".to_owned()));
    }

    proptest! {
        #[test]
        fn what_is_one_is_the_authority_of_an_address(text in r"\PC{0,40}|[a-z0-9.:\[\]/@-]{0,20}") {
            if let Ok(authority) = text.parse::<Authority>() {
                let uri: Uri = format!("https://{authority}/v2/").parse().unwrap();
                prop_assert_eq!(uri.authority().unwrap().as_str(), text);
                prop_assert_eq!(uri.path(), "/v2/");
            }
        }
    }
}
