//! Uploading in chunks that name their place, and what has to happen to chunks that do not belong where they say.

use std::ops::Range;

use ureq::http::Method;

use super::super::attempt::{Attempt, Trouble, follow};
use super::super::client::Request;
use super::super::content::Blob;
use super::super::expectation::Expectation;
use super::super::target::Target;
use super::{Chunks, conclude, finish, open};
use crate::e2e::registry::Payload;

/// What a chunk has to have at least, whatever the registry asks for.
pub(crate) const LEAST_CHUNK: usize = 1024;

pub(super) fn upload(attempt: &mut Attempt<'_>, chunks: Chunks, repository: &str, blob: &Blob) -> Result<(), Trouble> {
    let (mut session, opened) = open(attempt, repository, Some(Payload::Sized(b"")))?;
    let asked_for = match opened.header("OCI-Chunk-Min-Length") {
        None => 0,
        Some(text) => text
            .parse()
            .map_err(|_| Trouble::wrong(format!("expected a number in OCI-Chunk-Min-Length, received {text}")))?,
    };
    let size = blob.bytes.len();
    let step = chunk_size(size, asked_for);
    let mut stored = 0;
    while stored < size {
        if chunks.disordered {
            session = send_misplaced(attempt, chunks, &session, misplaced(stored, step, size), stored, blob)?;
        }
        let range = stored..(stored + step).min(size);
        stored = range.end;
        if chunks.put_last && stored == size {
            let target = session.with("digest", &blob.digest);
            return conclude(attempt, &chunk(Method::PUT, target, range, blob), blob);
        }
        let answer =
            attempt.send(&chunk(Method::PATCH, session.clone(), range, blob), &[Expectation::Status(&[202])])?;
        session = follow(&session, &answer)?;
    }
    finish(attempt, &session, Payload::Sized(b""), blob)
}

/// Sends a chunk that has to be refused and looks whether the session is as it was; tells where the session is then.
fn send_misplaced(
    attempt: &mut Attempt<'_>,
    chunks: Chunks,
    session: &Target,
    range: Range<usize>,
    stored: usize,
    blob: &Blob,
) -> Result<Target, Trouble> {
    let (method, target) = if chunks.put_last && range.end == blob.bytes.len() {
        (Method::PUT, session.with("digest", &blob.digest))
    } else {
        (Method::PATCH, session.clone())
    };
    attempt.send(&chunk(method, target.clone(), range, blob), &[Expectation::Status(&[416])])?;
    let expectations = [Expectation::Status(&[204]), Expectation::Present("Location"), Expectation::Present("Range")];
    let answer = attempt.send(&Request::new(Method::GET, target.clone()), &expectations)?;
    let range = answer.header("Range").unwrap_or_default();
    if let Some(mismatch) = range_mismatch(range, stored) {
        return Err(Trouble::wrong(format!("GET {}: {mismatch}", target.path_and_query())));
    }
    follow(&target, &answer)
}

fn chunk(method: Method, target: Target, range: Range<usize>, blob: &Blob) -> Request<'_> {
    let place = format!("{}-{}", range.start, range.end - 1);
    Request::new(method, target).header("Content-Range", place).octets(Payload::Sized(&blob.bytes[range]))
}

/// A third of the blob, or as much more as a chunk has to have; never more than there is.
fn chunk_size(size: usize, asked_for: usize) -> usize {
    (size / 3 + 1).max(asked_for).max(LEAST_CHUNK).min(size)
}

/// A chunk that does not belong at `stored`: it leaves one out, or near the end begins again at the beginning.
fn misplaced(stored: usize, step: usize, size: usize) -> Range<usize> {
    let start = if stored + step < size { stored + step } else { 0 };
    start..(start + step).min(size)
}

/// What is wrong with the `Range` of a session that holds so many bytes. How an empty session is told is left open.
fn range_mismatch(range: &str, stored: usize) -> Option<String> {
    let last: Option<i64> = range.strip_prefix("0-").and_then(|last| last.parse().ok());
    match (last, stored) {
        (None, _) => Some(format!("expected a Range like 0-1023, received {range}")),
        (Some(_), 0) => None,
        (Some(last), _) if usize::try_from(last) == Ok(stored - 1) => None,
        (Some(_), _) => Some(format!("expected Range: 0-{}, received {range}", stored - 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::{chunk_size, misplaced, range_mismatch};

    #[test]
    fn a_blob_is_cut_into_three_unless_the_chunks_get_too_small() {
        assert_eq!(chunk_size(30_000, 0), 10_001);
        assert_eq!(chunk_size(30_000, 20_000), 20_000);
        assert_eq!(chunk_size(3067, 0), 1024);
        assert_eq!(chunk_size(512, 0), 512);
        assert_eq!(chunk_size(0, 4096), 0);
    }

    #[test]
    fn a_misplaced_chunk_never_belongs_where_the_session_stands() {
        let (step, size) = (1024, 3067);
        assert_eq!(misplaced(0, step, size), 1024..2048);
        assert_eq!(misplaced(1024, step, size), 2048..3067);
        assert_eq!(misplaced(2048, step, size), 0..1024);
    }

    #[test]
    fn the_range_of_a_session_ends_with_its_last_byte() {
        assert_eq!(range_mismatch("0-1023", 1024), None);
        assert!(range_mismatch("0-1024", 1024).is_some());
        assert!(range_mismatch("1023", 1024).is_some());
        assert!(range_mismatch("bytes=0-1023", 1024).is_some());
    }

    #[test]
    fn nothing_stored_may_be_told_in_more_than_one_way() {
        assert_eq!(range_mismatch("0-0", 0), None);
        assert_eq!(range_mismatch("0--1", 0), None);
        assert!(range_mismatch("", 0).is_some());
    }
}
