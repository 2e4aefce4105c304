//! What was acknowledged, ever, and what is under way: the truth that the server is held to.
//!
//! Each request is entered before it is sent and taken out after its answer; what is left when the server was killed is what the kill
//! interrupted. Time here is a counter, so that "before" and "after" are exact.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::content::{Blob, Manifest};
use super::facts::{Expected, Facts, Place};
use super::register::{Effect, Value};

/// Repositories that have one pusher each: what they hold is known exactly.
pub(super) const OWN: [&str; 4] = ["kill/a", "kill/b", "kill/a/b", "c"];

/// The repository in which all pushers push, move tags and delete against each other. Each manifest of it belongs to one of them.
pub(super) const SHARED: &str = "kill/shared";

/// All of them.
pub(super) fn repositories() -> impl Iterator<Item = &'static str> {
    OWN.into_iter().chain([SHARED])
}

/// Shared by all pushers of one data folder.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    state: Mutex<State>,
    progress: Condvar,
}

#[derive(Debug, Default)]
struct State {
    facts: Facts,
    under_way: BTreeMap<u64, Interrupted>,
    counts: Counts,
}

/// How much of what was done, for the closing line.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) blobs: usize,
    pub(super) manifests: usize,
    pub(super) deletions: usize,
    pub(super) interrupted: usize,
    pub(super) completed: usize,
    pub(super) resumed: usize,
    /// Puts that were refused because the sweep had taken a blob, which then was pushed again.
    pub(super) overtaken: usize,
    /// Pushes that the sweep overtook again and again.
    pub(super) given_up: usize,
    /// Blobs that the sweep was found to have taken.
    pub(super) swept: usize,
}

/// Something that is asked of the server.
#[derive(Clone, Debug)]
pub(super) enum Request {
    /// Whether a blob is there: if so, it is a promise.
    Exists {
        repository: &'static str,
        blob: Blob,
    },
    /// A blob by a single request: whole in a POST, or mounted.
    Blob {
        repository: &'static str,
        blob: Blob,
    },
    /// A blob through an upload session.
    Session(Session),
    /// A manifest, and the tag by which it is put, if any.
    Manifest {
        repository: &'static str,
        manifest: Manifest,
        tag: Option<String>,
    },
    DeleteBlob {
        repository: &'static str,
        digest: String,
    },
    DeleteManifest {
        repository: &'static str,
        digest: String,
    },
    DeleteTag {
        repository: &'static str,
        tag: String,
    },
}

/// An upload session as its pusher knows it.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) repository: &'static str,
    pub(super) blob: Blob,
    /// Where it goes on.
    pub(super) location: String,
    /// How many bytes the server has acknowledged.
    pub(super) received: usize,
    /// How many it has if it got all of the chunk that is under way.
    pub(super) sent: usize,
    /// Its closing request was sent.
    pub(super) closing: bool,
}

/// A request that was not answered.
#[derive(Clone, Debug)]
pub(super) struct Interrupted {
    pub(super) request: Request,
    pub(super) changes: Vec<Change>,
}

/// What a request would change.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) place: Place,
    pub(super) effect: Effect,
    started: u64,
    /// What was there for certain when it was asked for.
    pub(super) before: Option<Value>,
}

/// A request's place in the ledger: the moment when it was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

impl Request {
    fn effects(&self, facts: &Facts) -> Vec<(Place, Effect)> {
        match self {
            // Nothing can be seen of it before it is closed.
            Self::Session(session) if !session.closing => Vec::new(),
            Self::Exists { repository, blob }
            | Self::Blob { repository, blob }
            | Self::Session(Session { repository, blob, .. }) => vec![set_blob(repository, blob)],
            Self::Manifest { repository, manifest, tag } => {
                let set = Effect::Set(manifest.digest.clone());
                let tag = tag.iter().map(|tag| (Place::tag(repository, tag), set.clone()));
                std::iter::once((Place::manifest(repository, &manifest.digest), set.clone())).chain(tag).collect()
            }
            Self::DeleteBlob { repository, digest } => vec![(Place::blob(repository, digest), Effect::Remove)],
            Self::DeleteManifest { repository, digest } if *repository == SHARED => {
                facts.effects_of_shared_deletion(repository, digest)
            }
            Self::DeleteManifest { repository, digest } => facts.effects_of_deletion(repository, digest),
            Self::DeleteTag { repository, tag } => vec![(Place::tag(repository, tag), Effect::Remove)],
        }
    }
}

