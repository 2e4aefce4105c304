//! The discard worker: the only one that deletes finished bytes.
//!
//! It reads nothing but the rows of discarded objects that are due. Bytes go first, then the row, so that nothing leaks unseen;
//! dying in between repeats the deletion, which is harmless.

use std::time::Duration;

use cargohold_blobs::Key;
use cargohold_metadata::{Discarded, ForgetObjects, PostponeObjects};

use crate::{Error, Registry};

/// Objects deleted in one step.
const STEP: u16 = 100;
/// How long an object waits whose bytes could not be deleted.
const RETRY: Duration = Duration::from_mins(10);

impl Registry {
    pub(crate) async fn discard_forever(&self) {
        loop {
            match self.discard_step().await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(%error, cause = ?error, "discarded bytes could not be deleted, trying again later");
                }
            }
            tokio::select! {
                () = self.0.discards.notified() => {}
                () = tokio::time::sleep(self.0.lifetimes.between_sweeps) => {}
            }
        }
    }

    /// Tells the worker that something is due now.
    pub(crate) fn wake_discards(&self) {
        self.0.discards.notify_one();
    }

    /// Deletes the oldest objects that are due; true if there may be more.
    pub(crate) async fn discard_step(&self) -> Result<bool, Error> {
        let due = self.0.metadata.discarded(self.0.environment.now(), STEP).await?;
        let (mut gone, mut stuck) = (Vec::new(), Vec::new());
        for discarded in &due {
            match self.delete_bytes(discarded).await {
                Ok(()) => gone.push(discarded),
                Err(error) => {
                    self.0.metrics.discard_failures.increment();
                    tracing::error!(key = discarded.key, %error, cause = ?error, "discarded bytes could not be deleted");
                    stuck.push(discarded.object);
                }
            }
        }
        if !gone.is_empty() {
            let objects = gone.iter().map(|discarded| discarded.object).collect();
            self.0.metadata.run(ForgetObjects { objects }).await?;
            self.0.metrics.objects_discarded.add(gone.len() as u64);
            // Those of others are only forgotten.
            let ours = gone.iter().filter(|discarded| discarded.store == self.0.stores.own());
            self.0.metrics.bytes_discarded.add(ours.map(|discarded| discarded.size).sum());
        }
        if !stuck.is_empty() {
            let until = self.0.environment.now().plus(RETRY);
            self.0.metadata.run(PostponeObjects { objects: stuck, until }).await?;
        }
        Ok(due.len() == usize::from(STEP))
    }

    /// Deletes the bytes at both places where those of an upload can be. Bytes in a store that we do not own are not ours to
    /// delete: there only the row goes.
    async fn delete_bytes(&self, discarded: &Discarded) -> Result<(), Error> {
        if discarded.store != self.0.stores.own() {
            return Ok(());
        }
        let (disk, key) = (self.0.stores.disk(), Key::parse(&discarded.key)?);
        if let Some(upload) = discarded.upload {
            let staging = Key::staging(upload);
            // A writer that has not yet noticed that its session ended is stopped and waited for; one that comes later sees it.
            let _claim = disk.claim(upload).await;
            disk.remove(&staging).await?;
            if key == staging {
                return Ok(());
            }
        }
        Ok(disk.remove(&key).await?)
    }
}
