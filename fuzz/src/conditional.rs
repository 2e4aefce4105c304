//! Conditions: nothing but its digest, or a star, is taken for the content, and those always are, wherever they stand.

use cargohold_http::fuzzing::{client_has, range_counts};
use cargohold_oci::{Algorithm, Digest};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::input;

/// The content that is asked for; the corpus names its digest.
const CONTENT: &[u8] = b"{}";

/// The first line is `If-Range`, each further one an `If-None-Match`; an empty line is a header that is not there.
pub fn check(input: &[u8]) {
    let digest = Digest::of(Algorithm::Sha256, CONTENT);
    let mut request = HeaderMap::new();
    for (number, line) in input.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
        let Ok(value) = HeaderValue::from_bytes(line) else { return };
        request.append(if number == 0 { header::IF_RANGE } else { header::IF_NONE_MATCH }, value);
    }
    check_range(&request, &digest);
    check_content(&mut request, &digest);
}

fn check_range(request: &HeaderMap, digest: &Digest) {
    let tag = request.get(header::IF_RANGE);
    let names = tag.and_then(|tag| input::text(tag.as_bytes())).is_some_and(|tag| is_tag_of(tag, digest));
    assert_eq!(range_counts(request, digest), tag.is_none() || names, "{tag:?}");
    assert!(range_counts(&with(header::IF_RANGE, &format!("\"{digest}\"")), digest));
}

fn check_content(request: &mut HeaderMap, digest: &Digest) {
    let has = client_has(request, digest);
    let texts = request.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let named = texts.flat_map(|text| text.split(',')).any(|tag| tag.trim() == "*" || is_tag_of(tag, digest));
    assert_eq!(has, named, "{request:?}");
    // Whatever stands before it.
    let before = request.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert!(client_has(&with(header::IF_NONE_MATCH, &format!("{before}, \"{digest}\"")), digest));
    request.append(header::IF_NONE_MATCH, HeaderValue::from_static("\"another\""));
    assert_eq!(client_has(request, digest), has, "another tag takes nothing back");
}

/// Whether a tag is the digest, and around it nothing but what entity tags have there.
fn is_tag_of(tag: &str, digest: &Digest) -> bool {
    let digest = digest.to_string();
    let mut around = tag.trim().split(digest.as_str());
    let (Some(before), Some(after), None) = (around.next(), around.next(), around.next()) else { return false };
    let quotes = |text: &str| text.chars().all(|character| character == '"');
    quotes(before.strip_prefix("W/").unwrap_or(before)) && quotes(after)
}

fn with(name: HeaderName, value: &str) -> HeaderMap {
    HeaderMap::from_iter([(name, HeaderValue::from_str(value).expect("it is text"))])
}
