//! The headers of a chunk: where it says that it belongs never overflows, and is what the digits in it say.

use std::sync::LazyLock;

use cargohold_http::fuzzing::{content_range, placement};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use regex_lite::Regex;

use crate::{input, refusal};

/// `<first>-<last>` of the distribution specification, and what clients make of it that know `Content-Range` from RFC 9110.
static GRAMMAR: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?:[ \t]*([0-9]+)-([0-9]+)[ \t]*|bytes[ =]*[ \t]*([0-9]+)-([0-9]+)[ \t]*(?:/.*)?)$")
        .expect("it is correct")
});

/// The first line is `Content-Range`, the second, if there is one, `Content-Length`.
pub fn check(input: &[u8]) {
    let (range, length) = input::first_line(input);
    let Ok(range) = HeaderValue::from_bytes(range) else { return };
    let text = String::from_utf8_lossy(range.as_bytes()).into_owned();
    let mut request = HeaderMap::from_iter([(header::CONTENT_RANGE, range)]);
    let length = length.and_then(|length| HeaderValue::from_bytes(length).ok());
    request.extend(length.clone().map(|length| (header::CONTENT_LENGTH, length)));
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());

    let said = said(&text);
    assert_eq!(content_range(&text).map(|range| (*range.start(), *range.end())), said, "{text:?}");
    match (placement(&request), said) {
        (Ok(placement), Some((first, last))) => {
            let (Some(start), Some(chunk)) = (placement.start, placement.length) else { panic!("{placement:?}") };
            assert_eq!(start, first);
            assert_eq!(start.checked_add(chunk - 1), Some(last));
            assert!(length.is_none_or(|length| length == chunk), "{length:?} is not {chunk}");
            assert_eq!(content_range(&format!("{first}-{last}")), Some(first..=last));
        }
        (Err(refused), Some(_)) => {
            assert!(length.is_some(), "{text:?} contradicts no length");
            assert_eq!(refusal::check_answer(&refused, StatusCode::BAD_REQUEST), "SIZE_INVALID");
        }
        (Err(refused), None) => {
            assert_eq!(refusal::check_answer(&refused, StatusCode::BAD_REQUEST), "BLOB_UPLOAD_INVALID");
        }
        (Ok(placement), None) => panic!("{text:?} is {placement:?}"),
    }
}

/// The first and the last byte, by another reader than ours.
fn said(text: &str) -> Option<(u64, u64)> {
    // A space goes with the unit, other white space does not.
    let plain = |character: char| if character != ' ' && character.is_whitespace() { '\t' } else { character };
    let text: String = text.chars().map(plain).collect();
    let parts = GRAMMAR.captures(&text)?;
    let number = |plain, after_unit| parts.get(plain).or(parts.get(after_unit))?.as_str().parse::<u64>().ok();
    let (first, last) = (number(1, 3)?, number(2, 4)?);
    // A length that no number holds is none.
    last.checked_sub(first)?.checked_add(1)?;
    Some((first, last))
}
