//! A repository: one that nothing but an upload or a mount made, or one that was deleted and whose window has ended.
//!
//! What a deleted one has goes in steps of a bounded size, one transaction each: manifests, then links, then uploads, then the history
//! of its tags, and the repository's row last.

use super::{SweepTimes, Swept, Times, link, manifest};
use crate::{
    BlobId, Candidate, Error, ManifestId, PayloadId, RepositoryId, Timestamp,
    connection::{FromRow, Row},
    ids,
    statement::{locks, statements},
    transaction::Tx,
};

/// Manifests that one step removes.
const MANIFESTS: i64 = 50;
/// Links, uploads, or entries of the history that one step removes.
const ROWS: i64 = 500;

locks! {
    /// Before the manifests, in the order of their ids.
    LOCK_PAYLOADS_OF_REPOSITORY = "
        select p.id from manifest_payloads p
        where p.id in (select cast(e.value ->> 'id' as bigint) from json_each(cast($1 as text)) e)
        order by p.id
        for no key update";
    /// Before the links, in the order of their ids.
    LOCK_BLOBS_OF_REPOSITORY = "
        select b.id from blobs b
        where b.id in (select cast(e.value ->> 'id' as bigint) from json_each(cast($1 as text)) e)
        order by b.id
        for no key update";
}

statements! {
    LOCK_REPOSITORY = "select created_at, published_at, deleted_at from repositories where id = $1"
        lock "for update";
    REPOSITORY_HAS_LINKS = "select 1 from repository_blobs where repository_id = $1 limit 1";
    REPOSITORY_HAS_UPLOADS = "select 1 from uploads where repository_id = $1 limit 1";
    LIST_MANIFESTS = "select id, payload_id from manifests where repository_id = $1 limit $2";
    DELETE_TAGS_OF_MANIFEST = "delete from tags where repository_id = $1 and manifest_id = $2";
    LIST_LINKS = "select blob_id from repository_blobs where repository_id = $1 limit $2";
    DISCARD_STAGED_OF_REPOSITORY = "
        update objects set state = 'discarded', delete_after = $1
        where state = 'staging' and upload_id in (select u.id from uploads u where u.repository_id = $2 limit $3)";
    DELETE_UPLOADS_OF_REPOSITORY = "
        delete from uploads where id in (select u.id from uploads u where u.repository_id = $1 limit $2)";
    DELETE_HISTORY_OF_REPOSITORY = "
        delete from tag_history where id in (select h.id from tag_history h where h.repository_id = $1 limit $2)";
    /// Deleted before any window began, whatever window a later start has: what is taken apart cannot come back.
    END_WINDOW_OF_REPOSITORY = "update repositories set deleted_at = $1 where id = $2 and deleted_at > $1";
    DELETE_REPOSITORY = "delete from repositories where id = $1";
}

struct Repository {
    created_at: Timestamp,
    published: bool,
    deleted_at: Option<Timestamp>,
}

impl FromRow for Repository {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            created_at: Timestamp::from_micros(row.integer(0)?),
            published: row.optional_integer(1)?.is_some(),
            deleted_at: row.optional_integer(2)?.map(Timestamp::from_micros),
        })
    }
}

struct Manifest {
    id: ManifestId,
    payload: PayloadId,
}

impl FromRow for Manifest {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self { id: ManifestId(row.integer(0)?), payload: PayloadId(row.integer(1)?) })
    }
}

pub(super) async fn sweep(tx: &mut Tx<'_>, repository: RepositoryId, times: &SweepTimes) -> Result<Swept, Error> {
    let row = [repository.into()];
    let Some(found) = tx.connection.optional::<Repository>(&LOCK_REPOSITORY, &row).await? else {
        return Ok(Swept::Needed);
    };
    let times = Times::of(tx, Candidate::Repository(repository), times).await?;
    let until = match found {
        Repository { deleted_at: Some(deleted_at), .. } => deleted_at.plus(times.window),
        Repository { published: true, .. } => return Ok(Swept::Needed),
        Repository { created_at, .. } => created_at.plus(times.grace),
    };
    if until > times.now {
        return Ok(Swept::Waits(until));
    }
    if found.deleted_at.is_some() {
        tx.connection
            .execute(&END_WINDOW_OF_REPOSITORY, &[Timestamp::BEFORE_EVERY_WINDOW.into(), repository.into()])
            .await?;
        return if empty_a_step(tx, repository, &times).await? {
            remove(tx, repository).await
        } else {
            Ok(Swept::Part)
        };
    }
    let used = tx.connection.optional::<i64>(&REPOSITORY_HAS_LINKS, &row).await?.is_some()
        || tx.connection.optional::<i64>(&REPOSITORY_HAS_UPLOADS, &row).await?.is_some();
    // What it has is a candidate of its own, or a session that expires.
    if used { Ok(Swept::Waits(times.now.plus(times.grace))) } else { remove(tx, repository).await }
}

async fn remove(tx: &mut Tx<'_>, repository: RepositoryId) -> Result<Swept, Error> {
    tx.connection.execute(&DELETE_REPOSITORY, &[repository.into()]).await?;
    Ok(Swept::Removed)
}

/// Removes a part of what a repository has. True if there is nothing left.
async fn empty_a_step(tx: &mut Tx<'_>, repository: RepositoryId, times: &Times) -> Result<bool, Error> {
    let manifests: Vec<Manifest> = tx.connection.all(&LIST_MANIFESTS, &[repository.into(), MANIFESTS.into()]).await?;
    let payloads = ids::list(manifests.iter().map(|manifest| manifest.payload.0));
    tx.connection.lock(&LOCK_PAYLOADS_OF_REPOSITORY, &[payloads.as_str().into()]).await?;
    for found in &manifests {
        tx.connection.execute(&DELETE_TAGS_OF_MANIFEST, &[repository.into(), found.id.into()]).await?;
        manifest::remove(tx, repository, found.id, found.payload, times).await?;
    }
    if !manifests.is_empty() {
        return Ok(false);
    }
    let links: Vec<BlobId> = tx.connection.all(&LIST_LINKS, &[repository.into(), ROWS.into()]).await?;
    let blobs = ids::list(links.iter().map(|blob| blob.0));
    tx.connection.lock(&LOCK_BLOBS_OF_REPOSITORY, &[blobs.as_str().into()]).await?;
    for blob in &links {
        link::remove(tx, repository, *blob, times).await?;
    }
    let discard = [times.now.into(), repository.into(), ROWS.into()];
    tx.connection.execute(&DISCARD_STAGED_OF_REPOSITORY, &discard).await?;
    let rows = [repository.into(), ROWS.into()];
    let uploads = tx.connection.execute(&DELETE_UPLOADS_OF_REPOSITORY, &rows).await?;
    let history = tx.connection.execute(&DELETE_HISTORY_OF_REPOSITORY, &rows).await?;
    Ok(links.is_empty() && uploads == 0 && history == 0)
}
