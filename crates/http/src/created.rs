//! 201: something is there now that was not.

use cargohold_oci::{Digest, Path};
use http::{Response, StatusCode, header};

use crate::{Body, headers};

/// Says where it can be pulled, and by which digest.
pub(crate) fn created(location: &Path, digest: Digest) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::CREATED;
    response.headers_mut().extend([
        (header::LOCATION, headers::value(location.to_string())),
        (headers::CONTENT_DIGEST, headers::value(digest.to_string())),
    ]);
    response
}
