//! Running a transaction: begin, its statements, commit; again where it met another.

use std::sync::Arc;

use deadpool_postgres::Object;

use super::{
    Postgres, Session, connection,
    failure::{self, Failure},
};
use crate::{
    Error, Transaction,
    connection::Connection,
    ids::Ids,
    transaction::{Tx, sealed::Run},
};

impl Postgres {
    /// Hands a transaction over to a task of its own, which runs it to its end even if the caller stops waiting.
    pub(crate) async fn run<T: Transaction>(&self, transaction: T) -> Result<T::Output, Error> {
        let place = Arc::clone(&self.handed_over).acquire_owned().await.map_err(|_| Error::Closed)?;
        let engine = self.clone();
        let task = tokio::spawn(async move {
            let _place = place;
            engine.run_here(&transaction).await
        });
        task.await.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_the_runtime_ends) => Err(Error::Closed),
        })
    }

    /// Runs a transaction, again where it met another.
    pub(crate) async fn run_here<T: Transaction>(&self, transaction: &T) -> Result<T::Output, Error> {
        let mut ids = self.ids.lend();
        let mut attempt = 1;
        let answer = loop {
            match self.attempt(transaction, &mut ids).await {
                Err(failure) if failure.again(attempt) => {
                    tracing::debug!(attempt, ?failure, "a transaction runs again");
                    attempt += 1;
                }
                answer => break answer,
            }
        };
        self.ids.take_back(ids);
        answer.map_err(Failure::error)
    }

    async fn attempt<T: Transaction>(&self, transaction: &T, ids: &mut Ids) -> Result<T::Output, Failure> {
        let mut open = Open::begin(connection(&self.pool).await.map_err(Failure::NoConnection)?).await?;
        let client = open.client();
        let mut tx = Tx { connection: Connection::Postgres(Session::new(client, &self.ids)), ids };
        let output = match tx.ids.reserve(&mut tx.connection).await {
            Ok(()) => Run::run(transaction, &mut tx).await,
            Err(error) => Err(error),
        };
        let failed = matches!(&tx.connection, Connection::Postgres(session) if session.failed());
        match output {
            // The server would answer a commit with a rollback, which looks like a success.
            Ok(_) if failed => Err(Failure::Undone(Error::NotCommitted)),
            Ok(output) => open.commit().await.map(|()| output),
            Err(error) => {
                open.roll_back().await;
                Err(Failure::Undone(error))
            }
        }
    }
}

/// A connection in a transaction. If it is dropped before its end, so is the connection: the server undoes what was begun.
struct Open(Option<Object>);

impl Open {
    async fn begin(client: Object) -> Result<Self, Failure> {
        let open = Self(Some(client));
        let begun = open.client().batch_execute("begin isolation level read committed").await;
        begun.map_err(|error| Failure::Undone(error.into()))?;
        Ok(open)
    }

    fn client(&self) -> &Object {
        self.0.as_ref().expect("it is taken by what ends the transaction only")
    }

    async fn commit(&mut self) -> Result<(), Failure> {
        #[cfg(test)]
        super::steps::reached("commit").await;
        match self.client().batch_execute("commit").await {
            Ok(()) => {
                self.0.take();
                Ok(())
            }
            Err(error) if failure::commit_was_refused(&error) => Err(Failure::Undone(error.into())),
            Err(error) => {
                tracing::error!(%error, cause = ?error, "the connection was lost during a commit");
                Err(Failure::Unknown)
            }
        }
    }

    async fn roll_back(&mut self) {
        if self.client().batch_execute("rollback").await.is_ok() {
            self.0.take();
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            drop(Object::take(client));
        }
    }
}
