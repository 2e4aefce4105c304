//! `/v1/repositories/...`: deleting a repository, bringing back what was deleted, and ending its window.

use bytes::Bytes;
use cargohold_access::{Caller, Delete, Gate, Permit};
use cargohold_oci::{ErrorCode, Reference, RepositoryName};
use cargohold_registry::{Registry, TakenAlong, Undeleted};
use http::{Request, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{json, time};
use crate::error::ApiError;

/// What a request's body says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    repository: String,
    /// A tag or a digest; without one the repository is meant.
    reference: Option<String>,
}

/// What is to be deleted, brought back or purged, and leave to do it.
pub(super) struct Wanted {
    permit: Permit<Delete>,
    /// Without one the repository is meant.
    reference: Option<Reference>,
}

impl Wanted {
    pub(super) fn read(gate: &Gate, caller: &Caller, request: &Request<Bytes>) -> Result<Self, ApiError> {
        let named: Named = serde_json::from_slice(request.body()).map_err(|error| {
            let wanted = r#"{"repository": "<name>", "reference": "<tag or digest, if not all of it>"}"#;
            ApiError::invalid(ErrorCode::Unsupported, format!("the body is not {wanted}: {error}"))
        })?;
        let repository = RepositoryName::parse(&named.repository)
            .map_err(|error| ApiError::invalid(ErrorCode::NameInvalid, error.to_string()))?;
        let reference = named.reference.as_deref().map(Reference::parse).transpose();
        let reference = reference.map_err(|error| ApiError::invalid(ErrorCode::TagInvalid, error.to_string()))?;
        Ok(Self { permit: gate.permit(caller, repository)?, reference })
    }

    /// The answer: what it was, and what became of it.
    fn answer(&self, mut outcome: Value) -> Response<Bytes> {
        outcome["repository"] = self.permit.repository().as_str().into();
        outcome["reference"] = self.reference.as_ref().map(ToString::to_string).into();
        json(&outcome)
    }
}

pub(super) async fn delete(registry: &Registry, wanted: &Wanted) -> Result<Response<Bytes>, ApiError> {
    let Wanted { permit, reference } = wanted;
    let (taken, until) = match reference {
        None => (TakenAlong::default(), registry.delete_repository(permit).await?),
        Some(reference) => (registry.delete_manifest(permit, reference).await?, registry.undo_window().until),
    };
    Ok(wanted.answer(json!({
        "manifests_with_it": taken.manifests,
        "tags_with_it": taken.tags,
        "restorable_until": time(until),
    })))
}

pub(super) async fn undelete(registry: &Registry, wanted: &Wanted) -> Result<Response<Bytes>, ApiError> {
    let Wanted { permit, reference } = wanted;
    let Undeleted { manifests, tags } = match reference {
        None => {
            registry.undelete_repository(permit).await?;
            Undeleted::default()
        }
        Some(reference) => registry.undelete_manifest(permit, reference).await?,
    };
    Ok(wanted.answer(json!({ "manifests": manifests, "tags": tags })))
}

pub(super) async fn purge(registry: &Registry, wanted: &Wanted) -> Result<Response<Bytes>, ApiError> {
    let purged = registry.purge(&wanted.permit, wanted.reference.as_ref()).await?;
    Ok(wanted.answer(json!({ "purged": purged })))
}
