//! Taking a copy of the facts, and going on from one.

use std::{path::Path, time::Duration};

use cargohold_access::OperatorPermit;
use cargohold_metadata::{Grace, PutOffDeletions, RecordBackup, Timestamp};

use crate::{Checked, Checking, Error, HowToCheck, Registry};

impl Registry {
    /// Says that a copy of the facts is about to be taken: from now on bytes that are discarded stay for `keep`, so that all that
    /// the copy names is there. Only a purge deletes at once.
    pub async fn record_backup(&self, _permit: &OperatorPermit, keep: Duration) -> Result<Grace, Error> {
        let now = self.0.environment.now();
        let until = now.plus(keep);
        self.0.metadata.run(RecordBackup { now, keep_until: until }).await?;
        Ok(Grace { now, until })
    }

    /// Writes a copy of the facts, all of one moment, to a file that is empty or not there. Blocks.
    pub fn copy_facts_to(&self, _permit: &OperatorPermit, file: &Path) -> Result<(), Error> {
        Ok(self.0.metadata.copy_to(file)?)
    }

    /// Makes facts that were restored true: uploads that were under way are ended, blobs whose bytes are gone by now are marked
    /// as missing, and files that came later are deleted after a while, and not before the last backup ends that the facts knew
    /// before, at `keep_until`. No server may run.
    pub async fn settle_restored(
        &self,
        permit: &OperatorPermit,
        keep_until: Option<Timestamp>,
        tell: &(dyn Fn(Checking) + Sync),
    ) -> Result<Checked, Error> {
        let now = self.0.environment.now();
        if let Some(keep_until) = keep_until {
            self.0.metadata.run(RecordBackup { now, keep_until }).await?;
        }
        self.give_up_all().await?;
        let checked = self.check(permit, HowToCheck { read: false, repair: true }, tell).await?;
        let not_before = now.plus(self.0.lifetimes.swept_bytes);
        self.0.metadata.run(PutOffDeletions { not_before }).await?;
        Ok(checked)
    }
}
