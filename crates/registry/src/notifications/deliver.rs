//! Delivering: for each endpoint one event after the other, in order, until it has taken it.
//!
//! An event that an endpoint has taken and whose row is still there is told again: after a crash between the two, or if another
//! process took over. So each is told at least once. Where other processes deliver too, one holds an endpoint at a time.

use std::time::Duration;

use cargohold_metadata::{Delivered, Delivery, EventId, Fence, HoldEndpoint, KeepEndpoint, NotDelivered, Timestamp};
use futures_util::future::join_all;

use super::{Courier, Endpoint, Live, Notifier, Parcel, Sent, event};
use crate::{Error, Registry};

/// Deliveries read at a time.
const PAGE: u16 = 16;
/// The first pause after a failure; it doubles with each that follows.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause, unless the endpoint's backoff is longer, or it asks for a longer one.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// The longest that an endpoint may ask for.
const LONGEST_WISH: Duration = Duration::from_hours(1);
/// For how long an endpoint is held where other processes deliver too; put off when half of it is over.
const LEASE: Duration = Duration::from_secs(30);
/// How often it is looked there whether others have written something.
const POLL: Duration = Duration::from_secs(1);
/// How long to wait after the database failed.
const RETRY: Duration = Duration::from_secs(10);
/// The longest reason of a failure that is kept, in characters.
const LONGEST_REASON: usize = 500;

/// What comes next.
enum Next {
    /// There may be more to do.
    GoOn,
    /// Nothing is to be done before something happens, or before that time.
    Rest(Option<Timestamp>),
    /// Another process holds the endpoint.
    Lost,
}

impl Registry {
    /// Delivers what there is to deliver, until dropped. Stopping it at any point is safe.
    pub async fn notify_forever(&self, courier: Courier) {
        let Some(notifier) = self.notifier() else { return std::future::pending().await };
        let configured: Vec<_> = notifier.endpoints.iter().map(|live| live.id).collect();
        let forget = async {
            if let Err(error) = self.forget_endpoints(&configured).await {
                tracing::error!(%error, cause = ?error, "endpoints that are not configured any more could not be forgotten; the next start tries again");
            }
        };
        let endpoints = notifier.endpoints.iter().filter(|live| !live.settings.disabled).map(|live| async {
            if let Err(error) = self.count(live).await {
                let endpoint = &live.settings.name;
                tracing::error!(endpoint, %error, cause = ?error, "what waits for an endpoint could not be counted, trying again later");
            }
            tokio::join!(self.deliver_forever(notifier, live, &courier), self.keep_bound(live));
        });
        tokio::join!(forget, join_all(endpoints));
        std::future::pending::<()>().await;
    }

