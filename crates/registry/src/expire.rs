//! Expiry: an upload session that no byte came to for long ends in nothing, and its bytes are deleted.

use cargohold_metadata::{ExpireUpload, Timestamp};
use cargohold_oci::UploadId;

use crate::{Error, Registry};

/// Sessions ended in one step.
const STEP: u16 = 100;

impl Registry {
    pub(crate) async fn expire_forever(&self) {
        loop {
            match self.expire_step().await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(%error, cause = ?error, "idle uploads could not be ended, trying again later");
                }
            }
            tokio::time::sleep(self.0.lifetimes.between_sweeps).await;
        }
    }

    /// Ends every session.
    pub(crate) async fn give_up_all(&self) -> Result<(), Error> {
        loop {
            let page = self.0.metadata.sessions_to_check(None, STEP).await?;
            if page.is_empty() {
                return Ok(());
            }
            for session in page {
                self.give_up(session.upload).await?;
            }
        }
    }

    /// Ends a session, whenever its last byte came.
    pub(crate) async fn give_up(&self, upload: UploadId) -> Result<(), Error> {
        let (touched_before, now) = (Timestamp::from_micros(i64::MAX), self.0.environment.now());
        self.0.metadata.run(ExpireUpload { upload, touched_before, now }).await?;
        Ok(())
    }

    /// Ends the sessions that were idle for longest; true if there may be more.
    pub(crate) async fn expire_step(&self) -> Result<bool, Error> {
        let now = self.0.environment.now();
        let touched_before = now.minus(self.0.lifetimes.idle_upload);
        let idle = self.0.metadata.stale_uploads(touched_before, STEP).await?;
        for upload in &idle {
            // Whoever wrote to it in between keeps it.
            if self.0.metadata.run(ExpireUpload { upload: *upload, touched_before, now }).await? {
                self.0.metrics.uploads_expired.increment();
            }
            self.wake_discards();
        }
        Ok(idle.len() == usize::from(STEP))
    }
}
