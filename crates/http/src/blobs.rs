//! `/v2/<name>/blobs/<digest>`: blobs for readers.

mod byteranges;

use std::{fs::File, ops::Range};

use cargohold_access::{Delete, Permit, Pull, Push};
use cargohold_oci::Digest;
use cargohold_registry::{Pulled, Registry};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use crate::{
    Body,
    body::Transport,
    conditional,
    error::ApiError,
    headers,
    range::{self, RangeRequest},
};

/// A digest names its content for ever, so whoever has a copy may keep it.
const FOR_EVER: HeaderValue = HeaderValue::from_static("max-age=31536000");

pub(crate) async fn head(
    registry: &Registry,
    pull: &Permit<Pull>,
    push: Option<&Permit<Push>>,
    digest: &Digest,
    request: &HeaderMap,
) -> Result<Response<Body>, ApiError> {
    let blob = registry.stat_blob(pull, push, digest).await?;
    if conditional::client_has(request, digest) {
        return Ok(respond(StatusCode::NOT_MODIFIED, digest, Body::empty()));
    }
    let mut response = respond(StatusCode::OK, digest, Body::empty());
    response.headers_mut().insert(header::CONTENT_LENGTH, blob.size.into());
    Ok(response)
}

pub(crate) async fn get(
    registry: &Registry,
    pull: &Permit<Pull>,
    digest: &Digest,
    request: &HeaderMap,
    transport: Transport,
) -> Result<Response<Body>, ApiError> {
    if conditional::client_has(request, digest) {
        registry.require_blob(pull, digest).await?;
        return Ok(respond(StatusCode::NOT_MODIFIED, digest, Body::empty()));
    }
    let blob = registry.pull_blob(pull, digest).await?;
    let asked = headers::text(request, header::RANGE).filter(|_| conditional::range_counts(request, digest));
    let range = range::parse(asked, blob.size);
    if !matches!(range, RangeRequest::Unsatisfiable) {
        registry.note_pull(pull, Pulled::Blob { digest: *digest, size: blob.size });
    }
    match range {
        RangeRequest::Whole => whole(blob.file, blob.size, digest, transport).await,
        RangeRequest::Single(range) => part(blob.file, range, blob.size, digest, transport).await,
        RangeRequest::Multiple(ranges) => Ok(byteranges::respond(blob.file, &ranges, blob.size, digest)),
        RangeRequest::Unsatisfiable => Err(unsatisfiable(asked.unwrap_or_default(), blob.size)),
    }
}

/// Takes the blob from the repository's readers.
pub(crate) async fn delete(
    registry: &Registry,
    delete: &Permit<Delete>,
    digest: Digest,
) -> Result<Response<Body>, ApiError> {
    registry.delete_blob(delete, digest).await?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::ACCEPTED;
    response.headers_mut().insert(headers::CONTENT_DIGEST, headers::value(digest.to_string()));
    Ok(response)
}

async fn whole(file: File, size: u64, digest: &Digest, transport: Transport) -> Result<Response<Body>, ApiError> {
    Ok(respond(StatusCode::OK, digest, read(file, 0..size, transport).await?))
}

async fn part(
    file: File,
    range: Range<u64>,
    size: u64,
    digest: &Digest,
    transport: Transport,
) -> Result<Response<Body>, ApiError> {
    let content_range = content_range(&range, size);
    let mut response = respond(StatusCode::PARTIAL_CONTENT, digest, read(file, range, transport).await?);
    response.headers_mut().insert(header::CONTENT_RANGE, headers::value(content_range));
    Ok(response)
}

async fn read(file: File, range: Range<u64>, transport: Transport) -> Result<Body, ApiError> {
    Body::from_file(file, range, transport).await.map_err(ApiError::from)
}

fn respond(status: StatusCode, digest: &Digest, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().reserve(headers::USUAL);
    response.headers_mut().extend(headers::identity(digest));
    response.headers_mut().extend([
        (header::CONTENT_TYPE, headers::OCTET_STREAM),
        (header::ACCEPT_RANGES, headers::BYTES),
        (header::CACHE_CONTROL, FOR_EVER),
    ]);
    response
}

fn unsatisfiable(asked: &str, size: u64) -> ApiError {
    let message = format!("range {asked:.100} is not within the blob's {size} bytes");
    let error = ApiError::not_satisfiable(message);
    error.with(header::CONTENT_RANGE, headers::value(format!("bytes */{size}")))
}

fn content_range(range: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.start, range.end - 1)
}
