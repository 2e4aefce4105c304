//! `/v1/backups`: a copy of the facts is about to be taken, so the bytes that it names are kept.

use std::time::Duration;

use bytes::Bytes;
use cargohold_access::OperatorPermit;
use cargohold_oci::ErrorCode;
use cargohold_registry::Registry;
use http::{Request, Response};
use serde::Deserialize;
use serde_json::json;

use super::{json, time};
use crate::error::ApiError;

/// For how long they are kept.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keep {
    keep_seconds: u64,
}

pub(super) async fn record(
    registry: &Registry,
    operator: &OperatorPermit,
    request: &Request<Bytes>,
) -> Result<Response<Bytes>, ApiError> {
    let keep: Keep = serde_json::from_slice(request.body()).map_err(|error| {
        ApiError::invalid(ErrorCode::Unsupported, format!(r#"the body is not {{"keep_seconds": <number>}}: {error}"#))
    })?;
    let kept = registry.record_backup(operator, Duration::from_secs(keep.keep_seconds)).await?;
    Ok(json(&json!({ "taken_at": time(kept.now), "keep_until": time(kept.until) })))
}
