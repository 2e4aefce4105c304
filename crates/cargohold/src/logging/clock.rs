//! The time of a line. Dates are worked out once a second and thread.

use std::{
    cell::RefCell,
    fmt::Write,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jiff::{Timestamp, fmt::strtime};

/// RFC 3339, in UTC, to the second.
const RFC_3339: &str = "%Y-%m-%dT%H:%M:%S";
/// As Apache has it, in UTC.
const APACHE: &str = "%d/%b/%Y:%H:%M:%S +0000";

/// The last second that was asked for, written out.
struct Written {
    second: u64,
    text: String,
}

thread_local! {
    static RFC_3339_WRITTEN: RefCell<Written> = const { RefCell::new(Written { second: u64::MAX, text: String::new() }) };
    static APACHE_WRITTEN: RefCell<Written> = const { RefCell::new(Written { second: u64::MAX, text: String::new() }) };
}

/// Writes a time as RFC 3339 has it, in UTC, to the microsecond.
pub(super) fn rfc_3339(time: SystemTime, into: &mut String) {
    let since = since(time);
    RFC_3339_WRITTEN.with_borrow_mut(|written| into.push_str(written.second(since.as_secs(), RFC_3339)));
    // Writing to a text cannot fail.
    let _ = write!(into, ".{:06}Z", since.subsec_micros());
}

/// Writes a time as Apache's logs have it, in UTC, without the brackets.
pub(super) fn apache(time: SystemTime, into: &mut String) {
    APACHE_WRITTEN.with_borrow_mut(|written| into.push_str(written.second(since(time).as_secs(), APACHE)));
}

fn since(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl Written {
    fn second(&mut self, second: u64, format: &str) -> &str {
        if self.second != second {
            let time = i64::try_from(second).ok().and_then(|second| Timestamp::from_second(second).ok());
            self.text = time.and_then(|time| strtime::format(format, time).ok()).unwrap_or_else(|| "?".to_owned());
            self.second = second;
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_both_ways() {
        let time = UNIX_EPOCH + Duration::from_micros(1_795_302_359_012_345);
        for _ in 0..2 {
            let mut text = String::new();
            rfc_3339(time, &mut text);
            text.push(' ');
            apache(time, &mut text);
            assert_eq!(text, "2026-11-21T23:05:59.012345Z 21/Nov/2026:23:05:59 +0000");
        }
    }
}
