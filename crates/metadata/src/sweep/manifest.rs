//! A deleted manifest whose window has ended.

use std::collections::BTreeSet;

use super::{SweepTimes, Swept, Times};
use crate::{
    BlobId, Candidate, Error, ManifestId, PayloadId, RepositoryId, Timestamp,
    connection::{FromRow, Row},
    ids,
    statement::{locks, statements},
    sweep_candidates,
    transaction::Tx,
};

locks! {
    /// Before the manifest, as where one is put; and whoever looks whether the payload has manifests waits.
    LOCK_PAYLOAD_OF_MANIFEST = "
        select p.id from manifest_payloads p
        where p.id = (select m.payload_id from manifests m where m.id = $1)
        for no key update";
    /// The links that a manifest refers to, in the order of their ids, and before the manifest, as where one is put.
    LOCK_REFERENCED_LINKS = "
        select l.blob_id from repository_blobs l
        where l.repository_id = $1
            and l.blob_id in (select f.blob_id from manifest_references f where f.manifest_id = $2)
        order by l.blob_id
        for no key update";
    /// The links that its references had when they went: one that it waited for may have come behind the lock above.
    LOCK_FREED_LINKS = "
        select l.blob_id from repository_blobs l
        where l.repository_id = $1
            and l.blob_id in (select cast(e.value ->> 'id' as bigint) from json_each(cast($2 as text)) e)
        order by l.blob_id
        for no key update";
}

statements! {
    /// The manifest, and the one that it was deleted with, in the order of their ids.
    LOCK_DELETED_MANIFEST = "
        select id, payload_id, deleted_at from manifests
        where id in ($1, (select m.deleted_with from manifests m where m.id = $1))
        order by id"
        lock "for update";
    /// What a manifest was deleted with cannot come back either, whatever window a later start has: it would come without it.
    END_WINDOW_OF_ROOT = "
        update manifests set deleted_at = $1
        where id = (select m.deleted_with from manifests m where m.id = $2) and id <> $2 and deleted_at = $3";
    DELETE_REFERENCES = "delete from manifest_references where manifest_id = $1 returning blob_id";
    /// An index may outlive its child: it refers to the child's digest from now on.
    UNRESOLVE_CHILD_REFERENCES = "
        update manifest_references set child_manifest_id = null,
            absent_digest = (
                select p.digest from manifests m join manifest_payloads p on p.id = m.payload_id where m.id = $1)
        where repository_id = $2 and child_manifest_id = $1";
    DELETE_MANIFEST = "delete from manifests where id = $1";
    /// The links of the list that nothing refers to any more begin their grace; a deleted one has a window already.
    FREE_LINKS = "
        update repository_blobs set unreferenced_since = $1
        where repository_id = $2
            and blob_id in (select cast(e.value ->> 'id' as bigint) from json_each(cast($3 as text)) e)
            and unreferenced_since is null and deleted_at is null
            and not exists (
                select 1 from manifest_references f
                where f.repository_id = repository_blobs.repository_id and f.blob_id = repository_blobs.blob_id)
        returning blob_id";
    /// The deleted links of the list that nothing refers to any more.
    FIND_DELETED_LINKS = "
        select l.blob_id from json_each(cast($1 as text)) e
        cross join repository_blobs l
        where l.repository_id = $2 and l.blob_id = cast(e.value ->> 'id' as bigint) and l.deleted_at is not null
            and not exists (
                select 1 from manifest_references f
                where f.repository_id = l.repository_id and f.blob_id = l.blob_id)";
}

struct Found {
    id: ManifestId,
    payload: PayloadId,
    deleted_at: Option<Timestamp>,
}

impl FromRow for Found {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        let deleted_at = row.optional_integer(2)?.map(Timestamp::from_micros);
        Ok(Self { id: ManifestId(row.integer(0)?), payload: PayloadId(row.integer(1)?), deleted_at })
    }
}

pub(super) async fn sweep(
    tx: &mut Tx<'_>,
    repository: RepositoryId,
    manifest: ManifestId,
    times: &SweepTimes,
) -> Result<Swept, Error> {
    tx.connection.lock(&LOCK_PAYLOAD_OF_MANIFEST, &[manifest.into()]).await?;
    tx.connection.lock(&LOCK_REFERENCED_LINKS, &[repository.into(), manifest.into()]).await?;
    let found: Vec<Found> = tx.connection.all(&LOCK_DELETED_MANIFEST, &[manifest.into()]).await?;
    let found = found.into_iter().find(|found| found.id == manifest);
    let Some(Found { payload, deleted_at: Some(deleted_at), .. }) = found else { return Ok(Swept::Needed) };
    let times = Times::of(tx, Candidate::Manifest(repository, manifest), times).await?;
    let until = deleted_at.plus(times.window);
    if until > times.now {
        return Ok(Swept::Waits(until));
    }
    tx.connection
        .execute(&END_WINDOW_OF_ROOT, &[Timestamp::BEFORE_EVERY_WINDOW.into(), manifest.into(), deleted_at.into()])
        .await?;
    remove(tx, repository, manifest, payload, &times).await?;
    Ok(Swept::Removed)
}

/// Removes a manifest that no tag names. Its payload is locked.
pub(super) async fn remove(
    tx: &mut Tx<'_>,
    repository: RepositoryId,
    manifest: ManifestId,
    payload: PayloadId,
    times: &Times,
) -> Result<(), Error> {
    let blobs: Vec<Option<i64>> = tx.connection.all(&DELETE_REFERENCES, &[manifest.into()]).await?;
    let blobs: BTreeSet<i64> = blobs.into_iter().flatten().collect();
    tx.connection.execute(&UNRESOLVE_CHILD_REFERENCES, &[manifest.into(), repository.into()]).await?;
    tx.connection.execute(&DELETE_MANIFEST, &[manifest.into()]).await?;
    sweep_candidates::note(&mut tx.connection, Candidate::Payload(payload), times.review(times.now)).await?;
    let links = ids::list(blobs.iter().copied());
    tx.connection.lock(&LOCK_FREED_LINKS, &[repository.into(), links.as_str().into()]).await?;
    let freed = [times.now.into(), repository.into(), links.as_str().into()];
    let freed: Vec<BlobId> = tx.connection.all(&FREE_LINKS, &freed).await?;
    if times.purge {
        let deleted = [links.as_str().into(), repository.into()];
        let deleted: Vec<BlobId> = tx.connection.all(&FIND_DELETED_LINKS, &deleted).await?;
        let deleted = deleted.into_iter().map(|blob| Candidate::Link(repository, blob));
        sweep_candidates::note_all(&mut tx.connection, deleted, times.review(times.now)).await?;
    }
    let freed = freed.into_iter().map(|blob| Candidate::Link(repository, blob));
    sweep_candidates::note_all(&mut tx.connection, freed, times.review(times.now.plus(times.grace))).await
}
