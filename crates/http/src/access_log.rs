//! What is told of each request once its last byte is gone, to whom the program names ([`AccessLog`]).
//!
//! Nothing in it is secret: of a query only those values are told that the registry's protocols have and that are no secrets.

use std::{
    borrow::Cow,
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, Method, Uri, Version, header};

use crate::{body::BodyOutcome, headers, server::Peer};

/// The longest target that is told of, in bytes.
const LONGEST_TARGET: usize = 1000;
/// The longest name of a program, or address of a page, in bytes.
const LONGEST_AGENT: usize = 200;
/// Parameters of queries whose values are told. Whatever else is in one may be a secret.
const TOLD: [&str; 13] = [
    "account",
    "artifactType",
    "digest",
    "digest-algorithm",
    "from",
    "last",
    "mount",
    "n",
    "ns",
    "offline_token",
    "scope",
    "service",
    "tag",
];

/// One request and what became of it.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// What the answer's `X-Request-Id` says.
    pub id: &'a str,
    /// Where it came from.
    pub peer: Peer,
    /// Whose request it is, if a proxy passed it on.
    pub client: IpAddr,
    /// Who showed a password or a token that has a name; whatever signs a name may have.
    pub user: Option<&'a str>,
    /// As the client wrote it: any word that HTTP allows, however long.
    pub method: &'a Method,
    /// Path and query, without secrets, bounded; visible ASCII.
    pub target: &'a str,
    /// The version of HTTP.
    pub version: Version,
    /// The answer's status; 499 if the client was gone before there was one.
    pub status: u16,
    /// Bytes of the answer's body that went to the client.
    pub bytes: u64,
    /// Whether that was all of it.
    pub complete: bool,
    /// When its head had come.
    pub began: SystemTime,
    /// From then until the last byte of the answer was gone.
    pub duration: Duration,
    /// The client's program, as it says itself; visible ASCII, bounded.
    pub agent: Option<&'a str>,
    /// The page that it came from, without its query; visible ASCII, bounded.
    pub referer: Option<&'a str>,
}

/// Who is told of each request.
pub trait AccessLog: Send + Sync + 'static {
    /// Takes down a request. Called by what answers requests, so this must not wait for anything.
    fn write(&self, access: &Access<'_>);
}

/// What is known of a request before it is answered.
pub(crate) struct Entry {
    log: Arc<dyn AccessLog>,
    peer: Peer,
    client: IpAddr,
    method: Method,
    target: String,
    version: Version,
    agent: Option<String>,
    referer: Option<String>,
    at: SystemTime,
}

impl Entry {
    pub(crate) fn new<B>(log: Arc<dyn AccessLog>, peer: Peer, client: IpAddr, request: &http::Request<B>) -> Self {
        let agent = headers::text(request.headers(), header::USER_AGENT).map(|agent| bounded(agent, LONGEST_AGENT));
        Self {
            log,
            peer,
            client,
            method: request.method().clone(),
            target: target(request.uri()),
            version: request.version(),
            agent,
            referer: referer(request.headers()),
            at: SystemTime::now(),
        }
    }

    /// Tells of it, now that it is over.
    pub(crate) fn end(self, id: &str, user: Option<&str>, status: u16, outcome: BodyOutcome, took: Duration) {
        self.log.write(&Access {
            id,
            peer: self.peer,
            client: self.client,
            user,
            method: &self.method,
            target: &self.target,
            version: self.version,
            status,
            bytes: outcome.bytes,
            complete: outcome.complete,
            began: self.at,
            duration: took,
            agent: self.agent.as_deref(),
            referer: self.referer.as_deref(),
        });
    }
}

/// The target of a request, as far as others may read it.
fn target(uri: &Uri) -> String {
    let path = uri.path();
    let Some(query) = uri.query() else { return bounded(path, LONGEST_TARGET) };
    let mut target = String::with_capacity(path.len() + 1 + query.len());
    target.push_str(path);
    for (place, parameter) in query.split('&').enumerate() {
        target.push(if place == 0 { '?' } else { '&' });
        target.push_str(&without_secret(parameter));
        if target.len() > LONGEST_TARGET {
            break;
        }
    }
    bounded(&target, LONGEST_TARGET)
}

fn without_secret(parameter: &str) -> Cow<'_, str> {
    match parameter.split_once('=') {
        Some((name, _)) if !TOLD.contains(&name) => format!("{}=***", bounded(name, 40)).into(),
        None if !TOLD.contains(&parameter) && !parameter.is_empty() => "***".into(),
        _ => parameter.into(),
    }
}

fn referer(headers: &HeaderMap) -> Option<String> {
    let page = headers::text(headers, header::REFERER)?;
    // Neither what is behind the path nor a password before the host.
    let page = page.split(['?', '#']).next().unwrap_or_default();
    let page = match page.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{path}")
        }
        None => page.to_owned(),
    };
    Some(bounded(&page, LONGEST_AGENT))
}

/// The visible part of a text, as much of it as is told.
fn bounded(text: &str, most: usize) -> String {
    let visible = |sign: char| if matches!(sign, ' '..='~') { sign } else { '?' };
    text.chars().take(most).map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(uri: &str) -> String {
        target(&uri.parse().unwrap())
    }

    #[test]
    fn what_may_be_secret_in_a_query_is_not_told() {
        assert_eq!(told("/v2/?n=5&last=a"), "/v2/?n=5&last=a");
        assert_eq!(told("/v2/?token=abc&n=1"), "/v2/?token=***&n=1");
        assert_eq!(told("/v2/?access_token=abc"), "/v2/?access_token=***");
        assert_eq!(told("/v2/?eyJhbGciOi"), "/v2/?***");
        assert_eq!(told("/v2/?digest=sha256:a&%64igest=b"), "/v2/?digest=sha256:a&%64igest=***");
        assert_eq!(told("http://user:secret@host/v2/?"), "/v2/?");
    }

    #[test]
    fn what_is_told_is_bounded() {
        assert_eq!(told(&format!("/{}", "x".repeat(5000))).len(), LONGEST_TARGET);
        assert_eq!(told(&format!("/?{}", "n=1&".repeat(5000))).len(), LONGEST_TARGET);
    }

    #[test]
    fn a_referer_is_told_without_query_and_password() {
        let mut headers = HeaderMap::new();
        headers.insert(header::REFERER, "https://me:secret@host.example/a?token=b#c".parse().unwrap());
        assert_eq!(referer(&headers).as_deref(), Some("https://host.example/a"));
        headers.insert(header::REFERER, "/only?a".parse().unwrap());
        assert_eq!(referer(&headers).as_deref(), Some("/only"));
    }
}
