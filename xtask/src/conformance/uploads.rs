//! The ways in which a blob can be uploaded.
//!
//! Each ends with a 201 whose `Location` serves the blob; a blob that is not what its digest says has to be refused at the end.

mod chunked;
pub(crate) mod mount;

use ureq::http::Method;

use super::attempt::{Attempt, Trouble, follow};
use super::client::{Answer, Request};
use super::content::Blob;
use super::expectation::Expectation;
use super::target::Target;
use crate::e2e::registry::Payload;

/// A way of uploading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// POST opens a session, PUT sends everything.
    PostThenPut,
    /// POST sends everything.
    PostAlone,
    /// POST, one PATCH of unknown length, PUT.
    Stream,
    /// POST, a PATCH for each chunk, PUT.
    Chunked(Chunks),
}

/// What is special about an upload in chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Chunks {
    /// The last chunk travels with the PUT.
    pub(crate) put_last: bool,
    /// Before each chunk one is sent that does not belong there.
    pub(crate) disordered: bool,
}

impl Way {
    /// In this order they are tried where any will do.
    pub(crate) const PREFERENCE: [Self; 4] = [
        Self::PostThenPut,
        Self::PostAlone,
        Self::Stream,
        Self::Chunked(Chunks { put_last: false, disordered: false }),
    ];

    pub(crate) fn test_name(self) -> &'static str {
        match self {
            Self::PostThenPut => "POST, PUT",
            Self::PostAlone => "POST with everything",
            Self::Stream => "POST, streaming PATCH, PUT",
            Self::Chunked(_) => "POST, PATCH in chunks, PUT",
        }
    }

    /// The way without what is special about it.
    pub(crate) fn plain(self) -> Self {
        if let Self::Chunked(_) = self { Self::Chunked(Chunks::default()) } else { self }
    }
}

/// Uploads a blob; one that is not honest has to be refused.
pub(crate) fn upload(attempt: &mut Attempt<'_>, way: Way, repository: &str, blob: &Blob) -> Result<(), Trouble> {
    match way {
        Way::PostThenPut => post_then_put(attempt, repository, blob),
        Way::PostAlone => post_alone(attempt, repository, blob),
        Way::Stream => stream(attempt, repository, blob),
        Way::Chunked(chunks) => chunked::upload(attempt, chunks, repository, blob),
    }
}

fn post_then_put(attempt: &mut Attempt<'_>, repository: &str, blob: &Blob) -> Result<(), Trouble> {
    let (session, _) = open(attempt, repository, None)?;
    finish(attempt, &session, payload(&blob.bytes), blob)
}

fn post_alone(attempt: &mut Attempt<'_>, repository: &str, blob: &Blob) -> Result<(), Trouble> {
    let target = attempt.target(repository, "blobs/uploads/").with("digest", &blob.digest);
    let request = Request::new(Method::POST, target.clone()).octets(payload(&blob.bytes));
    let statuses: &[u16] = if blob.honest { &[201, 202] } else { &[400, 202] };
    let answer = attempt.send(&request, &[Expectation::Status(statuses)])?;
    match answer.status() {
        202 => {
            // The registry has ignored the body and opened a session, as it may.
            let put = follow(&target, &answer)?.with("digest", &blob.digest);
            // What else a PUT has to do is not the matter of this test.
            let statuses: &[u16] = if blob.honest { &[201] } else { &[400] };
            let request = Request::new(Method::PUT, put).octets(payload(&blob.bytes));
            attempt.send(&request, &[Expectation::Status(statuses)])?;
            Err(Trouble::Unsupported("a POST with the whole blob was answered 202; PUT had to send it".to_owned()))
        }
        201 => is_stored(attempt, &target, &answer, blob),
        _ => Ok(()),
    }
}

fn stream(attempt: &mut Attempt<'_>, repository: &str, blob: &Blob) -> Result<(), Trouble> {
    let (session, _) = open(attempt, repository, Some(Payload::Sized(b"")))?;
    let request = Request::new(Method::PATCH, session.clone()).octets(Payload::Chunked(&blob.bytes));
    let answer = attempt.send(&request, &[Expectation::Status(&[202])])?;
    let session = follow(&session, &answer)?;
    finish(attempt, &session, Payload::Sized(b""), blob)
}

/// Opens a session and tells where it is.
fn open(attempt: &mut Attempt<'_>, repository: &str, body: Option<Payload<'_>>) -> Result<(Target, Answer), Trouble> {
    let target = attempt.target(repository, "blobs/uploads/");
    let request = Request { body, ..Request::new(Method::POST, target.clone()) };
    let answer = attempt.send(&request, &[Expectation::Status(&[202])])?;
    Ok((follow(&target, &answer)?, answer))
}

/// Ends a session with a PUT and looks whether the blob is stored, or was refused if it is not honest.
fn finish(attempt: &mut Attempt<'_>, session: &Target, body: Payload<'_>, blob: &Blob) -> Result<(), Trouble> {
    let target = session.with("digest", &blob.digest);
    conclude(attempt, &Request::new(Method::PUT, target).octets(body), blob)
}

fn conclude(attempt: &mut Attempt<'_>, put: &Request<'_>, blob: &Blob) -> Result<(), Trouble> {
    if !blob.honest {
        return attempt.send(put, &[Expectation::Status(&[400])]).map(drop);
    }
    let answer = attempt.send(put, &[Expectation::Status(&[201])])?;
    is_stored(attempt, &put.target, &answer, blob)
}

/// The 201 has to name the digest and a place that serves the blob.
fn is_stored(attempt: &mut Attempt<'_>, asked: &Target, answer: &Answer, blob: &Blob) -> Result<(), Trouble> {
    let digest = Expectation::Digest { digest: &blob.digest, required: attempt.rules().digest_header() };
    if let Some(mismatch) = digest.mismatch(answer) {
        return Err(Trouble::wrong(format!("{}: {mismatch}", asked.path_and_query())));
    }
    is_served(attempt, asked, answer, blob)
}

fn is_served(attempt: &mut Attempt<'_>, asked: &Target, answer: &Answer, blob: &Blob) -> Result<(), Trouble> {
    let place = follow(asked, answer)?;
    let request = Request::new(Method::GET, place);
    attempt.send(&request, &[Expectation::Status(&[200]), Expectation::Body(&blob.bytes)]).map(drop)
}

/// Many clients do not know that a body is empty before they have sent it.
fn payload(bytes: &[u8]) -> Payload<'_> {
    if bytes.is_empty() { Payload::Chunked(bytes) } else { Payload::Sized(bytes) }
}
