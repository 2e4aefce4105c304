//! The forms that values have: how each is read, written, and explained to the person who wrote something else.
//!
//! What a form reads it can write, and reads the same again. Which key has which form, and with which bounds, is said in
//! `settings.rs`.

use std::{
    fmt, marker::PhantomData, net::SocketAddr, ops::RangeInclusive, path::PathBuf, str::FromStr, time::Duration,
};

use cargohold_registry::UrlPattern;
use reqwest::Url;

use crate::{logging::Output, outgoing};

/// A way to write values of one type.
pub(crate) trait Form: Sync {
    type Value;

    /// What a text means; nothing if it is not of this form or out of bounds.
    fn read(&self, text: &str) -> Option<Self::Value>;

    /// The text of a value; none for a value that only leaving the key out can mean.
    fn write(&self, value: &Self::Value) -> Option<String>;

    /// What a value has to be, as in "a number of bytes from 1 to 64MiB".
    fn rule(&self) -> String;

    /// What to do about a value that is not, as in "Write it in digits alone"; without a full stop.
    fn advice(&self) -> String;
}

/// A number of things, in digits.
pub(crate) struct Count(pub(crate) RangeInclusive<usize>);

/// A number of bytes, as `65536` or `64KiB`.
pub(crate) struct Size(pub(crate) RangeInclusive<usize>);

/// A length of time as Go writes it: `90s`, `1h30m`.
pub(crate) struct Period(pub(crate) RangeInclusive<Duration>);

/// Yes or no.
pub(crate) struct Flag;

/// A regular expression that addresses are compared with.
pub(crate) struct Pattern;

/// One of some words, and what each stands for.
pub(crate) struct Choice<T: 'static>(pub(crate) &'static [(&'static str, T)]);

/// Where to listen: `<IP address>:<port>`, `localhost:<port>` or `:<port>`.
pub(crate) struct Address;

/// The path of a folder.
pub(crate) struct Folder;

/// The path of a URL.
pub(crate) struct UrlPath;

/// Where a log goes.
pub(crate) struct LogOutput;

/// The path of a file.
pub(crate) struct File;

/// What a type reads by itself; the rule, and what to do about what is none.
pub(crate) struct Own<T>(pub(crate) &'static str, pub(crate) &'static str, pub(crate) PhantomData<fn() -> T>);

/// As that, or nothing.
pub(crate) struct Perhaps<F>(pub(crate) F);

/// A text of so many characters, all of them visible ASCII or spaces.
pub(crate) struct Words(pub(crate) RangeInclusive<usize>);

/// An address of http or https, if one is named.
pub(crate) struct WebAddress;

/// The units of sizes, the largest first.
const SIZES: [(&str, usize); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("", 1)];

/// The units of time and their nanoseconds, the largest first, as in Go's `time.ParseDuration`.
const TIMES: [(&str, u128); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

impl Form for Count {
    type Value = usize;

    fn read(&self, text: &str) -> Option<usize> {
        digits(text).filter(|number| self.0.contains(number))
    }

    fn write(&self, value: &usize) -> Option<String> {
        Some(value.to_string())
    }

    fn rule(&self) -> String {
        format!("a whole number from {} to {}", self.0.start(), self.0.end())
    }

    fn advice(&self) -> String {
        "Write it in digits alone".to_owned()
    }
}

impl<T: FromStr + fmt::Display> Form for Own<T> {
    type Value = T;

    fn read(&self, text: &str) -> Option<T> {
        text.parse().ok()
    }

    fn write(&self, value: &T) -> Option<String> {
        Some(value.to_string())
    }

    fn rule(&self) -> String {
        self.0.to_owned()
    }

    fn advice(&self) -> String {
        self.1.to_owned()
    }
}

impl<F: Form> Form for Perhaps<F> {
    type Value = Option<F::Value>;

    fn read(&self, text: &str) -> Option<Option<F::Value>> {
        self.0.read(text).map(Some)
    }

    fn write(&self, value: &Option<F::Value>) -> Option<String> {
        value.as_ref().and_then(|value| self.0.write(value))
    }

    fn rule(&self) -> String {
        self.0.rule()
    }

    fn advice(&self) -> String {
        self.0.advice()
    }
}

impl Form for Flag {
    type Value = bool;

    fn read(&self, text: &str) -> Option<bool> {
        // As YAML 1.1 had them, which the CNCF registry reads.
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => None,
        }
    }

    fn write(&self, value: &bool) -> Option<String> {
        Some(value.to_string())
    }

    fn rule(&self) -> String {
        "`true` or `false`".to_owned()
    }

    fn advice(&self) -> String {
        format!("Write {}", self.rule())
    }
}

impl Form for Pattern {
    type Value = UrlPattern;

    fn read(&self, text: &str) -> Option<UrlPattern> {
        text.parse().ok()
    }

    fn write(&self, value: &UrlPattern) -> Option<String> {
        Some(value.to_string())
    }

    fn rule(&self) -> String {
        "a regular expression".to_owned()
    }

    fn advice(&self) -> String {
        "Write one as in ^https?://([^/]+\\.)*example\\.com/".to_owned()
    }
}

impl Form for Size {
    type Value = usize;

    fn read(&self, text: &str) -> Option<usize> {
        let (number, bytes) = SIZES.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)))?;
        digits(number)?.checked_mul(bytes).filter(|size| self.0.contains(size))
    }

    fn write(&self, value: &usize) -> Option<String> {
        let whole = |(_, bytes): &&(&str, usize)| *value >= *bytes && value.is_multiple_of(*bytes);
        let (unit, bytes) = SIZES.iter().find(whole).unwrap_or(&("", 1));
        Some(format!("{}{unit}", value / bytes))
    }

    fn rule(&self) -> String {
        let bound = |size| self.write(size).unwrap_or_default();
        format!("a number of bytes from {} to {}", bound(self.0.start()), bound(self.0.end()))
    }

    fn advice(&self) -> String {
        "Write a number, with a unit if it is not bytes, as in 65536, 64KiB or 4MiB".to_owned()
    }
}

