use proptest::prelude::*;

use super::*;

const ANY_TIME: Period = Period(Duration::ZERO..=Duration::MAX);
const ANY_SIZE: Size = Size(0..=usize::MAX);

#[test]
fn durations_are_gos_with_days() {
    for (text, milliseconds) in [
        ("0", 0),
        ("0s", 0),
        ("90s", 90_000),
        ("2m", 120_000),
        ("1h30m", 5_400_000),
        ("1.5d", 129_600_000),
        ("1.5h", 5_400_000),
        ("300ms", 300),
        ("2000us", 2),
        ("3000µs", 3),
        ("4000μs", 4),
        ("5000000ns", 5),
        (".5s", 500),
        ("5.s", 5_000),
        ("1m1m", 120_000),
        ("0.001s", 1),
    ] {
        assert_eq!(ANY_TIME.read(text), Some(Duration::from_millis(milliseconds)), "{text}");
    }
    for text in
        ["", "5", "s", ".s", "1.2.3s", "-5s", "5 s", "5S", "5w", "1h30", "5ss", "99999999999h", "1e3s", "٣s", "1_0s"]
    {
        assert_eq!(ANY_TIME.read(text), None, "{text}");
    }
}

#[test]
fn sizes_have_units_of_1024() {
    for (text, bytes) in [("0", 0), ("65536", 65536), ("64KiB", 65536), ("4MiB", 4 << 20), ("1GiB", 1 << 30)] {
        assert_eq!(ANY_SIZE.read(text), Some(bytes), "{text}");
    }
    for text in [
        "",
        "KiB",
        "-1",
        "+1",
        "4M",
        "4MB",
        "4mib",
        "4 MiB",
        "0x10",
        "1_000",
        "1.5MiB",
        "18446744073709551616",
        "99999999999999GiB",
    ] {
        assert_eq!(ANY_SIZE.read(text), None, "{text}");
    }
}

#[test]
fn bounds_are_part_of_what_is_allowed() {
    let size = Size(8192..=1024 * 1024);
    for (text, taken) in [("8191", false), ("8KiB", true), ("1MiB", true), ("1048577", false)] {
        assert_eq!(size.read(text).is_some(), taken, "{text}");
    }
    assert_eq!(size.rule(), "a number of bytes from 8KiB to 1MiB");
    let count = Count(1..=10);
    for (text, taken) in [("0", false), ("1", true), ("10", true), ("11", false), ("1.0", false), ("", false)] {
        assert_eq!(count.read(text).is_some(), taken, "{text}");
    }
    let period = Period(Duration::from_secs(1)..=Duration::from_mins(90));
    for (text, taken) in [("999ms", false), ("1s", true), ("1h30m", true), ("1h30m1ns", false)] {
        assert_eq!(period.read(text).is_some(), taken, "{text}");
    }
    assert_eq!(period.rule(), "a duration from 1s to 1h30m");
}

#[test]
fn addresses() {
    for (text, address) in [
        (":80", "0.0.0.0:80"),
        ("localhost:5001", "127.0.0.1:5001"),
        ("[::]:5000", "[::]:5000"),
        ("1.2.3.4:0", "1.2.3.4:0"),
    ] {
        assert_eq!(Address.read(text), address.parse().ok(), "{text}");
    }
    for text in ["", "5000", ":", "here", "registry.example.com:5000", "127.0.0.1", "127.0.0.1:65536", "::"] {
        assert_eq!(Address.read(text), None, "{text}");
    }
}

#[test]
fn choices_are_their_words_alone() {
    let choice = Choice(&[("all", 1), ("none", 2)]);
    assert_eq!((choice.read("none"), choice.read("None"), choice.read("")), (Some(2), None, None));
    assert_eq!((choice.write(&1), choice.write(&3)), (Some("all".to_owned()), None));
    assert_eq!(choice.rule(), "`all` or `none`");
}

proptest! {
    #[test]
    fn what_is_written_is_read_the_same(seconds in 0..9_000_000_000_u64, rest in 0..1_000_000_000_u32, size: usize, shift in 0..64) {
        for period in [Duration::new(seconds, rest), Duration::from_secs(seconds), Duration::new(0, rest)] {
            prop_assert_eq!(ANY_TIME.write(&period).and_then(|text| ANY_TIME.read(&text)), Some(period));
        }
        for size in [size, size >> shift, (size >> shift) << (shift / 2)] {
            prop_assert_eq!(ANY_SIZE.write(&size).and_then(|text| ANY_SIZE.read(&text)), Some(size));
        }
    }

    #[test]
    fn any_text_has_an_answer(text in "([0-9.]{0,30}([hmsuµn]|ms|[KMG]iB)?){0,4}|.*") {
        let _ = (ANY_TIME.read(&text), ANY_SIZE.read(&text), Count(0..=usize::MAX).read(&text), Address.read(&text));
    }
}
