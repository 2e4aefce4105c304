//! Deleting a repository, a manifest or a tag, bringing it back and purging it, until the server is killed in between.
//!
//! One repository, in which nobody else does anything: an index of two images, and a tag. What it may look like is a set of states; each
//! request moves them, each answer and each look leaves fewer. What was interrupted has happened or not, and never by halves.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use ureq::http::Method;

use super::content::{Manifest, Pool};
use super::pushes::TRIES;
use super::uploads;
use crate::e2e::operator::Operator;
use crate::e2e::random::Random;
use crate::e2e::registry::{Payload, Registry, RequestError};

const REPOSITORY: &str = "kill/undone";
const TAG: &str = "v1";

/// What is deleted, brought back and purged in one data folder.
#[derive(Debug)]
pub(super) struct Undo {
    index: Manifest,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    possible: BTreeSet<State>,
    /// What was asked and not answered.
    asked: Option<Ask>,
    /// Windows may end in this round.
    windows_end: bool,
    done: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// Nothing is there, and nothing can come back.
    Absent,
    There,
    /// This was deleted, and can come back.
    Deleted(What),
    /// The tag is gone for good; the manifests are there.
    Untagged,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Tag,
    Manifest,
    Repository,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Push,
    Delete(What),
    Undelete(What),
    Purge(What),
}

/// What is seen of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    All,
    NoTag,
    Nothing,
}

/// Both ways to the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doors<'a> {
    pub(super) registry: &'a Registry,
    pub(super) operator: &'a Operator,
}

impl Undo {
    /// Of images whose blobs others push, delete and sweep elsewhere.
    pub(super) fn new(pool: &Pool) -> Self {
        let known = Known { possible: BTreeSet::from([State::Absent]), asked: None, windows_end: false, done: 0 };
        Self { index: Manifest::index(&pool.restless[..2], 0), known: Mutex::new(known) }
    }

    /// The server is about to start, with windows that end at once or soon, or not within a round.
    pub(super) fn begin_round(&self, windows_end: bool) {
        let mut known = self.known();
        // What was deleted late in the round before, too.
        if known.windows_end || windows_end {
            known.windows_may_end();
        }
        known.windows_end = windows_end;
    }

    /// Looks at what a start found, and makes good what was interrupted.
    pub(super) fn check(&self, doors: Doors<'_>) -> Result<()> {
        let interrupted = self.known().asked.take();
        if interrupted == Some(Ask::Push) {
            return self.push(doors);
        }
        if let Some(ask) = interrupted {
            let mut known = self.known();
            let after: Vec<State> = known.possible.iter().filter_map(|state| ask.done(*state)).collect();
            known.possible.extend(after);
        }
        self.look(doors).with_context(|| format!("after {interrupted:?} was interrupted"))
    }

    /// Goes on until the server is killed; everything else that ends it is an error.
    pub(super) fn go_on_until_killed(&self, doors: Doors<'_>, killed: &AtomicBool, mut random: Random) -> Result<()> {
        while !killed.load(Ordering::SeqCst) {
            let ask = self.choose(&mut random);
            if let Err(error) = self.ask(doors, ask) {
                let broken = matches!(error.downcast_ref(), Some(RequestError::Broken { .. }));
                return if broken && killed.load(Ordering::SeqCst) { Ok(()) } else { Err(error) };
            }
        }
        Ok(())
    }

    /// How many requests were answered.
    pub(super) fn done(&self) -> usize {
        self.known().done
    }

    fn choose(&self, random: &mut Random) -> Ask {
        let what = [What::Tag, What::Manifest, What::Repository][random.below(3)];
        let possible: Vec<State> = self.known().possible.iter().copied().collect();
        match (random.pick(&possible).copied().unwrap_or(State::Absent), random.below(8)) {
            (State::There, _) => Ask::Delete(what),
            (State::Deleted(what), 0..=4) => Ask::Undelete(what),
            (State::Deleted(what), 5) => Ask::Purge(what),
            // In vain.
            (State::Absent, 0) => Ask::Undelete(what),
            (State::Untagged, 0) => Ask::Undelete(What::Tag),
            _ => Ask::Push,
        }
    }

