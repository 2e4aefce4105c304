//! Upload sessions and mounts.

use super::{Model, Upload};
use crate::{
    digest::{is_digest, is_of},
    promise::{Expected, Promise},
    step::{PostQuery, Session},
};

impl Model {
    pub(super) fn post(
        &mut self,
        repository: &'static str,
        session: Session,
        query: &PostQuery,
        body: &[u8],
    ) -> Expected {
        let digests = [&query.mount, &query.digest].into_iter().flatten();
        let algorithm = query.algorithm.is_none_or(|algorithm| ["sha256", "sha512"].contains(&algorithm));
        if !algorithm || digests.into_iter().any(|digest| !is_digest(digest)) {
            return Expected::one(Promise::refusal(400, "DIGEST_INVALID"));
        }
        if let Some(digest) = query.mount.as_ref().filter(|digest| self.can_mount(digest, query.from.as_deref())) {
            return self.has_now(repository, digest);
        }
        // A mount that cannot be done is a session, whatever else is said.
        match query.digest.as_ref().filter(|_| query.mount.is_none()) {
            // Some clients name the digest and bring nothing yet.
            Some(digest) if is_of(digest, body) => self.has_now(repository, digest),
            Some(_) if !body.is_empty() => Expected::one(Promise::refusal(400, "DIGEST_INVALID")),
            _ => {
                self.sessions.insert(session, Upload { repository, received: Vec::new() });
                Expected::one(Promise::empty(202).session(session, 0).is("Content-Length", "0"))
            }
        }
    }

    pub(super) fn patch(&mut self, repository: &str, session: Session, range: Option<&str>, body: &[u8]) -> Expected {
        let refusals = self.refusals(repository, session, range, body);
        let Some(upload) = self.sessions.get_mut(&session).filter(|_| refusals.is_empty()) else {
            return Expected(refusals);
        };
        upload.received.extend_from_slice(body);
        Expected::one(Promise::empty(202).session(session, upload.received.len()).is("Content-Length", "0"))
    }

    pub(super) fn put(
        &mut self,
        repository: &'static str,
        session: Session,
        digest: Option<&str>,
        range: Option<&str>,
        body: &[u8],
    ) -> Expected {
        let mut refusals = self.refusals(repository, session, range, body);
        let Some(digest) = digest.filter(|digest| is_digest(digest)) else {
            refusals.push(Promise::refusal(400, "DIGEST_INVALID"));
            return Expected(refusals);
        };
        if self.upload(repository, session).is_none() && self.repository(repository).blobs.contains(digest) {
            // As if it were the repetition of the one that succeeded; what else is wrong with it may be told instead.
            let mut either = self.has_now(repository, digest);
            either.0.extend(refusals.into_iter().filter(|refusal| refusal.status == 400));
            return either;
        }
        if !refusals.is_empty() {
            return Expected(refusals);
        }
        let upload = self.sessions.remove(&session).expect("a session that is not there is a refusal");
        if is_of(digest, &[upload.received.as_slice(), body].concat()) {
            self.has_now(repository, digest)
        } else {
            Expected::one(Promise::refusal(400, "DIGEST_INVALID"))
        }
    }

    pub(super) fn status(&self, repository: &str, session: Session) -> Expected {
        Expected::one(match self.upload(repository, session) {
            Some(upload) => Promise::empty(204).session(session, upload.received.len()),
            None => unknown(),
        })
    }

    pub(super) fn cancel(&mut self, repository: &str, session: Session) -> Expected {
        if self.upload(repository, session).is_none() {
            return Expected::one(unknown());
        }
        self.sessions.remove(&session);
        Expected::one(Promise::empty(204))
    }

    /// A session belongs to its repository.
    fn upload(&self, repository: &str, session: Session) -> Option<&Upload> {
        self.sessions.get(&session).filter(|upload| upload.repository == repository)
    }

    /// A mount without a source takes the blob from anywhere.
    fn can_mount(&self, digest: &str, from: Option<&str>) -> bool {
        let has = |name: &str| self.repositories.get(name).is_some_and(|repository| repository.blobs.contains(digest));
        from.map_or_else(|| self.repositories.keys().any(|name| has(name)), has)
    }

    fn has_now(&mut self, repository: &str, digest: &str) -> Expected {
        self.repository_mut(repository).blobs.insert(digest.to_owned());
        let promise = Promise::empty(201).is("Location", format!("/v2/{repository}/blobs/{digest}"));
        Expected::one(promise.is("Docker-Content-Digest", digest).is("Content-Length", "0"))
    }

    /// All that is wrong with bytes for a session.
    fn refusals(&self, repository: &str, session: Session, range: Option<&str>, body: &[u8]) -> Vec<Promise> {
        let (mut refusals, upload) = (Vec::new(), self.upload(repository, session));
        if upload.is_none() {
            refusals.push(unknown());
        }
        let Some(range) = range else { return refusals };
        let Some((first, last)) = chunk(range) else {
            refusals.push(Promise::refusal(400, "BLOB_UPLOAD_INVALID"));
            return refusals;
        };
        if last + 1 - first != body.len() {
            refusals.push(Promise::refusal(400, "SIZE_INVALID"));
        }
        if let Some(upload) = upload.filter(|upload| upload.received.len() != first) {
            refusals.push(Promise::refusal(416, "RANGE_INVALID").session(session, upload.received.len()));
        }
        refusals
    }
}

fn unknown() -> Promise {
    Promise::refusal(404, "BLOB_UPLOAD_UNKNOWN")
}

/// First and last byte of `<first>-<last>`, or of `bytes <first>-<last>/<anything>`.
fn chunk(range: &str) -> Option<(usize, usize)> {
    let range = range.strip_prefix("bytes ").and_then(|range| range.split_once('/')).map_or(range, |(range, _)| range);
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}