impl Form for Period {
    type Value = Duration;

    fn read(&self, text: &str) -> Option<Duration> {
        duration(text).filter(|period| self.0.contains(period))
    }

    fn write(&self, value: &Duration) -> Option<String> {
        let (mut rest, mut text) = (value.as_nanos(), String::new());
        for (unit, nanoseconds) in TIMES {
            if rest >= nanoseconds {
                text.push_str(&(rest / nanoseconds).to_string());
                text.push_str(unit);
                rest %= nanoseconds;
            }
        }
        Some(if text.is_empty() { "0s".to_owned() } else { text })
    }

    fn rule(&self) -> String {
        let bound = |period| self.write(period).unwrap_or_default();
        format!("a duration from {} to {}", bound(self.0.start()), bound(self.0.end()))
    }

    fn advice(&self) -> String {
        "Write numbers with units, as in 90s, 2m or 1h30m".to_owned()
    }
}

impl<T: Copy + PartialEq + Sync> Form for Choice<T> {
    type Value = T;

    fn read(&self, text: &str) -> Option<T> {
        self.0.iter().find_map(|(word, meaning)| (*word == text).then_some(*meaning))
    }

    fn write(&self, value: &T) -> Option<String> {
        self.0.iter().find_map(|(word, meaning)| (meaning == value).then(|| (*word).to_owned()))
    }

    fn rule(&self) -> String {
        let words: Vec<_> = self.0.iter().map(|(word, _)| format!("`{word}`")).collect();
        words.join(" or ")
    }

    fn advice(&self) -> String {
        format!("Write {}", self.rule())
    }
}

impl Form for Address {
    type Value = SocketAddr;

    fn read(&self, text: &str) -> Option<SocketAddr> {
        let every = text.strip_prefix(':').map(|port| format!("0.0.0.0:{port}"));
        let this = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
        every.or(this).as_deref().unwrap_or(text).parse().ok()
    }

    fn write(&self, value: &SocketAddr) -> Option<String> {
        Some(value.to_string())
    }

    fn rule(&self) -> String {
        "an address to listen on".to_owned()
    }

    fn advice(&self) -> String {
        "Write <IP address>:<port>, as in 127.0.0.1:5000, or :<port> for every IPv4 address of this machine".to_owned()
    }
}

impl Form for UrlPath {
    type Value = String;