impl Ledger {
    /// Enters a request; to be called before it is sent.
    pub(super) fn begin(&self, request: Request) -> Ticket {
        let mut state = self.state();
        match &request {
            Request::Exists { blob, .. } | Request::Blob { blob, .. } | Request::Session(Session { blob, .. }) => {
                state.facts.know_blob(blob);
            }
            Request::Manifest { manifest, .. } => state.facts.know_manifest(manifest),
            Request::DeleteBlob { .. } | Request::DeleteManifest { .. } | Request::DeleteTag { .. } => {}
        }
        let ticket = Ticket(state.facts.tick());
        let effects = request.effects(&state.facts);
        state.under_way.insert(ticket.0, Interrupted { request, changes: Vec::new() });
        state.start(ticket, effects);
        ticket
    }

    /// Something happened to a session. If it is closing from now on, its blob may appear.
    pub(super) fn advance(&self, ticket: Ticket, change: impl FnOnce(&mut Session)) {
        let mut state = self.state();
        let Some(Interrupted { request: Request::Session(session), changes }) = state.under_way.get_mut(&ticket.0)
        else {
            return;
        };
        change(session);
        let appears = session.closing && changes.is_empty();
        if appears {
            let effect = set_blob(session.repository, &session.blob);
            state.start(ticket, vec![effect]);
        }
    }

    /// The server has acknowledged the whole: from now on it is a fact.
    pub(super) fn acknowledge(&self, ticket: Ticket) {
        let mut state = self.state();
        let now = state.facts.tick();
        let Some(done) = state.under_way.remove(&ticket.0) else { return };
        for change in &done.changes {
            state.facts.acknowledge(&change.place, &change.effect, change.started, now);
        }
        match done.request {
            // A look at something is no progress.
            Request::Exists { .. } => return,
            Request::Blob { .. } | Request::Session(_) => state.counts.blobs += 1,
            Request::Manifest { .. } => state.counts.manifests += 1,
            Request::DeleteBlob { .. } | Request::DeleteManifest { .. } | Request::DeleteTag { .. } => {
                state.counts.deletions += 1;
            }
        }
        self.progress.notify_all();
    }

    /// The server has refused: nothing has happened.
    pub(super) fn withdraw(&self, ticket: Ticket) {
        let mut state = self.state();
        let Some(refused) = state.under_way.remove(&ticket.0) else { return };
        for change in &refused.changes {
            state.facts.withdraw(&change.place, &change.effect, change.started);
        }
    }

    /// Takes out what a kill interrupted.
    pub(super) fn take_interrupted(&self) -> Vec<Interrupted> {
        let mut state = self.state();
        let interrupted: Vec<Interrupted> = std::mem::take(&mut state.under_way).into_values().collect();
        state.counts.interrupted += interrupted.len();
        interrupted
    }

    /// The server is about to start with these times.
    pub(super) fn begin_round(&self, sweeping: bool) {
        self.state().facts.begin_round(sweeping);
    }

    /// Whether the sweep may have taken a blob that was under way when the round before ended.
    pub(super) fn may_have_swept(&self) -> bool {
        self.state().facts.may_have_swept()
    }

    /// It was seen after a start, while nothing was under way.
    pub(super) fn settle(&self, place: &Place, observed: Value) {
        self.state().facts.settle(place, observed);
    }

    pub(super) fn allowed(&self, place: &Place) -> BTreeSet<Value> {
        self.state().facts.allowed(place)
    }

    pub(super) fn expected(&self, place: &Place) -> Expected {
        self.state().facts.expected(place)
    }

    /// Whether a manifest of its repository needs this blob.
    pub(super) fn is_held(&self, blob: &Place) -> bool {
        self.state().facts.is_held(blob)
    }

    /// See [`Facts::stand`].
    pub(super) fn stand(&self, places: &[Place]) -> Option<u64> {
        self.state().facts.stand(places)
    }

    /// All places, the ones that were touched last at first.
    pub(super) fn places(&self) -> Vec<Place> {
        self.state().facts.places()
    }

    /// The manifests that a repository must have.
    pub(super) fn manifests_of(&self, repository: &str) -> Vec<Manifest> {
        self.state().facts.manifests_of(repository).cloned().collect()
    }

    /// The blob of that digest, if it was ever pushed.
    pub(super) fn blob(&self, digest: &str) -> Option<Blob> {
        self.state().facts.blob(digest).cloned()
    }

    pub(super) fn count(&self, add: impl FnOnce(&mut Counts)) {
        add(&mut self.state().counts);
    }

    pub(super) fn counts(&self) -> Counts {
        self.state().counts
    }

