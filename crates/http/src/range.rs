//! The `Range` request header (RFC 9110 §14).
//!
//! [`parse`] turns the header's value and the size of what is asked for into byte ranges that all lie in it. It never
//! fails: what is malformed is ignored, as the RFC wants, and what cannot be satisfied says so. Whether the header
//! counts at all (`If-Range`, HEAD) and how the answer is written are left to the handlers.

use std::ops::Range;

/// Most ranges that one request may name; more are answered with the whole.
///
/// containers/storage, the one client known to ask for many (zstd:chunked layers), stops at 1024.
pub const MAX_RANGES: usize = 1024;

/// Which bytes a request asks for; ends are exclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeRequest {
    /// All of it: 200.
    Whole,
    /// One range, not empty: 206 with `Content-Range`.
    Single(Range<u64>),
    /// Two or more ranges, none empty and no two overlapping: 206 with `multipart/byteranges`.
    Multiple(Vec<Range<u64>>),
    /// Nothing that exists: 416 with `Content-Range: bytes */<size>`.
    Unsatisfiable,
}

/// One range as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spec {
    /// `first-last`, both inclusive.
    Between(u64, u64),
    /// `first-`
    From(u64),
    /// `-length`
    Last(u64),
}

impl Spec {
    fn parse(text: &str) -> Option<Spec> {
        let (first, last) = text.split_once('-')?;
        match (first, last) {
            ("", length) => Some(Spec::Last(number(length)?)),
            (first, "") => Some(Spec::From(number(first)?)),
            (first, last) => Some(Spec::Between(number(first)?, number(last)?)),
        }
    }

    /// The part of something of `size` bytes that this names; `None` if that is nothing.
    fn within(self, size: u64) -> Option<Range<u64>> {
        let range = match self {
            Spec::Between(first, last) => first..last.saturating_add(1).min(size),
            Spec::From(first) => first..size,
            Spec::Last(length) => size.saturating_sub(length)..size,
        };
        (!range.is_empty()).then_some(range)
    }
}

/// What the value of a `Range` header asks of something of `size` bytes.
///
/// Ranges come in the order in which they were asked for, unless some of them overlap: those are merged, and the
/// result is ascending. A last byte before the first (`500-0`) makes a range unsatisfiable, as the conformance suite
/// of the distribution specification wants; the RFC would let the header be ignored.
pub fn parse(header: Option<&str>, size: u64) -> RangeRequest {
    let Some(specs) = header.and_then(specs) else { return RangeRequest::Whole };
    let ranges: Vec<_> = specs.into_iter().filter_map(|spec| spec.within(size)).collect();
    let mut ranges = without_overlaps(ranges);
    match ranges.len() {
        0 => RangeRequest::Unsatisfiable,
        1 => RangeRequest::Single(ranges.remove(0)),
        _ => RangeRequest::Multiple(ranges),
    }
}

/// The ranges of a header; `None` if it is to be ignored.
fn specs(header: &str) -> Option<Vec<Spec>> {
    let (unit, list) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    // Empty elements of a list are legal (RFC 9110 §5.6.1), an empty list is not.
    let elements = list.split(',').map(|element| element.trim_matches([' ', '\t'])).filter(|text| !text.is_empty());
    let specs = elements.take(MAX_RANGES + 1).map(Spec::parse).collect::<Option<Vec<_>>>()?;
    (1..=MAX_RANGES).contains(&specs.len()).then_some(specs)
}

/// A number of any length; what exceeds 64 bits is as good as their greatest.
fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

fn without_overlaps(ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let mut sorted = ranges.clone();
    sorted.sort_unstable_by_key(|range| range.start);
    if sorted.is_sorted_by(|before, after| before.end <= after.start) {
        return ranges;
    }
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in sorted {
        match merged.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests;
