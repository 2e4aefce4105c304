//! `/v1/notifications`: how endpoints are doing, what they could not be told, and another try.

use bytes::Bytes;
use cargohold_access::OperatorPermit;
use cargohold_oci::ErrorCode;
use cargohold_registry::{Count, EndpointState, EndpointStatus, FailedEvent, Redelivery, Registry};
use http::{Request, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{json, time};
use crate::{error::ApiError, query::Query};

/// Failures that are told of each endpoint, unless `n` says otherwise.
const PAGE: u16 = 50;
/// The most that are told.
const MOST: u16 = 1000;

/// What a request for another try says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Without one all are meant.
    endpoint: Option<String>,
    /// Without one all that were given up are meant.
    event: Option<i64>,
}

pub(super) async fn status(registry: &Registry, operator: &OperatorPermit) -> Result<Response<Bytes>, ApiError> {
    let endpoints = registry.endpoints(operator).await?;
    Ok(json(&json!({ "endpoints": endpoints.iter().map(endpoint).collect::<Vec<_>>() })))
}

pub(super) async fn failures(
    registry: &Registry,
    operator: &OperatorPermit,
    query: Query<'_>,
) -> Result<Response<Bytes>, ApiError> {
    let limit = query.page_size()?.map_or(PAGE, |n| u16::try_from(n).unwrap_or(MOST).min(MOST));
    let failed = registry.failed_events(operator, query.first("endpoint").as_deref(), limit).await?;
    Ok(json(&json!({ "failures": failed.iter().map(failure).collect::<Vec<_>>() })))
}

pub(super) async fn redeliver(
    registry: &Registry,
    operator: &OperatorPermit,
    request: &Request<Bytes>,
) -> Result<Response<Bytes>, ApiError> {
    let wanted: Wanted = serde_json::from_slice(request.body()).map_err(|error| {
        let wanted = r#"{"endpoint": "<name, if not all>", "event": <number, if not all>}"#;
        ApiError::invalid(ErrorCode::Unsupported, format!("the body is not {wanted}: {error}"))
    })?;
    let again = registry.redeliver(operator, &Redelivery { endpoint: wanted.endpoint, event: wanted.event }).await?;
    Ok(json(&json!({ "tried_again": again })))
}

fn endpoint(status: &EndpointStatus) -> Value {
    let (state, failures, next_try) = match status.state {
        EndpointState::Well => ("well", 0, None),
        EndpointState::Failing { failures, next_try } => ("failing", failures, next_try),
        EndpointState::Gone => ("gone", 0, None),
        EndpointState::Disabled => ("disabled", 0, None),
        EndpointState::Unknown => ("not configured", 0, None),
    };
    json!({
        "name": status.name,
        "state": state,
        "failures_in_a_row": failures,
        "next_try": next_try.map(time),
        "pending": count(status.pending),
        "oldest": status.oldest.map(time),
        "given_up": count(status.given_up),
        "dropped": status.dropped,
        "delivered": status.delivered,
        "failed": status.failed,
        "pulls_pending": status.pulls_pending,
        "pulls_lost": status.pulls_lost,
        "last_success": status.last_success.map(time),
        "last_failure": status.last_failure.as_ref().map(|(at, _)| time(*at)),
        "error": status.last_failure.as_ref().map(|(_, reason)| reason),
    })
}

fn count(count: Count) -> Value {
    json!({ "count": count.counted, "or_more": count.or_more })
}

fn failure(failed: &FailedEvent) -> Value {
    let FailedEvent { endpoint, delivery } = failed;
    json!({
        "endpoint": endpoint,
        "event": delivery.event.number(),
        "happened_at": time(delivery.at),
        "attempts": delivery.attempts,
        "attempted_at": delivery.attempted_at.map(time),
        "error": delivery.error,
        "given_up": delivery.given_up,
        // What is sent, as it is sent.
        "body": serde_json::from_str::<Value>(&delivery.body).unwrap_or_default(),
    })
}
