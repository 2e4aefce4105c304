//! Parts of a blob (RFC 9110, section 14). A whole answer in place of a part is allowed, and a skip.

use std::ops::Range;

use ureq::http::Method;

use super::random_blob;
use crate::conformance::attempt::{Attempt, Trouble};
use crate::conformance::client::Request;
use crate::conformance::content::{Algorithm, Blob};
use crate::conformance::expectation::Expectation;
use crate::conformance::outcome::Outcome;
use crate::conformance::run::Run;
use crate::conformance::steps::delete;

const SIZE: usize = 2048;

/// What is asked for, and which bytes have to come; none means 416.
const RANGES: &[(&str, Option<Range<usize>>)] = &[
    ("500-1499", Some(500..1500)),
    ("500-", Some(500..SIZE)),
    ("-500", Some(SIZE - 500..SIZE)),
    ("2000-5000", Some(2000..SIZE)),
    ("500-0", None),
    ("5000-10000", None),
];

pub(super) fn group(run: &mut Run<'_>, algorithm: Algorithm) {
    let blob = random_blob(run, algorithm, SIZE);
    run.group("range requests", |run| {
        let repository = &run.setting.repository;
        if !run.upload_somehow(repository, &blob) {
            return run.record("a blob to read", Outcome::Fail, "no way of uploading gets a blob there\n");
        }
        for (range, part) in RANGES {
            let _ = run.test(range, |attempt| read_part(attempt, &blob, range, part.as_ref()));
        }
        delete::blob(run, repository, &blob);
    });
}

fn read_part(attempt: &mut Attempt<'_>, blob: &Blob, range: &str, part: Option<&Range<usize>>) -> Result<(), Trouble> {
    let target = attempt.target(&attempt.setting.repository, &format!("blobs/{}", blob.digest));
    let request = Request::new(Method::GET, target).header("Range", format!("bytes={range}"));
    let answer = attempt.send(&request, &[])?;
    let whole = [Expectation::Status(&[200]), Expectation::length(&blob.bytes), Expectation::Body(&blob.bytes)];
    if whole.iter().all(|expectation| expectation.mismatch(&answer).is_none()) {
        return Err(Trouble::Unsupported("the whole blob came in place of a part of it".to_owned()));
    }
    let mut wrong: Vec<String> =
        expectations(blob, part).iter().filter_map(|expectation| expectation.mismatch(&answer)).collect();
    if let Some(part) = part {
        let received = answer.header("Content-Range").unwrap_or("none");
        if !is_content_range(received, part) {
            let (first, last) = (part.start, part.end - 1);
            wrong.push(format!("expected Content-Range: bytes {first}-{last}/{SIZE}, received {received}"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Trouble::Wrong(wrong)) }
}

fn expectations<'a>(blob: &'a Blob, part: Option<&Range<usize>>) -> Vec<Expectation<'a>> {
    match part {
        None => vec![Expectation::Status(&[416])],
        Some(part) => {
            let bytes = &blob.bytes[part.clone()];
            vec![Expectation::Status(&[206]), Expectation::length(bytes), Expectation::Body(bytes)]
        }
    }
}

/// The size may be left open.
fn is_content_range(text: &str, part: &Range<usize>) -> bool {
    let place = format!("bytes {}-{}/", part.start, part.end - 1);
    text.strip_prefix(&place).is_some_and(|size| size == "*" || size == SIZE.to_string())
}

#[cfg(test)]
mod tests {
    use super::is_content_range;

    #[test]
    fn a_content_range_names_the_part_and_the_size_or_leaves_the_size_open() {
        assert!(is_content_range("bytes 500-1499/2048", &(500..1500)));
        assert!(is_content_range("bytes 500-1499/*", &(500..1500)));
        for wrong in ["bytes 500-1500/2048", "bytes 500-1499/2047", "bytes=500-1499/2048", "500-1499/2048", "none"] {
            assert!(!is_content_range(wrong, &(500..1500)), "{wrong}");
        }
    }
}
