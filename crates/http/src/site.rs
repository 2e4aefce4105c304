//! Where the registry is, as a client sees it, and who that client is: what a proxy in between changes and tells.
//!
//! A client reaches the address that it was told, over the scheme that it chose; a proxy in between talks to us in its own
//! way, and says in headers what it was asked. Those headers are anybody's to send, so they count from
//! [`SiteOptions::trusted_proxies`] alone; from everybody else there are the connection and `Host`. All that is made of
//! them is parsed: nothing that a stranger sends can become more than a host and a path in an answer to that stranger.
//!
//! Every address of ours that an answer has is made here, by one rule: the realm of a challenge is whole, since clients
//! take no other; `Location` and `Link`, which handlers write as paths below the registry's root, are
//! [led on](Site::lead_on) as the options say.

mod authority;
mod base_url;
pub(crate) mod forwarded;
mod prefix;
mod told;
mod trusted_proxy;

use std::{fmt, net::IpAddr};

use http::{HeaderMap, HeaderValue, Request, header};

pub use authority::{Authority, AuthorityError};
pub use base_url::{BaseUrl, BaseUrlError};
pub use prefix::{Prefix, PrefixError};
pub use trusted_proxy::{TrustedProxy, TrustedProxyError};

use crate::{api, headers, server::ConnectionInfo};
use told::Told;

pub(crate) use told::is_passed_on;

/// The longest id of a request that a proxy may give it, in bytes.
const LONGEST_ID: usize = 128;

/// What is known of where the registry is, before anybody asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteOptions {
    /// Whose word counts about what they were asked, and by whom. None by default.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// The address of the registry, whatever a request says. `Location` and `Link` are whole then.
    pub host: Option<BaseUrl>,
    /// Where on the host the registry begins: the paths that it is asked for begin with it.
    pub prefix: Prefix,
    /// Whether `Location` and `Link` are paths, without scheme and host, unless [`host`](Self::host) says where we are.
    ///
    /// The default: every client resolves them, and nothing that a proxy does not tell can be wrong in them.
    pub relative_urls: bool,
}

/// How an address is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// As it is.
    Http,
    /// Within TLS.
    Https,
}

/// Where a request reached the registry, as its client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    scheme: Scheme,
    /// None if the request does not say, or nothing that could be one.
    authority: Option<Authority>,
    /// What stands before `/v2/`.
    prefix: Prefix,
    /// Whether `Location` and `Link` say scheme and host.
    whole: bool,
}

impl Default for SiteOptions {
    fn default() -> Self {
        Self { trusted_proxies: Vec::new(), host: None, prefix: Prefix::default(), relative_urls: true }
    }
}

impl SiteOptions {
    /// Whose request this is: the nearest one whose word does not count, or the first of all.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer;
        if self.trusts(client) {
            for hop in Told::hops(headers) {
                client = hop;
                if !self.trusts(client) {
                    break;
                }
            }
        }
        client
    }

    /// Where a request reached us.
    pub(crate) fn site<B>(&self, request: &Request<B>, connection: &ConnectionInfo) -> Site {
        let whole = self.host.is_some() || !self.relative_urls;
        if let Some(host) = &self.host {
            let prefix = host.prefix.clone().unwrap_or_else(|| self.prefix.clone());
            return Site { scheme: host.scheme, authority: Some(host.authority.clone()), prefix, whole };
        }
        let scheme = if connection.tls { Scheme::Https } else { Scheme::Http };
        let authority = api::host(request).and_then(|host| host.parse().ok());
        if !self.trusts(connection.peer.ip()) {
            return Site { scheme, authority, prefix: self.prefix.clone(), whole };
        }
        let told = Told::of(request.headers());
        let authority = told.host.or(authority).map(|host| match told.port {
            Some(port) => host.on(port),
            None => host,
        });
        Site { scheme: told.scheme.unwrap_or(scheme), authority, prefix: told.prefix.below(&self.prefix), whole }
    }

    /// The part of a request's path that is ours to read: what is behind the prefix.
    pub(crate) fn inside<'p>(&self, path: &'p str) -> Option<&'p str> {
        self.prefix.inside(path)
    }

    /// What a proxy that passed a request on calls it, if its word counts and can stand in a log.
    pub(crate) fn request_id<'h>(&self, peer: IpAddr, headers: &'h HeaderMap) -> Option<&'h str> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:+/@".contains(&byte);
        let said = headers::text(headers, headers::REQUEST_ID).filter(|_| self.trusts(peer))?;
        ((1..=LONGEST_ID).contains(&said.len()) && said.bytes().all(plain)).then_some(said)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|proxy| proxy.is(address))
    }
}

impl Site {
    /// Where this host is, within TLS.
    #[cfg(test)]
    pub(crate) fn at(host: &str) -> Self {
        Self { scheme: Scheme::Https, authority: host.parse().ok(), prefix: Prefix::default(), whole: false }
    }

    /// The whole address of a path here; a path, if nobody knows the host.
    pub(crate) fn address(&self, path: &str) -> String {
        match &self.authority {
            Some(authority) => format!("{}://{authority}{}{path}", self.scheme, self.prefix.as_path()),
            None => format!("{}{path}", self.prefix.as_path()),
        }
    }

    /// What the registry is called among others.
    pub(crate) fn service(&self) -> &str {
        self.authority.as_ref().map_or("", Authority::as_str)
    }

    /// Whether a page of this site (`Origin`: scheme and host) is one of ours.
    pub(crate) fn has_page(&self, origin: &str) -> bool {
        let host = origin.split_once("://").map(|(_scheme, host)| host);
        host.is_some_and(|host| self.authority.as_ref().is_some_and(|ours| ours.as_str() == host))
    }

    /// Has the addresses in an answer lead to where the client sees us.
    pub(crate) fn lead_on(&self, answer: &mut HeaderMap) {
        if !self.whole && self.prefix.is_root() {
            return;
        }
        if let Some(location) = answer.get_mut(header::LOCATION)
            && let Some(path) = path_of(location).filter(|path| path.starts_with('/'))
            && let Ok(led_on) = self.lead(path).try_into()
        {
            *location = led_on;
        }
        if let Some(link) = answer.get_mut(header::LINK)
            && let Some(path) =
                path_of(link).and_then(|link| link.strip_prefix('<')).filter(|path| path.starts_with('/'))
            && let Ok(led_on) = format!("<{}", self.lead(path)).try_into()
        {
            *link = led_on;
        }
    }

    fn lead(&self, path: &str) -> String {
        if self.whole { self.address(path) } else { format!("{}{path}", self.prefix.as_path()) }
    }
}

fn path_of(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()
}

impl Scheme {
    /// The scheme of that name, whatever its case.
    fn named(name: &str) -> Option<Self> {
        match name {
            _ if name.eq_ignore_ascii_case("http") => Some(Self::Http),
            _ if name.eq_ignore_ascii_case("https") => Some(Self::Https),
            _ => None,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

#[cfg(test)]
mod tests;
