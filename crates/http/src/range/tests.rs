use proptest::{collection::vec, prelude::*};

use super::{RangeRequest::*, *};

fn parsed(header: &str) -> RangeRequest {
    parse(Some(header), 1000)
}

#[test]
fn one_range() {
    assert_eq!(parsed("bytes=0-499"), Single(0..500));
    assert_eq!(parsed("bytes=500-500"), Single(500..501));
    assert_eq!(parsed("bytes=500-"), Single(500..1000));
    assert_eq!(parsed("bytes=500-5000"), Single(500..1000));
    assert_eq!(parsed("bytes=-1"), Single(999..1000));
    assert_eq!(parsed("bytes=-5000"), Single(0..1000));
    assert_eq!(parsed("BYTES= 0-0 "), Single(0..1));
}

#[test]
fn nothing_that_exists() {
    for header in ["bytes=1000-", "bytes=1000-1001", "bytes=-0", "bytes=500-0", "bytes=1000-,-0"] {
        assert_eq!(parsed(header), Unsatisfiable, "{header}");
    }
    for header in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
        assert_eq!(parse(Some(header), 0), Unsatisfiable, "{header} of nothing");
    }
}

#[test]
fn what_is_malformed_is_ignored() {
    for header in [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=a-b",
        "bytes=1-2-3",
        "bytes=--1",
        "bytes=+1-2",
        "bytes=1",
        "bytes=1 - 2",
        "bytes 0-1",
        "items=0-1",
        "bytes=0-1,x",
        "bytes=0-1;2-3",
    ] {
        assert_eq!(parsed(header), Whole, "{header:?}");
    }
    assert_eq!(parse(None, 1000), Whole);
}

#[test]
fn several_ranges_stay_in_order() {
    assert_eq!(parsed("bytes=500-599, 0-99"), Multiple(vec![500..600, 0..100]));
    assert_eq!(parsed("bytes=0-99,100-199"), Multiple(vec![0..100, 100..200]), "neighbours are two parts");
    assert_eq!(parsed("bytes=0-99,,2000-3000"), Single(0..100), "what cannot be satisfied is left out");
}

#[test]
fn overlaps_are_merged() {
    assert_eq!(parsed("bytes=0-99,50-149"), Single(0..150));
    assert_eq!(parsed("bytes=700-,-300,0-9,5-5"), Multiple(vec![0..10, 700..1000]));
}

#[test]
fn numbers_beyond_64_bits_are_beyond_the_end() {
    assert_eq!(parsed("bytes=0-99999999999999999999999"), Single(0..1000));
    assert_eq!(parsed("bytes=-99999999999999999999999"), Single(0..1000));
    assert_eq!(parsed("bytes=99999999999999999999999-"), Unsatisfiable);
    assert_eq!(parse(Some("bytes=18446744073709551615-18446744073709551615"), u64::MAX), Unsatisfiable);
}

#[test]
fn too_many_ranges_are_ignored() {
    let header = |count: usize| {
        let ranges: Vec<_> = (0..count).map(|at| format!("{0}-{0}", 2 * at)).collect();
        format!("bytes={}", ranges.join(","))
    };
    assert!(matches!(parse(Some(&header(MAX_RANGES)), u64::MAX), Multiple(ranges) if ranges.len() == MAX_RANGES));
    assert_eq!(parse(Some(&header(MAX_RANGES + 1)), u64::MAX), Whole);
}

/// The bytes that one range names, found by looking at each byte.
fn named(first: Option<u64>, last: Option<u64>, size: u64) -> Vec<u64> {
    (0..size)
        .filter(|&byte| match (first, last) {
            (Some(first), last) => byte >= first && last.is_none_or(|last| byte <= last),
            (None, last) => size - byte <= last.unwrap_or(0),
        })
        .collect()
}

proptest! {
    #[test]
    fn anything_can_be_parsed(header in ".*", size: u64) {
        parse(Some(&header), size);
        parse(Some(&format!("bytes={header}")), size);
    }

    #[test]
    fn the_same_bytes_as_a_simple_model(
        specs in vec(
            (proptest::option::of(0_u64..40), proptest::option::of(0_u64..40))
                .prop_filter("a range has a number", |(first, last)| first.is_some() || last.is_some()),
            1..6,
        ),
        size in 0_u64..30,
    ) {
        let text = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
        let list: Vec<_> = specs.iter().map(|&(first, last)| format!("{}-{}", text(first), text(last))).collect();
        let ranges = match parse(Some(&format!("bytes={}", list.join(", "))), size) {
            Whole => panic!("it is well-formed"),
            Unsatisfiable => vec![],
            Single(range) => vec![range],
            Multiple(ranges) => {
                prop_assert!(ranges.len() > 1);
                ranges
            }
        };
        prop_assert!(ranges.iter().all(|range| range.start < range.end && range.end <= size));

        let wanted: Vec<Vec<u64>> = specs.iter().map(|&(first, last)| named(first, last, size)).collect();
        let wanted: Vec<_> = wanted.into_iter().filter(|bytes| !bytes.is_empty()).collect();
        let mut every_byte = wanted.concat();
        let given: Vec<u64> = ranges.iter().cloned().flatten().collect();
        every_byte.sort_unstable();
        if every_byte.is_sorted_by(|before, after| before < after) {
            prop_assert_eq!(given, wanted.concat(), "without overlaps, in the order asked");
        } else {
            every_byte.dedup();
            prop_assert_eq!(given, every_byte, "merged, each byte once");
        }
    }
}
