//! Tags: names that move from manifest to manifest, and the history of where they pointed.

use cargohold_oci::{RepositoryName, Tag};
use serde_json::json;

use crate::{
    Change, Error, ManifestId, Metadata, RepositoryId, Timestamp,
    connection::{FromRow, Row, Value, hex},
    ids::Ids,
    repositories,
    statement::statements,
    transaction::{
        Tx,
        sealed::{Run, RunAndTell},
    },
};

statements! {
    /// No row comes back where the tag pointed there already, and nothing is written.
    UPSERT_TAG = "
        insert into tags (repository_id, name, manifest_id, subject, pushed_at) values ($1, $2, $3, $4, $5)
        on conflict (repository_id, name) do update
            set manifest_id = excluded.manifest_id, previous_manifest_id = tags.manifest_id, pushed_at = excluded.pushed_at
            where tags.manifest_id <> excluded.manifest_id
        returning previous_manifest_id";
    INSERT_HISTORY = "
        insert into tag_history (id, repository_id, name, old_manifest_id, new_manifest_id, at, cause)
        values ($1, $2, $3, $4, $5, $6, $7)";
    FIND_TAG_TO_DELETE = "
        select name, manifest_id from tags where repository_id = $1 and name = $2"
        lock "for update";
    /// The tags that name any of a list of manifests.
    FIND_TAGS_OF_MANIFESTS = "
        select t.name, t.manifest_id
        from json_each(cast($1 as text)) e
        cross join tags t
        where t.repository_id = $2 and t.manifest_id = cast(e.value ->> 'id' as bigint)
        order by t.name"
        lock "for update of t";
    /// The tags that clients keep about any of a list of manifests.
    FIND_TAGS_ABOUT_MANIFESTS = "
        select t.name, t.manifest_id
        from json_each(cast($1 as text)) e
        cross join manifests m
        cross join manifest_payloads p
        cross join tags t
        where m.id = cast(e.value ->> 'id' as bigint) and p.id = m.payload_id
            and t.repository_id = $2 and t.subject = p.digest
        order by t.name"
        lock "for update of t";
    INSERT_REMOVALS = "
        insert into tag_history (id, repository_id, name, old_manifest_id, new_manifest_id, at, cause, deleted_with)
        select cast(e.value ->> 'id' as bigint), cast($1 as bigint), e.value ->> 'name',
            cast(e.value ->> 'manifest' as bigint), null, cast($2 as bigint), cast($3 as text), cast($4 as bigint)
        from json_each(cast($5 as text)) e";
    /// Those that were set again since stay as they are.
    RESTORE_TAGS = "
        insert into tags (repository_id, name, manifest_id, subject, pushed_at)
        select cast($1 as bigint), e.value ->> 'name', cast(e.value ->> 'manifest' as bigint),
            unhex(e.value ->> 'subject'), cast($2 as bigint)
        from json_each(cast($3 as text)) e
        where true
        on conflict (repository_id, name) do nothing
        returning name, manifest_id";
    INSERT_RESTORATIONS = "
        insert into tag_history (id, repository_id, name, old_manifest_id, new_manifest_id, at, cause)
        select cast(e.value ->> 'id' as bigint), cast($1 as bigint), e.value ->> 'name', null,
            cast(e.value ->> 'manifest' as bigint), cast($2 as bigint), 'undelete'
        from json_each(cast($3 as text)) e";
    DELETE_TAGS = "
        delete from tags
        where repository_id = $1 and name in (select e.value ->> 'name' from json_each(cast($2 as text)) e)";
    LIST_TAGS = "
        select t.name from repositories r join tags t on t.repository_id = r.id
        where r.name = $1 and r.deleted_at is null and t.name > $2
        order by t.name
        limit $3";
}

impl FromRow for Tag {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        let name = row.text(0)?;
        Self::parse(name).map_err(|_| Error::impossible("tag", name))
    }
}

/// Why a tag names what it does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cause {
    Push,
    /// Another registry had it so.
    Adopt,
}

impl Cause {
    fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Adopt => "adopt",
        }
    }
}

/// What a tag names, or named.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) manifest: ManifestId,
}

impl FromRow for Place {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self { name: row.text(0)?.to_owned(), manifest: ManifestId(row.integer(1)?) })
    }
}

impl Metadata {
    /// The tags of a repository that come after `last`, in byte order, at most `limit`. `last` need not be a tag.
    pub async fn tags(&self, repository: &RepositoryName, last: &str, limit: u32) -> Result<Vec<Tag>, Error> {
        let page = [repository.as_str().into(), last.into(), Value::Integer(limit.into())];
        self.reader().all(&LIST_TAGS, &page).await
    }
}

/// Removes a tag; its manifest stays. False if the repository has no such tag.
#[derive(Debug)]
pub struct DeleteTag {
    /// The repository.
    pub repository: RepositoryName,
    /// The tag.
    pub tag: Tag,
    /// Now.
    pub now: Timestamp,
}

