//! `/v1/repositories/...`: deleting a repository, bringing back what was deleted, and ending its window.

use bytes::Bytes;
use cargohold_access::{Caller, Delete, Gate, Permit};
use cargohold_oci::{ErrorCode, Reference, RepositoryName};
use cargohold_registry::{Registry, TakenAlong, Undeleted};
use http::{Request, Response};
use serde::Deserialize;
use serde_json::json;

use super::{json, time};
use crate::error::ApiError;

/// What is to be deleted, brought back or purged.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    repository: String,
    /// A tag or a digest; without one the repository is meant.
    reference: Option<String>,
}

pub(super) async fn delete(
    registry: &Registry,
    gate: &Gate,
    caller: Caller,
    request: &Request<Bytes>,
) -> Result<Response<Bytes>, ApiError> {
    let (permit, reference) = read(gate, caller, request)?;
    let (taken, until) = match &reference {
        None => (TakenAlong::default(), registry.delete_repository(&permit).await?),
        Some(reference) => (registry.delete_manifest(&permit, reference).await?, registry.undo_window().until),
    };
    Ok(json(&json!({
        "repository": permit.repository().as_str(),
        "reference": reference.map(|reference| reference.to_string()),
        "manifests_with_it": taken.manifests,
        "tags_with_it": taken.tags,
        "restorable_until": time(until),
    })))
}

pub(super) async fn undelete(
    registry: &Registry,
    gate: &Gate,
    caller: Caller,
    request: &Request<Bytes>,
) -> Result<Response<Bytes>, ApiError> {
    let (permit, reference) = read(gate, caller, request)?;
    let Undeleted { manifests, tags } = match &reference {
        None => {
            registry.undelete_repository(&permit).await?;
            Undeleted::default()
        }
        Some(reference) => registry.undelete_manifest(&permit, reference).await?,
    };
    Ok(json(&json!({
        "repository": permit.repository().as_str(),
        "reference": reference.map(|reference| reference.to_string()),
        "manifests": manifests,
        "tags": tags,
    })))
}

pub(super) async fn purge(
    registry: &Registry,
    gate: &Gate,
    caller: Caller,
    request: &Request<Bytes>,
) -> Result<Response<Bytes>, ApiError> {
    let (permit, reference) = read(gate, caller, request)?;
    let purged = registry.purge(&permit, reference.as_ref()).await?;
    Ok(json(&json!({
        "repository": permit.repository().as_str(),
        "reference": reference.map(|reference| reference.to_string()),
        "purged": purged,
    })))
}

fn read(
    gate: &Gate,
    caller: Caller,
    request: &Request<Bytes>,
) -> Result<(Permit<Delete>, Option<Reference>), ApiError> {
    let named: Named = serde_json::from_slice(request.body()).map_err(|error| {
        let wanted = r#"{"repository": "<name>", "reference": "<tag or digest, if not all of it>"}"#;
        ApiError::invalid(ErrorCode::Unsupported, format!("the body is not {wanted}: {error}"))
    })?;
    let repository = RepositoryName::parse(&named.repository)
        .map_err(|error| ApiError::invalid(ErrorCode::NameInvalid, error.to_string()))?;
    let reference = named.reference.as_deref().map(Reference::parse).transpose();
    let reference = reference.map_err(|error| ApiError::invalid(ErrorCode::TagInvalid, error.to_string()))?;
    Ok((gate.permit(caller, repository), reference))
}
