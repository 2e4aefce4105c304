//! POST: opens a session, mounts a blob of another repository, or takes a whole blob.

use cargohold_access::{Caller, Gate, Permit, Pull, Push};
use cargohold_oci::{Algorithm, Digest, ErrorCode, RepositoryName};
use cargohold_registry::{Content, Placement, Registry};
use futures_util::stream;
use http::{Request, Response, StatusCode};

use super::{continued, created, digest, parse_digest};
use crate::{Body, error::ApiError, query::Query, request_body::RequestBody};

pub(crate) async fn post(
    registry: &Registry,
    gate: &Gate,
    caller: &Caller,
    push: &Permit<Push>,
    request: Request<RequestBody>,
) -> Result<Response<Body>, ApiError> {
    let (head, body) = request.into_parts();
    let query = Query::of(&head.uri);
    if let Some(text) = query.first("mount") {
        let digest = parse_digest(&text)?;
        if mount(registry, gate, caller, query, push, digest).await? {
            return Ok(created(push.repository(), digest));
        }
        // A mount that cannot be done is no error: the client uploads into the session that it gets instead.
    } else if let Some(digest) = digest(query)?
        && let Some(content) = whole_blob(digest, body).await
    {
        registry.upload_blob(push, digest, Placement::default(), content).await?;
        return Ok(created(push.repository(), digest));
    }
    let id = registry.start_upload(push, algorithm(query)?).await?;
    Ok(continued(StatusCode::ACCEPTED, push.repository(), id, 0))
}

/// Mounts the blob from the repository that the request names, or, if it names none, from any that the caller may read.
async fn mount(
    registry: &Registry,
    gate: &Gate,
    caller: &Caller,
    query: Query<'_>,
    push: &Permit<Push>,
    digest: Digest,
) -> Result<bool, ApiError> {
    let Some(source) = query.first("from") else {
        let Some(anywhere) = gate.pull_anywhere(caller) else { return Ok(false) };
        return Ok(registry.mount_from_anywhere(&anywhere, push, digest).await?);
    };
    // A name that no repository has is one that has no such blob.
    let Ok(source) = RepositoryName::parse(&source) else { return Ok(false) };
    // A source that the caller may not read is one that has no such blob.
    let Ok(source) = gate.permit::<Pull>(caller, source) else { return Ok(false) };
    Ok(registry.mount(&source, push, digest).await?)
}

/// The body, if it is the blob of that digest. Some clients name a digest and bring no body: they want a session, unless what
/// they named is the empty blob.
async fn whole_blob(digest: Digest, body: RequestBody) -> Option<Content> {
    let content = body.content_if_any().await;
    let empty = || (digest == Digest::of(digest.algorithm(), b"")).then(|| Box::pin(stream::empty()) as Content);
    content.or_else(empty)
}

/// What the session hashes by as bytes arrive. Only a hint: the digest at the end decides.
pub(crate) fn algorithm(query: Query<'_>) -> Result<Algorithm, ApiError> {
    let Some(name) = query.first("digest-algorithm") else { return Ok(Algorithm::Sha256) };
    name.parse().map_err(|_| {
        let message = format!("digest-algorithm {name:.100} is not supported: use sha256 or sha512");
        ApiError::invalid(ErrorCode::DigestInvalid, message)
    })
}
