//! Notifications: what happens in the registry is told to endpoints, in the words of the CNCF registry.
//!
//! What changes something is a row that is committed with the change (`metadata`'s events), so that a crash loses none of it; it
//! goes once the endpoint has taken it. Pulls change nothing, and are told from memory: they may be lost. However slow or dead an
//! endpoint is, it holds neither a request nor another endpoint; what waits for it is bounded, and what is beyond that is dropped,
//! the oldest first.
//!
//! How an event reaches its endpoint is the business of the endpoint's [`Courier`]. Whom is told can change while a registry runs:
//! what waits for an endpoint whose settings change stays, and what waits for one that is not named any more is dropped.

mod bound;
mod change;
mod deliver;
mod event;
mod herald;
mod metrics;
mod origin;
mod pulls;
mod status;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use cargohold_metadata::{EndpointId, EventId, Timestamp};
use tokio::sync::{Notify, watch};

pub use event::{Action, Source};
pub use origin::Origin;
pub use pulls::Pulled;
pub use status::{EndpointState, EndpointStatus, FailedEvent, Redelivery};

use crate::Registry;

/// What is told, and to whom.
#[derive(Clone, Debug, Default)]
pub struct Notifications {
    /// Whom. Their names differ.
    pub endpoints: Vec<Addressee>,
    /// Whether an event about a manifest names what it refers to.
    pub include_references: bool,
}

/// Somebody who is told, and by whom.
#[derive(Clone)]
pub struct Addressee {
    /// What it is told, and when.
    pub endpoint: Endpoint,
    /// Brings it there. Another one means that the endpoint is somewhere else, or is spoken to in another way.
    pub courier: Courier,
}

/// Somebody who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What the operator calls it.
    pub name: String,
    /// Nothing is written down for it, and nothing is sent; what waits for it stays.
    pub disabled: bool,
    /// Failures in a row before it is left alone for longer.
    pub threshold: usize,
    /// For how long then, at first.
    pub backoff: Duration,
    /// It is not told of content of these types.
    pub ignored_media_types: Vec<String>,
    /// It is not told that this happened.
    pub ignored_actions: Vec<Action>,
    /// The most that may wait for it.
    pub most_pending: usize,
    /// How often an event is tried before the next one has its turn; for ever if there is no such number.
    pub most_attempts: Option<usize>,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self {
            name: String::new(),
            disabled: false,
            threshold: 10,
            backoff: Duration::from_secs(1),
            ignored_media_types: Vec::new(),
            ignored_actions: Vec::new(),
            most_pending: 100_000,
            most_attempts: None,
        }
    }
}

/// An event on its way to an endpoint.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// What receivers know the event by.
    pub id: String,
    /// The envelope, in JSON.
    pub body: Bytes,
}

/// What became of a parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The endpoint has taken it.
    Delivered,
    /// It has not: it is tried again.
    Failed {
        /// Why, for people.
        reason: String,
        /// For how long the endpoint wants to be left alone.
        pause: Option<Duration>,
    },
    /// The endpoint says that it is gone for good.
    Gone,
}

/// Brings parcels to endpoints. It has to come to an end by itself.
pub type Courier = Arc<dyn Fn(Parcel) -> Pin<Box<dyn Future<Output = Sent> + Send>> + Send + Sync>;

/// Whom a registry tells, and whom it is to tell.
#[derive(Debug, Default)]
pub(crate) struct Notifying {
    /// None before anybody has said so.
    current: watch::Sender<Option<Arc<Notifier>>>,
    /// What is to come in its place.
    wanted: watch::Sender<Option<Notifications>>,
}

/// What a running registry knows of whom it tells.
pub(crate) struct Notifier {
    source: Source,
    include_references: bool,
    endpoints: Vec<Arc<Live>>,
    /// Spreads what would otherwise happen at the same time.
    random: fn() -> u64,
}

/// An endpoint and how it is doing.
pub(crate) struct Live {
    id: EndpointId,
    name: String,
    /// The newest event of before it was told of any.
    newest: EventId,
    /// Its settings, which may change.
    addressee: watch::Sender<Arc<Addressee>>,
    /// There may be something to deliver.
    work: Notify,
    /// More may wait for it than is allowed.
    grown: Notify,
    progress: Mutex<Progress>,
}

/// How an endpoint is doing.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Rows that wait for it or were given up, those of before the start included once they were counted.
    rows: i64,
    counted: bool,
    /// Attempts in vain since the last that was not.
    failures: u32,
    last_failure: Option<(Timestamp, String)>,
    last_success: Option<Timestamp>,
    next_try: Option<Timestamp>,
    /// It said that it is gone.
    gone: bool,
    /// Since the start.
    delivered: u64,
    /// Since the start.
    failed: u64,
    /// Since the start.
    given_up: u64,
    /// Since the start.
    dropped: u64,
    pulls: VecDeque<Arc<pulls::Pull>>,
    /// Since the start.
    pulls_lost: u64,
}

impl Registry {
    /// Whether anybody wants to know of requests that change something (`writes`), or of those that do not.
    pub fn notifies(&self, writes: bool) -> bool {
        let is_wanted = |live: &Arc<Live>| {
            let addressee = live.addressee.borrow();
            if writes { !addressee.endpoint.disabled } else { addressee.endpoint.wants(Action::Pull, None) }
        };
        self.notifier().is_some_and(|notifier| notifier.endpoints.iter().any(is_wanted))
    }

    fn notifier(&self) -> Option<Arc<Notifier>> {
        self.0.notifying.current.borrow().clone()
    }
}

impl Endpoint {
    fn wants(&self, action: Action, media_type: Option<&str>) -> bool {
        let is_ignored = |media_type| self.ignored_media_types.iter().any(|ignored| ignored == media_type);
        !self.disabled && !self.ignored_actions.contains(&action) && !media_type.is_some_and(is_ignored)
    }
}

impl Addressee {
    /// Whether what is on its way to the other one may go on to this one.
    fn is_reached_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.courier, &other.courier) && self.endpoint.disabled == other.endpoint.disabled
    }
}

impl Live {
    fn addressee(&self) -> Arc<Addressee> {
        self.addressee.borrow().clone()
    }

    fn wants(&self, action: Action, media_type: Option<&str>) -> bool {
        self.addressee.borrow().endpoint.wants(action, media_type)
    }

    /// The most that may wait for it.
    fn most(&self) -> usize {
        self.addressee.borrow().endpoint.most_pending
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        // Nothing that is done while it is held can break off half-way.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many rows more wait for it.
    fn grow(&self, rows: usize) {
        let most = self.most();
        let mut progress = self.progress();
        progress.rows = progress.rows.saturating_add_unsigned(rows as u64);
        let too_many = progress.excess(most) > 0;
        drop(progress);
        self.work.notify_one();
        if too_many {
            self.grown.notify_one();
        }
    }

    /// So many rows less.
    fn shrink(&self, rows: usize) {
        let mut progress = self.progress();
        progress.rows = progress.rows.saturating_sub_unsigned(rows as u64);
    }
}

impl Progress {
    /// How many rows too many there are, as far as that is known.
    fn excess(&self, most: usize) -> u64 {
        let rows = if self.counted { u64::try_from(self.rows).unwrap_or_default() } else { 0 };
        rows.saturating_sub(most as u64)
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.endpoints.iter().map(|live| &live.name)).finish()
    }
}

impl fmt::Debug for Addressee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)
    }
}