    async fn deliver_forever(&self, notifier: &Notifier, live: &Live, courier: &Courier) {
        loop {
            let failed = match self.hold(live).await {
                Ok(Some(fence)) => self.deliver_while_held(notifier, live, fence, courier).await,
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            let pause = if let Err(error) = failed {
                let endpoint = &live.settings.name;
                tracing::error!(endpoint, %error, cause = ?error, "events could not be delivered since the database failed, trying again later");
                RETRY
            } else {
                LEASE / 3
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Makes this process the one who delivers to an endpoint, if no other is.
    async fn hold(&self, live: &Live) -> Result<Option<Fence>, Error> {
        let now = self.0.environment.now();
        let until = now.plus(LEASE);
        // An embedded database has no other process: whoever held the endpoint is dead.
        let now = if self.0.metadata.is_shared() { now } else { Timestamp::from_micros(i64::MAX) };
        Ok(self.0.metadata.run(HoldEndpoint { endpoint: live.id, until, now }).await?)
    }

    /// Delivers until another process holds the endpoint.
    async fn deliver_while_held(
        &self,
        notifier: &Notifier,
        live: &Live,
        fence: Fence,
        courier: &Courier,
    ) -> Result<(), Error> {
        let mut keep_at = self.0.environment.now().plus(LEASE / 2);
        let shared = self.0.metadata.is_shared();
        loop {
            if shared && self.0.environment.now() > keep_at {
                let until = self.0.environment.now().plus(LEASE);
                if !self.0.metadata.run(KeepEndpoint { endpoint: live.id, fence, until }).await? {
                    return Ok(());
                }
                keep_at = self.0.environment.now().plus(LEASE / 2);
            }
            match self.deliver_step(notifier, live, fence, courier).await? {
                Next::GoOn => {}
                Next::Lost => return Ok(()),
                Next::Rest(until) => self.rest(live, until, shared).await,
            }
        }
    }

    /// Waits until there may be something to do.
    async fn rest(&self, live: &Live, until: Option<Timestamp>, shared: bool) {
        let now = self.0.environment.now();
        let left = until
            .map(|until| Duration::from_micros(until.micros().saturating_sub(now.micros()).try_into().unwrap_or(0)));
        let left = if shared { Some(left.map_or(POLL, |left| left.min(POLL))) } else { left };
        match left {
            None => live.work.notified().await,
            Some(left) => {
                tokio::select! { () = live.work.notified() => {} () = tokio::time::sleep(left) => {} }
            }
        }
    }

    async fn deliver_step(
        &self,
        notifier: &Notifier,
        live: &Live,
        fence: Fence,
        courier: &Courier,
    ) -> Result<Next, Error> {
        let now = self.0.environment.now();
        {
            let progress = live.progress();
            if progress.gone {
                return Ok(Next::Rest(None));
            }
            if let Some(next_try) = progress.next_try
                && now < next_try
            {
                return Ok(Next::Rest(Some(next_try)));
            }
        }
        let page = self.0.metadata.next_deliveries(live.id, PAGE).await?;
        if page.is_empty() {
            return Ok(self.deliver_pull(notifier, live, courier).await);
        }
        self.deliver_page(live, fence, courier, page).await
    }

    /// While an event is sent, it is written down that the one before was.
    async fn deliver_page(
        &self,
        live: &Live,
        fence: Fence,
        courier: &Courier,
        page: Vec<Delivery>,
    ) -> Result<Next, Error> {
        let mut told = Vec::new();
        for delivery in page {
            let parcel = Parcel {
                endpoint: live.place,
                id: delivery.uuid.clone(),
                body: event::envelope(&delivery.body).into(),
            };
            let (sent, held) = tokio::join!(courier(parcel), self.write_down(live, fence, std::mem::take(&mut told)));
            if !held? {
                return Ok(Next::Lost);
            }
            match sent {
                Sent::Delivered => {
                    live.succeeded(self.0.environment.now());
                    told.push(delivery.event);
                }
                failed => return self.write_down_failure(live, fence, &delivery, failed).await,
            }
        }
        Ok(if self.write_down(live, fence, told).await? { Next::GoOn } else { Next::Lost })
    }

    /// False if another process holds the endpoint.
    async fn write_down(&self, live: &Live, fence: Fence, events: Vec<EventId>) -> Result<bool, Error> {
        if events.is_empty() {
            return Ok(true);
        }
        let count = events.len();
        let held = self.0.metadata.run(Delivered { endpoint: live.id, fence, events }).await?;
        if held {
            live.shrink(count);
        }
        Ok(held)
    }

    async fn write_down_failure(
        &self,
        live: &Live,
        fence: Fence,
        delivery: &Delivery,
        failed: Sent,
    ) -> Result<Next, Error> {
        let error = self.failed(live, failed);
        let give_up = live.settings.most_attempts.is_some_and(|most| delivery.attempts + 1 >= most as u64);
        if give_up {
            let (endpoint, event) = (&live.settings.name, &delivery.uuid);
            tracing::error!(endpoint, event, error, "an event is given up: see `cargohold notifications failures`");
        }
        let now = self.0.environment.now();
        let failed = NotDelivered { endpoint: live.id, fence, event: delivery.event, error, now, give_up };
        // Nothing was touched if the event was dropped meanwhile, or if another process holds the endpoint: its writes tell.
        self.0.metadata.run(failed).await?;
        Ok(Next::GoOn)
    }

    async fn deliver_pull(&self, notifier: &Notifier, live: &Live, courier: &Courier) -> Next {
        let Some(pull) = live.progress().pulls.pop_front() else { return Next::Rest(None) };
        match courier(self.parcel_of_pull(notifier, live, &pull)).await {
            Sent::Delivered => live.succeeded(self.0.environment.now()),
            failed => {
                self.failed(live, failed);
                live.progress().pulls.push_front(pull);
            }
        }
        Next::GoOn
    }

    /// Takes note of a failure; answers why.
    fn failed(&self, live: &Live, failed: Sent) -> String {
        let (reason, wish, gone) = match failed {
            Sent::Failed { reason, pause } => (reason, pause, false),
            Sent::Gone => ("the endpoint answered that it is gone (410)".to_owned(), None, true),
            Sent::Delivered => (String::new(), None, false),
        };
        let reason: String = reason.chars().filter(|sign| *sign != '\0').take(LONGEST_REASON).collect();
        let random = self.notifier().map_or(0, |notifier| (notifier.random)());
        let now = self.0.environment.now();
        let mut progress = live.progress();
        progress.failures = progress.failures.saturating_add(1);
        progress.failed += 1;
        progress.gone = gone;
        let wait = pause(&live.settings, progress.failures, random).max(wish.unwrap_or_default().min(LONGEST_WISH));
        progress.next_try = Some(now.plus(wait));
        progress.last_failure = Some((now, reason.clone()));
        let failures = progress.failures;
        drop(progress);
        let endpoint = &live.settings.name;
        if gone {
            tracing::error!(
                endpoint,
                "an endpoint says that it is gone (410): nothing more is sent to it before the next start, or `cargohold notifications redeliver`"
            );
        } else if failures == 1 || failures == threshold(&live.settings) {
            tracing::warn!(endpoint, failures, reason, "an endpoint cannot be told of events, trying again");
        }
        reason
    }
}

impl Live {
    fn succeeded(&self, now: Timestamp) {
        let mut progress = self.progress();
        progress.delivered += 1;
        progress.last_success = Some(now);
        progress.next_try = None;
        let failures = std::mem::take(&mut progress.failures);
        drop(progress);
        if failures > 0 {
            tracing::info!(endpoint = self.settings.name, failures, "an endpoint is told of events again");
        }
    }
}

/// How long an endpoint is left alone after so many failures in a row: at first for moments, from the threshold on for its backoff
/// and longer and longer. Up to half of it is left out at random.
pub(super) fn pause(endpoint: &Endpoint, failures: u32, random: u64) -> Duration {
    let doubled = |first: Duration, times: u32| first.saturating_mul(2_u32.saturating_pow(times));
    let pause = match failures.checked_sub(threshold(endpoint)) {
        None => doubled(FIRST_PAUSE, failures.saturating_sub(1)).min(endpoint.backoff),
        Some(more) => doubled(endpoint.backoff, more).min(LONGEST_PAUSE.max(endpoint.backoff)),
    };
    let kept = 1024 - u32::try_from(random % 513).unwrap_or_default();
    pause.saturating_mul(kept) / 1024
}

/// After how many failures in a row an endpoint is left alone for longer.
fn threshold(endpoint: &Endpoint) -> u32 {
    u32::try_from(endpoint.threshold.max(1)).unwrap_or(u32::MAX)
}
