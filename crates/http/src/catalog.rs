//! `/v2/_catalog`: which repositories there are, in byte order. Docker's extension.

use cargohold_access::CatalogPermit;
use cargohold_oci::{Path, RepositoryName};
use cargohold_registry::Registry;
use http::{Response, header};
use serde_json::json;

use crate::{
    Body, Pages,
    error::ApiError,
    headers,
    query::{Query, comparable},
};

/// Repositories on a page if the client does not say.
const USUAL: u32 = 100;

pub(crate) async fn get(
    registry: &Registry,
    permit: &CatalogPermit,
    query: Query<'_>,
    pages: Pages,
) -> Result<Response<Body>, ApiError> {
    let most = u32::try_from(pages.repositories).unwrap_or(u32::MAX - 1);
    let limit = query.page_size()?.map_or(USUAL, |limit| u32::try_from(limit).unwrap_or(most)).min(most);
    let last = query.first("last").unwrap_or_default();
    let last = comparable(&last, RepositoryName::MAX_BYTES);
    // One more than wanted tells whether there is more.
    let mut repositories = registry.list_repositories(permit, last, limit + 1).await?;
    let more = repositories.len() > limit as usize;
    repositories.truncate(limit as usize);
    let names: Vec<_> = repositories.iter().map(RepositoryName::as_str).collect();
    let mut response = Response::new(Body::full(json!({ "repositories": names }).to_string()));
    response.headers_mut().insert(header::CONTENT_TYPE, headers::JSON);
    // Asked for none there is no last one to go on from.
    if let (true, Some(last)) = (more, repositories.last()) {
        let next = format!("last={}&n={limit}", Query::encode(last.as_str()));
        response.headers_mut().insert(header::LINK, headers::next_page(&Path::Catalog, &next));
    }
    Ok(response)
}
