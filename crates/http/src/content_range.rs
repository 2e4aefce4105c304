//! `Content-Range` as uploads use it: `<first>-<last>`, both inclusive, without the unit and total of RFC 9110.
//!
//! Source: OCI distribution specification, "Pushing a blob in chunks".

use std::ops::RangeInclusive;

/// The bytes that a chunk says it is. `bytes <first>-<last>/<total>`, which some clients send, means the same.
pub(crate) fn parse(value: &str) -> Option<RangeInclusive<u64>> {
    let range = match value.strip_prefix("bytes").map(|rest| rest.trim_start_matches(['=', ' '])) {
        Some(range) => range.split_once('/').map_or(range, |(range, _total)| range),
        None => value,
    };
    let (first, last) = range.trim().split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    // The length must be a number too.
    (first <= last && last - first < u64::MAX).then_some(first..=last)
}

fn number(digits: &str) -> Option<u64> {
    digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_clients_send() {
        for value in ["0-511", "bytes 0-511/*", "bytes 0-511/2048", "bytes=0-511"] {
            assert_eq!(parse(value), Some(0..=511), "{value}");
        }
        assert_eq!(parse("7-7"), Some(7..=7));
    }

    #[test]
    fn refuses_everything_else() {
        for value in [
            "",
            "-",
            "5",
            "5-",
            "-5",
            "5-4",
            "+1-2",
            "0x1-2",
            "a-b",
            "0--1",
            "0-18446744073709551615",
            "1-99999999999999999999",
        ] {
            assert_eq!(parse(value), None, "{value}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(value: String) {
            parse(&value);
        }

        #[test]
        fn reads_back_what_it_means(first in 0..u64::MAX, length in 0..1_000_000u64) {
            let last = first.saturating_add(length).min(u64::MAX - 1);
            proptest::prop_assert_eq!(parse(&format!("{first}-{last}")), Some(first..=last));
        }
    }
}
