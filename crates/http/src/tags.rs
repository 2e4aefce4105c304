//! `/v2/<name>/tags/list`: the tags of a repository, in byte order.

use std::io;

use bytes::Bytes;
use cargohold_access::{Permit, Pull};
use cargohold_oci::{Path, Tag};
use cargohold_registry::Registry;
use futures_util::{StreamExt, stream};
use http::{Response, header};

use crate::{
    Body, Pages,
    error::ApiError,
    headers,
    query::{Query, comparable},
};

/// Tags that one look at the database brings.
const STEP: u32 = 1000;
/// The end of the answer.
const END: &[u8] = b"]}";

pub(crate) async fn get(
    registry: &Registry,
    pull: Permit<Pull>,
    query: Query<'_>,
    pages: Pages,
) -> Result<Response<Body>, ApiError> {
    registry.require_repository(&pull).await?;
    let last = query.first("last").unwrap_or_default();
    let last = comparable(&last, Tag::MAX_BYTES);
    let most = pages.tags.map(|most| most as u64);
    let asked = query.page_size()?;
    let mut response = match most.map(|most| asked.unwrap_or(most).min(most)).or(asked) {
        None => all(registry, pull, last).await?,
        Some(limit) => page(registry, &pull, last, limit).await?,
    };
    response.headers_mut().insert(header::CONTENT_TYPE, headers::JSON);
    Ok(response)
}

/// Every tag after `last`: a list that one look brings in one piece, a longer one read a step at a time as it is sent.
async fn all(registry: &Registry, pull: Permit<Pull>, last: &str) -> Result<Response<Body>, ApiError> {
    let first = registry.list_tags(&pull, last, STEP).await?;
    let begun = list_begun(&pull, &first);
    let Some(after) = last_of_full(&first) else {
        return Ok(Response::new(Body::full([&begun, END].concat())));
    };
    let registry = registry.clone();
    let steps = stream::try_unfold(Some(after), move |after| {
        let (registry, pull) = (registry.clone(), pull.clone());
        async move {
            let Some(after) = after else { return Ok(None) };
            let tags = registry.list_tags(&pull, &after, STEP).await.map_err(io::Error::other)?;
            Ok(Some((quoted(",", &tags), last_of_full(&tags))))
        }
    });
    let whole = stream::iter([Ok(begun)]).chain(steps).chain(stream::iter([Ok(Bytes::from_static(END))]));
    Ok(Response::new(Body::stream(whole, None)))
}

/// Where to go on, if a step brought as much as it could.
fn last_of_full(tags: &[Tag]) -> Option<String> {
    tags.last().filter(|_| tags.len() == STEP as usize).map(Tag::to_string)
}

/// The first `limit` tags after `last`, and where the next ones are.
async fn page(registry: &Registry, pull: &Permit<Pull>, last: &str, limit: u64) -> Result<Response<Body>, ApiError> {
    let mut tags: Vec<Tag> = Vec::new();
    let more = loop {
        let wanted = u32::try_from(limit - tags.len() as u64).unwrap_or(STEP).min(STEP);
        let after = tags.last().map_or(last, Tag::as_str);
        // One more than wanted tells whether there is more.
        let mut found = registry.list_tags(pull, after, wanted + 1).await?;
        let more = found.len() > wanted as usize;
        found.truncate(wanted as usize);
        tags.append(&mut found);
        if !more || limit == tags.len() as u64 {
            break more;
        }
        tokio::task::yield_now().await;
    };
    let mut response = Response::new(Body::full([&list_begun(pull, &tags), END].concat()));
    // Asked for none there is no last one to go on from.
    if let (true, Some(last)) = (more, tags.last()) {
        let path = Path::Tags { name: pull.repository().clone() };
        let next = format!("last={}&n={limit}", Query::encode(last.as_str()));
        response.headers_mut().insert(header::LINK, headers::next_page(&path, &next));
    }
    Ok(response)
}

/// The beginning of the answer, up to and with some tags.
fn list_begun(pull: &Permit<Pull>, tags: &[Tag]) -> Bytes {
    [format!(r#"{{"name":"{}","tags":["#, pull.repository()).as_bytes(), &quoted("", tags)].concat().into()
}

/// Tags as JSON strings, each behind a comma but for the first, which is behind `comma`. No character of a tag needs an escape.
fn quoted(comma: &str, tags: &[Tag]) -> Bytes {
    let mut list = String::with_capacity(tags.iter().map(|tag| tag.as_str().len() + 3).sum());
    for (place, tag) in tags.iter().enumerate() {
        list.push_str(if place == 0 { comma } else { "," });
        list.extend(["\"", tag.as_str(), "\""]);
    }
    list.into()
}
