//! `/v2/<name>/blobs/uploads/`: upload sessions, one file for each step.

pub(crate) mod append;
pub(crate) mod cancel;
pub(crate) mod finish;
pub(crate) mod start;
pub(crate) mod status;

use cargohold_oci::{Digest, ErrorCode, Path, RepositoryName, UploadId};
use cargohold_registry::{Error as Refusal, Placement};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use crate::{Body, content_range, created, error::ApiError, headers, query::Query};

/// Where a session stands: `Location`, `Range` and id, on every answer about one that goes on.
fn session(name: &RepositoryName, id: UploadId, received: u64) -> [(HeaderName, HeaderValue); 3] {
    let location = Path::Upload { name: name.clone(), id };
    [
        (header::LOCATION, headers::value(location.to_string())),
        // Inclusive, so nothing received cannot be said; clients need a last byte and take this one.
        (header::RANGE, headers::value(format!("0-{}", received.saturating_sub(1)))),
        (headers::UPLOAD_UUID, headers::value(id.to_string())),
    ]
}

/// An answer about a session that goes on.
fn continued(status: StatusCode, name: &RepositoryName, id: UploadId, received: u64) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().extend(session(name, id, received));
    response
}

/// The repository has the blob.
fn created(name: &RepositoryName, digest: Digest) -> Response<Body> {
    created::created(&Path::Blob { name: name.clone(), digest }, digest)
}

/// A refusal that leaves the session as it was says where it stands, so that the client can go on from there.
fn refused(refusal: Refusal, name: &RepositoryName, id: UploadId) -> ApiError {
    match refusal {
        Refusal::OutOfOrder { received } | Refusal::Superseded { received } => {
            let headers = session(name, id, received);
            headers.into_iter().fold(refusal.into(), |error: ApiError, (name, value)| error.with(name, value))
        }
        refusal => refusal.into(),
    }
}

/// Where the body of a request belongs.
pub(crate) fn placement(request: &HeaderMap) -> Result<Placement, ApiError> {
    let Some(value) = request.get(header::CONTENT_RANGE) else { return Ok(Placement::default()) };
    let text = String::from_utf8_lossy(value.as_bytes());
    let Some(range) = content_range::parse(&text) else {
        let message = format!("Content-Range {text:.100} is not <first byte>-<last byte>, as in 0-511");
        return Err(ApiError::invalid(ErrorCode::BlobUploadInvalid, message));
    };
    let length = range.end() - range.start() + 1;
    match headers::text(request, header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok()) {
        Some(brought) if brought != length => Err(Refusal::WrongLength { announced: length, brought }.into()),
        _ => Ok(Placement { start: Some(*range.start()), length: Some(length) }),
    }
}

/// The digest that a request names in its query.
pub(crate) fn digest(query: Query<'_>) -> Result<Option<Digest>, ApiError> {
    query.first("digest").map(|text| parse_digest(&text)).transpose()
}

fn parse_digest(text: &str) -> Result<Digest, ApiError> {
    Digest::parse(text).map_err(|error| ApiError::invalid(ErrorCode::DigestInvalid, error.to_string()))
}
