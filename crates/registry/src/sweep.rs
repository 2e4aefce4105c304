//! The sweeper: always running, in small steps, from the candidates alone.
//!
//! Its work is proportional to the garbage, never to the store. Each candidate is a transaction of its own, so stopping anywhere is
//! safe, and what was decided is decided over what is there at that moment: a push that came first has won.

use std::time::Duration;

use cargohold_metadata::{Candidate, PostponeCandidate, SweepCandidate, SweepTimes, Swept};
use futures_util::future::join_all;

use crate::{Error, Registry};

/// Candidates looked at in one step. Their transactions share commits.
const STEP: u16 = 64;
/// How long candidates wait after one that could not be looked at. Not long: it is the sweep that gives a full disk its space back.
const RETRY: Duration = Duration::from_secs(10);

impl Registry {
    pub(crate) async fn sweep_forever(&self) {
        loop {
            let pause = match self.sweep_step().await {
                Ok(true) => continue,
                Ok(false) => self.0.lifetimes.between_sweeps,
                Err(error) => {
                    self.0.metrics.sweep_failures.increment();
                    tracing::error!(%error, cause = ?error, "the sweep could not go on, trying again later");
                    RETRY
                }
            };
            tokio::select! {
                () = self.0.sweeps.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Tells the sweep that something is due now.
    pub(crate) fn wake_sweep(&self) {
        self.0.sweeps.notify_one();
    }

    /// Looks at the candidates that wait for longest; true if there may be more.
    pub(crate) async fn sweep_step(&self) -> Result<bool, Error> {
        let lifetimes = &self.0.lifetimes;
        let now = self.0.environment.now();
        let times = SweepTimes {
            now,
            grace: lifetimes.unreferenced_blob,
            window: lifetimes.deleted,
            keep: lifetimes.swept_bytes,
        };
        let due = self.0.metadata.due_candidates(now, STEP).await?;
        let looked_at = due.iter().map(|candidate| {
            let sweep = SweepCandidate { candidate: *candidate, times };
            async move { (*candidate, self.0.metadata.run(sweep).await) }
        });
        let mut removed = false;
        for (candidate, swept) in join_all(looked_at).await {
            match swept {
                Ok(Swept::Removed) => {
                    removed = true;
                    self.0.metrics.swept.increment();
                    if matches!(candidate, Candidate::Blob(_) | Candidate::Repository(_)) {
                        self.wake_discards();
                    }
                }
                Ok(Swept::Part) => removed = true,
                Ok(Swept::Needed | Swept::Waits(_)) => {}
                Err(error) => self.postpone(candidate, error.into()).await?,
            }
        }
        // What was removed may have let go of what is due at once.
        Ok(removed || due.len() == usize::from(STEP))
    }

    /// One that cannot be looked at keeps none of the others.
    async fn postpone(&self, candidate: Candidate, error: Error) -> Result<(), Error> {
        self.0.metrics.sweep_failures.increment();
        tracing::error!(?candidate, %error, cause = ?error, "a candidate of the sweep could not be looked at");
        let until = self.0.environment.now().plus(RETRY);
        Ok(self.0.metadata.run(PostponeCandidate { candidate, until }).await?)
    }
}
