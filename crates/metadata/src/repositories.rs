//! Repositories: found by name, made at the first upload, published with the first manifest.

mod delete;

use cargohold_oci::RepositoryName;

pub use delete::DeleteRepository;
pub(crate) use delete::STATEMENTS as DELETE_STATEMENTS;

use crate::{
    Candidate, Error, Grace, Metadata, RepositoryId, Timestamp,
    connection::{FromRow, Row, Value},
    statement::statements,
    sweep_candidates,
    transaction::Tx,
};

statements! {
    REPOSITORY_IS_PUBLISHED = "
        select 1 from repositories where name = $1 and published_at is not null and deleted_at is null";
    /// For what adds content to a repository: its deletion must wait.
    HOLD_REPOSITORY = "select id from repositories where name = $1 and deleted_at is null"
        lock "for key share";
    INSERT_REPOSITORY = "
        insert into repositories (id, name, created_at) values ($1, $2, $3)
        on conflict (name) where deleted_at is null do nothing";
    LIST_REPOSITORIES = "
        select name from repositories
        where published_at is not null and deleted_at is null and name > $1
        order by name
        limit $2";
    PUBLISH_REPOSITORY = "update repositories set published_at = $1 where id = $2 and published_at is null";
}

impl FromRow for RepositoryId {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self(row.integer(0)?))
    }
}

impl FromRow for RepositoryName {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        let name = row.text(0)?;
        Self::parse(name).map_err(|_| Error::impossible("repository name", name))
    }
}

impl Metadata {
    /// The published repositories whose names come after `last`, in byte order, at most `limit`. `last` need not be one.
    pub async fn repositories(&self, last: &str, limit: u32) -> Result<Vec<RepositoryName>, Error> {
        self.reader().all(&LIST_REPOSITORIES, &[last.into(), Value::Integer(limit.into())]).await
    }

    /// Whether a repository of that name is there for readers: one that only an upload made so far is not.
    pub async fn repository_is_published(&self, name: &RepositoryName) -> Result<bool, Error> {
        let found: Option<i64> = self.reader().optional(&REPOSITORY_IS_PUBLISHED, &[name.as_str().into()]).await?;
        Ok(found.is_some())
    }
}

/// The repository, held against its deletion for the rest of the transaction.
pub(crate) async fn hold(tx: &mut Tx<'_>, name: &RepositoryName) -> Result<Option<RepositoryId>, Error> {
    tx.connection.optional(&HOLD_REPOSITORY, &[name.as_str().into()]).await
}

/// The repository, made if it was not there, held against its deletion for the rest of the transaction.
///
/// One that nothing but an upload or a mount made is looked at once its grace is over.
pub(crate) async fn hold_or_make(tx: &mut Tx<'_>, name: &RepositoryName, grace: Grace) -> Result<RepositoryId, Error> {
    if let Some(repository) = hold(tx, name).await? {
        return Ok(repository);
    }
    let (repository, made) = insert(tx, name, grace.now).await?;
    if made {
        sweep_candidates::note(&mut tx.connection, Candidate::Repository(repository), grace.until).await?;
    }
    Ok(repository)
}

/// The repository, made unless somebody else just did, held against its deletion for the rest of the transaction.
pub(crate) async fn make(tx: &mut Tx<'_>, name: &RepositoryName, now: Timestamp) -> Result<RepositoryId, Error> {
    insert(tx, name, now).await.map(|(repository, _)| repository)
}

/// The same, and whether it is this transaction that made it.
async fn insert(tx: &mut Tx<'_>, name: &RepositoryName, now: Timestamp) -> Result<(RepositoryId, bool), Error> {
    let row = [tx.ids.next()?.into(), name.as_str().into(), now.into()];
    let made = tx.connection.execute(&INSERT_REPOSITORY, &row).await? > 0;
    // One that was in the way may have been swept in between: then another run makes it.
    let repository = hold(tx, name).await?.ok_or(Error::NotCommitted)?;
    Ok((repository, made))
}

/// Makes a repository visible, if it is not yet.
pub(crate) async fn publish(tx: &mut Tx<'_>, repository: RepositoryId, now: Timestamp) -> Result<(), Error> {
    tx.connection.execute(&PUBLISH_REPOSITORY, &[now.into(), repository.into()]).await?;
    Ok(())
}
