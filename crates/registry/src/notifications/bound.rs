//! Keeps what waits for an endpoint below its bound. A push only says how many rows it wrote.

use std::time::Duration;

use cargohold_metadata::{EndpointId, EventId, ForgetEndpoint, TrimDeliveries};

use super::Live;
use crate::{Error, Registry};

/// Rows counted, and rows dropped, in one step.
const STEP: u16 = 500;
/// When it is dropped, this part of the bound is made free: a push at the bound does not cost a deletion each.
const SLACK: u64 = 64;
/// How long to wait after the database failed.
const RETRY: Duration = Duration::from_secs(10);
/// Where other processes write too, rows are counted anew so often.
const RECOUNT: Duration = Duration::from_mins(1);

impl Registry {
    /// Drops the oldest of what waits for an endpoint whenever it is too much.
    pub(super) async fn keep_bound(&self, live: &Live) {
        loop {
            let pause = match self.trim(live).await {
                Ok(()) => self.0.metadata.is_shared().then_some(RECOUNT),
                Err(error) => {
                    let endpoint = &live.name;
                    tracing::error!(endpoint, %error, cause = ?error, "what waits for an endpoint could not be counted or dropped, trying again later");
                    Some(RETRY)
                }
            };
            match pause {
                None => live.grown.notified().await,
                Some(pause) => {
                    tokio::select! {
                        () = live.grown.notified() => {}
                        () = tokio::time::sleep(pause) => live.progress().counted = false,
                    }
                }
            }
        }
    }

    async fn trim(&self, live: &Live) -> Result<(), Error> {
        let most = live.most();
        if !live.progress().counted {
            self.count_again(live).await?;
        }
        let mut excess = live.progress().excess(most);
        if excess == 0 {
            return Ok(());
        }
        excess += most as u64 / SLACK;
        let mut dropped = 0;
        while excess > 0 {
            let count = u16::try_from(excess).unwrap_or(STEP).min(STEP);
            let gone = self.0.metadata.run(TrimDeliveries { endpoint: live.id, count }).await?;
            live.shrink(gone);
            live.progress().dropped += gone as u64;
            dropped += gone;
            if gone < usize::from(count) {
                break;
            }
            excess -= u64::from(count);
        }
        let endpoint = &live.name;
        tracing::warn!(
            endpoint,
            dropped,
            most,
            "more waits for an endpoint than notifications.endpoints.maxpending allows: the oldest events were dropped"
        );
        Ok(())
    }

    /// Counts what has waited since before the start. What was written since counts already, so nobody may deliver meanwhile.
    pub(super) async fn count(&self, live: &Live) -> Result<(), Error> {
        let counted = self.count_before(live, Some(live.newest)).await?;
        let mut progress = live.progress();
        (progress.rows, progress.counted) = (progress.rows.saturating_add_unsigned(counted), true);
        Ok(())
    }

    /// Counts everything anew, beside those who write: what they write meanwhile may count twice.
    async fn count_again(&self, live: &Live) -> Result<(), Error> {
        live.progress().rows = 0;
        let counted = self.count_before(live, None).await?;
        let mut progress = live.progress();
        (progress.rows, progress.counted) = (progress.rows.saturating_add_unsigned(counted), true);
        Ok(())
    }

    /// So many up to `newest`, step by step.
    async fn count_before(&self, live: &Live, newest: Option<EventId>) -> Result<u64, Error> {
        let mut before = newest.map(|newest| EventId::from_number(newest.number() + 1));
        let mut counted = 0;
        loop {
            let segment = self.0.metadata.deliveries_before(live.id, before, STEP.into()).await?;
            counted += segment.count;
            before = segment.oldest;
            if segment.count < STEP.into() {
                return Ok(counted);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Forgets endpoints that the configuration does not name any more.
    pub(super) async fn forget_endpoints(&self, configured: &[EndpointId]) -> Result<(), Error> {
        let mut last = String::new();
        loop {
            let page = self.0.metadata.endpoints(&last, STEP).await?;
            let Some(end) = page.last() else { return Ok(()) };
            last.clone_from(&end.name);
            for known in page.into_iter().filter(|known| !configured.contains(&known.id)) {
                let mut dropped = 0;
                loop {
                    let gone = self.0.metadata.run(ForgetEndpoint { endpoint: known.id, limit: STEP }).await?;
                    dropped += gone;
                    if gone < usize::from(STEP) {
                        break;
                    }
                }
                let endpoint = known.name;
                tracing::warn!(
                    endpoint,
                    dropped,
                    "an endpoint is not configured any more: what waited for it was dropped"
                );
            }
        }
    }
}
