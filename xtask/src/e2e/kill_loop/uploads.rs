//! The upload protocol as the kill loop's pushers speak it: one function per request (OCI distribution-spec, "Pushing blobs").

use super::content::Blob;
use crate::e2e::registry::{Payload, Registry, RequestError};
use ureq::http::Method;

const BYTES: (&str, &str) = ("Content-Type", "application/octet-stream");

/// Starts a session; hands back where it goes on.
pub(super) fn start(registry: &Registry, repository: &str) -> Result<String, RequestError> {
    let path = registry.path(repository, "blobs/uploads/");
    registry.send(&Method::POST, &path, &[], Some(Payload::Sized(&[])))?.expect(202, "202")?.location()
}

/// How many bytes the session has; `None` if it is gone.
pub(super) fn status(registry: &Registry, session: &str) -> Result<Option<usize>, RequestError> {
    let answer = registry.send(&Method::GET, session, &[], None)?;
    if answer.status() == 404 {
        return Ok(None);
    }
    let answer = answer.expect(204, "204 or 404")?;
    let range = answer.required("range")?;
    received(&range).map(Some).ok_or_else(|| answer.wrong(format!("has an unreadable Range: {range}")))
}

/// Appends the bytes `from..to` of a blob; hands back where the session goes on. Sent with their place, or as a stream of unknown
/// length, as docker does.
pub(super) fn append(
    registry: &Registry,
    session: &str,
    bytes: &[u8],
    from: usize,
    to: usize,
    with_place: bool,
) -> Result<String, RequestError> {
    let chunk = &bytes[from..to];
    let place = content_range(from, to);
    let answer = if with_place {
        registry.send(&Method::PATCH, session, &[BYTES, ("Content-Range", &place)], Some(Payload::Sized(chunk)))
    } else {
        registry.send(&Method::PATCH, session, &[BYTES], Some(Payload::Chunked(chunk)))
    }?;
    let answer = answer.expect(202, "202")?;
    let range = answer.required("range")?;
    if received(&range) != Some(to) {
        return Err(answer.wrong(format!("has the Range {range} after {to} bytes")));
    }
    answer.location()
}

/// Ends the session with the bytes from `from` on, which may be none.
pub(super) fn finish(
    registry: &Registry,
    session: &str,
    digest: &str,
    bytes: &[u8],
    from: usize,
) -> Result<(), RequestError> {
    let separator = if session.contains('?') { '&' } else { '?' };
    let path = format!("{session}{separator}digest={digest}");
    let rest = &bytes[from..];
    let place = content_range(from, bytes.len());
    let headers: &[(&str, &str)] =
        if rest.is_empty() || from == 0 { &[BYTES] } else { &[BYTES, ("Content-Range", &place)] };
    registry.send(&Method::PUT, &path, headers, Some(Payload::Sized(rest)))?.expect(201, "201").map(drop)
}

/// The whole blob in one POST. A registry may take that as the start of a session: then hands back where it goes on.
pub(super) fn single(registry: &Registry, repository: &str, blob: &Blob) -> Result<Option<String>, RequestError> {
    let path = registry.path(repository, &format!("blobs/uploads/?digest={}", blob.digest));
    let answer = registry.send(&Method::POST, &path, &[BYTES], Some(Payload::Sized(&blob.bytes())))?;
    if answer.status() == 202 {
        return answer.location().map(Some);
    }
    answer.expect(201, "201 or 202").map(|_| None)
}

/// Mounts a blob of another repository, or of any if none is named. A registry that cannot starts a session: then hands back where
/// it goes on.
pub(super) fn mount(
    registry: &Registry,
    repository: &str,
    from: Option<&str>,
    digest: &str,
) -> Result<Option<String>, RequestError> {
    let from = from.map_or_else(String::new, |from| format!("&from={from}"));
    let path = registry.path(repository, &format!("blobs/uploads/?mount={digest}{from}"));
    let answer = registry.send(&Method::POST, &path, &[], Some(Payload::Sized(&[])))?;
    if answer.status() == 202 {
        return answer.location().map(Some);
    }
    answer.expect(201, "201 or 202").map(|_| None)
}

/// How many bytes a session's `Range: 0-<last>` tells. `0-0` stands for none: the blobs here never stop after one byte.
fn received(range: &str) -> Option<usize> {
    let last: usize = range.strip_prefix("0-")?.parse().ok()?;
    Some(if last == 0 { 0 } else { last + 1 })
}

fn content_range(from: usize, to: usize) -> String {
    format!("{from}-{}", to.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::{content_range, received};

    #[test]
    fn a_range_tells_how_many_bytes_there_are() {
        assert_eq!(received("0-0"), Some(0));
        assert_eq!(received("0-511"), Some(512));
        assert_eq!(received("bytes=0-511"), None);
        assert_eq!(received("0--1"), None);
        assert_eq!(content_range(0, 512), "0-511");
    }
}
