//! An endpoint: it takes whatever it is sent, and keeps it.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::Value;

use crate::e2e::endpoint::{self, Answer};

/// It listens until the suite ends.
#[derive(Debug)]
pub(super) struct Receiver {
    url: String,
    taken: Arc<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    events: Mutex<Vec<Value>>,
    more: Condvar,
}

impl Receiver {
    pub(super) fn start() -> Result<Self> {
        let taken = Arc::new(Taken::default());
        let url = endpoint::listen({
            let taken = taken.clone();
            move |body| {
                taken.take(body);
                Answer::Taken
            }
        })?;
        Ok(Self { url, taken })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Waits until it has taken so many events, each counted once.
    pub(super) fn wait_for(&self, events: usize, patience: Duration) -> Result<Vec<Value>> {
        let deadline = Instant::now() + patience;
        let mut taken = self.taken.events.lock().unwrap_or_else(PoisonError::into_inner);
        while taken.len() < events {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("{} events were told instead of {events}: {:#}", taken.len(), Value::from(taken.clone()));
            }
            taken = self.taken.more.wait_timeout(taken, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(taken.clone())
    }
}

impl Taken {
    fn take(&self, body: &[u8]) {
        let envelope: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        for event in envelope["events"].as_array().into_iter().flatten() {
            // A sender that waited too long for an answer says it again.
            if events.iter().all(|taken| taken["id"] != event["id"]) {
                events.push(event.clone());
            }
        }
        self.more.notify_all();
    }
}
