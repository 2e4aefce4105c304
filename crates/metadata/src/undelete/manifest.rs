//! A manifest, with all that its deletion took along.

use cargohold_oci::{Digest, RepositoryName};

use super::{NotUndeleted, Undeleted, Window};
use crate::{
    BlobId, Candidate, Error, ManifestId, RepositoryId, Timestamp, arrivals,
    connection::{FromRow, Row},
    ids, repositories,
    statement::statements,
    sweep_candidates,
    tags::{self, Place},
    transaction::{Tx, sealed::Run},
};

statements! {
    FIND_MANIFEST_TO_UNDELETE = "
        select m.deleted_with, m.deleted_at
        from manifest_payloads p join manifests m on m.payload_id = p.id
        where p.digest = $1 and m.repository_id = $2";
    /// What the deleted manifests of a group refer to, locked in the order of their ids, and before the manifests.
    LOCK_LINKS_OF_GROUP = "
        select l.blob_id from repository_blobs l
        where l.repository_id = $1
            and l.blob_id in (
                select f.blob_id from manifests m join manifest_references f on f.manifest_id = m.id
                where m.deleted_with = $2)
        order by l.blob_id"
        lock "for no key update";
    LOCK_GROUP = "
        select id, deleted_at from manifests
        where id in (select m.id from manifests m where m.deleted_with = $1 union all select cast($1 as bigint))
        order by id"
        lock "for no key update";
    UNMARK_LINKS = "
        update repository_blobs set deleted_at = null, unreferenced_since = null
        where repository_id = $1
            and blob_id in (select cast(e.value ->> 'id' as bigint) from json_each(cast($2 as text)) e)";
    UNMARK_MANIFESTS = "
        update manifests set deleted_at = null, deleted_with = null
        where id in (select cast(e.value ->> 'id' as bigint) from json_each(cast($1 as text)) e)";
    /// What began to wait for one of these manifests while it was deleted refers to it from now on.
    RESOLVE_CHILDREN = "
        update manifest_references set absent_digest = null,
            child_manifest_id = (
                select m.id from manifest_payloads p join manifests m on m.payload_id = p.id
                where p.digest = manifest_references.absent_digest and m.repository_id = $1)
        where repository_id = $1 and kind = 'child'
            and absent_digest in (
                select p.digest from json_each(cast($2 as text)) e
                cross join manifests m
                cross join manifest_payloads p
                where m.id = cast(e.value ->> 'id' as bigint) and p.id = m.payload_id)";
    /// The tags that went with a group and whose manifests are there again.
    LIST_TAGS_OF_GROUP = "
        select h.name, h.old_manifest_id
        from tag_history h join manifests m on m.repository_id = h.repository_id and m.id = h.old_manifest_id
        where h.deleted_with = $1 and h.at = $2 and m.deleted_at is null
        order by h.name";
}

/// Brings a manifest back.
#[derive(Debug)]
pub struct UndeleteManifest {
    /// The repository.
    pub repository: RepositoryName,
    /// The manifest.
    pub digest: Digest,
    /// For how long it can come back.
    pub window: Window,
}

/// A manifest that may be deleted: with which other one, and when.
pub(super) struct Deletion {
    root: Option<ManifestId>,
    at: Option<Timestamp>,
}

impl FromRow for Deletion {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            root: row.optional_integer(0)?.map(ManifestId),
            at: row.optional_integer(1)?.map(Timestamp::from_micros),
        })
    }
}

struct Member {
    id: ManifestId,
    /// None if it is there again: of the group only what the others went with can be.
    deleted_at: Option<Timestamp>,
}

impl FromRow for Member {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self { id: ManifestId(row.integer(0)?), deleted_at: row.optional_integer(1)?.map(Timestamp::from_micros) })
    }
}

impl Run for UndeleteManifest {
    type Output = Result<Undeleted, NotUndeleted>;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, Error> {
        let Some(repository) = repositories::hold(tx, &self.repository).await? else {
            return Ok(Err(NotUndeleted::Unknown));
        };
        let find = [(&self.digest).into(), repository.into()];
        match tx.connection.optional::<Deletion>(&FIND_MANIFEST_TO_UNDELETE, &find).await? {
            Some(deletion) => undelete(tx, repository, deletion, self.window).await,
            None => Ok(Err(NotUndeleted::Unknown)),
        }
    }
}

/// Brings back what was deleted together.
pub(super) async fn undelete(
    tx: &mut Tx<'_>,
    repository: RepositoryId,
    deletion: Deletion,
    window: Window,
) -> Result<Result<Undeleted, NotUndeleted>, Error> {
    let Deletion { root: Some(root), at: Some(at) } = deletion else { return Ok(Err(NotUndeleted::NotDeleted)) };
    arrivals::bring_many(tx, repository).await?;
    let links: Vec<BlobId> = tx.connection.all(&LOCK_LINKS_OF_GROUP, &[repository.into(), root.into()]).await?;
    let group: Vec<Member> = tx.connection.all(&LOCK_GROUP, &[root.into()]).await?;
    // Where the sweep has begun with a group, it is gone as a whole.
    let swept =
        !group.iter().any(|member| member.id == root && member.deleted_at != Some(Timestamp::BEFORE_EVERY_WINDOW));
    // One that was put again since belongs to no group, and one that was deleted again then does not go with the others.
    let group: Vec<ManifestId> =
        group.into_iter().filter_map(|member| (member.deleted_at == Some(at)).then_some(member.id)).collect();
    let purged = sweep_candidates::is_purged(&mut tx.connection, Candidate::Manifest(repository, root)).await?;
    if group.is_empty() {
        // It came back, or went, before it was locked: another run sees which.
        return Err(Error::NotCommitted);
    }
    if purged || swept || window.has_ended(at) {
        return Ok(Err(NotUndeleted::TooLate));
    }
    let list = ids::list(links.iter().map(|blob| blob.0));
    tx.connection.execute(&UNMARK_LINKS, &[repository.into(), list.as_str().into()]).await?;
    arrivals::resolve_blobs(tx, repository, &list).await?;
    let list = ids::list(group.iter().map(|manifest| manifest.0));
    tx.connection.execute(&UNMARK_MANIFESTS, &[list.as_str().into()]).await?;
    tx.connection.execute(&RESOLVE_CHILDREN, &[repository.into(), list.as_str().into()]).await?;
    let tags: Vec<Place> = tx.connection.all(&LIST_TAGS_OF_GROUP, &[root.into(), at.into()]).await?;
    let tags = tags::restore(tx, repository, &tags, window.now).await?;
    Ok(Ok(Undeleted { manifests: group.len(), tags }))
}
