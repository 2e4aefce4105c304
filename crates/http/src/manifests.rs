//! `/v2/<name>/manifests/<reference>`: manifests, byte for byte.

use bytes::Bytes;
use cargohold_access::{Delete, Permit, Pull, Push};
use cargohold_oci::{Digest, ErrorCode, Path, Reference, Tag};
use cargohold_registry::{Pulled, Registry};
use http::{HeaderMap, Request, Response, StatusCode, header};

use crate::{
    Body, conditional, created::created, error::ApiError, headers, query::Query, request_body::RequestBody, warnings,
};

/// Tags that one request may give beside a digest; the specification asks for 10 at least.
const MOST_TAGS: usize = 100;

pub(crate) async fn head(
    registry: &Registry,
    pull: &Permit<Pull>,
    reference: &Reference,
    request: &HeaderMap,
) -> Result<Response<Body>, ApiError> {
    let manifest = registry.stat_manifest(pull, reference).await?;
    let mut response = respond(request, &manifest.digest, &manifest.media_type, Bytes::new());
    if response.status() == StatusCode::OK {
        response.headers_mut().insert(header::CONTENT_LENGTH, manifest.size.into());
        // What it refers to is in its bytes, which nobody else asks for here.
        let is_read = registry.tells_references();
        let read = if is_read { Some(registry.pull_manifest(pull, reference).await?) } else { None };
        let bytes = read.as_ref().map(|manifest| manifest.bytes.as_ref());
        let (digest, size, media_type) = (manifest.digest, manifest.size, manifest.media_type.as_str());
        registry.note_pull(pull, Pulled::Manifest { digest, size, media_type, tag: tag(reference), bytes });
    }
    Ok(response)
}

pub(crate) async fn get(
    registry: &Registry,
    pull: &Permit<Pull>,
    reference: &Reference,
    request: &HeaderMap,
) -> Result<Response<Body>, ApiError> {
    let manifest = registry.pull_manifest(pull, reference).await?;
    let response = respond(request, &manifest.digest, &manifest.media_type, manifest.bytes.clone());
    if response.status() == StatusCode::OK {
        let (digest, media_type, bytes) = (manifest.digest, manifest.media_type.as_str(), &manifest.bytes);
        let (size, tag, bytes) = (bytes.len() as u64, tag(reference), Some(bytes.as_ref()));
        registry.note_pull(pull, Pulled::Manifest { digest, size, media_type, tag, bytes });
    }
    Ok(response)
}

/// The tag that something was asked for by.
fn tag(reference: &Reference) -> Option<&Tag> {
    match reference {
        Reference::Tag(tag) => Some(tag),
        Reference::Digest(_) => None,
    }
}

pub(crate) async fn put(
    registry: &Registry,
    push: &Permit<Push>,
    reference: &Reference,
    request: Request<RequestBody>,
) -> Result<Response<Body>, ApiError> {
    let (head, body) = request.into_parts();
    let tags = tags(reference, Query::of(&head.uri))?;
    let bytes = read(body, registry.manifest_bytes()).await?;
    let content_type = headers::text(&head.headers, header::CONTENT_TYPE);
    let put = registry.put_manifest(push, reference, tags.clone(), content_type, bytes).await?;
    let location = Path::Manifest { name: push.repository().clone(), reference: Reference::Digest(put.digest) };
    let mut response = created(&location, put.digest);
    if let Some(subject) = put.subject {
        // Tells clients that they need not keep a list of referrers under a tag themselves.
        response.headers_mut().insert(headers::SUBJECT, headers::value(subject.to_string()));
    }
    for tag in tags {
        response.headers_mut().append(headers::TAG, headers::value(tag.as_str()));
    }
    if let Some(first) = put.absent.first() {
        let text = format!(
            "the manifest was stored without {} that it refers to and that repository {} does not have: {first}{}",
            count(put.absent.len(), "blob or manifest", "blobs or manifests"),
            push.repository(),
            if put.absent.len() > 1 { " and others" } else { "" },
        );
        warnings::warn(response.headers_mut(), &text);
    }
    Ok(response)
}

/// Removes a tag, or a manifest with its tags and what only it kept.
pub(crate) async fn delete(
    registry: &Registry,
    delete: &Permit<Delete>,
    reference: &Reference,
) -> Result<Response<Body>, ApiError> {
    let along = registry.delete_manifest(delete, reference).await?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::ACCEPTED;
    if along.manifests > 0 {
        let manifests = count(along.manifests, "manifest", "manifests");
        let tags = count(along.tags, "tag", "tags");
        let text = format!("{manifests} that only this one kept, and {tags}, were deleted with it");
        warnings::warn(response.headers_mut(), &text);
    }
    Ok(response)
}

fn count(number: usize, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

/// The tags that a manifest gets beside its digest: `?tag=a&tag=b` (OCI distribution specification, "Pushing Manifests").
pub(crate) fn tags(reference: &Reference, query: Query<'_>) -> Result<Vec<Tag>, ApiError> {
    let Reference::Digest(_) = reference else { return Ok(Vec::new()) };
    let mut tags = Vec::new();
    for text in query.all("tag") {
        let tag = Tag::parse(&text).map_err(|error| ApiError::invalid(ErrorCode::TagInvalid, error.to_string()))?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
        if tags.len() > MOST_TAGS {
            let message = format!("more than {MOST_TAGS} tags in one request: push the rest in another one");
            return Err(ApiError::asks_too_much(ErrorCode::TagInvalid, message));
        }
    }
    Ok(tags)
}

/// What is stored is served, whatever `Accept` says: clients compare digests, and converting would change them.
fn respond(request: &HeaderMap, digest: &Digest, media_type: &str, bytes: Bytes) -> Response<Body> {
    let has = conditional::client_has(request, digest);
    let mut response = Response::new(if has { Body::empty() } else { Body::full(bytes) });
    if has {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    response.headers_mut().reserve(headers::USUAL);
    response.headers_mut().insert(header::CONTENT_TYPE, headers::value(media_type));
    response.headers_mut().extend(headers::identity(digest));
    response
}

/// The whole body, which may come without a `Content-Length`, up to the size that a manifest may have.
async fn read(body: RequestBody, most: usize) -> Result<Bytes, ApiError> {
    if body.announced() > most as u64 {
        return Err(too_large(most));
    }
    let bytes = body.whole(most).await;
    let bytes = bytes.map_err(|broken| ApiError::broken_body(ErrorCode::ManifestInvalid, broken))?;
    bytes.ok_or_else(|| too_large(most))
}

fn too_large(most: usize) -> ApiError {
    let message = format!("the manifest is larger than the {most} bytes that are allowed");
    ApiError::too_large(message)
}
