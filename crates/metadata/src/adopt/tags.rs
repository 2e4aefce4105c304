//! Tags that another registry's repository has. Of two that moved one, the later counts, be it ours or theirs.

use cargohold_oci::{Digest, RepositoryName, Tag};

use crate::{
    Error, ManifestId, RepositoryId, Timestamp, repositories,
    statement::statements,
    tags::{self, Cause},
    transaction::{Tx, sealed::Run},
};

statements! {
    FIND_LAST_CHANGE = "
        select at from tag_history where repository_id = $1 and name = $2 order by at desc limit 1";
    FIND_TAGGED_MANIFEST = "
        select m.id from manifest_payloads p join manifests m on m.payload_id = p.id
        where p.digest = $1 and m.repository_id = $2 and m.deleted_at is null"
        lock "for no key update of m";
}

/// A tag as another registry has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdoptedTag {
    /// Its name.
    pub tag: Tag,
    /// The manifest that it names.
    pub manifest: Digest,
    /// Since when.
    pub tagged_at: Timestamp,
}

/// Sets tags of a repository that were changed here last before they were there. At most a few hundred.
#[derive(Debug)]
pub struct AdoptTags {
    /// The repository.
    pub repository: RepositoryName,
    /// The tags.
    pub tags: Vec<AdoptedTag>,
}

/// What came of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagOutcome {
    /// It names the manifest from now on.
    Set,
    /// It stays as it is here: it was set or deleted at the same time or later.
    Stays,
    /// The repository has no such manifest.
    Dangling,
}

impl Run for AdoptTags {
    type Output = Vec<TagOutcome>;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<TagOutcome>, Error> {
        let Some(repository) = repositories::hold(tx, &self.repository).await? else {
            return Ok(vec![TagOutcome::Dangling; self.tags.len()]);
        };
        let mut outcomes = Vec::with_capacity(self.tags.len());
        for tag in &self.tags {
            outcomes.push(adopt(tx, repository, tag).await?);
        }
        Ok(outcomes)
    }
}

async fn adopt(tx: &mut Tx<'_>, repository: RepositoryId, tag: &AdoptedTag) -> Result<TagOutcome, Error> {
    let change = [repository.into(), tag.tag.as_str().into()];
    let last: Option<i64> = tx.connection.optional(&FIND_LAST_CHANGE, &change).await?;
    if last.is_some_and(|last| Timestamp::from_micros(last) >= tag.tagged_at) {
        return Ok(TagOutcome::Stays);
    }
    let manifest = [(&tag.manifest).into(), repository.into()];
    let Some(manifest) = tx.connection.optional::<ManifestId>(&FIND_TAGGED_MANIFEST, &manifest).await? else {
        return Ok(TagOutcome::Dangling);
    };
    tags::point(tx, repository, &tag.tag, manifest, tag.tagged_at, Cause::Adopt).await?;
    Ok(TagOutcome::Set)
}
