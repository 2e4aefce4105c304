//! `/v1/status`: how the server is.

use std::sync::Arc;

use bytes::Bytes;
use cargohold_access::OperatorPermit;
use cargohold_registry::{Count, Overview, Registry, Timestamp};
use http::Response;
use serde_json::{Value, json};

use super::{json, time};
use crate::{Health, HttpMetrics, error::ApiError};

/// The server that answers.
#[derive(Clone, Debug)]
pub struct Running {
    /// Of the program.
    pub version: &'static str,
    /// When it started.
    pub started_at: Timestamp,
    /// Where it listens.
    pub address: String,
    /// What it counts.
    pub metrics: Arc<HttpMetrics>,
    /// Whether it is well.
    pub health: Health,
}

pub(super) async fn status(
    registry: &Registry,
    operator: &OperatorPermit,
    running: &Running,
) -> Result<Response<Bytes>, ApiError> {
    let overview = registry.overview(operator).await?;
    Ok(json(&answer(running, &overview)))
}

fn answer(running: &Running, overview: &Overview) -> Value {
    let traffic = running.metrics.traffic();
    let Overview { data, uploads, sweep, scrub, disk, stores_away, bytes_given_back } = overview;
    json!({
        "version": running.version,
        "process": std::process::id(),
        "started_at": time(running.started_at),
        "address": running.address,
        "data": data.map(|data| json!({
            "repositories": data.repositories,
            "manifests": data.manifests,
            "blobs": data.blobs,
            "bytes": data.bytes,
            "counted_at": time(Timestamp::from_micros(data.counted_at)),
        })),
        "traffic": {
            "requests": traffic.requests,
            "client_errors": traffic.client_errors,
            "server_errors": traffic.server_errors,
            "in_flight": traffic.in_flight,
            "connections": traffic.connections,
            "received_bytes": traffic.received,
            "sent_bytes": traffic.sent,
        },
        "uploads": count(*uploads),
        "sweep": {
            "candidates": count(sweep.candidates_in_all),
            "first_review": sweep.first_review.map(time),
            "discarded": count(sweep.discarded),
            "discarded_bytes": sweep.discarded_bytes,
            "first_deletion": sweep.first_deletion.map(time),
            "given_back_bytes": bytes_given_back,
        },
        "scrub": {
            "every_seconds": scrub.every.as_secs(),
            "oldest": scrub.oldest.map(time),
            "objects": scrub.objects,
            "bytes": scrub.bytes,
            "findings": scrub.findings,
        },
        "disk": disk.map(|disk| json!({
            "size_bytes": disk.size,
            "free_bytes": disk.free,
            "reserve_bytes": disk.reserve,
        })),
        "stores_away": stores_away,
    })
}

fn count(count: Count) -> Value {
    json!({ "count": count.counted, "or_more": count.or_more })
}
