//! What was acknowledged, ever, and what is under way: the truth that the server is held to.
//!
//! A pusher enters each intent before its first request and takes it out after the acknowledgement; what is left when the server
//! was killed is what the kill interrupted. Time here is a counter, so that "before" and "after" are exact.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::content::{Blob, Manifest};
use super::tag_history::TagHistory;
use crate::e2e::random::Random;

/// The repositories that are pushed to.
pub(super) const REPOSITORIES: [&str; 4] = ["kill/a", "kill/b", "kill/a/b", "c"];

/// Shared by all pushers of a run.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    state: Mutex<State>,
    progress: Condvar,
}

#[derive(Debug, Default)]
struct State {
    clock: u64,
    blobs: Vec<(&'static str, Blob)>,
    manifests: Vec<(&'static str, Manifest)>,
    tags: BTreeMap<(&'static str, String), TagHistory>,
    under_way: BTreeMap<u64, Intent>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    acknowledged: usize,
    interrupted: usize,
    completed: usize,
    resumed: usize,
}

/// Something that is asked of the server.
#[derive(Clone, Debug)]
pub(super) enum Intent {
    /// A blob by a single request: whole in a POST, or mounted.
    Blob { repository: &'static str, blob: Blob },
    /// A blob through an upload session.
    Session(Session),
    /// A manifest, and the tag by which it is put, if any.
    Manifest { repository: &'static str, manifest: Manifest, tag: Option<String> },
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
    /// Its closing request was sent.
    pub(super) closing: bool,
}

/// An intent's place in the ledger: the moment when it was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

impl Ledger {
    /// Enters an intent; to be called before its request is sent.
    pub(super) fn begin(&self, intent: Intent) -> Ticket {
        let mut state = self.state();
        let now = state.tick();
        if let Intent::Manifest { repository, manifest, tag: Some(tag) } = &intent {
            state.tags.entry((repository, tag.clone())).or_default().start(&manifest.digest, now);
        }
        state.under_way.insert(now, intent);
        Ticket(now)
    }

    /// The server has acknowledged a part of a session.
    pub(super) fn advance(&self, ticket: Ticket, change: impl FnOnce(&mut Session)) {
        if let Some(Intent::Session(session)) = self.state().under_way.get_mut(&ticket.0) {
            change(session);
        }
    }

    /// The server has acknowledged the whole: from now on it is a fact.
    pub(super) fn acknowledge(&self, ticket: Ticket) {
        let mut state = self.state();
        let now = state.tick();
        match state.under_way.remove(&ticket.0) {
            Some(Intent::Blob { repository, blob } | Intent::Session(Session { repository, blob, .. })) => {
                state.blobs.push((repository, blob));
            }
            Some(Intent::Manifest { repository, manifest, tag }) => {
                if let Some(history) = tag.and_then(|tag| state.tags.get_mut(&(repository, tag))) {
                    history.acknowledge(&manifest.digest, ticket.0, now);
                }
                state.manifests.push((repository, manifest));
            }
            None => {}
        }
        state.counts.acknowledged += 1;
        self.progress.notify_all();
    }

    /// Takes out what a kill interrupted.
    pub(super) fn take_interrupted(&self) -> Vec<Intent> {
        let mut state = self.state();
        let interrupted: Vec<Intent> = std::mem::take(&mut state.under_way).into_values().collect();
        state.counts.interrupted += interrupted.len();
        interrupted
    }

    /// An interrupted intent turned out to have been carried out, though nobody was told.
    pub(super) fn count_completed(&self) {
        self.state().counts.completed += 1;
    }

    /// An interrupted session went on.
    pub(super) fn count_resumed(&self) {
        self.state().counts.resumed += 1;
    }

    /// How many intents were acknowledged, ever.
    pub(super) fn acknowledged(&self) -> usize {
        self.state().counts.acknowledged
    }

    /// Waits until `goal` intents were acknowledged or `given_up` says so; false if nothing is acknowledged for `limit`.
    pub(super) fn wait_for(&self, goal: usize, limit: Duration, given_up: impl Fn() -> bool) -> bool {
        let mut state = self.state();
        let mut last = (state.counts.acknowledged, Instant::now());
        while state.counts.acknowledged < goal && !given_up() {
            if state.counts.acknowledged > last.0 {
                last = (state.counts.acknowledged, Instant::now());
            } else if last.1.elapsed() > limit {
                return false;
            }
            // `given_up` reports nothing by itself, so it is looked at from time to time.
            let waited = self.progress.wait_timeout(state, Duration::from_millis(50));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// All blobs that must be there, with their repositories.
    pub(super) fn blobs(&self) -> Vec<(&'static str, Blob)> {
        self.state().blobs.clone()
    }

    /// All manifests that must be there, with their repositories.
    pub(super) fn manifests(&self) -> Vec<(&'static str, Manifest)> {
        self.state().manifests.clone()
    }

    /// All tags that were ever asked for, with what they may point at.
    pub(super) fn tags(&self) -> Vec<((&'static str, String), TagHistory)> {
        self.state().tags.clone().into_iter().collect()
    }

    /// A tag was seen after a start, while nothing was under way.
    pub(super) fn settle_tag(&self, tag: &(&'static str, String), observed: Option<&str>) {
        let mut state = self.state();
        let now = state.tick();
        if let Some(history) = state.tags.get_mut(tag) {
            history.settle(observed, now);
        }
    }

    /// Some blob that is in this repository.
    pub(super) fn some_blob(&self, repository: &str, random: &mut Random) -> Option<Blob> {
        let state = self.state();
        let here: Vec<&Blob> =
            state.blobs.iter().filter(|(name, _)| *name == repository).map(|(_, blob)| blob).collect();
        random.pick(&here).map(|blob| (*blob).clone())
    }

    /// Some manifest that is in this repository.
    pub(super) fn some_manifest(&self, repository: &str, random: &mut Random) -> Option<Manifest> {
        let state = self.state();
        let here: Vec<&Manifest> =
            state.manifests.iter().filter(|(name, _)| *name == repository).map(|(_, manifest)| manifest).collect();
        random.pick(&here).map(|manifest| (*manifest).clone())
    }

    /// What the run did, in one line.
    pub(super) fn summary(&self) -> String {
        let State { blobs, manifests, tags, counts, .. } = &*self.state();
        format!(
            "{} blobs, {} manifests and {} tags acknowledged; {} pushes interrupted, {} of them found complete, {} uploads resumed",
            blobs.len(),
            manifests.len(),
            tags.len(),
            counts.interrupted,
            counts.completed,
            counts.resumed,
        )
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A pusher that panicked fails the run by itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::content::{Blob, Manifest};
    use super::{Intent, Ledger, Session};

    fn manifest(nonce: u64) -> Manifest {
        Manifest::image(&Blob::new(1), &[], false, nonce)
    }

    fn put(ledger: &Ledger, nonce: u64) -> super::Ticket {
        ledger.begin(Intent::Manifest { repository: "c", manifest: manifest(nonce), tag: Some("latest".to_owned()) })
    }

    #[test]
    fn what_was_acknowledged_is_a_fact_and_the_rest_was_interrupted() {
        let ledger = Ledger::default();
        let first = ledger.begin(Intent::Blob { repository: "c", blob: Blob::new(1) });
        ledger.begin(Intent::Blob { repository: "c", blob: Blob::new(2) });
        ledger.acknowledge(first);
        assert_eq!(ledger.blobs(), [("c", Blob::new(1))]);
        assert!(matches!(&ledger.take_interrupted()[..], [Intent::Blob { blob, .. }] if *blob == Blob::new(2)));
        assert!(ledger.take_interrupted().is_empty());
    }

    #[test]
    fn a_session_remembers_how_far_it_came() {
        let ledger = Ledger::default();
        let session =
            Session { repository: "c", blob: Blob::new(1), location: "/1".to_owned(), received: 0, closing: false };
        let ticket = ledger.begin(Intent::Session(session));
        ledger.advance(ticket, |session| session.received = 7);
        assert!(matches!(&ledger.take_interrupted()[..], [Intent::Session(session)] if session.received == 7));
    }

    #[test]
    fn a_tag_follows_its_acknowledged_moves() {
        let ledger = Ledger::default();
        let first = put(&ledger, 1);
        ledger.acknowledge(first);
        put(&ledger, 2);
        let tags = ledger.tags();
        assert!(tags[0].1.allows(Some(&manifest(1).digest)) && tags[0].1.allows(Some(&manifest(2).digest)));
        ledger.settle_tag(&tags[0].0, Some(&manifest(2).digest));
        assert!(!ledger.tags()[0].1.allows(Some(&manifest(1).digest)));
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
