//! What the headers of a request tell about its way: `X-Forwarded-*` and `X-Real-IP`, or `Forwarded`.
//!
//! Whether that is to be believed is not known here. The usual proxies write `X-Forwarded-*` and hand on the
//! `Forwarded` of whoever asks them, so the latter counts only where there is none of the former.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    Authority, Prefix, Scheme,
    forwarded::{self, MOST_HOPS},
};

const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Which proxy it was: of use to nobody, but a sign that there was one.
const SERVER: HeaderName = HeaderName::from_static("x-forwarded-server");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// What the first proxy was asked: of several words the first counts. What is not told, or cannot be, is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) scheme: Option<Scheme>,
    pub(super) host: Option<Authority>,
    /// The port, where the host lacks it.
    pub(super) port: Option<u16>,
    /// What was taken off the path.
    pub(super) prefix: Prefix,
}

impl Told {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let port = first(headers, &PORT).and_then(|port| port.parse().ok()).filter(|port| *port > 0);
        let prefix = first(headers, &PREFIX).and_then(Prefix::taken_off).unwrap_or_default();
        if is_dialect(headers) {
            let scheme = first(headers, &PROTO).and_then(Scheme::named);
            return Self { scheme, host: first(headers, &HOST).and_then(|host| host.parse().ok()), port, prefix };
        }
        let lines = readable_lines(headers);
        let Some(element) = lines.last().and_then(|line| line.first()) else {
            return Self { port, prefix, ..Self::default() };
        };
        Self {
            scheme: element.proto.as_deref().and_then(Scheme::named),
            host: element.host.as_deref().and_then(|host| host.parse().ok()),
            port,
            prefix,
        }
    }

    /// Who asked whom, the nearest first. It ends before the first that is no address.
    pub(super) fn hops(headers: &HeaderMap) -> Vec<IpAddr> {
        let addresses: Vec<Option<IpAddr>> = if headers.contains_key(&FOR) {
            let lines = headers.get_all(&FOR).into_iter().rev();
            let nodes = lines.flat_map(|line| text(line).unwrap_or_default().rsplit(','));
            nodes.take(MOST_HOPS).map(|node| forwarded::address(node.trim())).collect()
        } else if let Some(address) = first(headers, &REAL_IP) {
            vec![forwarded::address(address)]
        } else if is_dialect(headers) {
            Vec::new()
        } else {
            let lines = readable_lines(headers);
            let elements = lines.iter().flat_map(|line| line.iter().rev()).take(MOST_HOPS);
            elements.map(|element| element.node.as_deref().and_then(forwarded::address)).collect()
        };
        addresses.into_iter().map_while(|address| address).collect()
    }
}

/// Whether a request came by a proxy, as its headers tell: whoever sends it can deny that, but not a client of that proxy.
pub(crate) fn is_passed_on(headers: &HeaderMap) -> bool {
    let via = http::header::VIA;
    [FORWARDED, FOR, HOST, PORT, PREFIX, PROTO, SERVER, REAL_IP, via].iter().any(|name| headers.contains_key(name))
}

/// Whether the headers are those that are no standard, and what everybody writes.
fn is_dialect(headers: &HeaderMap) -> bool {
    [FOR, HOST, PROTO].iter().any(|name| headers.contains_key(name))
}

/// The lines of `Forwarded`, the nearest proxy's first, up to one that cannot be read.
fn readable_lines(headers: &HeaderMap) -> Vec<Vec<forwarded::Element<'_>>> {
    let lines = headers.get_all(&FORWARDED).into_iter().rev().take(MOST_HOPS);
    let lines = lines.map_while(|line| forwarded::parse(text(line)?));
    lines.filter(|line| !line.is_empty()).collect()
}

/// The first of the words of a header, over all of its lines.
fn first<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    text(headers.get(name)?)?.split(',').next().map(str::trim)
}

fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()
}
