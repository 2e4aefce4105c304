//! Deleting a repository: it is out of everybody's sight, its name is free, and what it has is the sweep's business.

use cargohold_oci::RepositoryName;

use crate::{
    Candidate, Change, Error, Grace, RepositoryId,
    statement::statements,
    sweep_candidates,
    transaction::{
        Tx,
        sealed::{Run, RunAndTell},
    },
};

statements! {
    /// Waits for whoever holds it, and has whoever comes later find none.
    LOCK_REPOSITORY_TO_DELETE = "select id from repositories where name = $1 and deleted_at is null"
        lock "for update";
    MARK_REPOSITORY = "update repositories set deleted_at = $1 where id = $2";
}

/// Deletes a repository with all that it has. False if there is none of that name.
#[derive(Debug)]
pub struct DeleteRepository {
    /// Its name.
    pub repository: RepositoryName,
    /// Now, and when the sweeper may look at it.
    pub window: Grace,
}

impl Run for DeleteRepository {
    type Output = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Error> {
        let name = [self.repository.as_str().into()];
        let Some(repository) = tx.connection.optional::<RepositoryId>(&LOCK_REPOSITORY_TO_DELETE, &name).await? else {
            return Ok(false);
        };
        tx.connection.execute(&MARK_REPOSITORY, &[self.window.now.into(), repository.into()]).await?;
        sweep_candidates::note(&mut tx.connection, Candidate::Repository(repository), self.window.until).await?;
        Ok(true)
    }
}

impl RunAndTell for DeleteRepository {
    async fn run_and_tell(&self, tx: &mut Tx<'_>) -> Result<(bool, Vec<Change>), Error> {
        let deleted = self.run(tx).await?;
        Ok((deleted, deleted.then_some(Change::RepositoryDeleted).into_iter().collect()))
    }
}
