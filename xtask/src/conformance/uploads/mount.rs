//! Blobs that come from another repository without being sent, and uploads that are called off.

use ureq::http::Method;

use super::super::attempt::{Attempt, Trouble, follow};
use super::super::client::Request;
use super::super::content::Blob;
use super::super::expectation::Expectation;
use super::{is_served, open};
use crate::e2e::registry::Payload;

/// How a mount ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Mounted,
    /// A session was opened instead, and the blob was sent.
    Sent,
}

/// Mounts a blob that is there: from the repository `from`, or from wherever it is.
pub(crate) fn of_present(
    attempt: &mut Attempt<'_>,
    repository: &str,
    from: Option<&str>,
    blob: &Blob,
) -> Result<(), Trouble> {
    match mount(attempt, repository, from, blob)? {
        End::Mounted => Ok(()),
        End::Sent => Err(Trouble::Unsupported("the mount was answered 202; the blob had to be sent".to_owned())),
    }
}

/// Asks for a mount of a blob that nobody has, which has to become an ordinary upload.
pub(crate) fn of_missing(attempt: &mut Attempt<'_>, repository: &str, from: &str, blob: &Blob) -> Result<(), Trouble> {
    match mount(attempt, repository, Some(from), blob)? {
        End::Mounted => Err(Trouble::wrong("a blob that was never sent anywhere was mounted")),
        End::Sent => Ok(()),
    }
}

/// Opens an upload and calls it off.
pub(crate) fn cancel(attempt: &mut Attempt<'_>, repository: &str) -> Result<(), Trouble> {
    let (session, _) = open(attempt, repository, None)?;
    let request = Request::new(Method::DELETE, session).header("Content-Length", "0");
    attempt.send(&request, &[Expectation::Status(&[204])]).map(drop)
}

fn mount(attempt: &mut Attempt<'_>, repository: &str, from: Option<&str>, blob: &Blob) -> Result<End, Trouble> {
    let mut target = attempt.target(repository, "blobs/uploads/").with("mount", &blob.digest);
    if let Some(from) = from {
        target = target.with("from", from);
    }
    // Where the header is there it has to be right, but no version demands it here.
    let digest = Expectation::Digest { digest: &blob.digest, required: false };
    let answer = attempt.send(&Request::new(Method::POST, target.clone()), &[Expectation::Status(&[201, 202])])?;
    if answer.status() == 201 {
        if let Some(mismatch) = digest.mismatch(&answer) {
            return Err(Trouble::wrong(format!("POST {}: {mismatch}", target.path_and_query())));
        }
        is_served(attempt, &target, &answer, blob)?;
        return Ok(End::Mounted);
    }
    let put = follow(&target, &answer)?.with("digest", &blob.digest);
    let request = Request::new(Method::PUT, put.clone()).octets(Payload::Sized(&blob.bytes));
    let answer = attempt.send(&request, &[Expectation::Status(&[201]), digest])?;
    is_served(attempt, &put, &answer, blob)?;
    Ok(End::Sent)
}
