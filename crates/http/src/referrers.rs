//! `/v2/<name>/referrers/<digest>`: what was attached to a manifest.
//!
//! Source: OCI distribution specification, "Listing Referrers". Never 404: nothing attached is an empty list, also where there is
//! no such subject or repository.

use std::{borrow::Cow, collections::BTreeMap};

use cargohold_access::{Permit, Pull};
use cargohold_oci::{Digest, ErrorCode, Path, media_type::OCI_IMAGE_INDEX};
use cargohold_registry::{Place, Referrer, Registry};
use http::{HeaderValue, Response, header};
use serde::Serialize;

use crate::{Body, error::ApiError, headers, query::Query};

/// Referrers that one look at the database brings.
const STEP: u16 = 100;
/// Bytes of descriptors after which a page ends: clients take answers of at most 4 MiB.
const PAGE: usize = 3 * 1024 * 1024;

/// What a list says of one manifest in it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'r> {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'r BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'r str>,
    digest: &'r Digest,
    media_type: &'r str,
    size: u64,
}

pub(crate) async fn get(
    registry: &Registry,
    pull: &Permit<Pull>,
    subject: &Digest,
    query: Query<'_>,
) -> Result<Response<Body>, ApiError> {
    // containerd repeats it, once for each type that it wants.
    let wanted: Vec<_> = query.all("artifactType").collect();
    let (descriptors, more) = page(registry, pull, subject, &wanted, after(query)?).await?;
    let beginning = format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_IMAGE_INDEX}","manifests":["#);
    let mut response = Response::new(Body::full([&beginning, descriptors.join(",").as_str(), "]}"].concat()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(OCI_IMAGE_INDEX));
    if !wanted.is_empty() {
        response.headers_mut().insert(headers::FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
    }
    if let Some(last) = more {
        let path = Path::Referrers { name: pull.repository().clone(), digest: *subject };
        let next = wanted
            .iter()
            .fold(format!("last={last}"), |next, wanted| format!("{next}&artifactType={}", Query::encode(wanted)));
        response.headers_mut().insert(header::LINK, headers::next_page(&path, &next));
    }
    Ok(response)
}

/// Descriptors, as JSON, until the page is full, and where to go on if there may be more.
async fn page(
    registry: &Registry,
    pull: &Permit<Pull>,
    subject: &Digest,
    wanted: &[Cow<'_, str>],
    mut after: Place,
) -> Result<(Vec<String>, Option<Place>), ApiError> {
    let (mut descriptors, mut bytes) = (Vec::new(), 0);
    loop {
        let found = registry.list_referrers(pull, subject, after, STEP).await?;
        let full_step = found.len() == usize::from(STEP);
        for referrer in found {
            if wanted.is_empty() || wanted.iter().any(|wanted| referrer.artifact_type.as_deref() == Some(wanted)) {
                let descriptor = descriptor(&referrer);
                if bytes > 0 && bytes + descriptor.len() > PAGE {
                    return Ok((descriptors, Some(after)));
                }
                bytes += descriptor.len();
                descriptors.push(descriptor);
            }
            after = referrer.place;
        }
        if !full_step {
            return Ok((descriptors, None));
        }
        tokio::task::yield_now().await;
    }
}

fn descriptor(referrer: &Referrer) -> String {
    let Referrer { media_type, digest, size, artifact_type, annotations, .. } = referrer;
    let artifact_type = artifact_type.as_deref();
    let descriptor = Descriptor { annotations, artifact_type, digest, media_type, size: *size };
    serde_json::to_string(&descriptor).expect("its keys are texts")
}

/// Where the page begins: what a `Link` of ours says.
pub(crate) fn after(query: Query<'_>) -> Result<Place, ApiError> {
    let Some(text) = query.first("last") else { return Ok(Place::BEGINNING) };
    text.parse().map_err(|_| {
        let message = format!("last={text:.100} is not where a page of referrers ends: follow the Link header");
        ApiError::invalid(ErrorCode::PaginationNumberInvalid, message)
    })
}
