//! Deleting a blob from a repository: its link is marked; the bytes are the sweep's business.

use cargohold_oci::{Digest, RepositoryName};

use crate::{
    BlobId, Candidate, Change, Error, Grace, RepositoryId,
    connection::{FromRow, Row},
    repositories,
    statement::statements,
    sweep_candidates,
    transaction::{
        Tx,
        sealed::{Run, RunAndTell},
    },
};

statements! {
    /// The live link, locked: a manifest that is about to refer to it waits, or is seen.
    FIND_LINK_TO_DELETE = "
        select b.id from blobs b join repository_blobs l on l.blob_id = b.id
        where b.digest = $1 and l.repository_id = $2 and l.deleted_at is null"
        lock "for no key update of l";
    /// Asked in a statement of its own, behind the lock.
    FIND_HOLDER = "
        select p.digest from manifest_references f
        join manifests m on m.id = f.manifest_id
        join manifest_payloads p on p.id = m.payload_id
        where f.repository_id = $1 and f.blob_id = $2 and m.deleted_at is null
        limit 1";
    MARK_LINK = "update repository_blobs set deleted_at = $1 where repository_id = $2 and blob_id = $3";
}

/// Deletes a blob from a repository, unless a live manifest there needs it.
#[derive(Debug)]
pub struct DeleteBlob {
    /// The repository.
    pub repository: RepositoryName,
    /// The blob.
    pub digest: Digest,
    /// Now, and when the sweeper may look at the link.
    pub window: Grace,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeletedBlob {
    /// It is out of the readers' sight.
    Deleted,
    /// The repository does not have it.
    Unknown,
    /// This live manifest of the repository needs it; nothing has happened.
    NeededBy(Digest),
}

struct Holder(Digest);

impl FromRow for Holder {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self(row.digest(0)?))
    }
}

impl Run for DeleteBlob {
    type Output = DeletedBlob;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<DeletedBlob, Error> {
        let Some(repository) = repositories::hold(tx, &self.repository).await? else {
            return Ok(DeletedBlob::Unknown);
        };
        let find = [(&self.digest).into(), repository.into()];
        let Some(blob) = tx.connection.optional::<BlobId>(&FIND_LINK_TO_DELETE, &find).await? else {
            return Ok(DeletedBlob::Unknown);
        };
        let link = [repository.into(), blob.into()];
        if let Some(Holder(manifest)) = tx.connection.optional(&FIND_HOLDER, &link).await? {
            return Ok(DeletedBlob::NeededBy(manifest));
        }
        self.mark(tx, repository, blob).await?;
        Ok(DeletedBlob::Deleted)
    }
}

impl RunAndTell for DeleteBlob {
    async fn run_and_tell(&self, tx: &mut Tx<'_>) -> Result<(DeletedBlob, Vec<Change>), Error> {
        let deleted = self.run(tx).await?;
        let changes = match deleted {
            DeletedBlob::Deleted => vec![Change::BlobDeleted(self.digest)],
            DeletedBlob::Unknown | DeletedBlob::NeededBy(_) => Vec::new(),
        };
        Ok((deleted, changes))
    }
}

impl DeleteBlob {
    async fn mark(&self, tx: &mut Tx<'_>, repository: RepositoryId, blob: BlobId) -> Result<(), Error> {
        tx.connection.execute(&MARK_LINK, &[self.window.now.into(), repository.into(), blob.into()]).await?;
        sweep_candidates::note(&mut tx.connection, Candidate::Link(repository, blob), self.window.until).await
    }
}
