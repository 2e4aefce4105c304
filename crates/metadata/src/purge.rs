//! Ending the window of what was deleted: it cannot come back, and neither a grace nor a time to keep bytes is waited for.
//!
//! Nothing is removed here. Candidates are marked, the sweep hands the mark on to what each of them alone held, and so bytes that
//! nothing else needs go within moments.

use cargohold_oci::{Digest, RepositoryName, Tag};

use crate::{
    Candidate, Error, ManifestId, RepositoryId, Timestamp,
    connection::{FromRow, Row},
    repositories,
    statement::{locks, statements},
    sweep_candidates::{self, Review},
    transaction::{Tx, sealed::Run},
};

locks! {
    /// Before the tag is looked for: whoever brings it back locks the last of it.
    LOCK_HISTORY_OF_TAG = "
        select id from tag_history where repository_id = $1 and name = $2
        order by id
        for update";
}

statements! {
    LOCK_DELETED_REPOSITORIES = "
        select id from repositories where name = $1 and deleted_at is not null
        order by id"
        lock "for update";
    LOCK_MANIFEST_TO_PURGE = "
        select m.id, m.deleted_at is not null
        from manifest_payloads p join manifests m on m.payload_id = p.id
        where p.digest = $1 and m.repository_id = $2"
        lock "for no key update of m";
    LOCK_MANIFESTS_TO_PURGE = "
        select id from manifests where deleted_with = $1 and deleted_at is not null
        order by id"
        lock "for no key update";
    FORGET_HISTORY_OF_MANIFEST = "delete from tag_history where deleted_with = $1";
    LOCK_TAG_TO_PURGE = "select 1 from tags where repository_id = $1 and name = $2"
        lock "for update";
    FORGET_HISTORY_OF_TAG = "delete from tag_history where repository_id = $1 and name = $2";
}

/// What can be purged.
#[derive(Clone, Debug)]
pub enum Deleted {
    /// All deleted repositories of the name.
    Repository,
    /// A deleted manifest, and those that went with it.
    Manifest(Digest),
    /// The history of a deleted tag. Its manifest stays.
    Tag(Tag),
}

/// Ends the window of something that was deleted.
#[derive(Debug)]
pub struct Purge {
    /// The repository.
    pub repository: RepositoryName,
    /// What of it.
    pub deleted: Deleted,
    /// Now.
    pub now: Timestamp,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purged {
    /// So many repositories, manifests or entries of the history cannot come back.
    Ended(usize),
    /// It is there: it has to be deleted first.
    NotDeleted,
    /// There is nothing of that name, deleted or not; or it was swept.
    Unknown,
}

struct Found {
    manifest: ManifestId,
    deleted: bool,
}

impl FromRow for Found {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self { manifest: ManifestId(row.integer(0)?), deleted: row.flag(1)? })
    }
}

impl Run for Purge {
    type Output = Purged;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Purged, Error> {
        let held = repositories::hold(tx, &self.repository).await?;
        match (&self.deleted, held) {
            (Deleted::Repository, held) => self.repositories(tx, held.is_some()).await,
            (Deleted::Manifest(digest), Some(repository)) => self.manifests(tx, repository, digest).await,
            (Deleted::Tag(tag), Some(repository)) => tag_history(tx, repository, tag).await,
            (Deleted::Manifest(_) | Deleted::Tag(_), None) => Ok(Purged::Unknown),
        }
    }
}

impl Purge {
    async fn repositories(&self, tx: &mut Tx<'_>, there_is_a_live_one: bool) -> Result<Purged, Error> {
        let name = [self.repository.as_str().into()];
        let deleted: Vec<RepositoryId> = tx.connection.all(&LOCK_DELETED_REPOSITORIES, &name).await?;
        match (deleted.len(), there_is_a_live_one) {
            (0, true) => Ok(Purged::NotDeleted),
            // It may have come back since it was looked for.
            (0, false) if repositories::hold(tx, &self.repository).await?.is_some() => Ok(Purged::NotDeleted),
            (0, false) => Ok(Purged::Unknown),
            (count, _) => {
                self.mark(tx, deleted.into_iter().map(Candidate::Repository)).await?;
                Ok(Purged::Ended(count))
            }
        }
    }

    async fn manifests(&self, tx: &mut Tx<'_>, repository: RepositoryId, digest: &Digest) -> Result<Purged, Error> {
        let find = [digest.into(), repository.into()];
        let Some(found) = tx.connection.optional::<Found>(&LOCK_MANIFEST_TO_PURGE, &find).await? else {
            return Ok(Purged::Unknown);
        };
        if !found.deleted {
            return Ok(Purged::NotDeleted);
        }
        let mut group: Vec<ManifestId> = tx.connection.all(&LOCK_MANIFESTS_TO_PURGE, &[found.manifest.into()]).await?;
        if group.is_empty() {
            // It went with another one, which stays as it is.
            group.push(found.manifest);
        }
        tx.connection.execute(&FORGET_HISTORY_OF_MANIFEST, &[found.manifest.into()]).await?;
        let count = group.len();
        self.mark(tx, group.into_iter().map(|manifest| Candidate::Manifest(repository, manifest))).await?;
        Ok(Purged::Ended(count))
    }

    async fn mark(&self, tx: &mut Tx<'_>, candidates: impl Iterator<Item = Candidate>) -> Result<(), Error> {
        sweep_candidates::note_all(&mut tx.connection, candidates, Review::purge(self.now)).await
    }
}

async fn tag_history(tx: &mut Tx<'_>, repository: RepositoryId, tag: &Tag) -> Result<Purged, Error> {
    let tag = [repository.into(), tag.as_str().into()];
    tx.connection.lock(&LOCK_HISTORY_OF_TAG, &tag).await?;
    if tx.connection.optional::<i64>(&LOCK_TAG_TO_PURGE, &tag).await?.is_some() {
        return Ok(Purged::NotDeleted);
    }
    match tx.connection.execute(&FORGET_HISTORY_OF_TAG, &tag).await? {
        0 => Ok(Purged::Unknown),
        entries => Ok(Purged::Ended(entries)),
    }
}
