//! DELETE: ends a session in nothing.

use cargohold_access::{Permit, Push};
use cargohold_oci::UploadId;
use cargohold_registry::Registry;
use http::{Response, StatusCode};

use crate::{Body, error::ApiError};

pub(crate) async fn delete(registry: &Registry, push: &Permit<Push>, id: UploadId) -> Result<Response<Body>, ApiError> {
    registry.cancel_upload(push, id).await?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}
