//! The sweep: what nothing refers to and whose time has ended loses its rows, and then its bytes.
//!
//! It starts from `sweep_candidates` and nothing else. Each candidate is one transaction: its row is locked, everything is asked
//! again, and it goes, waits longer, or turns out to be needed. What goes makes candidates of what it alone held: a repository its
//! manifests, a manifest its payload and its links, a link its blob. A blob's objects are discarded; the discard worker has them then.

mod blob;
mod link;
mod manifest;
mod payload;
mod repository;

use std::time::Duration;

pub(crate) use blob::STATEMENTS as BLOB_STATEMENTS;
pub(crate) use link::{LOCKS as LINK_LOCKS, STATEMENTS as LINK_STATEMENTS};
pub(crate) use manifest::{LOCKS as MANIFEST_LOCKS, STATEMENTS as MANIFEST_STATEMENTS};
pub(crate) use payload::STATEMENTS as PAYLOAD_STATEMENTS;
pub(crate) use repository::{LOCKS as REPOSITORY_LOCKS, STATEMENTS as REPOSITORY_STATEMENTS};

use crate::{
    Candidate, Error, Timestamp,
    sweep_candidates::{self, Review},
    transaction::{Tx, sealed::Run},
};

/// How long things are left alone.
#[derive(Clone, Copy, Debug)]
pub struct SweepTimes {
    /// Now.
    pub now: Timestamp,
    /// A blob's link that nothing refers to stays this long.
    pub grace: Duration,
    /// What was deleted can come back for this long.
    pub window: Duration,
    /// The bytes of a swept blob stay this long.
    pub keep: Duration,
}

/// How long one candidate, and what it lets go, is left alone.
#[derive(Clone, Copy, Debug)]
struct Times {
    now: Timestamp,
    grace: Duration,
    window: Duration,
    keep: Duration,
    purge: bool,
}

impl Times {
    /// To be asked behind the lock of what the candidate is about: who makes it a candidate again holds that.
    async fn of(tx: &mut Tx<'_>, candidate: Candidate, times: &SweepTimes) -> Result<Self, Error> {
        let purge = sweep_candidates::is_purged(&mut tx.connection, candidate).await?;
        let times = Self { now: times.now, grace: times.grace, window: times.window, keep: times.keep, purge };
        let none = Duration::ZERO;
        Ok(if purge { Self { grace: none, window: none, keep: none, ..times } } else { times })
    }

    /// When to look at what was let go.
    fn review(&self, after: Timestamp) -> Review {
        Review { purge: self.purge, ..after.into() }
    }
}

/// Looks at one candidate, and removes what it is if it may go.
#[derive(Debug)]
pub struct SweepCandidate {
    /// Which.
    pub candidate: Candidate,
    /// How long things are left alone.
    pub times: SweepTimes,
}

/// What became of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swept {
    /// It was garbage, and is gone.
    Removed,
    /// Something needs it: it is a candidate no longer.
    Needed,
    /// A part of it is gone, and the next part can go at once.
    Part,
    /// Its time has not ended: it is looked at again then.
    Waits(Timestamp),
}

impl Run for SweepCandidate {
    type Output = Swept;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Swept, Error> {
        let times = &self.times;
        let swept = match self.candidate {
            Candidate::Repository(repository) => repository::sweep(tx, repository, times).await?,
            Candidate::Link(repository, blob) => match link::sweep(tx, repository, blob, times).await? {
                Some(swept) => swept,
                None => return link::forget(tx, repository, blob).await.map(|()| Swept::Needed),
            },
            Candidate::Manifest(repository, manifest) => manifest::sweep(tx, repository, manifest, times).await?,
            Candidate::Payload(payload) => payload::sweep(tx, payload).await?,
            Candidate::Blob(blob) => blob::sweep(tx, blob, times).await?,
        };
        // Behind what it is about, as everywhere: whoever makes it a candidate again waits for that row.
        match swept {
            Swept::Waits(until) => sweep_candidates::postpone(&mut tx.connection, self.candidate, until).await?,
            Swept::Part => sweep_candidates::postpone(&mut tx.connection, self.candidate, times.now).await?,
            Swept::Removed | Swept::Needed => sweep_candidates::forget(&mut tx.connection, self.candidate).await?,
        }
        Ok(swept)
    }
}

/// Has a candidate that could not be looked at wait.
#[derive(Debug)]
pub struct PostponeCandidate {
    /// Which.
    pub candidate: Candidate,
    /// Until when.
    pub until: Timestamp,
}

impl Run for PostponeCandidate {
    type Output = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        sweep_candidates::postpone(&mut tx.connection, self.candidate, self.until).await
    }
}
