//! Blobs for readers.

use super::Model;
use crate::{
    digest::is_digest,
    pool::Pool,
    promise::{Body, Expected, Promise},
    ranges::{Asked, Range, covered},
};

impl Model {
    pub(super) fn blob(
        &self,
        repository: &str,
        digest: &str,
        unless: Option<&str>,
        range: Option<&Asked>,
        pool: &Pool,
    ) -> Expected {
        if !is_digest(digest) {
            return Expected::one(Promise::refusal(400, "DIGEST_INVALID"));
        }
        if !self.repository(repository).blobs.contains(digest) {
            return Expected::one(Promise::refusal(404, "BLOB_UNKNOWN"));
        }
        let content = &pool.contents[pool.content_of(digest).expect("no other blobs are pushed")];
        let promise = if unless.is_some_and(|tags| is_named(tags, digest)) {
            Promise::empty(304)
        } else {
            let whole =
                || Promise::new(200, Body::Bytes(content.clone())).is("Content-Length", content.len().to_string());
            let whole = || {
                whole()
                    .is("Content-Type", "application/octet-stream")
                    .is("Accept-Ranges", "bytes")
                    .absent("Content-Range")
            };
            match range {
                Some(Asked::Of(ranges)) => part(ranges, content),
                Some(Asked::Nonsense(_)) | None => whole(),
            }
        };
        if promise.status == 416 {
            return Expected::one(promise);
        }
        let promise = promise.is("Docker-Content-Digest", digest).is("ETag", format!("\"{digest}\""));
        Expected::one(promise.absent("Content-Encoding"))
    }
}

/// The answer to a range that can be understood.
fn part(ranges: &[Range], content: &[u8]) -> Promise {
    let parts: Vec<_> = ranges.iter().filter_map(|range| range.of(content.len())).collect();
    match (ranges, parts.as_slice()) {
        (_, []) => Promise::refusal(416, "RANGE_INVALID").is("Content-Range", format!("bytes */{}", content.len())),
        ([_], [(first, last)]) => Promise::new(206, Body::Bytes(content[*first..=*last].to_vec()))
            .is("Content-Range", format!("bytes {first}-{last}/{}", content.len()))
            .is("Content-Length", (last + 1 - first).to_string()),
        _ => Promise::new(206, Body::Parts(covered(parts), content.to_vec())),
    }
}

/// Whether `If-None-Match` names the digest: quoted, weak, or as bare as some clients send it.
pub(super) fn is_named(tags: &str, digest: &str) -> bool {
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/").trim_matches('"') == digest)
}
