//! GET: where a session stands.

use cargohold_access::{Permit, Push};
use cargohold_oci::UploadId;
use cargohold_registry::Registry;
use http::{Response, StatusCode};

use super::continued;
use crate::{Body, error::ApiError};

pub(crate) async fn get(registry: &Registry, push: &Permit<Push>, id: UploadId) -> Result<Response<Body>, ApiError> {
    let received = registry.upload_status(push, id).await?;
    Ok(continued(StatusCode::NO_CONTENT, push.repository(), id, received))
}
