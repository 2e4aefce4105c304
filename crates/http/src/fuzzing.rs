//! The parsers that are private to this crate, for the fuzz targets (`fuzz/` in the repository): with `--cfg fuzzing` only.
//!
//! Nothing is decided here. Each function is one of the crate's own, and a refusal is what the client would get.

use std::{net::IpAddr, ops::RangeInclusive};

use bytes::Bytes;
use cargohold_oci::{Algorithm, Digest, Reference, Tag};
use cargohold_registry::{Place, Placement};
use futures_util::FutureExt;
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::BodyExt;

use crate::{
    SiteOptions, body::Transport, conditional, content_range, error::ApiError, manifests, query, query::Query,
    referrers, server::ConnectionInfo, site, uploads,
};

/// A request that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The status of the answer.
    pub status: StatusCode,
    /// The body of the answer.
    pub body: Bytes,
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        let (head, body) = error.into_response().into_parts();
        let body = body.collect().now_or_never().expect("errors are in memory").expect("memory can be read");
        Self { status: head.status, body: body.to_bytes() }
    }
}

/// Whether `If-None-Match` names the digest.
pub fn client_has(request: &HeaderMap, digest: &Digest) -> bool {
    conditional::client_has(request, digest)
}

/// Whether `If-Range` lets a range count.
pub fn range_counts(request: &HeaderMap, digest: &Digest) -> bool {
    conditional::range_counts(request, digest)
}

/// The value of an upload's `Content-Range`.
pub fn content_range(value: &str) -> Option<RangeInclusive<u64>> {
    content_range::parse(value)
}

/// Where the headers of an upload say that its body belongs.
pub fn placement(request: &HeaderMap) -> Result<Placement, Refused> {
    Ok(uploads::placement(request)?)
}

/// Every value of a parameter, decoded.
pub fn parameters(uri: &Uri, name: &str) -> Vec<String> {
    Query::of(uri).all(name).map(String::from).collect()
}

/// A value as a query carries it.
pub fn encoded(value: &str) -> String {
    Query::encode(value).to_string()
}

/// `n` of a list.
pub fn page_size(uri: &Uri) -> Result<Option<u64>, Refused> {
    Ok(Query::of(uri).page_size()?)
}

/// The part of `last` that a list of names is compared with.
pub fn comparable(last: &str, most: usize) -> &str {
    query::comparable(last, most)
}

/// `last` of a list of referrers.
pub fn place(uri: &Uri) -> Result<Place, Refused> {
    Ok(referrers::after(Query::of(uri))?)
}

/// `digest` of an upload.
pub fn digest(uri: &Uri) -> Result<Option<Digest>, Refused> {
    Ok(uploads::digest(Query::of(uri))?)
}

/// `digest-algorithm` of an upload.
pub fn algorithm(uri: &Uri) -> Result<Algorithm, Refused> {
    Ok(uploads::start::algorithm(Query::of(uri))?)
}

/// `tag`, as often as it is there, of a manifest's push.
pub fn tags(reference: &Reference, uri: &Uri) -> Result<Vec<Tag>, Refused> {
    Ok(manifests::tags(reference, Query::of(uri))?)
}

/// The parts of a line of `Forwarded`: `for`, `host` and `proto` of each proxy.
pub fn forwarded(line: &str) -> Option<Vec<[Option<String>; 3]>> {
    let elements = site::forwarded::parse(line)?;
    let parts = elements.into_iter().map(|it| [it.node, it.host, it.proto].map(|part| part.map(String::from)));
    Some(parts.collect())
}

/// What a request that comes from `peer` makes of the address of `/v2/`, and whose request it is.
pub fn site(options: &SiteOptions, peer: IpAddr, headers: &HeaderMap) -> (String, IpAddr) {
    let mut request = Request::new(());
    headers.clone_into(request.headers_mut());
    let peer = std::net::SocketAddr::from((peer, 0)).into();
    let connection =
        ConnectionInfo { peer, tls: false, transport: Transport::Other, max_head: 0, activity: Default::default() };
    (options.site(&request, &connection).address("/v2/"), options.client(peer.ip(), headers))
}
