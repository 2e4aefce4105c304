//! `/v1/sweep`: what the sweep has before it, and why.

use bytes::Bytes;
use cargohold_access::OperatorPermit;
use cargohold_registry::{CandidateStatus, Count, Reason, Registry};
use http::Response;
use serde::Serialize;
use serde_json::{Value, json};

use super::{json, time};
use crate::{error::ApiError, query::Query};

/// Candidates that are told, unless `n` says otherwise.
const PAGE: u16 = 50;
/// The most that are told.
const MOST: u16 = 1000;

#[derive(Serialize)]
struct Answer {
    candidates: Value,
    first_review: Option<String>,
    discarded: Value,
    discarded_bytes: u64,
    first_deletion: Option<String>,
    next: Vec<Value>,
}

pub(super) async fn status(
    registry: &Registry,
    operator: &OperatorPermit,
    query: Query<'_>,
) -> Result<Response<Bytes>, ApiError> {
    let limit = query.page_size()?.map_or(PAGE, |n| u16::try_from(n).unwrap_or(MOST).min(MOST));
    let status = registry.sweep_status(operator, limit).await?;
    Ok(json(&Answer {
        candidates: count(status.candidates_in_all),
        first_review: status.first_review.map(time),
        discarded: count(status.discarded),
        discarded_bytes: status.discarded_bytes,
        first_deletion: status.first_deletion.map(time),
        next: status.candidates.iter().map(candidate).collect(),
    }))
}

fn count(count: Count) -> Value {
    json!({ "count": count.counted, "or_more": count.or_more })
}

fn candidate(candidate: &CandidateStatus) -> Value {
    json!({
        "kind": candidate.kind,
        "repository": candidate.repository.as_ref().map(ToString::to_string),
        "digest": candidate.digest.map(|digest| digest.to_string()),
        "bytes": candidate.size,
        "review_after": time(candidate.review_after),
        "reason": reason(&candidate.reason),
        "purged": candidate.purged,
    })
}

/// Why it is a candidate, and still there, in words.
fn reason(reason: &Reason) -> String {
    match reason {
        Reason::Deleted(at) => format!("deleted at {}", time(*at)),
        Reason::Unreferenced(since) => format!("no manifest refers to it since {}", time(*since)),
        Reason::Unpublished(at) => format!("made at {} by an upload or a mount, and no manifest came", time(*at)),
        Reason::HeldByManifest(manifest) => format!("held by manifest {manifest}"),
        Reason::HeldByRepository(repository) => format!("held by repository {repository}"),
        Reason::InUse => "in use".to_owned(),
        Reason::Unneeded => "nothing needs it".to_owned(),
    }
}
