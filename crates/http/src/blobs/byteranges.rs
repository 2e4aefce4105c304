//! Several ranges of a blob in one answer: `multipart/byteranges` (RFC 9110 §14.6).

use std::{fs::File, ops::Range, sync::Arc};

use cargohold_oci::Digest;
use http::{Response, StatusCode, header};

use super::content_range;
use crate::{Body, headers};

pub(super) fn respond(file: File, ranges: &[Range<u64>], size: u64, digest: &Digest) -> Response<Body> {
    // The hash of the very content cannot occur in it.
    let boundary = digest.hex();
    let file = Arc::new(file);
    let mut parts = Vec::with_capacity(ranges.len() * 2 + 1);
    for range in ranges {
        let content_range = content_range(range, size);
        parts.push(Body::full(format!(
            "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: {content_range}\r\n\r\n"
        )));
        parts.push(Body::file_stream(file.clone(), range.clone()));
    }
    parts.push(Body::full(format!("\r\n--{boundary}--\r\n")));
    let mut response = super::respond(StatusCode::PARTIAL_CONTENT, digest, Body::sequence(parts));
    let content_type = headers::value(format!("multipart/byteranges; boundary={boundary}"));
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}
