//! Tags: names that move from manifest to manifest, and the history of where they pointed.

use cargohold_oci::{RepositoryName, Tag};

use crate::{
    Error, ManifestId, Metadata, RepositoryId, Timestamp,
    connection::{FromRow, Row, Value},
    statement::statements,
    transaction::Tx,
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

impl Metadata {
    /// The tags of a repository that come after `last`, in byte order, at most `limit`. `last` need not be a tag.
    pub async fn tags(&self, repository: &RepositoryName, last: &str, limit: u32) -> Result<Vec<Tag>, Error> {
        let page = [repository.as_str().into(), last.into(), Value::Integer(limit.into())];
        self.reader().all(&LIST_TAGS, &page).await
    }
}

/// Has a tag name a manifest, and writes where it pointed before into its history.
pub(crate) async fn point(
    tx: &mut Tx<'_>,
    repository: RepositoryId,
    tag: &Tag,
    manifest: ManifestId,
    now: Timestamp,
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
        "push".into(),
    ];
    tx.connection.execute(&INSERT_HISTORY, &row).await?;
    Ok(())
}
