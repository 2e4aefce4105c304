//! PUT: the last chunk, or none, and the digest of the whole.

use cargohold_access::{Permit, Push};
use cargohold_oci::{ErrorCode, UploadId};
use cargohold_registry::Registry;
use http::{Request, Response};

use super::{created, digest, placement, refused};
use crate::{Body, error::ApiError, query::Query, request_body::RequestBody};

pub(crate) async fn put(
    registry: &Registry,
    push: &Permit<Push>,
    id: UploadId,
    request: Request<RequestBody>,
) -> Result<Response<Body>, ApiError> {
    // Refused before anything is read, so that the session is as it was and the PUT can be repeated.
    let Some(digest) = digest(Query::of(request.uri()))? else {
        let message = "the request must name the blob's digest, as in ?digest=sha256:<64 hexadecimal digits>";
        return Err(ApiError::invalid(ErrorCode::DigestInvalid, message));
    };
    let placement = placement(request.headers())?;
    let content = request.into_body().content();
    let finished = registry.finish_upload(push, id, digest, placement, content).await;
    finished.map_err(|refusal| refused(refusal, push.repository(), id))?;
    Ok(created(push.repository(), digest))
}