    fn read(&self, text: &str) -> Option<String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
        (text.starts_with('/') && text.len() <= 200 && text.bytes().all(plain)).then(|| text.to_owned())
    }

    fn write(&self, value: &String) -> Option<String> {
        Some(value.clone())
    }

    fn rule(&self) -> String {
        "the path of a URL".to_owned()
    }

    fn advice(&self) -> String {
        "Begin it with a slash, as in /metrics, and use letters, digits, and -._~/".to_owned()
    }
}

impl Form for LogOutput {
    type Value = Output;

    fn read(&self, text: &str) -> Option<Output> {
        match text {
            "" => None,
            "stderr" => Some(Output::Stderr),
            "stdout" => Some(Output::Stdout),
            path => Some(Output::File(path.into())),
        }
    }

    fn write(&self, value: &Output) -> Option<String> {
        Some(match value {
            Output::Stderr => "stderr".to_owned(),
            Output::Stdout => "stdout".to_owned(),
            Output::File(path) => path.display().to_string(),
        })
    }

    fn rule(&self) -> String {
        "`stderr`, `stdout` or the path of a file".to_owned()
    }

    fn advice(&self) -> String {
        format!("Write {}", self.rule())
    }
}

impl Form for Folder {
    type Value = PathBuf;

    fn read(&self, text: &str) -> Option<PathBuf> {
        (!text.is_empty()).then(|| text.into())
    }

    fn write(&self, value: &PathBuf) -> Option<String> {
        Some(value.display().to_string())
    }

    fn rule(&self) -> String {
        "the path of a folder".to_owned()
    }

    fn advice(&self) -> String {
        "Name a folder".to_owned()
    }
}

impl Form for File {
    type Value = PathBuf;

    fn read(&self, text: &str) -> Option<PathBuf> {
        (!text.is_empty()).then(|| text.into())
    }

    fn write(&self, value: &PathBuf) -> Option<String> {
        Some(value.display().to_string())
    }

    fn rule(&self) -> String {
        "the path of a file".to_owned()
    }

    fn advice(&self) -> String {
        "Name a file".to_owned()
    }
}

impl Form for Words {
    type Value = String;

    fn read(&self, text: &str) -> Option<String> {
        let is_visible = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        (is_visible && self.0.contains(&text.len())).then(|| text.to_owned())
    }

    fn write(&self, value: &String) -> Option<String> {
        Some(value.clone())
    }

    fn rule(&self) -> String {
        format!("a text of {} to {} characters of ASCII", self.0.start(), self.0.end())
    }

    fn advice(&self) -> String {
        "Write a few words without accents".to_owned()
    }
}

impl Form for WebAddress {
    type Value = Option<Url>;

    fn read(&self, text: &str) -> Option<Option<Url>> {
        Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()).map(Some)
    }

    fn write(&self, value: &Option<Url>) -> Option<String> {
        value.as_ref().map(outgoing::shown)
    }

    fn rule(&self) -> String {
        "an address of http or https".to_owned()
    }

    fn advice(&self) -> String {
        "Write it whole, as in https://host.example/path".to_owned()
    }
}

/// A number without signs and separators.
fn digits(text: &str) -> Option<usize> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// `0`, or numbers with units one after the other, each with a fraction if it is wanted.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut rest = match text {
        "" => return None,
        "0" => "0s",
        text => text,
    };
    let mut sum = 0_u128;
    while !rest.is_empty() {
        let (number, behind) = rest.split_at(rest.find(|sign| !is_of_number(sign))?);
        let (unit, next) = behind.split_at(behind.find(is_of_number).unwrap_or(behind.len()));
        // Go writes the micro sign, in either of its two characters.
        let unit = unit.replace(['µ', 'μ'], "u");
        let (_, nanoseconds) = TIMES.into_iter().find(|(known, _)| *known == unit)?;
        sum = sum.checked_add(part(number, nanoseconds)?)?;
        rest = next;
    }
    Some(Duration::from_nanos(u64::try_from(sum).ok()?))
}

fn is_of_number(sign: char) -> bool {
    sign.is_ascii_digit() || sign == '.'
}

/// A number of units in nanoseconds; what is less than one of them counts nothing.
fn part(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    // Eighteen digits are more than any duration needs, and cannot overflow below.
    if whole.len() + fraction.len() == 0 || whole.len().max(fraction.len()) > 18 || fraction.contains('.') {
        return None;
    }
    let read = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<u128>().ok() };
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    Some(read(whole)? * unit + read(fraction)? * unit / scale)
}

#[cfg(test)]
mod tests;
