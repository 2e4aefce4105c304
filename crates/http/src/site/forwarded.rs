//! `Forwarded` (RFC 7239): what each proxy on the way was asked, in one header.

use std::{borrow::Cow, net::IpAddr, net::Ipv6Addr};

/// Proxies on the way that are read of. Who is behind more of them is somebody who made them up.
pub(crate) const MOST_HOPS: usize = 100;

/// What one proxy was asked. What it does not say, or says twice, is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Element<'h> {
    /// Who asked it.
    pub(crate) node: Option<Cow<'h, str>>,
    /// For which host (`Host`).
    pub(crate) host: Option<Cow<'h, str>>,
    /// By which scheme.
    pub(crate) proto: Option<Cow<'h, str>>,
}

/// Reads one line of the header: its elements, the first proxy's first. None if it is not as the RFC has it: then nobody can
/// tell where a stranger's part ends and a proxy's begins.
pub(crate) fn parse(line: &str) -> Option<Vec<Element<'_>>> {
    let mut elements = Vec::new();
    let mut rest = line;
    loop {
        skip_space(&mut rest);
        // Nothing between commas is allowed in every list (RFC 9110 §5.6.1).
        if !rest.starts_with(',') && !rest.is_empty() {
            if elements.len() == MOST_HOPS {
                return None;
            }
            elements.push(element(&mut rest)?);
        }
        if rest.is_empty() {
            return Some(elements);
        }
        rest = rest.strip_prefix(',')?;
    }
}

/// Reads pairs between semicolons, up to a comma or the end.
fn element<'h>(rest: &mut &'h str) -> Option<Element<'h>> {
    let mut element = Element::default();
    loop {
        skip_space(rest);
        if !rest.starts_with([',', ';']) && !rest.is_empty() {
            let (name, value) = pair(rest)?;
            let slot = match name {
                _ if name.eq_ignore_ascii_case("for") => Some(&mut element.node),
                _ if name.eq_ignore_ascii_case("host") => Some(&mut element.host),
                _ if name.eq_ignore_ascii_case("proto") => Some(&mut element.proto),
                _ => None,
            };
            match slot {
                // Each may be there once (RFC 7239 §4).
                Some(Some(_)) => return None,
                Some(slot) => *slot = Some(value),
                None => {}
            }
            skip_space(rest);
        }
        match rest.strip_prefix(';') {
            Some(after) => *rest = after,
            None => return Some(element),
        }
    }
}

/// `name=value`, the value a token or in quotes.
fn pair<'h>(rest: &mut &'h str) -> Option<(&'h str, Cow<'h, str>)> {
    let name = token(rest, is_token)?;
    *rest = rest.strip_prefix('=')?;
    let value = match rest.strip_prefix('"') {
        Some(after) => {
            *rest = after;
            quoted(rest)?
        }
        // Addresses with colons have to be in quotes; proxies leave them out.
        None => token(rest, |byte| is_token(byte) || b":[]".contains(&byte))?.into(),
    };
    Some((name, value))
}

fn token<'h>(rest: &mut &'h str, is_part: impl Fn(u8) -> bool) -> Option<&'h str> {
    let end = rest.bytes().position(|byte| !is_part(byte)).unwrap_or(rest.len());
    let (token, after) = rest.split_at(end);
    *rest = after;
    Some(token).filter(|token| !token.is_empty())
}

/// The rest of a quoted string (RFC 9110 §5.6.4), behind its first quote.
fn quoted<'h>(rest: &mut &'h str) -> Option<Cow<'h, str>> {
    let text = *rest;
    let mut value = String::new();
    let mut begin = 0;
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => {
                *rest = &text[at + 1..];
                let last = &text[begin..at];
                return Some(if value.is_empty() { last.into() } else { (value + last).into() });
            }
            b'\\' => {
                bytes.next()?;
                value.push_str(&text[begin..at]);
                begin = at + 1;
            }
            // What a header cannot hold anyway, but for the tab.
            0..=8 | 10..=31 | 127 => return None,
            _ => {}
        }
    }
    None
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn skip_space(rest: &mut &str) {
    *rest = rest.trim_start_matches([' ', '\t']);
}

