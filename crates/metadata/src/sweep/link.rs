//! A blob's link to a repository.

use super::{SweepTimes, Swept, Times};
use crate::{
    BlobId, Candidate, Error, RepositoryId, Timestamp,
    connection::{FromRow, Row},
    statement::{locks, statements},
    sweep_candidates,
    transaction::Tx,
};

locks! {
    /// Before its link, as everywhere; and whoever looks whether the blob has links waits.
    LOCK_BLOB_OF_LINK = "select id from blobs where id = $1 for no key update";
}

statements! {
    LOCK_LINK = "
        select unreferenced_since, deleted_at from repository_blobs where repository_id = $1 and blob_id = $2"
        lock "for update";
    /// In a statement of its own, behind the lock: a manifest may have come in between.
    LINK_HAS_REFERENCES = "
        select 1 from manifest_references where repository_id = $1 and blob_id = $2 limit 1";
    /// What still refers to a deleted blob, deleted itself or accepted without it, refers to its digest from now on.
    UNRESOLVE_BLOB_REFERENCES = "
        update manifest_references set blob_id = null, absent_digest = (select b.digest from blobs b where b.id = $1)
        where repository_id = $2 and blob_id = $1";
    UNRESOLVE_CONFIG_BLOBS = "
        update manifests set config_blob = null where repository_id = $1 and config_blob = $2";
    /// In one statement: another process may have swept the link, and somebody may bring it again, and note it, at any time.
    FORGET_CANDIDATE_OF_NO_LINK = "
        delete from sweep_candidates
        where kind = 'link' and repository_id = $1 and id = $2
            and not exists (select 1 from repository_blobs l where l.repository_id = $1 and l.blob_id = $2)";
    DELETE_LINK = "delete from repository_blobs where repository_id = $1 and blob_id = $2";
}

struct Link {
    unreferenced_since: Option<Timestamp>,
    deleted_at: Option<Timestamp>,
}

impl FromRow for Link {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        let time = |column| Ok::<_, Error>(row.optional_integer(column)?.map(Timestamp::from_micros));
        Ok(Self { unreferenced_since: time(0)?, deleted_at: time(1)? })
    }
}

/// None if there is no such link.
pub(super) async fn sweep(
    tx: &mut Tx<'_>,
    repository: RepositoryId,
    blob: BlobId,
    times: &SweepTimes,
) -> Result<Option<Swept>, Error> {
    tx.connection.lock(&LOCK_BLOB_OF_LINK, &[blob.into()]).await?;
    let key = [repository.into(), blob.into()];
    let Some(link) = tx.connection.optional::<Link>(&LOCK_LINK, &key).await? else { return Ok(None) };
    let times = Times::of(tx, Candidate::Link(repository, blob), times).await?;
    let until = match (link.deleted_at, link.unreferenced_since) {
        (Some(deleted), _) => deleted.plus(times.window),
        (None, Some(since)) => {
            if tx.connection.optional::<i64>(&LINK_HAS_REFERENCES, &key).await?.is_some() {
                return Ok(Some(Swept::Needed));
            }
            since.plus(times.grace)
        }
        (None, None) => return Ok(Some(Swept::Needed)),
    };
    if until > times.now {
        return Ok(Some(Swept::Waits(until)));
    }
    remove(tx, repository, blob, &times).await?;
    Ok(Some(Swept::Removed))
}

/// There is no such link: it is no candidate, unless it comes back.
pub(super) async fn forget(tx: &mut Tx<'_>, repository: RepositoryId, blob: BlobId) -> Result<(), Error> {
    tx.connection.execute(&FORGET_CANDIDATE_OF_NO_LINK, &[repository.into(), blob.into()]).await?;
    Ok(())
}

/// Removes a link, whatever refers to it. Its blob is locked.
pub(super) async fn remove(
    tx: &mut Tx<'_>,
    repository: RepositoryId,
    blob: BlobId,
    times: &Times,
) -> Result<(), Error> {
    let key = [repository.into(), blob.into()];
    tx.connection.execute(&UNRESOLVE_BLOB_REFERENCES, &[blob.into(), repository.into()]).await?;
    tx.connection.execute(&UNRESOLVE_CONFIG_BLOBS, &key).await?;
    tx.connection.execute(&DELETE_LINK, &key).await?;
    sweep_candidates::note(&mut tx.connection, Candidate::Blob(blob), times.review(times.now)).await
}
