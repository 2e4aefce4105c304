//! `/v2/_oci/ext/discover` and `/v2/<name>/_oci/ext/discover`: what this registry has beyond the specification.
//!
//! Source: OCI distribution specification, "Extensions".

use cargohold_access::{Permit, Pull};
use cargohold_registry::Registry;
use http::{Response, header};
use serde::Serialize;

use crate::{Body, error::ApiError, headers};

#[derive(Serialize)]
struct Extensions {
    extensions: &'static [Extension],
}

#[derive(Serialize)]
struct Extension {
    name: &'static str,
    url: &'static str,
    description: &'static str,
    endpoints: &'static [&'static str],
}

const DISCOVER: Extension = Extension {
    name: "_oci",
    url: "https://github.com/opencontainers/distribution-spec/blob/main/extensions/_oci.md",
    description: "Tells which extensions there are",
    endpoints: &["_oci/ext/discover"],
};

const CATALOG: Extension = Extension {
    name: "_catalog",
    url: "https://distribution.github.io/distribution/spec/api/#listing-repositories",
    description: "Lists the repositories",
    endpoints: &["_catalog"],
};

/// What the registry as a whole has.
pub(crate) fn registry() -> Response<Body> {
    respond(&[DISCOVER, CATALOG])
}

/// What a repository has.
pub(crate) async fn repository(registry: &Registry, pull: &Permit<Pull>) -> Result<Response<Body>, ApiError> {
    registry.require_repository(pull).await?;
    Ok(respond(&[DISCOVER]))
}

fn respond(extensions: &'static [Extension]) -> Response<Body> {
    let body = serde_json::to_string(&Extensions { extensions }).expect("strings are JSON");
    let mut response = Response::new(Body::full(body));
    response.headers_mut().insert(header::CONTENT_TYPE, headers::JSON);
    response
}