    /// Waits until `goal` changes were acknowledged or `given_up` says so; false if nothing is acknowledged for `limit`.
    pub(super) fn wait_for(&self, goal: usize, limit: Duration, given_up: impl Fn() -> bool) -> bool {
        let mut state = self.state();
        let mut last = (state.counts.acknowledged(), Instant::now());
        while state.counts.acknowledged() < goal && !given_up() {
            if state.counts.acknowledged() > last.0 {
                last = (state.counts.acknowledged(), Instant::now());
            } else if last.1.elapsed() > limit {
                return false;
            }
            // `given_up` reports nothing by itself, so it is looked at from time to time.
            let waited = self.progress.wait_timeout(state, Duration::from_millis(50));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A pusher that panicked fails the run by itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn start(&mut self, ticket: Ticket, effects: Vec<(Place, Effect)>) {
        let started = self.facts.tick();
        let mut changes = Vec::with_capacity(effects.len());
        for (place, effect) in effects {
            let before = self.facts.certain(&place);
            self.facts.start(&place, &effect, started);
            changes.push(Change { place, effect, started, before });
        }
        if let Some(under_way) = self.under_way.get_mut(&ticket.0) {
            under_way.changes = changes;
        }
    }
}

impl Counts {
    /// How many changes were acknowledged.
    pub(super) fn acknowledged(&self) -> usize {
        self.blobs + self.manifests + self.deletions
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { blobs, manifests, deletions, interrupted, completed, resumed, overtaken, given_up, swept } = self;
        write!(
            formatter,
            "{blobs} blobs, {manifests} manifests and {deletions} deletions acknowledged; {interrupted} requests interrupted, \
             {completed} of them found complete, {resumed} uploads resumed; {swept} blobs found swept, {overtaken} puts overtaken \
             by the sweep or a deletion, {given_up} given up"
        )
    }
}

fn set_blob(repository: &'static str, blob: &Blob) -> (Place, Effect) {
    (Place::blob(repository, &blob.digest), Effect::Set(blob.digest.clone()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::content::{Blob, Manifest};
    use super::super::facts::{Expected, Place};
    use super::{Ledger, Request, Session};

    fn put(ledger: &Ledger, nonce: u64) -> super::Ticket {
        let manifest = Manifest::image(&[Blob::new(1)], false, nonce);
        ledger.begin(Request::Manifest { repository: "c", manifest, tag: Some("latest".to_owned()) })
    }

    #[test]
    fn what_was_acknowledged_is_a_fact_and_the_rest_was_interrupted() {
        let ledger = Ledger::default();
        let place = |seed| Place::blob("c", &Blob::new(seed).digest);
        let first = ledger.begin(Request::Blob { repository: "c", blob: Blob::new(1) });
        ledger.begin(Request::Blob { repository: "c", blob: Blob::new(2) });
        let third = ledger.begin(Request::Blob { repository: "c", blob: Blob::new(3) });
        ledger.acknowledge(first);
        ledger.withdraw(third);
        let expected = [1, 2, 3].map(|seed| ledger.expected(&place(seed)));
        assert_eq!(expected, [Expected::There, Expected::Either, Expected::Gone]);
        let interrupted = ledger.take_interrupted();
        assert!(matches!(&interrupted[..], [one] if one.changes[0].place == place(2)));
        assert!(ledger.take_interrupted().is_empty());
    }

    #[test]
    fn a_session_shows_nothing_before_it_is_closed() {
        let ledger = Ledger::default();
        let blob = Blob::new(1);
        let place = Place::blob("c", &blob.digest);
        let location = "/1".to_owned();
        let session = Session { repository: "c", blob, location, received: 0, sent: 0, closing: false };
        let ticket = ledger.begin(Request::Session(session));
        ledger.advance(ticket, |session| session.received = 7);
        assert_eq!(ledger.expected(&place), Expected::Gone);
        ledger.advance(ticket, |session| session.closing = true);
        assert_eq!(ledger.expected(&place), Expected::Either);
        let interrupted = ledger.take_interrupted();
        assert!(matches!(&interrupted[0].request, Request::Session(session) if session.received == 7));
    }

    #[test]
    fn waiting_ends_at_the_goal_when_given_up_or_when_nothing_moves() {
        let ledger = Ledger::default();
        let ticket = put(&ledger, 1);
        ledger.acknowledge(ticket);
        assert!(ledger.wait_for(1, Duration::ZERO, || false));
        assert!(ledger.wait_for(2, Duration::MAX, || true));
        assert!(!ledger.wait_for(2, Duration::ZERO, || false));
    }
}
