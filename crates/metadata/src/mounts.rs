//! Mounts: a blob of one repository becomes one of another, without its bytes being touched.

use cargohold_oci::{Digest, RepositoryName};

use crate::{
    BlobId, Error, Grace, arrivals, blobs, repositories,
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
    FIND_ANY_MOUNT_SOURCE = "
        select b.id
        from blobs b
        join repository_blobs l on l.blob_id = b.id
        join repositories r on r.id = l.repository_id
        where b.digest = $1 and r.deleted_at is null and l.deleted_at is null
            and exists (select 1 from objects o where o.blob_id = b.id and o.state = 'live')
        limit 1";
    /// The blob, for the rest of the transaction.
    HOLD_BLOB = "select id from blobs where id = $1"
        lock "for no key update";
}

/// Links the blob in `target`, if a source has it. False if none has.
#[derive(Debug)]
pub struct Mount {
    /// The repository that has the blob; none if any will do.
    pub source: Option<RepositoryName>,
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
        // Looked at before anything is made: a mount that cannot be done leaves no repository behind.
        if self.find_source(tx).await?.is_none() {
            return Ok(false);
        }
        let target = repositories::hold_or_make(tx, &self.target, self.grace).await?;
        arrivals::bring(tx, target, &self.digest).await?;
        // Locked behind the repository, as everywhere, and looked at again: the link may have gone in between. Then it is not there
        // at the next run, which leaves no repository behind.
        let Some(blob) = self.find_source(tx).await? else { return Err(Error::NotCommitted) };
        if tx.connection.optional::<BlobId>(&HOLD_BLOB, &[blob.into()]).await?.is_none() {
            return Err(Error::NotCommitted);
        }
        blobs::link(tx, target, blob, &self.digest, self.grace).await?;
        Ok(true)
    }
}

impl Mount {
    async fn find_source(&self, tx: &mut Tx<'_>) -> Result<Option<BlobId>, Error> {
        match &self.source {
            Some(source) => {
                let source = [(&self.digest).into(), source.as_str().into()];
                tx.connection.optional(&FIND_MOUNT_SOURCE, &source).await
            }
            None => tx.connection.optional(&FIND_ANY_MOUNT_SOURCE, &[(&self.digest).into()]).await,
        }
    }
}
