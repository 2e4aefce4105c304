//! One pusher: pushes by every way that clients know, one push after the other, until the server is killed under it.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use ureq::http::Method;

use super::content::{Blob, Manifest};
use super::ledger::{Intent, Ledger, REPOSITORIES, Session};
use super::uploads;
use crate::e2e::random::Random;
use crate::e2e::registry::{Payload, Registry, RequestError};

/// Tags that all pushers move, against each other.
const TAGS: [&str; 4] = ["latest", "stable", "1.0", "edge"];

/// How many blobs of a round all pushers push, against each other.
const CONTENDED_BLOBS: usize = 6;

pub(super) struct Pusher<'a> {
    registry: &'a Registry,
    ledger: &'a Ledger,
    killed: &'a AtomicBool,
    round: u32,
    random: Random,
}

impl<'a> Pusher<'a> {
    pub(super) fn new(
        registry: &'a Registry,
        ledger: &'a Ledger,
        killed: &'a AtomicBool,
        round: u32,
        random: Random,
    ) -> Self {
        Self { registry, ledger, killed, round, random }
    }

    /// Pushes until the server is killed; everything else that ends it is an error.
    pub(super) fn push_until_killed(mut self) -> Result<()> {
        while !self.killed.load(Ordering::SeqCst) {
            match self.push_something() {
                Ok(()) => {}
                Err(RequestError::Broken { .. }) if self.killed.load(Ordering::SeqCst) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn push_something(&mut self) -> Result<(), RequestError> {
        let repository = self.some_repository();
        match self.random.below(10) {
            0..=1 => push_in_chunks(self.registry, self.ledger, repository, self.some_blob(), &[]),
            2..=4 => {
                let blob = self.some_blob();
                let cuts = self.some_cuts(blob.size);
                push_in_chunks(self.registry, self.ledger, repository, blob, &cuts)
            }
            5 => push_whole(self.registry, self.ledger, repository, &self.some_blob()),
            6 => self.mount(repository),
            _ => self.put_manifest(repository),
        }
    }

    fn mount(&mut self, repository: &'static str) -> Result<(), RequestError> {
        let source = self.some_repository();
        let Some(blob) = self.ledger.some_blob(source, &mut self.random) else { return Ok(()) };
        let ticket = self.ledger.begin(Intent::Blob { repository, blob: blob.clone() });
        uploads::mount(self.registry, repository, source, &blob.digest)?;
        self.ledger.acknowledge(ticket);
        Ok(())
    }

    fn put_manifest(&mut self, repository: &'static str) -> Result<(), RequestError> {
        let nonce = self.random.next();
        let manifest = if self.random.one_in(4) {
            let Some(child) = self.ledger.some_manifest(repository, &mut self.random) else { return Ok(()) };
            Manifest::index(&[child], nonce)
        } else {
            let Some(config) = self.ledger.some_blob(repository, &mut self.random) else { return Ok(()) };
            let count = self.random.below(4);
            let layers: Vec<Blob> =
                (0..count).filter_map(|_| self.ledger.some_blob(repository, &mut self.random)).collect();
            Manifest::image(&config, &layers, self.random.one_in(2), nonce)
        };
        let tag = (!self.random.one_in(3)).then(|| self.random.pick(&TAGS).map(|tag| (*tag).to_owned())).flatten();
        put_manifest(self.registry, self.ledger, repository, &manifest, tag)
    }

    fn some_repository(&mut self) -> &'static str {
        REPOSITORIES[self.random.below(REPOSITORIES.len())]
    }

    /// A new blob, or one of those that the other pushers push too.
    fn some_blob(&mut self) -> Blob {
        if self.random.one_in(4) {
            let number = self.random.below(CONTENDED_BLOBS);
            Blob::new(Random::fork(u64::from(self.round), number as u64).next())
        } else {
            Blob::new(self.random.next())
        }
    }

    /// Where to cut a blob into chunks; the last chunk goes with the closing request, unless its cut is at the end.
    fn some_cuts(&mut self, size: usize) -> Vec<Cut> {
        let mut ends: Vec<usize> = (0..self.random.between(0, 3)).map(|_| self.random.between(2, size)).collect();
        if self.random.one_in(2) {
            ends.push(size);
        }
        ends.sort_unstable();
        ends.dedup();
        ends.into_iter().map(|end| Cut { end, with_place: self.random.one_in(2) }).collect()
    }
}

/// The end of a chunk, and whether the chunk tells its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub(super) end: usize,
    pub(super) with_place: bool,
}

/// POST, a PATCH for each cut, and PUT with the rest.
pub(super) fn push_in_chunks(
    registry: &Registry,
    ledger: &Ledger,
    repository: &'static str,
    blob: Blob,
    cuts: &[Cut],
) -> Result<(), RequestError> {
    let location = uploads::start(registry, repository)?;
    go_on(registry, ledger, Session { repository, blob, location, received: 0, closing: false }, cuts)
}

/// Takes a session from where it is to its end.
pub(super) fn go_on(registry: &Registry, ledger: &Ledger, session: Session, cuts: &[Cut]) -> Result<(), RequestError> {
    let bytes = session.blob.bytes();
    let (mut location, mut received) = (session.location.clone(), session.received);
    let digest = session.blob.digest.clone();
    let ticket = ledger.begin(Intent::Session(session));
    for cut in cuts.iter().filter(|cut| cut.end > received).collect::<Vec<_>>() {
        location = uploads::append(registry, &location, &bytes, received, cut.end, cut.with_place)?;
        received = cut.end;
        ledger.advance(ticket, |session| {
            session.location.clone_from(&location);
            session.received = received;
        });
    }
    ledger.advance(ticket, |session| session.closing = true);
    uploads::finish(registry, &location, &digest, &bytes, received)?;
    ledger.acknowledge(ticket);
    Ok(())
}

/// The whole blob in one POST; through a session if the registry makes one of it.
pub(super) fn push_whole(
    registry: &Registry,
    ledger: &Ledger,
    repository: &'static str,
    blob: &Blob,
) -> Result<(), RequestError> {
    let ticket = ledger.begin(Intent::Blob { repository, blob: blob.clone() });
    if let Some(location) = uploads::single(registry, repository, blob)? {
        uploads::finish(registry, &location, &blob.digest, &blob.bytes(), 0)?;
    }
    ledger.acknowledge(ticket);
    Ok(())
}

/// A manifest by its tag, or by its digest if there is none.
pub(super) fn put_manifest(
    registry: &Registry,
    ledger: &Ledger,
    repository: &'static str,
    manifest: &Manifest,
    tag: Option<String>,
) -> Result<(), RequestError> {
    let path = registry.path(repository, &format!("manifests/{}", tag.as_ref().unwrap_or(&manifest.digest)));
    let ticket = ledger.begin(Intent::Manifest { repository, manifest: manifest.clone(), tag });
    let headers = [("Content-Type", manifest.media_type)];
    registry.send(&Method::PUT, &path, &headers, Some(Payload::Sized(&manifest.bytes)))?.expect(201, "201")?;
    ledger.acknowledge(ticket);
    Ok(())
}
