//! PATCH: a chunk, or everything in one stream.

use cargohold_access::{Permit, Push};
use cargohold_oci::UploadId;
use cargohold_registry::Registry;
use http::{Request, Response, StatusCode};

use super::{continued, placement, refused};
use crate::{Body, error::ApiError, request_body::RequestBody};

pub(crate) async fn patch(
    registry: &Registry,
    push: &Permit<Push>,
    id: UploadId,
    request: Request<RequestBody>,
) -> Result<Response<Body>, ApiError> {
    let placement = placement(request.headers())?;
    let content = request.into_body().content();
    let appended = registry.append(push, id, placement, content).await;
    let received = appended.map_err(|refusal| refused(refusal, push.repository(), id))?;
    Ok(continued(StatusCode::ACCEPTED, push.repository(), id, received))
}
