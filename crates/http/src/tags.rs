//! `/v2/<name>/tags/list`: the tags of a repository, in byte order.

use std::io;

use bytes::Bytes;
use cargohold_access::{Permit, Pull};
use cargohold_oci::{ErrorCode, Path, Tag};
use cargohold_registry::Registry;
use futures_util::{StreamExt, stream};
use http::{Response, StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{Body, error::ApiError, headers, query::Query};

/// Tags that one look at the database brings.
const STEP: u32 = 1000;
/// The end of the answer.
const END: &[u8] = b"]}";

pub(crate) async fn get(registry: &Registry, pull: Permit<Pull>, query: Query<'_>) -> Result<Response<Body>, ApiError> {
    registry.require_repository(&pull).await?;
    let last = query.first("last").unwrap_or_default();
    let last = comparable(&last);
    let mut response = match limit(query)? {
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
        response.headers_mut().insert(header::LINK, headers::value(next(pull, last, limit)));
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

/// The part of `last` that decides which tags come after it: none is longer than a tag may be, and none has a NUL, which not
/// every database takes.
fn comparable(last: &str) -> &str {
    let end = last.find('\0').unwrap_or(last.len()).min(last.floor_char_boundary(Tag::MAX_BYTES));
    &last[..end]
}

/// How many tags the client wants; all of them if it does not say. A number that is larger than any is one.
fn limit(query: Query<'_>) -> Result<Option<u64>, ApiError> {
    let Some(text) = query.first("n").filter(|text| !text.is_empty()) else { return Ok(None) };
    if text.bytes().all(|digit| digit.is_ascii_digit()) {
        return Ok(Some(text.parse().unwrap_or(u64::MAX)));
    }
    let message = format!("n={text:.100} is not a number of tags: it must be a whole number, 0 or more");
    Err(ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::PaginationNumberInvalid, message))
}

/// Where the next page is: relative, since clients refuse other hosts and proxies change ours.
fn next(pull: &Permit<Pull>, last: &Tag, limit: u64) -> String {
    let path = Path::Tags { name: pull.repository().clone() };
    let last = utf8_percent_encode(last.as_str(), NON_ALPHANUMERIC);
    format!("<{path}?last={last}&n={limit}>; rel=\"next\"")
}

#[cfg(test)]
mod tests {
    use super::comparable;

    proptest::proptest! {
        /// What is cut off never changes which tags come after.
        #[test]
        fn the_comparable_part_has_the_same_tags_after_it(last: String, tag in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", shares in 0..200usize) {
            // A tag that begins like `last`, as far as one can.
            let shared: String = tag.chars().take(shares).collect();
            for last in [last.clone(), format!("{shared}{last}"), format!("{shared}\0{last}"), format!("{tag}{last}")] {
                proptest::prop_assert_eq!(tag.as_str() > last.as_str(), tag.as_str() > comparable(&last));
            }
        }
    }

    #[test]
    fn a_long_one_is_cut_where_no_tag_goes_on() {
        assert_eq!(comparable(&"a".repeat(500)).len(), 128);
        assert_eq!(comparable("v1\0beyond"), "v1");
    }
}
