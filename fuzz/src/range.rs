//! The `Range` header: whatever it says, what is answered lies within the content, is in pieces that do not overlap and of which
//! there are not too many, and is what a second reader says was asked for.

use std::ops::Range;

use cargohold_http::range::{MAX_RANGES, RangeRequest, parse};

use crate::input;

/// The first line is the size of the content, the rest the value of the header.
pub fn check(input: &[u8]) {
    let (size, Some(header)) = input::first_line(input) else { return };
    let Some(size) = input::text(size).and_then(|size| size.parse::<u64>().ok()) else { return };
    let Some(header) = input::text(header) else { return };
    let answered = match parse(Some(header), size) {
        RangeRequest::Whole => {
            assert_eq!(asked(header, size), None, "{header:?} is ignored");
            return;
        }
        RangeRequest::Unsatisfiable => Vec::new(),
        RangeRequest::Single(range) => vec![range],
        RangeRequest::Multiple(ranges) => {
            assert!(ranges.len() > 1, "{ranges:?}");
            ranges
        }
    };
    check_bounds(&answered, size);
    let asked = asked(header, size).unwrap_or_else(|| panic!("{header:?} is not ignored"));
    check_same(&answered, &asked);
}

/// What the sending of ranges relies upon.
fn check_bounds(answered: &[Range<u64>], size: u64) {
    assert!(answered.len() <= MAX_RANGES, "{} ranges", answered.len());
    assert!(answered.iter().all(|range| range.start < range.end && range.end <= size), "{answered:?} of {size}");
    let total = answered.iter().try_fold(0, |total: u64, range| total.checked_add(range.end - range.start));
    assert!(total.is_some_and(|total| total <= size), "{answered:?} is more than all of {size}");
    assert!(!overlap(answered), "{answered:?}");
}

/// The same bytes, each of them once, and every range in one piece.
fn check_same(answered: &[Range<u64>], asked: &[Range<u64>]) {
    if !overlap(asked) {
        assert_eq!(answered, asked, "what does not overlap comes as it was asked for");
        return;
    }
    let within = |part: &Range<u64>, whole: &Range<u64>| whole.start <= part.start && part.end <= whole.end;
    for range in asked {
        assert!(answered.iter().any(|whole| within(range, whole)), "{range:?} is not in {answered:?}");
    }
    for range in answered {
        let mut reached = range.start;
        while let Some(next) = asked.iter().filter(|part| part.contains(&reached)).map(|part| part.end).max() {
            reached = next;
        }
        assert!(reached >= range.end, "nobody asked for byte {reached} in {range:?}");
    }
}

fn overlap(ranges: &[Range<u64>]) -> bool {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable_by_key(|range| range.start);
    sorted.array_windows().any(|[one, next]| next.start < one.end)
}

/// Another reader of the header: the ranges that have a byte of the content, as they were asked for; none if it does not count.
fn asked(header: &str, size: u64) -> Option<Vec<Range<u64>>> {
    let (unit, list) = header.split_at(header.find('=')?);
    let elements: Vec<&str> = list[1..]
        .split(',')
        .map(|element| element.trim_matches([' ', '\t']))
        .filter(|element| !element.is_empty())
        .collect();
    let counts = unit.trim().eq_ignore_ascii_case("bytes") && (1..=MAX_RANGES).contains(&elements.len());
    let ranges: Option<Vec<_>> = elements.into_iter().map(|element| one(element, size)).collect();
    counts.then_some(ranges?.into_iter().filter(|range| !range.is_empty()).collect())
}

/// One range, which may be empty: what it has of the content. None if it is malformed.
fn one(element: &str, size: u64) -> Option<Range<u64>> {
    let mut numbers = element.split('-');
    let (first, last, None) = (numbers.next()?, numbers.next()?, numbers.next()) else { return None };
    // None for what is not said; greater than any size for what no number holds.
    let number = |digits: &str| match digits.chars().all(|digit| digit.is_ascii_digit()) {
        true if digits.is_empty() => Some(None),
        true => Some(Some(digits.parse::<u128>().unwrap_or(u128::MAX))),
        false => None,
    };
    let all = u128::from(size);
    let (start, end) = match (number(first)?, number(last)?) {
        (None, None) => return None,
        (None, Some(length)) => (all - length.min(all), all),
        (Some(start), None) => (start, all),
        (Some(start), Some(last)) => (start, last.saturating_add(1).min(all)),
    };
    let within = |place: u128| u64::try_from(place.min(all)).expect("the size is one");
    Some(within(start)..within(end))
}
