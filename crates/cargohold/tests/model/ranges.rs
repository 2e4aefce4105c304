//! Parts of a blob: how a client asks for them, and what an answer has brought (RFC 9110, section 14).

use crate::client::Answer;

/// A `Range` header.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    Of(Vec<Range>),
    /// Nothing that can be understood: it is ignored.
    Nonsense(&'static str),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Range {
    Between(usize, usize),
    From(usize),
    Last(usize),
}

/// First and last byte of a part.
pub(crate) type Part = (usize, usize);

impl Asked {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Nonsense(text) => (*text).to_owned(),
            Self::Of(ranges) => {
                let ranges: Vec<_> = ranges.iter().map(|range| range.text()).collect();
                format!("bytes={}", ranges.join(","))
            }
        }
    }
}

impl Range {
    fn text(self) -> String {
        match self {
            Self::Between(first, last) => format!("{first}-{last}"),
            Self::From(first) => format!("{first}-"),
            Self::Last(length) => format!("-{length}"),
        }
    }

    /// What there is of it in so many bytes.
    pub(crate) fn of(self, size: usize) -> Option<Part> {
        let (first, last) = match self {
            Self::Between(first, last) => (first, last.min(size.checked_sub(1)?)),
            Self::From(first) => (first, size.checked_sub(1)?),
            Self::Last(length) => (size.checked_sub(length.min(size))?, size.checked_sub(1)?),
        };
        (first <= last).then_some((first, last))
    }
}

/// The bytes that the parts cover, whatever pieces they come in.
pub(crate) fn covered(mut parts: Vec<Part>) -> Vec<Part> {
    parts.sort_unstable();
    let mut whole: Vec<Part> = Vec::new();
    for (first, last) in parts {
        match whole.last_mut() {
            Some(before) if first <= before.1 + 1 => before.1 = before.1.max(last),
            _ => whole.push((first, last)),
        }
    }
    whole
}

/// The parts that an answer of several brings, each with the right bytes of the content.
pub(crate) fn brought(answer: &Answer, content: &[u8]) -> Result<Vec<Part>, String> {
    if let Some(range) = answer.header("content-range") {
        return Ok(vec![part(range, &answer.body, content)?]);
    }
    let kind = answer.header("content-type").unwrap_or_default();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").ok_or("neither one part nor several")?;
    let (mut rest, mut parts) = (answer.body.as_slice(), Vec::new());
    loop {
        rest = after(rest, format!("\r\n--{boundary}").as_bytes())?;
        if rest == b"--\r\n" {
            return Ok(parts);
        }
        rest = after(rest, b"\r\nContent-Type: application/octet-stream\r\nContent-Range: ")?;
        let end = rest.windows(4).position(|bytes| bytes == b"\r\n\r\n").ok_or("the head of a part has no end")?;
        let range = String::from_utf8_lossy(&rest[..end]).into_owned();
        rest = &rest[end + 4..];
        let (first, last) = bounds(&range, content.len())?;
        let bytes = rest.get(..last + 1 - first).ok_or("the last part is cut short")?;
        parts.push(part(&range, bytes, content)?);
        rest = &rest[bytes.len()..];
    }
}

/// The part that a `Content-Range` tells of, if these are its bytes.
fn part(range: &str, bytes: &[u8], content: &[u8]) -> Result<Part, String> {
    let (first, last) = bounds(range, content.len())?;
    if bytes == &content[first..=last] { Ok((first, last)) } else { Err(format!("other bytes than those of {range}")) }
}

fn bounds(range: &str, size: usize) -> Result<Part, String> {
    let bounds = || {
        let (range, total) = range.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (total.parse() == Ok(size) && first <= last && last < size).then_some((first, last))
    };
    bounds().ok_or_else(|| format!("{range} is no part of {size} bytes"))
}

fn after<'b>(bytes: &'b [u8], start: &[u8]) -> Result<&'b [u8], String> {
    let missing = || format!("no {:?} where it belongs", String::from_utf8_lossy(start));
    bytes.strip_prefix(start).ok_or_else(missing)
}
