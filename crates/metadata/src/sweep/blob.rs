//! A blob that no repository has: its row goes, and its objects are discarded.

use super::{SweepTimes, Swept, Times};
use crate::{BlobId, Candidate, Error, backups, statement::statements, transaction::Tx};

statements! {
    LOCK_BLOB = "select 1 from blobs where id = $1"
        lock "for update";
    BLOB_HAS_LINKS = "select 1 from repository_blobs where blob_id = $1 limit 1";
    DISCARD_OBJECTS = "
        update objects set state = 'discarded', blob_id = null, delete_after = $1
        where blob_id = $2 and state in ('live', 'missing')";
    DELETE_BLOB = "delete from blobs where id = $1";
}

pub(super) async fn sweep(tx: &mut Tx<'_>, blob: BlobId, times: &SweepTimes) -> Result<Swept, Error> {
    let row = [blob.into()];
    if tx.connection.optional::<i64>(&LOCK_BLOB, &row).await?.is_none()
        || tx.connection.optional::<i64>(&BLOB_HAS_LINKS, &row).await?.is_some()
    {
        return Ok(Swept::Needed);
    }
    let times = Times::of(tx, Candidate::Blob(blob), times).await?;
    let mut delete_after = times.now.plus(times.keep);
    if !times.purge {
        delete_after = backups::not_before_their_end(tx, delete_after).await?;
    }
    tx.connection.execute(&DISCARD_OBJECTS, &[delete_after.into(), blob.into()]).await?;
    tx.connection.execute(&DELETE_BLOB, &row).await?;
    Ok(Swept::Removed)
}
