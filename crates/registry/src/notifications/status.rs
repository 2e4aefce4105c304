//! How endpoints are doing, for people; and another try, when somebody asks for it.

use std::sync::Arc;

use cargohold_access::OperatorPermit;
use cargohold_metadata::{Count, EndpointRecord, EventId, FailedDelivery, PendingDeliveries, Redeliver, Timestamp};

use super::Live;
use crate::{Error, Registry};

/// Endpoints read at a time.
const PAGE: u16 = 100;
/// Rows that one transaction touches.
const STEP: u16 = 500;

/// How an endpoint is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointStatus {
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: EndpointState,
    /// What it is yet to be told.
    pub pending: Count,
    /// When the oldest of that happened.
    pub oldest: Option<Timestamp>,
    /// What is not tried any more until somebody asks for it.
    pub given_up: Count,
    /// What it was never told, since there was too much.
    pub dropped: u64,
    /// As much of that as was dropped since the start.
    pub dropped_since_start: u64,
    /// What was given up since the start.
    pub given_up_since_start: u64,
    /// What it was told since the start.
    pub delivered: u64,
    /// Attempts in vain since the start.
    pub failed: u64,
    /// Pulls that it is yet to be told.
    pub pulls_pending: usize,
    /// Pulls that it was never told since the start, since there were too many.
    pub pulls_lost: u64,
    /// When it took something last, since the start.
    pub last_success: Option<Timestamp>,
    /// When and why it did not, since the start.
    pub last_failure: Option<(Timestamp, String)>,
}

/// What an endpoint is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointState {
    /// It takes what it is told.
    Well,
    /// It failed so often in a row, and is tried again at that time.
    Failing {
        /// How often.
        failures: u32,
        /// When.
        next_try: Option<Timestamp>,
    },
    /// It said that it is gone.
    Gone,
    /// The configuration says so.
    Disabled,
    /// The configuration does not name it.
    Unknown,
}

/// An event that could not be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedEvent {
    /// The endpoint.
    pub endpoint: String,
    /// The event, and what went wrong.
    pub delivery: FailedDelivery,
}

/// What is to be tried again.
#[derive(Clone, Debug, Default)]
pub struct Redelivery {
    /// For one endpoint; for all if none is named.
    pub endpoint: Option<String>,
    /// One event; all that were given up if none is named.
    pub event: Option<i64>,
}

impl Registry {
    /// How each endpoint is doing.
    pub async fn endpoints(&self, _permit: &OperatorPermit) -> Result<Vec<EndpointStatus>, Error> {
        let mut all = Vec::new();
        for record in self.endpoint_records().await? {
            let pending = self.0.metadata.pending_deliveries(record.id).await?;
            all.push(status(record.clone(), pending, self.live(&record).as_deref()));
        }
        Ok(all)
    }

    /// The events that could not be delivered, of one endpoint or of all, at most `limit` each.
    pub async fn failed_events(
        &self,
        _permit: &OperatorPermit,
        endpoint: Option<&str>,
        limit: u16,
    ) -> Result<Vec<FailedEvent>, Error> {
        let mut all = Vec::new();
        for record in self.endpoint_records_of(endpoint).await? {
            let failed = self.0.metadata.failed_deliveries(record.id, EventId::FIRST, limit).await?;
            all.extend(failed.into_iter().map(|delivery| FailedEvent { endpoint: record.name.clone(), delivery }));
        }
        Ok(all)
    }

    /// Has endpoints be tried now, those that said they are gone as well, with what was given up. Answers how many events will be
    /// tried again that would not have been.
    pub async fn redeliver(&self, _permit: &OperatorPermit, what: &Redelivery) -> Result<usize, Error> {
        let mut all = 0;
        for record in self.endpoint_records_of(what.endpoint.as_deref()).await? {
            let event = what.event.map(EventId::from_number);
            loop {
                let touched = self.0.metadata.run(Redeliver { endpoint: record.id, event, limit: STEP }).await?;
                all += touched;
                if event.is_some() || touched < usize::from(STEP) {
                    break;
                }
            }
            if let Some(live) = self.live(&record) {
                let mut progress = live.progress();
                (progress.gone, progress.next_try) = (false, None);
                drop(progress);
                live.work.notify_one();
            }
        }
        Ok(all)
    }

    fn live(&self, record: &EndpointRecord) -> Option<Arc<Live>> {
        self.notifier()?.endpoints.iter().find(|live| live.id == record.id).cloned()
    }

    async fn endpoint_records(&self) -> Result<Vec<EndpointRecord>, Error> {
        let mut all: Vec<EndpointRecord> = Vec::new();
        loop {
            let last = all.last().map_or("", |record| &record.name);
            let page = self.0.metadata.endpoints(last, PAGE).await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    async fn endpoint_records_of(&self, name: Option<&str>) -> Result<Vec<EndpointRecord>, Error> {
        let mut all = self.endpoint_records().await?;
        if let Some(name) = name {
            all.retain(|record| record.name == name);
            if all.is_empty() {
                return Err(Error::EndpointUnknown(name.to_owned()));
            }
        }
        Ok(all)
    }
}

fn status(record: EndpointRecord, pending: PendingDeliveries, live: Option<&Live>) -> EndpointStatus {
    let PendingDeliveries { pending, oldest, given_up } = pending;
    let mut status = EndpointStatus {
        name: record.name,
        state: EndpointState::Unknown,
        pending,
        oldest,
        given_up,
        dropped: record.dropped,
        dropped_since_start: 0,
        given_up_since_start: 0,
        delivered: 0,
        failed: 0,
        pulls_pending: 0,
        pulls_lost: 0,
        last_success: None,
        last_failure: None,
    };
    if let Some(live) = live {
        let progress = live.progress();
        status.state = match (live.addressee().endpoint.disabled, progress.gone, progress.failures) {
            (true, ..) => EndpointState::Disabled,
            (_, true, _) => EndpointState::Gone,
            (.., 0) => EndpointState::Well,
            (.., failures) => EndpointState::Failing { failures, next_try: progress.next_try },
        };
        (status.delivered, status.failed) = (progress.delivered, progress.failed);
        (status.dropped_since_start, status.given_up_since_start) = (progress.dropped, progress.given_up);
        (status.pulls_pending, status.pulls_lost) = (progress.pulls.len(), progress.pulls_lost);
        (status.last_success, status.last_failure) = (progress.last_success, progress.last_failure.clone());
    }
    status
}
