//! `/v2/<name>/tags/list`: the tags of a repository, in byte order.

use cargohold_access::{Permit, Pull};
use cargohold_oci::{ErrorCode, Path, Tag};
use cargohold_registry::Registry;
use http::{Response, StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use crate::{Body, error::ApiError, headers, query::Query};

/// Tags that one look at the database brings.
const STEP: u32 = 1000;

pub(crate) async fn get(registry: &Registry, pull: Permit<Pull>, query: Query<'_>) -> Result<Response<Body>, ApiError> {
    registry.require_repository(&pull).await?;
    let limit = limit(query)?;
    let last = query.first("last").unwrap_or_default();
    let last = comparable(&last);
    let (tags, more) = page(registry, &pull, last, limit).await?;
    let names: Vec<_> = tags.iter().map(Tag::as_str).collect();
    let list = json!({ "name": pull.repository().as_str(), "tags": names });
    let mut response = Response::new(Body::full(list.to_string()));
    response.headers_mut().insert(header::CONTENT_TYPE, headers::JSON);
    if let (true, Some(last), Some(limit)) = (more, tags.last(), limit) {
        response.headers_mut().insert(header::LINK, headers::value(next(&pull, last, limit)));
    }
    Ok(response)
}

/// The tags after `last`, `limit` of them or all, and whether there are more.
async fn page(
    registry: &Registry,
    pull: &Permit<Pull>,
    last: &str,
    limit: Option<u64>,
) -> Result<(Vec<Tag>, bool), ApiError> {
    let mut tags: Vec<Tag> = Vec::new();
    loop {
        let wanted = limit.map_or(u64::MAX, |limit| limit - tags.len() as u64);
        let after = tags.last().map_or(last, Tag::as_str);
        // One more than wanted tells whether there is more.
        let step = u32::try_from(wanted).unwrap_or(STEP).min(STEP);
        let mut found = registry.list_tags(pull, after, step + 1).await?;
        let more = found.len() > step as usize;
        found.truncate(step as usize);
        tags.append(&mut found);
        if !more || limit == Some(tags.len() as u64) {
            // Asked for none there is no last one to go on from.
            return Ok((tags, more && limit != Some(0)));
        }
    }
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