impl Run for DeleteTag {
    type Output = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Error> {
        let Some(repository) = repositories::hold(tx, &self.repository).await? else { return Ok(false) };
        let tag = [repository.into(), self.tag.as_str().into()];
        let Some(tag) = tx.connection.optional::<Place>(&FIND_TAG_TO_DELETE, &tag).await? else { return Ok(false) };
        remove(tx, repository, &[tag], None, self.now).await?;
        Ok(true)
    }
}

impl RunAndTell for DeleteTag {
    async fn run_and_tell(&self, tx: &mut Tx<'_>) -> Result<(bool, Vec<Change>), Error> {
        let deleted = self.run(tx).await?;
        Ok((deleted, deleted.then(|| Change::TagDeleted(self.tag.clone())).into_iter().collect()))
    }
}

/// Removes the tags that name any of the deleted `manifests`, a list of ids as JSON, and those that clients keep about them; all
/// of it goes with `root`.
pub(crate) async fn remove_with_manifests(
    tx: &mut Tx<'_>,
    repository: RepositoryId,
    root: ManifestId,
    manifests: &str,
    now: Timestamp,
) -> Result<Vec<Place>, Error> {
    let list = [manifests.into(), repository.into()];
    let mut tags: Vec<Place> = tx.connection.all(&FIND_TAGS_OF_MANIFESTS, &list).await?;
    tags.extend(tx.connection.all::<Place>(&FIND_TAGS_ABOUT_MANIFESTS, &list).await?);
    tags.sort_by(|one, other| one.name.cmp(&other.name));
    tags.dedup_by(|one, other| one.name == other.name);
    remove(tx, repository, &tags, Some(root), now).await?;
    Ok(tags)
}

/// Removes tags, which are locked, and writes what they named into their history.
async fn remove(
    tx: &mut Tx<'_>,
    repository: RepositoryId,
    tags: &[Place],
    deleted_with: Option<ManifestId>,
    now: Timestamp,
) -> Result<(), Error> {
    if tags.is_empty() {
        return Ok(());
    }
    let list = history(tx, tags).await?;
    let cause = if deleted_with.is_some() { "manifest deleted" } else { "delete" };
    let history = [repository.into(), now.into(), cause.into(), deleted_with.into(), list.as_str().into()];
    tx.connection.execute(&INSERT_REMOVALS, &history).await?;
    tx.connection.execute(&DELETE_TAGS, &[repository.into(), list.as_str().into()]).await?;
    Ok(())
}

/// Has tags name again what they named, unless they name something by now; answers how many do.
pub(crate) async fn restore(
    tx: &mut Tx<'_>,
    repository: RepositoryId,
    tags: &[Place],
    now: Timestamp,
) -> Result<usize, Error> {
    let row = |tag: &Place| {
        let subject = Tag::parse(&tag.name).ok().and_then(|name| name.subject());
        json!({ "name": tag.name, "manifest": tag.manifest.0, "subject": subject.map(|subject| hex(&subject)) })
    };
    let list = serde_json::Value::Array(tags.iter().map(row).collect()).to_string();
    let rows = [repository.into(), now.into(), list.as_str().into()];
    let restored: Vec<Place> = tx.connection.all(&RESTORE_TAGS, &rows).await?;
    if !restored.is_empty() {
        let list = history(tx, &restored).await?;
        tx.connection.execute(&INSERT_RESTORATIONS, &[repository.into(), now.into(), list.as_str().into()]).await?;
    }
    Ok(restored.len())
}

/// What the history is told of tags, as one parameter.
async fn history(tx: &mut Tx<'_>, tags: &[Place]) -> Result<String, Error> {
    let first = Ids::take(&mut tx.connection, tags.len()).await?;
    let rows = (first..).zip(tags).map(|(id, tag)| json!({ "id": id, "name": tag.name, "manifest": tag.manifest.0 }));
    Ok(serde_json::Value::Array(rows.collect()).to_string())
}

/// Has a tag name a manifest, and writes where it pointed before into its history.
pub(crate) async fn point(
    tx: &mut Tx<'_>,
    repository: RepositoryId,
    tag: &Tag,
    manifest: ManifestId,
    now: Timestamp,
    cause: Cause,
) -> Result<(), Error> {
    let subject = tag.subject();
    let row = [repository.into(), tag.as_str().into(), manifest.into(), subject.as_ref().into(), now.into()];
    let Some(previous) = tx.connection.optional::<Option<i64>>(&UPSERT_TAG, &row).await? else {
        return Ok(());
    };
    let row = [
        tx.ids.next()?.into(),
        repository.into(),
        tag.as_str().into(),
        previous.into(),
        manifest.into(),
        now.into(),
        cause.as_str().into(),
    ];
    tx.connection.execute(&INSERT_HISTORY, &row).await?;
    Ok(())
}