    fn ask(&self, doors: Doors<'_>, ask: Ask) -> Result<()> {
        self.known().asked = Some(ask);
        if ask == Ask::Push {
            self.push(doors)?;
        } else {
            let (path, body) = ask.request(&self.index.digest);
            let (status, answer) = doors.operator.post(path, &body)?;
            self.known().answered(ask, status).with_context(|| format!("POST {path} {body}: {status} {answer}"))?;
            self.look(doors).with_context(|| format!("after POST {path} {body} was answered: {status} {answer}"))?;
        }
        let mut known = self.known();
        known.asked = None;
        known.done += 1;
        Ok(())
    }

    /// Pushes all of it. Where the sweep takes blobs that nothing refers to it may be overtaken, and begins again.
    fn push(&self, doors: Doors<'_>) -> Result<()> {
        for child in &self.index.children {
            ensure!(push_image(doors.registry, child)?, "the sweep overtook a push {TRIES} times");
        }
        put(doors.registry, &self.index, TAG)?.then_some(()).context("LOST: a child that was just pushed")?;
        self.known().possible = BTreeSet::from([State::There]);
        self.look(doors)
    }

    /// Looks at all of it. What was seen is what it is.
    fn look(&self, doors: Doors<'_>) -> Result<()> {
        let seen = self.see(doors.registry)?;
        let mut known = self.known();
        let before = known.possible.clone();
        known.possible.retain(|state| state.sight() == seen);
        ensure!(!known.possible.is_empty(), "LOST or BACK: {REPOSITORY} shows {seen:?}, but must be {before:?}");
        Ok(())
    }

    fn see(&self, registry: &Registry) -> Result<Sight> {
        let tagged = registry.manifest(REPOSITORY, TAG)?.map(|manifest| manifest.digest);
        ensure!(
            tagged.as_ref().is_none_or(|digest| *digest == self.index.digest),
            "{REPOSITORY}:{TAG} is {tagged:?}, which was never pushed"
        );
        let listed = registry.tags(REPOSITORY)?.iter().any(|tag| tag == TAG);
        ensure!(listed == tagged.is_some(), "the tag {TAG} of {REPOSITORY} is listed or there, not both");
        let manifests: Vec<&Manifest> = self.index.children.iter().chain([&self.index]).collect();
        let mut there = Vec::new();
        for manifest in &manifests {
            if let Some(served) = registry.manifest(REPOSITORY, &manifest.digest)? {
                ensure!(served.bytes == manifest.bytes, "{} of {REPOSITORY} has other bytes", manifest.digest);
                there.push(&manifest.digest);
            }
        }
        match (tagged.is_some(), there.len()) {
            (false, 0) => return Ok(Sight::Nothing),
            (_, some) if some < manifests.len() => {
                bail!("HALF-MADE: of {manifests:?} only {there:?} are in {REPOSITORY}")
            }
            _ => {}
        }
        for blob in manifests.iter().flat_map(|manifest| &manifest.blobs) {
            let digest = &blob.digest;
            registry.blob(REPOSITORY, digest)?.with_context(|| format!("LOST: {digest}, which {REPOSITORY} needs"))?;
        }
        Ok(if tagged.is_some() { Sight::All } else { Sight::NoTag })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // A thread that panicked fails the run by itself.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn answered(&mut self, ask: Ask, status: u16) -> Result<()> {
        let before = self.possible.clone();
        match status {
            200..=299 => self.possible = before.iter().filter_map(|state| ask.done(*state)).collect(),
            404 | 409 | 410 if self.windows_end => self.windows_may_end(),
            404 | 409 | 410 => self.possible.retain(|state| ask.done(*state).is_none()),
            _ => bail!("it should be done, or refused as 404, 409 or 410"),
        }
        ensure!(!self.possible.is_empty(), "it was in one of the states {before:?}");
        Ok(())
    }

    /// What was deleted may be swept from now on.
    fn windows_may_end(&mut self) {
        let ended: Vec<State> = self.possible.iter().filter_map(|state| state.forgotten()).collect();
        self.possible.extend(ended);
    }
}

impl State {
    /// What it is once it cannot come back.
    fn forgotten(self) -> Option<Self> {
        match self {
            Self::Deleted(What::Tag) => Some(Self::Untagged),
            Self::Deleted(_) => Some(Self::Absent),
            Self::Absent | Self::There | Self::Untagged => None,
        }
    }

