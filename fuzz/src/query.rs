//! Queries: what is written is read back, bounds hold, and what is cut off of a `last` changes no page.

use cargohold_http::fuzzing::{algorithm, comparable, digest, encoded, page_size, parameters, place, tags};
use cargohold_oci::{Algorithm, Digest, Reference, RepositoryName, Tag};
use http::{StatusCode, Uri};

use crate::{input, refusal};

/// Tags that one push may give.
const MOST_TAGS: usize = 100;

/// The first line is a query as a request carries it, the rest any text.
pub fn check(input: &[u8]) {
    let (query, text) = input::first_line(input);
    if let Some(uri) = input::text(query).and_then(with_query) {
        check_list(&uri);
        check_upload(&uri);
        check_tags(&uri);
        for last in parameters(&uri, "last") {
            check_last(&last);
        }
    }
    if let Some(text) = text.and_then(input::text) {
        check_written(text);
        check_last(text);
    }
}

fn with_query(query: &str) -> Option<Uri> {
    format!("/v2/team/app?{query}").parse().ok()
}

/// Lists: `n`, and `last` of the referrers.
fn check_list(uri: &Uri) {
    let n = parameters(uri, "n").into_iter().next().filter(|n| !n.is_empty());
    match page_size(uri) {
        Ok(size) => {
            let said = n.map(|n| n.parse::<u128>().map_or(u64::MAX, |n| u64::try_from(n).unwrap_or(u64::MAX)));
            assert_eq!(size, said);
        }
        Err(refused) => {
            assert_eq!(refusal::check_answer(&refused, StatusCode::BAD_REQUEST), "PAGINATION_NUMBER_INVALID");
            assert!(n.is_some_and(|n| n.contains(|digit: char| !digit.is_ascii_digit())));
        }
    }
    match place(uri) {
        Ok(found) => assert_eq!(with_query(&format!("last={found}")).map(|uri| place(&uri)), Some(Ok(found))),
        Err(refused) => {
            refusal::check_answer(&refused, StatusCode::BAD_REQUEST);
            assert!(parameters(uri, "last").first().is_some_and(|last| last.parse::<i64>().is_err()));
        }
    }
}

/// Uploads: `digest` and `digest-algorithm`.
fn check_upload(uri: &Uri) {
    let said = parameters(uri, "digest").into_iter().next();
    match digest(uri) {
        Ok(found) => assert_eq!(found.map(|digest| digest.to_string()), said),
        Err(refused) => {
            assert_eq!(refusal::check_answer(&refused, StatusCode::BAD_REQUEST), "DIGEST_INVALID");
            assert!(said.is_some_and(|digest| Digest::parse(&digest).is_err()));
        }
    }
    let said = parameters(uri, "digest-algorithm").into_iter().next();
    match algorithm(uri) {
        Ok(found) => assert_eq!(found.as_str(), said.unwrap_or("sha256".to_owned())),
        Err(refused) => {
            assert_eq!(refusal::check_answer(&refused, StatusCode::BAD_REQUEST), "DIGEST_INVALID");
            assert!(said.is_some_and(|name| name != "sha256" && name != "sha512"));
        }
    }
}

/// Pushes of manifests: `tag`, which counts beside a digest only.
fn check_tags(uri: &Uri) {
    let by_tag = Reference::parse("latest").expect("it is a tag");
    assert_eq!(tags(&by_tag, uri), Ok(Vec::new()));
    let said = parameters(uri, "tag");
    match tags(&Digest::of(Algorithm::Sha256, b"").into(), uri) {
        Ok(found) => {
            assert!(found.len() <= MOST_TAGS, "{} tags", found.len());
            let first = |(place, tag): &(usize, &String)| !said[..*place].contains(tag);
            let different = said.iter().enumerate().filter(first).map(|(_, tag)| tag.as_str());
            assert!(found.iter().map(Tag::as_str).eq(different));
        }
        Err(refused) if refused.status == StatusCode::URI_TOO_LONG => assert!(said.len() > MOST_TAGS),
        Err(refused) => {
            assert_eq!(refusal::check_answer(&refused, StatusCode::BAD_REQUEST), "TAG_INVALID");
            assert!(said.iter().any(|tag| Tag::parse(tag).is_err()));
        }
    }
}

/// Whatever a `Link` of ours carries comes back.
fn check_written(text: &str) {
    let written = encoded(text);
    assert!(written.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'%'), "{written:?}");
    // What is longer than a URI can be is none.
    if let Some(uri) = with_query(&format!("n=1&last={written}&n=2")) {
        assert_eq!(parameters(&uri, "last"), [text]);
        assert_eq!(parameters(&uri, "n"), ["1", "2"]);
    }
}

/// The longest character.
const LONGEST: usize = 4;

/// The part of `last` that names are compared with: bounded, without NUL, and every name stands on the same side of it.
fn check_last(last: &str) {
    for most in [Tag::MAX_BYTES, RepositoryName::MAX_BYTES] {
        let part = comparable(last, most);
        assert!(last.starts_with(part) && part.len() < most + LONGEST && !part.contains('\0'), "{part:?} of {last:?}");
        // Names that begin as it does are those that could go wrong.
        for end in (0..=part.len()).rev().filter(|end| part.is_char_boundary(*end)).take(3) {
            for name in [part[..end].to_owned(), format!("{}0", &part[..end]), format!("{}z", &part[..end])] {
                let is_name = match most {
                    Tag::MAX_BYTES => Tag::parse(&name).is_ok(),
                    _ => RepositoryName::parse(&name).is_ok(),
                };
                assert!(!is_name || (name.as_str() > last) == (name.as_str() > part), "{name:?} after {last:?}");
            }
        }
    }
}
