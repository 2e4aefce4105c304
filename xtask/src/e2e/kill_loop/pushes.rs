//! Pushes, as clients make them, each request noted in the ledger before it is sent and after it is answered.
//!
//! A refusal is an error unless the sweep or another pusher can have caused it.

use std::thread;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use ureq::http::Method;

use super::content::{Blob, Manifest};
use super::facts::Place;
use super::ledger::{Ledger, Request, Session, Ticket, repositories};
use super::uploads;
use crate::e2e::random::Random;
use crate::e2e::registry::{Payload, Registry, RequestError};

/// How often an image is pushed whose blobs the sweep takes before its manifest comes.
pub(super) const TRIES: usize = 200;

/// One that talks to the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client<'a> {
    pub(super) registry: &'a Registry,
    pub(super) ledger: &'a Ledger,
    /// How long it may take its time between the blobs of an image and its manifest.
    pub(super) dawdle: Duration,
}

/// The end of a chunk, and whether the chunk tells its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub(super) end: usize,
    pub(super) with_place: bool,
}

impl Client<'_> {
    /// Pushes what the manifest refers to and is not there, and the manifest; again if the sweep was quicker. False if it always was.
    pub(super) fn push_image(
        &self,
        repository: &'static str,
        manifest: &Manifest,
        tag: Option<&str>,
        random: &mut Random,
    ) -> Result<bool> {
        for _ in 0..TRIES {
            for child in &manifest.children {
                if self.ledger.stand(&[Place::manifest(repository, &child.digest)]).is_none()
                    && !self.push_image(repository, child, None, random)?
                {
                    return Ok(false);
                }
            }
            for blob in &manifest.blobs {
                if !self.exists(repository, blob)? {
                    self.push_blob(repository, blob, random)?;
                }
            }
            if random.one_in(3) {
                // So that the time of grace ends before, while and after the manifest is put.
                let tenths = u32::try_from(random.between(0, 20)).unwrap_or_default();
                thread::sleep(self.dawdle * tenths / 10);
            }
            if self.put_manifest(repository, manifest, tag)? {
                return Ok(true);
            }
        }
        self.ledger.count(|counts| counts.given_up += 1);
        Ok(false)
    }

    /// Pushes a blob in one of the ways that there are.
    pub(super) fn push_blob(&self, repository: &'static str, blob: &Blob, random: &mut Random) -> Result<()> {
        match random.below(8) {
            0 => self.push_in_chunks(repository, blob, &[]),
            1..=3 => self.push_in_chunks(repository, blob, &some_cuts(blob.size, random)),
            4..=5 => self.push_whole(repository, blob),
            6 => self.mount(repository, None, blob),
            _ => {
                let others: Vec<&str> = repositories().filter(|other| *other != repository).collect();
                self.mount(repository, random.pick(&others).copied(), blob)
            }
        }
    }

    /// Whether the repository has a blob. If so, that is a promise.
    pub(super) fn exists(&self, repository: &'static str, blob: &Blob) -> Result<bool> {
        let place = [Place::blob(repository, &blob.digest)];
        let path = self.registry.path(repository, &format!("blobs/{}", blob.digest));
        let stood = self.ledger.stand(&place);
        let ticket = self.ledger.begin(Request::Exists { repository, blob: blob.clone() });
        let answer = self.registry.send(&Method::HEAD, &path, &[], None)?;
        if answer.status() == 404 {
            self.ledger.withdraw(ticket);
            self.may_be_gone(stood, &place, "is not there to HEAD")?;
            if !self.ledger.allowed(&place[0]).contains(&None) {
                self.ledger.count(|counts| counts.swept += 1);
            }
            return Ok(false);
        }
        let answer = answer.expect(200, "200 or 404")?;
        let length = answer.required("content-length")?;
        ensure!(length == blob.size.to_string(), "the blob {} of {repository} has {length} bytes", blob.digest);
        self.ledger.acknowledge(ticket);
        Ok(true)
    }

    /// POST, a PATCH for each cut, and PUT with the rest.
    pub(super) fn push_in_chunks(&self, repository: &'static str, blob: &Blob, cuts: &[Cut]) -> Result<()> {
        let session = self.start(repository, blob)?;
        self.go_on(session, cuts)
    }

    /// Begins a session, sends some of its chunks, and leaves it alone: the next start finds it as it is.
    pub(super) fn leave_open(&self, repository: &'static str, blob: &Blob, cuts: &[Cut]) -> Result<()> {
        let session = self.start(repository, blob)?;
        self.append(session, cuts)?;
        Ok(())
    }

    /// Takes a session from where it is to its end.
    pub(super) fn go_on(&self, session: Session, cuts: &[Cut]) -> Result<()> {
        let (digest, bytes) = (session.blob.digest.clone(), session.blob.bytes());
        let (ticket, session) = self.append(session, cuts)?;
        self.ledger.advance(ticket, |session| {
            session.sent = session.blob.size;
            session.closing = true;
        });
        uploads::finish(self.registry, &session.location, &digest, &bytes, session.received)?;
        self.ledger.acknowledge(ticket);
        Ok(())
    }

    /// The whole blob in one POST; through a session if the registry makes one of it.
    pub(super) fn push_whole(&self, repository: &'static str, blob: &Blob) -> Result<()> {
        let ticket = self.ledger.begin(Request::Blob { repository, blob: blob.clone() });
        if let Some(location) = uploads::single(self.registry, repository, blob)? {
            uploads::finish(self.registry, &location, &blob.digest, &blob.bytes(), 0)?;
        }
        self.ledger.acknowledge(ticket);
        Ok(())
    }

    /// Mounts a blob, or uploads it if the source does not have it.
    fn mount(&self, repository: &'static str, from: Option<&'static str>, blob: &Blob) -> Result<()> {
        // One that has it for certain is enough where any will do.
        let mut sources = repositories().filter(|source| from.is_none_or(|from| from == *source));
        let stands = |source| self.ledger.stand(&[Place::blob(source, &blob.digest)]).map(|stood| (source, stood));
        let source = sources.find_map(stands);
        let ticket = self.ledger.begin(Request::Blob { repository, blob: blob.clone() });
        let Some(location) = uploads::mount(self.registry, repository, from, &blob.digest)? else {
            self.ledger.acknowledge(ticket);
            return Ok(());
        };
        self.ledger.withdraw(ticket);
        if let Some((source, stood)) = source {
            self.may_be_gone(Some(stood), &[Place::blob(source, &blob.digest)], "could not be mounted")?;
        }
        let session = Session { repository, blob: blob.clone(), location, received: 0, sent: 0, closing: false };
        self.go_on(session, &[])
    }

    /// A manifest by its tag, or by its digest if there is none. False if something that it refers to has gone.
    pub(super) fn put_manifest(
        &self,
        repository: &'static str,
        manifest: &Manifest,
        tag: Option<&str>,
    ) -> Result<bool> {
        let blobs = manifest.blobs.iter().map(|blob| Place::blob(repository, &blob.digest));
        let children = manifest.children.iter().map(|child| Place::manifest(repository, &child.digest));
        let needed: Vec<Place> = blobs.chain(children).collect();
        let path = self.registry.path(repository, &format!("manifests/{}", tag.unwrap_or(&manifest.digest)));
        let stood = self.ledger.stand(&needed);
        let (tag, headers) = (tag.map(str::to_owned), [("Content-Type", manifest.media_type)]);
        let ticket = self.ledger.begin(Request::Manifest { repository, manifest: manifest.clone(), tag });
        let answer = self.registry.send(&Method::PUT, &path, &headers, Some(Payload::Sized(&manifest.bytes)))?;
        if answer.status() == 400 && String::from_utf8_lossy(&answer.body).contains("MANIFEST_BLOB_UNKNOWN") {
            self.ledger.withdraw(ticket);
            self.may_be_gone(stood, &needed, &format!("are unknown to PUT {path}"))?;
            self.ledger.count(|counts| counts.overtaken += 1);
            return Ok(false);
        }
        answer.expect(201, "201, or 400 MANIFEST_BLOB_UNKNOWN")?;
        self.ledger.acknowledge(ticket);
        Ok(true)
    }

    /// An error if all of these `stood` before a request, nobody asked to delete anything since, and one of them was not found.
    pub(super) fn may_be_gone(&self, stood: Option<u64>, places: &[Place], what: &str) -> Result<()> {
        if stood.is_some() && self.ledger.stand(places) == stood {
            bail!("LOST: {what}, though all of it was acknowledged and not deleted: {places:?}");
        }
        Ok(())
    }

    fn start(&self, repository: &'static str, blob: &Blob) -> Result<Session, RequestError> {
        let location = uploads::start(self.registry, repository)?;
        Ok(Session { repository, blob: blob.clone(), location, received: 0, sent: 0, closing: false })
    }

    /// Sends the chunks of a session that end behind where it is.
    fn append(&self, mut session: Session, cuts: &[Cut]) -> Result<(Ticket, Session), RequestError> {
        let bytes = session.blob.bytes();
        let ticket = self.ledger.begin(Request::Session(session.clone()));
        for cut in cuts {
            let Session { location, received, .. } = &session;
            if cut.end <= *received {
                continue;
            }
            self.ledger.advance(ticket, |session| session.sent = cut.end);
            let location = uploads::append(self.registry, location, &bytes, *received, cut.end, cut.with_place)?;
            session = Session { location, received: cut.end, sent: cut.end, ..session };
            self.ledger.advance(ticket, |noted| noted.clone_from(&session));
        }
        Ok((ticket, session))
    }
}

/// Where to cut a blob into chunks; the last chunk goes with the closing request, unless its cut is at the end.
pub(super) fn some_cuts(size: usize, random: &mut Random) -> Vec<Cut> {
    let mut ends: Vec<usize> = (0..random.between(0, 4)).map(|_| random.between(2, size)).collect();
    if random.one_in(2) {
        ends.push(size);
    }
    ends.sort_unstable();
    ends.dedup();
    ends.into_iter().map(|end| Cut { end, with_place: random.one_in(2) }).collect()
}
