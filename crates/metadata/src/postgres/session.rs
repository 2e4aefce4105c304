//! One connection in use: statements prepared when they are first needed, parameters in, rows out.

use deadpool_postgres::ClientWrapper;
use tokio_postgres::types::ToSql;

use super::ids::IdSource;
use crate::{
    Error, Statement,
    connection::{FromRow, Row, Value},
    statement::LockStatement,
};

/// A connection of the pool, inside a transaction or for one read.
pub(crate) struct Session<'c> {
    client: &'c ClientWrapper,
    ids: &'c IdSource,
    failed: bool,
}

impl<'c> Session<'c> {
    pub(super) fn new(client: &'c ClientWrapper, ids: &'c IdSource) -> Self {
        Self { client, ids, failed: false }
    }

    /// Whether a statement failed: then the server undoes the transaction, even if it is told to commit.
    pub(super) fn failed(&self) -> bool {
        self.failed
    }

    pub(crate) async fn execute(&mut self, statement: &Statement, parameters: &[Value<'_>]) -> Result<usize, Error> {
        let rows = self.run(statement.name, statement.postgres, parameters, Answer::Count).await?;
        usize::try_from(rows.count).map_err(|_| Error::impossible("number of rows", rows.count))
    }

    pub(crate) async fn lock(&mut self, statement: &LockStatement, parameters: &[Value<'_>]) -> Result<(), Error> {
        self.run(statement.name, statement.postgres, parameters, Answer::Rows).await?;
        Ok(())
    }

    pub(crate) async fn optional<T: FromRow>(
        &mut self,
        statement: &Statement,
        parameters: &[Value<'_>],
    ) -> Result<Option<T>, Error> {
        let answered = self.run(statement.name, statement.postgres, parameters, Answer::Rows).await?;
        answered.rows.first().map(|row| T::from_row(&Row::Postgres(row))).transpose()
    }

    pub(crate) async fn all<T: FromRow>(
        &mut self,
        statement: &Statement,
        parameters: &[Value<'_>],
    ) -> Result<Vec<T>, Error> {
        let answered = self.run(statement.name, statement.postgres, parameters, Answer::Rows).await?;
        answered.rows.iter().map(|row| T::from_row(&Row::Postgres(row))).collect()
    }

    pub(crate) async fn reserve_ids(&mut self, count: i64) -> Result<i64, Error> {
        self.ids.reserve(count).await
    }

    async fn run(
        &mut self,
        name: &'static str,
        sql: &'static str,
        parameters: &[Value<'_>],
        answer: Answer,
    ) -> Result<Answered, Error> {
        #[cfg(test)]
        super::steps::reached(name).await;
        let answered = self.ask(sql, parameters, answer).await;
        self.failed |= answered.is_err();
        answered.inspect_err(|error| tracing::debug!(statement = name, %error, "a statement failed"))
    }

    async fn ask(&self, sql: &'static str, parameters: &[Value<'_>], answer: Answer) -> Result<Answered, Error> {
        let prepared = self.client.prepare_cached(sql).await?;
        let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|value| value as _).collect();
        Ok(match answer {
            Answer::Count => Answered { count: self.client.execute(&prepared, &parameters).await?, rows: Vec::new() },
            Answer::Rows => Answered { count: 0, rows: self.client.query(&prepared, &parameters).await? },
        })
    }
}

/// What is asked for: a query's rows, or how many rows a statement touched.
#[derive(Clone, Copy)]
enum Answer {
    Count,
    Rows,
}

struct Answered {
    count: u64,
    rows: Vec<tokio_postgres::Row>,
}
