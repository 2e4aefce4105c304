//! What became of a body: how much of it was sent, and when that was over.
//!
//! hyper drops a body as soon as it has taken the last frame, long before that is sent. So each frame carries a share
//! of the observation, and the last one to go, body or frame, ends it: everything was handed to the kernel, or the
//! connection is gone. Frames are wrapped, not copied, and their addresses stay what they were, so that files still
//! go by `sendfile`.
//!
//! Bytes of mapped files count when a socket has accepted them. All others count when they are handed to the
//! connection, which holds at most some tens of KiB of them back.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

use crate::sendfile::{self, Mapping};

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyOutcome {
    /// Bytes of the body that went to the client.
    pub bytes: u64,
    /// Whether that was all of it. A body that nobody asked for, as that of a response to HEAD, is complete only if
    /// it is empty.
    pub complete: bool,
}

pub(super) struct Observation(Mutex<Progress>);

struct Progress {
    /// Bytes handed to the connection, mapped ones excepted.
    handed: u64,
    /// Mapped bytes handed to the connection.
    mapped: u64,
    mappings: Vec<Arc<Mapping>>,
    all_taken: bool,
    on_end: Option<Box<dyn FnOnce(BodyOutcome) + Send>>,
}

/// A frame and its share of the observation. The order of the fields matters: the bytes go first.
struct Followed {
    bytes: Bytes,
    _observation: Arc<Observation>,
}

impl Observation {
    pub(super) fn new(on_end: impl FnOnce(BodyOutcome) + Send + 'static) -> Observation {
        let on_end: Box<dyn FnOnce(BodyOutcome) + Send> = Box::new(on_end);
        let progress = Progress { handed: 0, mapped: 0, mappings: Vec::new(), all_taken: false, on_end: Some(on_end) };
        Observation(Mutex::new(progress))
    }

    /// Has somebody else told of the end too, after those before.
    pub(super) fn also(&self, on_end: impl FnOnce(BodyOutcome) + Send + 'static) {
        self.change(|progress| {
            let earlier = mem::take(&mut progress.on_end);
            progress.on_end = Some(Box::new(move |outcome| {
                if let Some(earlier) = earlier {
                    earlier(outcome);
                }
                on_end(outcome);
            }));
        });
    }

    /// The body has no more bytes to give.
    pub(super) fn all_taken(&self) {
        self.change(|progress| progress.all_taken = true);
    }

    /// Counts `bytes` and has them end the observation.
    pub(super) fn follow(observation: &Arc<Observation>, bytes: Bytes) -> Bytes {
        let mapping = sendfile::mapping_of(&bytes);
        observation.change(|progress| progress.take(bytes.len() as u64, mapping));
        Bytes::from_owner(Followed { bytes, _observation: observation.clone() })
    }

    fn change(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Progress {
    fn take(&mut self, length: u64, mapping: Option<Arc<Mapping>>) {
        let Some(mapping) = mapping else {
            self.handed += length;
            return;
        };
        self.mapped += length;
        if !self.mappings.iter().any(|known| Arc::ptr_eq(known, &mapping)) {
            self.mappings.push(mapping);
        }
    }

    fn outcome(&self) -> BodyOutcome {
        let sent = self.mappings.iter().map(|mapping| mapping.sent()).sum::<u64>();
        BodyOutcome { bytes: self.handed + sent, complete: self.all_taken && sent == self.mapped }
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        let progress = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(on_end) = mem::take(&mut progress.on_end) {
            on_end(progress.outcome());
        }
    }
}

impl AsRef<[u8]> for Followed {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Observation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Observation")
    }
}
