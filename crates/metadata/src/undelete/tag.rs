//! A tag, with its manifest if that was deleted too.

use cargohold_oci::{RepositoryName, Tag};

use super::{
    NotUndeleted, Undeleted, Window,
    manifest::{self, Deletion},
};
use crate::{
    Error, ManifestId, RepositoryId, Timestamp,
    connection::{FromRow, Row},
    repositories,
    statement::statements,
    tags::{self, Place},
    transaction::{Tx, sealed::Run},
};

statements! {
    TAG_IS_THERE = "select 1 from tags where repository_id = $1 and name = $2";
    /// A purge, which takes it, waits or is seen.
    FIND_LAST_CHANGE = "
        select old_manifest_id, new_manifest_id, at from tag_history
        where repository_id = $1 and name = $2
        order by at desc, id desc
        limit 1"
        lock "for no key update";
    /// Whoever deletes it waits, or is seen.
    HOLD_LIVE_MANIFEST = "select id from manifests where id = $1 and deleted_at is null"
        lock "for no key update";
    FIND_MANIFEST_OF_TAG = "select deleted_with, deleted_at from manifests where repository_id = $1 and id = $2";
}

/// Brings a tag back.
#[derive(Debug)]
pub struct UndeleteTag {
    /// The repository.
    pub repository: RepositoryName,
    /// The tag.
    pub tag: Tag,
    /// For how long it can come back.
    pub window: Window,
}

/// The last entry in a tag's history.
struct Change {
    old: Option<ManifestId>,
    new: Option<ManifestId>,
    at: Timestamp,
}

impl FromRow for Change {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        let manifest = |column| Ok::<_, Error>(row.optional_integer(column)?.map(ManifestId));
        Ok(Self { old: manifest(0)?, new: manifest(1)?, at: Timestamp::from_micros(row.integer(2)?) })
    }
}

impl Run for UndeleteTag {
    type Output = Result<Undeleted, NotUndeleted>;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, Error> {
        let Some(repository) = repositories::hold(tx, &self.repository).await? else {
            return Ok(Err(NotUndeleted::Unknown));
        };
        let tag = [repository.into(), self.tag.as_str().into()];
        if tx.connection.optional::<i64>(&TAG_IS_THERE, &tag).await?.is_some() {
            return Ok(Err(NotUndeleted::NotDeleted));
        }
        match tx.connection.optional::<Change>(&FIND_LAST_CHANGE, &tag).await? {
            Some(Change { old: Some(_), new: None, at }) if self.window.has_ended(at) => Ok(Err(NotUndeleted::TooLate)),
            Some(Change { old: Some(manifest), new: None, .. }) => self.restore(tx, repository, manifest).await,
            // It may have been set since it was looked for.
            _ if tx.connection.optional::<i64>(&TAG_IS_THERE, &tag).await?.is_some() => {
                Ok(Err(NotUndeleted::NotDeleted))
            }
            _ => Ok(Err(NotUndeleted::Unknown)),
        }
    }
}

impl UndeleteTag {
    async fn restore(
        &self,
        tx: &mut Tx<'_>,
        repository: RepositoryId,
        manifest: ManifestId,
    ) -> Result<Result<Undeleted, NotUndeleted>, Error> {
        let find = [repository.into(), manifest.into()];
        let Some(deletion) = tx.connection.optional::<Deletion>(&FIND_MANIFEST_OF_TAG, &find).await? else {
            return Ok(Err(NotUndeleted::TooLate));
        };
        let mut undeleted = match manifest::undelete(tx, repository, deletion, self.window).await? {
            Ok(undeleted) => undeleted,
            Err(NotUndeleted::NotDeleted) => self.hold_live(tx, manifest).await?,
            Err(reason) => return Ok(Err(reason)),
        };
        // It came back with its manifest, unless it was deleted before that.
        let place = Place { name: self.tag.as_str().to_owned(), manifest };
        undeleted.tags += tags::restore(tx, repository, &[place], self.window.now).await?;
        if undeleted.tags == 0 {
            // Somebody set it since it was looked for: another run finds it there.
            return Err(Error::NotCommitted);
        }
        Ok(Ok(undeleted))
    }

    /// Nothing came back with the tag; its manifest was there. If it has gone since, another run brings it back.
    async fn hold_live(&self, tx: &mut Tx<'_>, manifest: ManifestId) -> Result<Undeleted, Error> {
        let held: Option<ManifestId> = tx.connection.optional(&HOLD_LIVE_MANIFEST, &[manifest.into()]).await?;
        held.map(|_| Undeleted::default()).ok_or(Error::NotCommitted)
    }
}
