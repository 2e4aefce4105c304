//! The scrub: all bytes are read again now and then, slowly, so that what the disk lost is known before somebody needs it.
//!
//! What is damaged or gone is marked as missing, and said in the log: readers get a clear 404 instead of wrong bytes, and the
//! next push of the blob puts it right.

use std::{num::NonZeroU64, time::Duration};

use cargohold_blobs::Pace;
use cargohold_metadata::CheckedObject;

use crate::{Error, Problem, Registry};

/// Pause after an object, however small: each writes down that it was read.
const BREATH: Duration = Duration::from_millis(100);
/// Pause after a failure.
const RETRY: Duration = Duration::from_mins(1);

/// How often all bytes are read, and how fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scrub {
    /// Each object once in so long; zero switches it off.
    pub every: Duration,
    /// At most so many bytes in a second.
    pub bytes_a_second: usize,
}

impl Default for Scrub {
    fn default() -> Self {
        Self { every: Duration::from_hours(30 * 24), bytes_a_second: 10 << 20 }
    }
}

impl Registry {
    pub(crate) async fn scrub_forever(&self) {
        if self.0.scrub.every.is_zero() {
            return;
        }
        loop {
            let pause = match self.scrub_step().await {
                Ok(true) => BREATH,
                Ok(false) => self.0.lifetimes.between_sweeps,
                Err(error) => {
                    self.0.metrics.scrub_failures.increment();
                    tracing::error!(%error, cause = ?error, "the scrub could not go on, trying again later");
                    RETRY
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Reads the object that nobody has read for longest, if it is time; true if there was one.
    pub(crate) async fn scrub_step(&self) -> Result<bool, Error> {
        let before = self.0.environment.now().minus(self.0.scrub.every);
        let Some(object) = self.0.metadata.next_to_scrub(before).await? else { return Ok(false) };
        self.scrub(&object).await?;
        Ok(true)
    }

    async fn scrub(&self, object: &CheckedObject) -> Result<(), Error> {
        let rate = u64::try_from(self.0.scrub.bytes_a_second).ok().and_then(NonZeroU64::new).unwrap_or(NonZeroU64::MIN);
        let problem = self.examine(object, Some(Pace::Gentle(rate))).await?;
        self.0.metrics.objects_scrubbed.increment();
        self.0.metrics.bytes_scrubbed.add(object.size);
        if let Some(problem) = &problem {
            self.0.metrics.found(problem);
        }
        match problem {
            Some(problem @ Problem::Unreadable { .. }) => {
                // The disk may be better off another time. The others are not kept waiting for that.
                tracing::error!(%problem, "scrub");
                self.settle(object, None).await
            }
            Some(problem) => {
                tracing::error!(%problem, "scrub: marked as missing, a push of the blob puts it right");
                self.settle(object, Some(&problem)).await
            }
            None => self.settle(object, None).await,
        }
    }
}
