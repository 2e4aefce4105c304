//! From when until when a certificate is valid: the only thing that is read of it here (RFC 5280 §4.1.2.5).
//!
//! What is not a certificate has none. Whether the rest of it is right is for others to say.

use std::{ops::Range, time::SystemTime};

use jiff::civil::DateTime;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// From when until when, if that is a certificate in DER.
pub(super) fn of(certificate: &[u8]) -> Option<Range<SystemTime>> {
    let (mut certificate, _) = expect(certificate, SEQUENCE)?;
    let (mut content, _) = expect(certificate, SEQUENCE)?;
    if content.first() == Some(&VERSION) {
        content = expect(content, VERSION)?.1;
    }
    // Serial number, signature algorithm, issuer.
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        content = expect(content, tag)?.1;
    }
    certificate = expect(content, SEQUENCE)?.0;
    let (start, rest) = time(certificate)?;
    Some(start..time(rest)?.0)
}

/// What an element has in it, if it is of this kind, and what comes behind it.
fn expect(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(bytes)?;
    (found == tag).then_some((content, rest))
}

/// An element of DER (X.690 §8.1): its kind, what it has in it, and what comes behind it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, bytes) = bytes.split_first()?;
    let (&first, bytes) = bytes.split_first()?;
    let (length, bytes) = match first {
        0..=0x7f => (usize::from(first), bytes),
        0x81..=0x84 => {
            let (digits, bytes) = bytes.split_at_checked(usize::from(first - 0x80))?;
            (digits.iter().fold(0, |length, digit| (length << 8) | usize::from(*digit)), bytes)
        }
        _ => return None,
    };
    let (content, rest) = bytes.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn time(bytes: &[u8]) -> Option<(SystemTime, &[u8])> {
    let (tag, text, rest) = element(bytes)?;
    let digits = text.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |at: Range<usize>| {
        digits.get(at)?.iter().try_fold(0_i16, |all, digit| all.checked_mul(10)?.checked_add(i16::from(digit - b'0')))
    };
    let (year, month) = match (tag, digits.len()) {
        // 50 to 99 are of the last century.
        (UTC_TIME, 12) => (number(0..2).map(|year| if year < 50 { 2000 + year } else { 1900 + year })?, 2),
        (GENERALIZED_TIME, 14) => (number(0..4)?, 4),
        _ => return None,
    };
    let part = |nth: usize| i8::try_from(number(month + 2 * nth..month + 2 * nth + 2)?).ok();
    let date = DateTime::new(year, part(0)?, part(1)?, part(2)?, part(3)?, part(4)?, 0).ok()?;
    let instant = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    Some((instant.into(), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(years: Range<i32>) -> Vec<u8> {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(years.start, 2, 28);
        params.not_after = date_time_ymd(years.end, 12, 31);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn day(text: &str) -> SystemTime {
        text.parse::<jiff::Timestamp>().unwrap().into()
    }

    #[test]
    fn both_forms_of_a_time_are_read() {
        // From 2050 on it is written with four digits of the year.
        let validity = of(&certificate(1999..2051)).unwrap();
        assert_eq!(validity, day("1999-02-28T00:00:00Z")..day("2051-12-31T00:00:00Z"));
        assert_eq!(of(&certificate(2026..2049)).unwrap().end, day("2049-12-31T00:00:00Z"));
    }

    proptest! {
        #[test]
        fn whatever_it_is_nothing_panics(mut bytes in Just(certificate(2026..2027)), at in any::<prop::sample::Index>(), with: u8, cut: bool) {
            let at = at.index(bytes.len());
            bytes[at] = with;
            if cut {
                bytes.truncate(at);
            }
            of(&bytes);
        }

        #[test]
        fn nor_for_any_bytes(bytes: Vec<u8>) {
            of(&bytes);
        }
    }
}
