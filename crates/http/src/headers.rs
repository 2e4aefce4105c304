//! Header names and values that the registry protocol adds to HTTP.

use std::fmt::Write;

use bytes::Bytes;
use cargohold_oci::{Digest, Path};
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// On every response: old docker and many probes look for it.
pub(crate) const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
pub(crate) const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
pub(crate) const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
pub(crate) const TAG: HeaderName = HeaderName::from_static("oci-tag");
pub(crate) const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub(crate) const REGISTRY_2: HeaderValue = HeaderValue::from_static("registry/2.0");
pub(crate) const BASIC: HeaderValue = HeaderValue::from_static("Basic realm=\"Registry\"");
pub(crate) const JSON_TYPE: &str = "application/json";
pub(crate) const JSON: HeaderValue = HeaderValue::from_static(JSON_TYPE);
pub(crate) const OCTET_STREAM: HeaderValue = HeaderValue::from_static("application/octet-stream");
pub(crate) const CLOSE: HeaderValue = HeaderValue::from_static("close");
pub(crate) const BYTES: HeaderValue = HeaderValue::from_static("bytes");

/// More than the longest digest has in quotes, in bytes.
const LONGEST_IDENTITY: usize = 144;
/// How many headers an answer with content has, so that room is made for them once.
pub(crate) const USUAL: usize = 10;

/// A `Link` to the next page: relative, since clients refuse other hosts and proxies change ours (RFC 8288).
pub(crate) fn next_page(path: &Path, query: &str) -> HeaderValue {
    value(format!("<{path}?{query}>; rel=\"next\""))
}

/// The value of a header, if there is one that is text.
pub(crate) fn text(headers: &HeaderMap, name: impl http::header::AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// What we wrote ourselves out of parsed names, digests and numbers, which hold nothing but visible ASCII.
pub(crate) fn value(text: impl TryInto<HeaderValue>) -> HeaderValue {
    text.try_into().ok().expect("names, digests and numbers are visible ASCII")
}

/// What immutable content is known by: its digest, and as its entity tag the same in quotes.
pub(crate) fn identity(digest: &Digest) -> [(HeaderName, HeaderValue); 2] {
    let mut quoted = String::with_capacity(LONGEST_IDENTITY);
    // Writing to a string cannot fail.
    let _ = write!(quoted, "\"{digest}\"");
    // Most answers have both: they share the text.
    let quoted = Bytes::from(quoted);
    let bare = quoted.slice(1..quoted.len() - 1);
    let value = |text: Bytes| HeaderValue::from_maybe_shared(text).expect("digests are visible ASCII");
    [(CONTENT_DIGEST, value(bare)), (header::ETAG, value(quoted))]
}
