//! Mounts: a blob of one repository becomes one of another, without its bytes being touched.

use cargohold_oci::{Digest, RepositoryName};

use crate::{
    BlobId, Error, Grace, blobs, repositories,
    statement::statements,
    transaction::{Tx, sealed::Run},
};

statements! {
    FIND_MOUNT_SOURCE = "
        select b.id
        from repositories r
        join blobs b on b.digest = $1
        join repository_blobs l on l.repository_id = r.id and l.blob_id = b.id
        where r.name = $2 and r.deleted_at is null and l.deleted_at is null
            and exists (select 1 from objects o where o.blob_id = b.id and o.state = 'live')";
    /// The same once the target is held, since that is locked first.
    HOLD_MOUNT_SOURCE = "
        select b.id
        from repositories r
        join blobs b on b.digest = $1
        join repository_blobs l on l.repository_id = r.id and l.blob_id = b.id
        where r.name = $2 and r.deleted_at is null and l.deleted_at is null
            and exists (select 1 from objects o where o.blob_id = b.id and o.state = 'live')"
        lock "for no key update of b";
}

/// Links the blob in `target`, if `source` has it. False if it has not.
#[derive(Debug)]
pub struct Mount {
    /// The repository that has the blob.
    pub source: RepositoryName,
    /// The one that will have it.
    pub target: RepositoryName,
    /// The blob.
    pub digest: Digest,
    /// Now, and when the sweeper may look at the link.
    pub grace: Grace,
}

impl Run for Mount {
    type Output = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Error> {
        let source = [(&self.digest).into(), self.source.as_str().into()];
        // Looked at before anything is made: a mount that cannot be done leaves no repository behind.
        if tx.connection.optional::<BlobId>(&FIND_MOUNT_SOURCE, &source).await?.is_none() {
            return Ok(false);
        }
        let target = repositories::hold_or_make(tx, &self.target, self.grace).await?;
        let Some(blob) = tx.connection.optional(&HOLD_MOUNT_SOURCE, &source).await? else {
            return Ok(false);
        };
        blobs::link(tx, target, blob, &self.digest, self.grace).await?;
        Ok(true)
    }
}
