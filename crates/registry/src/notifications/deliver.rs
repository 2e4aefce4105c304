//! Delivering: for each endpoint one event after the other, in order, until it has taken it.
//!
//! An event that an endpoint has taken and whose row is still there is told again: after a crash between the two, or if another
//! process took over. So each is told at least once. Where other processes deliver too, one holds an endpoint at a time.

use std::{sync::Arc, time::Duration};

use cargohold_metadata::{Delivered, Delivery, EventId, Fence, HoldEndpoint, KeepEndpoint, NotDelivered, Timestamp};
use tokio::sync::watch;

use super::{Addressee, Endpoint, Live, Parcel, Sent, event};
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

/// The settings of an endpoint, as they are at each moment.
type Settings = watch::Receiver<Arc<Addressee>>;

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
    /// Delivers to one endpoint, and keeps what waits for it below its bound, as soon as it is not disabled.
    pub(super) async fn look_after(&self, live: &Live) {
        let mut changes = live.addressee.subscribe();
        if changes.wait_for(|addressee| !addressee.endpoint.disabled).await.is_err() {
            return;
        }
        if let Err(error) = self.count(live).await {
            let endpoint = &live.name;
            tracing::error!(endpoint, %error, cause = ?error, "what waits for an endpoint could not be counted, trying again later");
        }
        tokio::join!(self.deliver_forever(live, &mut changes), self.keep_bound(live));
    }

    async fn deliver_forever(&self, live: &Live, changes: &mut Settings) {
        loop {
            let failed = match self.hold(live).await {
                Ok(Some(fence)) => self.deliver_while_held(live, fence, changes).await,
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            let pause = if let Err(error) = failed {
                let endpoint = &live.name;
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
    async fn deliver_while_held(&self, live: &Live, fence: Fence, changes: &mut Settings) -> Result<(), Error> {
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
            match self.deliver_step(live, fence, changes).await? {
                Next::GoOn => {}
                Next::Lost => return Ok(()),
                Next::Rest(until) => self.rest(live, until, shared, changes).await,
            }
        }
    }

    /// Waits until there may be something to do.
    async fn rest(&self, live: &Live, until: Option<Timestamp>, shared: bool, changes: &mut Settings) {
        let now = self.0.environment.now();
        let left = until
            .map(|until| Duration::from_micros(until.micros().saturating_sub(now.micros()).try_into().unwrap_or(0)));
        let left = if shared { Some(left.map_or(POLL, |left| left.min(POLL))) } else { left };
        let left = async {
            match left {
                None => std::future::pending().await,
                Some(left) => tokio::time::sleep(left).await,
            }
        };
        tokio::select! { () = live.work.notified() => {} _ = changes.changed() => {} () = left => {} }
    }

    async fn deliver_step(&self, live: &Live, fence: Fence, changes: &mut Settings) -> Result<Next, Error> {
        let to = changes.borrow_and_update().clone();
        let now = self.0.environment.now();
        {
            if to.endpoint.disabled {
                return Ok(Next::Rest(None));
            }
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
            return Ok(self.deliver_pull(live, &to, changes).await);
        }
        self.deliver_page(live, fence, (&to, changes), page).await
    }

    /// While an event is sent, it is written down that the one before was.
    async fn deliver_page(
        &self,
        live: &Live,
        fence: Fence,
        (to, changes): (&Addressee, &mut Settings),
        page: Vec<Delivery>,
    ) -> Result<Next, Error> {
        let mut told = Vec::new();
        for delivery in page {
            let parcel = Parcel { id: delivery.uuid.clone(), body: event::envelope(&delivery.body).into() };
            let (sent, held) =
                tokio::join!(bring(to, parcel, changes), self.write_down(live, fence, std::mem::take(&mut told)));
            if !held? {
                return Ok(Next::Lost);
            }
            match sent {
                Some(Sent::Delivered) => {
                    live.succeeded(self.0.environment.now());
                    told.push(delivery.event);
                }
                Some(failed) => return self.write_down_failure(live, to, fence, &delivery, failed).await,
                None => return Ok(Next::GoOn),
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
        to: &Addressee,
        fence: Fence,
        delivery: &Delivery,
        failed: Sent,
    ) -> Result<Next, Error> {
        let error = self.failed(live, to, failed);
        let give_up = to.endpoint.most_attempts.is_some_and(|most| delivery.attempts + 1 >= most as u64);
        if give_up {
            let (endpoint, event) = (&live.name, &delivery.uuid);
            tracing::error!(endpoint, event, error, "an event is given up: see `cargohold notifications failures`");
        }
        let now = self.0.environment.now();
        let failed = NotDelivered { endpoint: live.id, fence, event: delivery.event, error, now, give_up };
        // Nothing was touched if the event was dropped meanwhile, or if another process holds the endpoint: its writes tell.
        if self.0.metadata.run(failed).await? && give_up {
            live.progress().given_up += 1;
        }
        Ok(Next::GoOn)
    }

    async fn deliver_pull(&self, live: &Live, to: &Addressee, changes: &mut Settings) -> Next {
        let Some(notifier) = self.notifier() else { return Next::Rest(None) };
        let Some(pull) = live.progress().pulls.front().cloned() else { return Next::Rest(None) };
        // Others only add to the end.
        match bring(to, self.parcel_of_pull(&notifier, &pull), changes).await {
            Some(Sent::Delivered) => {
                live.progress().pulls.pop_front();
                live.succeeded(self.0.environment.now());
            }
            Some(failed) => {
                self.failed(live, to, failed);
            }
            None => {}
        }
        Next::GoOn
    }

    /// Takes note of a failure; answers why.
    fn failed(&self, live: &Live, to: &Addressee, failed: Sent) -> String {
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
        // If it is elsewhere by now, what is said where it was holds nothing up.
        if live.addressee().is_reached_as(to) {
            progress.gone = gone;
            let wait = pause(&to.endpoint, progress.failures, random).max(wish.unwrap_or_default().min(LONGEST_WISH));
            progress.next_try = Some(now.plus(wait));
        }
        progress.last_failure = Some((now, reason.clone()));
        let failures = progress.failures;
        drop(progress);
        let endpoint = &live.name;
        if gone {
            tracing::error!(
                endpoint,
                "an endpoint says that it is gone (410): nothing more is sent to it before the next start, a change of its settings, or `cargohold notifications redeliver`"
            );
        } else if failures == 1 || failures == threshold(&to.endpoint) {
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
            tracing::info!(endpoint = self.name, failures, "an endpoint is told of events again");
        }
    }
}

/// Sends something. None if meanwhile the endpoint is elsewhere, or is disabled: then it may or may not have come.
async fn bring(to: &Addressee, parcel: Parcel, changes: &mut Settings) -> Option<Sent> {
    tokio::select! {
        biased;
        sent = (to.courier)(parcel) => Some(sent),
        _ = changes.wait_for(|now| !now.is_reached_as(to)) => None,
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