    fn sight(self) -> Sight {
        match self {
            Self::There => Sight::All,
            Self::Deleted(What::Tag) | Self::Untagged => Sight::NoTag,
            Self::Absent | Self::Deleted(What::Manifest | What::Repository) => Sight::Nothing,
        }
    }
}

impl Ask {
    /// What becomes of a state if it is done; nothing if it has to be refused.
    fn done(self, state: State) -> Option<State> {
        match (self, state) {
            (Self::Push, _) => Some(State::There),
            (Self::Delete(what), State::There) => Some(State::Deleted(what)),
            (Self::Undelete(what), State::Deleted(deleted)) if what == deleted => Some(State::There),
            (Self::Purge(what), State::Deleted(deleted)) if what == deleted => state.forgotten(),
            _ => None,
        }
    }

    fn request(self, index: &str) -> (&'static str, Value) {
        let (path, what) = match self {
            Self::Push => unreachable!("pushes go through the front door"),
            Self::Delete(what) => ("/v1/repositories/delete", what),
            Self::Undelete(what) => ("/v1/repositories/undelete", what),
            Self::Purge(what) => ("/v1/repositories/purge", what),
        };
        let reference = match what {
            What::Tag => Some(TAG),
            What::Manifest => Some(index),
            What::Repository => None,
        };
        (path, json!({ "repository": REPOSITORY, "reference": reference }))
    }
}

/// Pushes an image without a tag; false if the sweep overtook it again and again.
fn push_image(registry: &Registry, image: &Manifest) -> Result<bool> {
    for _ in 0..TRIES {
        for blob in &image.blobs {
            if let Some(session) = uploads::single(registry, REPOSITORY, blob)? {
                uploads::finish(registry, &session, &blob.digest, &blob.bytes(), 0)?;
            }
        }
        if put(registry, image, &image.digest)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Puts a manifest; false if the sweep has taken what it refers to.
fn put(registry: &Registry, manifest: &Manifest, reference: &str) -> Result<bool> {
    let path = registry.path(REPOSITORY, &format!("manifests/{reference}"));
    let headers = [("Content-Type", manifest.media_type)];
    let answer = registry.send(&Method::PUT, &path, &headers, Some(Payload::Sized(&manifest.bytes)))?;
    if answer.status() == 400 && String::from_utf8_lossy(&answer.body).contains("MANIFEST_BLOB_UNKNOWN") {
        return Ok(false);
    }
    answer.expect(201, "201, or 400 MANIFEST_BLOB_UNKNOWN")?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Ask, Known, State, What};

    fn known(possible: &[State], windows_end: bool) -> Known {
        Known { possible: possible.iter().copied().collect(), asked: None, windows_end, done: 0 }
    }

    #[test]
    fn what_was_deleted_has_to_come_back_while_its_window_lasts() {
        let deleted = [State::Deleted(What::Repository)];
        let undelete = Ask::Undelete(What::Repository);
        assert!(known(&deleted, false).answered(undelete, 404).is_err());
        let mut ended = known(&deleted, true);
        ended.answered(undelete, 404).unwrap();
        assert_eq!(ended.possible, BTreeSet::from([State::Absent, State::Deleted(What::Repository)]));
    }

    #[test]
    fn what_was_purged_must_not_come_back() {
        let mut known = known(&[State::Deleted(What::Tag)], false);
        known.answered(Ask::Purge(What::Tag), 200).unwrap();
        assert_eq!(known.possible, BTreeSet::from([State::Untagged]));
        assert!(known.answered(Ask::Undelete(What::Tag), 200).is_err());
    }

    #[test]
    fn what_is_deleted_or_purged_is_told_by_whether_it_comes_back() {
        let either = [State::Deleted(What::Manifest), State::Absent];
        let undelete = Ask::Undelete(What::Manifest);
        let (mut back, mut gone) = (known(&either, false), known(&either, false));
        back.answered(undelete, 200).unwrap();
        gone.answered(undelete, 409).unwrap();
        assert_eq!((back.possible, gone.possible), (BTreeSet::from([State::There]), BTreeSet::from([State::Absent])));
    }
}
