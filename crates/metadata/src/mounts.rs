//! Mounts: a blob of one repository becomes one of another, without its bytes being touched.

use cargohold_oci::{Digest, RepositoryName};

use crate::{
    BlobId, Change, Error, Grace, arrivals, blobs,
    connection::{FromRow, Row},
    repositories,
    statement::statements,
    transaction::{
        Tx,
        sealed::{Run, RunAndTell},
    },
};

statements! {
    FIND_MOUNT_SOURCE = "
        select b.id, b.size, r.name
        from repositories r
        join blobs b on b.digest = $1
        join repository_blobs l on l.repository_id = r.id and l.blob_id = b.id
        where r.name = $2 and r.deleted_at is null and l.deleted_at is null
            and exists (select 1 from objects o where o.blob_id = b.id and o.state = 'live')";
    FIND_ANY_MOUNT_SOURCE = "
        select b.id, b.size, r.name
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

/// Who has it.
struct Source {
    blob: BlobId,
    size: u64,
    repository: RepositoryName,
}

impl FromRow for Source {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        let name = row.text(2)?;
        let repository = RepositoryName::parse(name).map_err(|_| Error::impossible("repository name", name))?;
        Ok(Self { blob: BlobId(row.integer(0)?), size: row.length(1)?, repository })
    }
}

impl Run for Mount {
    type Output = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Error> {
        Ok(self.mount(tx).await?.is_some())
    }
}

impl RunAndTell for Mount {
    async fn run_and_tell(&self, tx: &mut Tx<'_>) -> Result<(bool, Vec<Change>), Error> {
        let source = self.mount(tx).await?;
        let mounted = source.is_some();
        let change =
            |Source { size, repository: source, .. }| Change::BlobMounted { digest: self.digest, size, source };
        Ok((mounted, source.into_iter().map(change).collect()))
    }
}

impl Mount {
    async fn mount(&self, tx: &mut Tx<'_>) -> Result<Option<Source>, Error> {
        // Looked at before anything is made: a mount that cannot be done leaves no repository behind.
        if self.find_source(tx).await?.is_none() {
            return Ok(None);
        }
        let target = repositories::hold_or_make(tx, &self.target, self.grace).await?;
        arrivals::bring(tx, target, &self.digest).await?;
        // Locked behind the repository, as everywhere, and looked at again: the link may have gone in between. Then it is not there
        // at the next run, which leaves no repository behind.
        let Some(source) = self.find_source(tx).await? else { return Err(Error::NotCommitted) };
        if tx.connection.optional::<BlobId>(&HOLD_BLOB, &[source.blob.into()]).await?.is_none() {
            return Err(Error::NotCommitted);
        }
        blobs::link(tx, target, source.blob, &self.digest, self.grace).await?;
        Ok(Some(source))
    }

    async fn find_source(&self, tx: &mut Tx<'_>) -> Result<Option<Source>, Error> {
        match &self.source {
            Some(source) => {
                let source = [(&self.digest).into(), source.as_str().into()];
                tx.connection.optional(&FIND_MOUNT_SOURCE, &source).await
            }
            None => tx.connection.optional(&FIND_ANY_MOUNT_SOURCE, &[(&self.digest).into()]).await,
        }
    }
}
