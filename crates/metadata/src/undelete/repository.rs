//! A repository, with all that it had.

use cargohold_oci::RepositoryName;

use super::{NotUndeleted, Window};
use crate::{
    Candidate, Error, RepositoryId, Timestamp,
    connection::{FromRow, Row},
    repositories,
    statement::statements,
    sweep_candidates,
    transaction::{Tx, sealed::Run},
};

statements! {
    /// The one of that name that was deleted last.
    LOCK_DELETED_REPOSITORY = "
        select id, deleted_at from repositories
        where name = $1 and deleted_at is not null
        order by deleted_at desc
        limit 1"
        lock "for update";
    UNMARK_REPOSITORY = "update repositories set deleted_at = null where id = $1";
}

/// Brings back the repository of that name that was deleted last, unless there is a new one.
#[derive(Debug)]
pub struct UndeleteRepository {
    /// Its name.
    pub repository: RepositoryName,
    /// For how long it can come back.
    pub window: Window,
}

struct Deleted {
    repository: RepositoryId,
    at: Timestamp,
}

impl FromRow for Deleted {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self { repository: RepositoryId(row.integer(0)?), at: Timestamp::from_micros(row.integer(1)?) })
    }
}

impl Run for UndeleteRepository {
    type Output = Result<(), NotUndeleted>;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, Error> {
        let name = [self.repository.as_str().into()];
        if repositories::hold(tx, &self.repository).await?.is_some() {
            return Ok(Err(NotUndeleted::NotDeleted));
        }
        let Some(deleted) = tx.connection.optional::<Deleted>(&LOCK_DELETED_REPOSITORY, &name).await? else {
            return Ok(Err(NotUndeleted::Unknown));
        };
        let candidate = Candidate::Repository(deleted.repository);
        if self.window.has_ended(deleted.at) || sweep_candidates::is_purged(&mut tx.connection, candidate).await? {
            return Ok(Err(NotUndeleted::TooLate));
        }
        tx.connection.execute(&UNMARK_REPOSITORY, &[deleted.repository.into()]).await?;
        Ok(Ok(()))
    }
}
