//! Deleting a manifest: it, and what only it kept, is marked and out of sight at once; nothing is gone before the sweep.
//!
//! What goes with it: every tag that names it, the tags that clients keep about it (`sha256-<hex>`, `.sig`, ...), the children
//! that nothing else holds, and its referrers, if nothing else holds them. A manifest is held by a tag, by a live index, and,
//! as a referrer, by its live subject. All that goes says which deletion it went with.

use cargohold_oci::{Digest, RepositoryName, Tag};

use crate::{
    Candidate, Change, Error, Grace, ManifestId, RepositoryId,
    connection::{FromRow, Row},
    ids, repositories,
    statement::{locks, statements},
    sweep_candidates, tags,
    transaction::{
        Tx,
        sealed::{Run, RunAndTell},
    },
};

locks! {
    /// What may fall, in the order of the ids. What could hold one of them locks it too: a manifest that refers to it, or a tag
    /// that comes to it.
    LOCK_MANIFESTS = "
        select m.id from manifests m
        where m.deleted_at is null
            and m.id in (select cast(e.value ->> 'id' as bigint) from json_each(cast($1 as text)) e)
        order by m.id
        for no key update";
}

statements! {
    FIND_MANIFEST_TO_DELETE = "
        select m.id from manifest_payloads p join manifests m on m.payload_id = p.id
        where p.digest = $1 and m.repository_id = $2 and m.deleted_at is null"
        lock "for no key update of m";
    /// The children of deleted manifests.
    FIND_CHILDREN = "
        select c.id
        from json_each(cast($1 as text)) e
        cross join manifest_references f
        cross join manifests c
        where f.manifest_id = cast(e.value ->> 'id' as bigint) and c.id = f.child_manifest_id and c.deleted_at is null";
    /// The referrers of deleted manifests.
    FIND_REFERRERS = "
        select r.id
        from json_each(cast($1 as text)) e
        cross join manifests m
        cross join manifest_payloads p
        cross join manifests r
        where m.id = cast(e.value ->> 'id' as bigint) and p.id = m.payload_id
            and r.repository_id = m.repository_id and r.subject = p.digest and r.deleted_at is null";
    MARK_MANIFEST = "update manifests set deleted_at = $1, deleted_with = $2 where id = $2";
    /// Asked in a statement of its own, behind the locks: what holds a manifest may have come or gone in between.
    MARK_UNHELD_MANIFESTS = "
        update manifests set deleted_at = $1, deleted_with = $2
        where deleted_at is null
            and id in (select cast(e.value ->> 'id' as bigint) from json_each(cast($3 as text)) e)
            and not exists (
                select 1 from tags t where t.repository_id = manifests.repository_id and t.manifest_id = manifests.id)
            and not exists (
                select 1 from manifest_references f join manifests parent on parent.id = f.manifest_id
                where f.repository_id = manifests.repository_id and f.child_manifest_id = manifests.id
                    and parent.deleted_at is null)
            and not exists (
                select 1 from manifest_payloads p join manifests about on about.payload_id = p.id
                where p.digest = manifests.subject and about.repository_id = manifests.repository_id
                    and about.deleted_at is null)
        returning id";
    FIND_DIGESTS = "
        select p.digest
        from json_each(cast($1 as text)) e
        cross join manifests m
        cross join manifest_payloads p
        where m.id = cast(e.value ->> 'id' as bigint) and p.id = m.payload_id
        order by m.id";
}

/// Deletes a manifest and what only it kept. None if the repository has no such manifest.
#[derive(Debug)]
pub struct DeleteManifest {
    /// The repository.
    pub repository: RepositoryName,
    /// The manifest.
    pub digest: Digest,
    /// Now, and when the sweeper may look at what was deleted.
    pub window: Grace,
}

/// What went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeletedManifests {
    /// Manifests, the one that was named included.
    pub manifests: usize,
    /// Tags.
    pub tags: usize,
}

impl Run for DeleteManifest {
    type Output = Option<DeletedManifests>;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, Error> {
        let gone = self.delete(tx).await?;
        Ok(gone.map(|gone| DeletedManifests { manifests: gone.manifests.len(), tags: gone.tags.len() }))
    }
}