/// The address of a node, as `for` and `X-Forwarded-For` have it: with or without a port, IPv6 with or without brackets.
/// None for the unknown and the disguised.
pub(crate) fn address(node: &str) -> Option<IpAddr> {
    let is_port = |port: &str| {
        (1..=5).contains(&port.len()) && port.bytes().all(|digit| digit.is_ascii_digit())
            // Disguised (RFC 7239 §6.3).
            || port.strip_prefix('_').is_some_and(|name| !name.is_empty() && name.bytes().all(is_token))
    };
    if let Some(literal) = node.strip_prefix('[') {
        let (address, port) = literal.split_once(']')?;
        let fits = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return address.parse::<Ipv6Addr>().ok().filter(|_| fits).map(|address| IpAddr::from(address).to_canonical());
    }
    if let Some((address, port)) = node.split_once(':').filter(|(_, port)| !port.contains(':')) {
        return address.parse().ok().filter(|_| is_port(port)).map(IpAddr::V4);
    }
    node.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn element<'h>(node: Option<&'h str>, host: Option<&'h str>, proto: Option<&'h str>) -> Element<'h> {
        Element { node: node.map(Cow::from), host: host.map(Cow::from), proto: proto.map(Cow::from) }
    }

    #[test]
    fn reads_the_examples_of_the_rfc() {
        assert_eq!(parse(r#"for="_gazonk""#).unwrap(), [element(Some("_gazonk"), None, None)]);
        assert_eq!(
            parse(r#"For="[2001:db8:cafe::17]:4711""#).unwrap(),
            [element(Some("[2001:db8:cafe::17]:4711"), None, None)]
        );
        let one = parse("for=192.0.2.60;proto=http;by=203.0.113.43").unwrap();
        assert_eq!(one, [element(Some("192.0.2.60"), None, Some("http"))]);
        let two = parse("for=192.0.2.43, for=198.51.100.17").unwrap();
        assert_eq!(two, [element(Some("192.0.2.43"), None, None), element(Some("198.51.100.17"), None, None)]);
    }

    #[test]
    fn quotes_hold_what_would_end_a_value() {
        let read = parse(r#"for="a,b;c=\"d\\";host="x:1" ; PROTO=https ,, for=1.2.3.4:5"#).unwrap();
        assert_eq!(
            read,
            [element(Some(r#"a,b;c="d\"#), Some("x:1"), Some("https")), element(Some("1.2.3.4:5"), None, None)]
        );
    }

    #[test]
    fn what_is_not_as_the_rfc_has_it_is_not_read_at_all() {
        for line in [
            "for",
            "for=",
            "=a",
            "for=a b",
            r#"for="a"#,
            r#"for="a"b"#,
            r#"for="a\"#,
            "for=a;for=b",
            "for =a",
            "for=a, b",
            "for=a\u{e9}",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
        assert_eq!(parse(&"for=a,".repeat(101)), None);
        assert_eq!(parse(" , , ").unwrap(), []);
        assert_eq!(parse(" ;, by=a").unwrap(), [Element::default(), Element::default()]);
    }

    #[test]
    fn a_node_is_an_address_with_or_without_a_port() {
        for (node, expected) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1:5000", Some("192.0.2.1")),
            ("192.0.2.1:_a", Some("192.0.2.1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:80", Some("2001:db8::1")),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            ("unknown", None),
            ("_hidden", None),
            ("", None),
            ("[192.0.2.1]", None),
            ("192.0.2.1:", None),
            ("192.0.2.1:123456", None),
            ("[::1]x", None),
            ("localhost", None),
        ] {
            assert_eq!(address(node), expected.map(|text| text.parse().unwrap()), "{node}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(line in r#"\PC{0,60}|[a-z="\\;, ]{0,40}"#) {
            let _ = parse(&line);
            let _ = address(&line);
        }

        #[test]
        fn what_is_written_in_quotes_is_read_the_same(values in prop::collection::vec("[\t -~]{0,20}", 1..5)) {
            let quoted = |value: &str| value.replace('\\', r"\\").replace('"', "\\\"");
            let line: Vec<_> = values.iter().map(|value| format!("for=\"{}\"", quoted(value))).collect();
            let line = line.join(",");
            let read: Vec<_> = parse(&line).unwrap();
            let read: Vec<_> = read.iter().map(|element| element.node.as_deref().unwrap()).collect();
            prop_assert_eq!(read, values);
        }

        #[test]
        fn every_address_is_read_in_every_spelling(address: IpAddr, port: u16) {
            let canonical = Some(address.to_canonical());
            prop_assert_eq!(super::address(&address.to_string()), canonical);
            prop_assert_eq!(super::address(&std::net::SocketAddr::new(address, port).to_string()), canonical);
        }
    }
}
