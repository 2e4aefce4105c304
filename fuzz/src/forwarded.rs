//! What proxies tell: nobody but those who are trusted changes anything, what is told becomes nothing but an address, and both
//! headers are read as a second reader does.

use std::{
    net::{IpAddr, SocketAddr},
    sync::LazyLock,
};

use cargohold_http::{
    SiteOptions,
    fuzzing::{forwarded, site},
};
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use regex_lite::Regex;

use crate::input;

/// The proxies that are trusted, the first of which asks.
const TRUSTED: [&str; 2] = ["192.0.2.1", "10.0.0.0/8"];

/// RFC 7239 §4, with colons and brackets outside of quotes, as proxies write them.
static GRAMMAR: LazyLock<Regex> = LazyLock::new(|| {
    let token = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+";
    let value =
        r#"(?:[!#$%&'*+.^_`|~0-9A-Za-z:\[\]-]+|"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[\x00-\x7f]|\\[^\x00-\x7f])*")"#;
    let pair = format!(r"(?:{token}={value}[ \t]*)?");
    let element = format!(r"[ \t]*{pair}(?:;[ \t]*{pair})*");
    Regex::new(&format!("^{element}(?:,{element})*$")).expect("it is correct")
});

/// Each line is a header of the request.
pub fn check(input: &[u8]) {
    let Some(text) = input::text(input) else { return };
    let mut headers = HeaderMap::new();
    for line in text.lines() {
        let (name, value) = line.split_once(':').unwrap_or(("Forwarded", line));
        check_line(value.trim());
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value.trim())) else { return };
        headers.append(name, value);
    }
    let peer: IpAddr = "192.0.2.1".parse().expect("it is one");
    check_stranger(peer, &headers);
    let options = SiteOptions {
        trusted_proxies: TRUSTED.map(|proxy| proxy.parse().expect("it is one")).to_vec(),
        ..SiteOptions::default()
    };
    let (address, client) = site(&options, peer, &headers);
    check_address(&address);
    check_client(peer, &headers, client);
}

/// Who is not trusted says nothing but `Host`.
fn check_stranger(peer: IpAddr, headers: &HeaderMap) {
    let hosts = headers.get_all(header::HOST).into_iter().map(|host| (header::HOST, host.clone()));
    let only_hosts: HeaderMap = hosts.collect();
    let options = SiteOptions::default();
    assert_eq!(site(&options, peer, headers), site(&options, peer, &only_hosts));
    assert_eq!(site(&options, peer, headers).1, peer);
}

/// It can stand in a header, and leads to the path that it is for.
fn check_address(address: &str) {
    assert!(address.bytes().all(|byte| matches!(byte, b'!'..=b'~')), "{address}");
    let path = if address.starts_with('/') {
        address.to_owned()
    } else {
        let uri: Uri = address.parse().expect("it is an address");
        assert!(matches!(uri.scheme_str(), Some("http" | "https")), "{address}");
        assert!(uri.query().is_none() && !address.contains('@') && !address.contains('#'), "{address}");
        uri.path().to_owned()
    };
    assert!(path.ends_with("/v2/") && !path.contains("//") && !path.contains("/../"), "{address}");
}

/// Without `Forwarded`, whose reader is checked by itself.
fn check_client(peer: IpAddr, headers: &HeaderMap, client: IpAddr) {
    let lines: Vec<_> = headers.get_all("x-forwarded-for").into_iter().map(HeaderValue::to_str).collect();
    if lines.is_empty() || lines.iter().any(Result::is_err) {
        return;
    }
    let list = lines.into_iter().flatten().collect::<Vec<_>>().join(",");
    let nodes: Vec<_> = list.split(',').map(str::trim).collect();
    let mut expected = peer;
    for node in nodes.iter().rev().take(100) {
        let address = node.parse::<IpAddr>().or_else(|_| node.parse::<SocketAddr>().map(|it| it.ip()));
        let Ok(address) = address.or_else(|_| node.trim_matches(['[', ']']).parse()) else { break };
        expected = address.to_canonical();
        let is_trusted = match expected {
            IpAddr::V4(address) => address.octets()[0] == 10 || address.octets() == [192, 0, 2, 1],
            IpAddr::V6(_) => false,
        };
        if !is_trusted {
            break;
        }
    }
    // Odd spellings of ports and brackets are not the same for both.
    if !list.contains(['[', ']', '_', '%']) && !nodes.iter().any(|node| node.matches(':').count() == 1) {
        assert_eq!(client, expected, "{list}");
    }
}

fn check_line(line: &str) {
    let elements = forwarded(line);
    let by_grammar = GRAMMAR.is_match(line);
    let Some(elements) = elements else {
        let lower = line.to_ascii_lowercase();
        let repeats = ["for=", "host=", "proto="].iter().any(|name| lower.matches(name).count() > 1);
        assert!(!by_grammar || repeats || line.matches(',').count() >= 100, "{line:?} is refused");
        return;
    };
    assert!(by_grammar, "{line:?} is read");
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""));
    let written = elements.iter().map(|parts| {
        let pairs = ["for", "host", "proto"].iter().zip(parts);
        let pairs = pairs.filter_map(|(name, part)| Some(format!("{name}={}", quoted(part.as_deref()?))));
        // One that says nothing we know is one all the same.
        pairs.chain(["by=x".to_owned()]).collect::<Vec<_>>().join(";")
    });
    let written = written.collect::<Vec<_>>().join(", ");
    let has_control = elements.iter().flatten().flatten().any(|part| part.chars().any(char::is_control));
    assert!(has_control || forwarded(&written) == Some(elements), "{line:?} as {written:?}");
}
