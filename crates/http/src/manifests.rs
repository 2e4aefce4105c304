//! `/v2/<name>/manifests/<reference>`: manifests, byte for byte.

use bytes::{Bytes, BytesMut};
use cargohold_access::{Permit, Pull, Push};
use cargohold_oci::{Digest, ErrorCode, MAX_MANIFEST_BYTES, Path, Reference};
use cargohold_registry::Registry;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};

use crate::{Body, conditional, error::ApiError, headers};

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
    Ok(respond(request, &manifest.digest, &manifest.media_type, manifest.bytes))
}

pub(crate) async fn put(
    registry: &Registry,
    push: &Permit<Push>,
    reference: &Reference,
    request: Request<Incoming>,
) -> Result<Response<Body>, ApiError> {
    let (head, body) = request.into_parts();
    let bytes = read(body).await?;
    let content_type = headers::text(&head.headers, header::CONTENT_TYPE);
    let digest = registry.put_manifest(push, reference, content_type, bytes).await?;
    let location = Path::Manifest { name: push.repository().clone(), reference: Reference::Digest(digest) };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::CREATED;
    response.headers_mut().extend([
        (header::LOCATION, headers::value(location.to_string())),
        (headers::CONTENT_DIGEST, headers::value(digest.to_string())),
    ]);
    Ok(response)
}

/// What is stored is served, whatever `Accept` says: clients compare digests, and converting would change them.
fn respond(request: &HeaderMap, digest: &Digest, media_type: &str, bytes: Bytes) -> Response<Body> {
    let has = conditional::client_has(request, digest);
    let mut response = Response::new(if has { Body::empty() } else { Body::full(bytes) });
    if has {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    response.headers_mut().extend([
        (header::CONTENT_TYPE, headers::value(media_type)),
        (headers::CONTENT_DIGEST, headers::value(digest.to_string())),
        (header::ETAG, headers::entity_tag(digest)),
    ]);
    response
}

/// The whole body, which may come without a `Content-Length`, up to the size that a manifest may have.
async fn read(mut body: Incoming) -> Result<Bytes, ApiError> {
    let announced = body.size_hint().lower();
    if announced > MAX_MANIFEST_BYTES as u64 {
        return Err(too_large());
    }
    let mut bytes = BytesMut::with_capacity(usize::try_from(announced).unwrap_or_default());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let message = format!("the request's body broke off: {error}");
            ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::ManifestInvalid, message)
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > MAX_MANIFEST_BYTES {
            return Err(too_large());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

fn too_large() -> ApiError {
    let message = format!("the manifest is larger than the {MAX_MANIFEST_BYTES} bytes that are allowed");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::SizeInvalid, message)
}