impl RunAndTell for DeleteManifest {
    async fn run_and_tell(&self, tx: &mut Tx<'_>) -> Result<(Self::Output, Vec<Change>), Error> {
        let Some(gone) = self.delete(tx).await? else { return Ok((None, Vec::new())) };
        let deleted = DeletedManifests { manifests: gone.manifests.len(), tags: gone.tags.len() };
        let manifests = ids::list(gone.manifests.iter().map(|manifest| manifest.0));
        let manifests: Vec<Named> = tx.connection.all(&FIND_DIGESTS, &[manifests.as_str().into()]).await?;
        // The one that was named comes first.
        let mut changes = vec![Change::ManifestDeleted(self.digest)];
        let others = manifests.into_iter().filter(|Named(digest)| *digest != self.digest);
        changes.extend(others.map(|Named(digest)| Change::ManifestDeleted(digest)));
        changes.extend(gone.tags.iter().filter_map(|tag| Tag::parse(tag).ok()).map(Change::TagDeleted));
        Ok((Some(deleted), changes))
    }
}

/// All that went.
struct Gone {
    manifests: Vec<ManifestId>,
    tags: Vec<String>,
}

struct Named(Digest);

impl FromRow for Named {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self(row.digest(0)?))
    }
}

impl DeleteManifest {
    async fn delete(&self, tx: &mut Tx<'_>) -> Result<Option<Gone>, Error> {
        let Some(repository) = repositories::hold(tx, &self.repository).await? else { return Ok(None) };
        let find = [(&self.digest).into(), repository.into()];
        let Some(root) = tx.connection.optional::<ManifestId>(&FIND_MANIFEST_TO_DELETE, &find).await? else {
            return Ok(None);
        };
        tx.connection.execute(&MARK_MANIFEST, &[self.window.now.into(), root.into()]).await?;
        let mut gone = Gone { manifests: Vec::new(), tags: Vec::new() };
        let mut fallen = vec![root];
        // Each round takes what the one before let go of. It ends because digests make no circles.
        while !fallen.is_empty() {
            gone.manifests.extend(&fallen);
            let candidates = fallen.iter().map(|manifest| Candidate::Manifest(repository, *manifest));
            sweep_candidates::note_all(&mut tx.connection, candidates, self.window.until).await?;
            let (tags, let_go) = self.let_go(tx, repository, root, &fallen).await?;
            gone.tags.extend(tags);
            fallen = self.mark_unheld(tx, root, &let_go).await?;
        }
        Ok(Some(gone))
    }

    /// Removes the tags of what fell; answers their names, and which manifests may have lost their hold.
    async fn let_go(
        &self,
        tx: &mut Tx<'_>,
        repository: RepositoryId,
        root: ManifestId,
        fallen: &[ManifestId],
    ) -> Result<(Vec<String>, Vec<ManifestId>), Error> {
        let list = ids::list(fallen.iter().map(|manifest| manifest.0));
        let removed = tags::remove_with_manifests(tx, repository, root, &list, self.window.now).await?;
        let mut let_go: Vec<ManifestId> = removed.iter().map(|tag| tag.manifest).collect();
        let_go.extend(tx.connection.all::<ManifestId>(&FIND_CHILDREN, &[list.as_str().into()]).await?);
        let_go.extend(tx.connection.all::<ManifestId>(&FIND_REFERRERS, &[list.as_str().into()]).await?);
        let_go.sort_unstable();
        let_go.dedup();
        Ok((removed.into_iter().map(|tag| tag.name).collect(), let_go))
    }

    async fn mark_unheld(
        &self,
        tx: &mut Tx<'_>,
        root: ManifestId,
        let_go: &[ManifestId],
    ) -> Result<Vec<ManifestId>, Error> {
        if let_go.is_empty() {
            return Ok(Vec::new());
        }
        let mark = [self.window.now.into(), root.into()];
        let list = ids::list(let_go.iter().map(|manifest| manifest.0));
        tx.connection.lock(&LOCK_MANIFESTS, &[list.as_str().into()]).await?;
        tx.connection.all(&MARK_UNHELD_MANIFESTS, &[mark[0], mark[1], list.as_str().into()]).await
    }
}
