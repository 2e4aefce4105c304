//! PostgreSQL as the engine, for registries of several processes: a pool of connections, and transactions that run again where
//! they met another.
//!
//! READ COMMITTED: what a transaction decides on, it has locked. A deadlock, or a row that somebody else made first, undoes the
//! transaction and runs it again, a bounded number of times; so it does if the connection was lost before the commit. Each
//! statement is prepared once on each connection.
//!
//! A transaction that was handed over runs in a task of its own, to its end.

mod failure;
mod ids;
mod migrations;
mod session;
mod transactions;
mod values;

use std::{sync::Arc, time::Duration};

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio::sync::Semaphore;
use tokio_postgres::NoTls;

use self::{failure::Failure, ids::IdSource};
pub(crate) use self::{session::Session, values::Integer};
use crate::{
    Error, Statement, Timestamp,
    connection::{FromRow, Value},
};

/// How long a transaction or a read waits for a connection to be free.
const WAIT: Duration = Duration::from_secs(30);
/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// Transactions that may be under way; past that, their callers wait to hand them over.
const HANDED_OVER: u32 = 1024;

/// Acknowledged means durable, whatever the server's default is. Stricter settings than `on` stay.
const NEVER_COMMIT_EARLY: &str = "
    select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'";

#[derive(Clone, Debug)]
pub(crate) struct Postgres {
    pool: Pool,
    ids: Arc<IdSource>,
    handed_over: Arc<Semaphore>,
}

impl Postgres {
    pub(crate) async fn connect(url: &str, connections: usize, now: Timestamp) -> Result<Self, Error> {
        let configuration: tokio_postgres::Config = url.parse()?;
        let pool = make_pool(&configuration, connections.max(1))?;
        let mut client = connection(&pool).await?;
        migrations::migrate(&mut client, now).await.map_err(Failure::told)?;
        drop(client);
        Ok(Self {
            pool,
            // Who asks for ids holds a connection already: from the same pool, all could wait for each other.
            ids: Arc::new(IdSource::new(make_pool(&configuration, 1)?)),
            handed_over: Arc::new(Semaphore::new(HANDED_OVER as usize)),
        })
    }

    pub(crate) async fn optional<T: FromRow>(
        &self,
        statement: &Statement,
        parameters: &[Value<'_>],
    ) -> Result<Option<T>, Error> {
        let mut attempt = 1;
        loop {
            let client = connection(&self.pool).await.map_err(Failure::told)?;
            match Session::new(&client, &self.ids).optional(statement, parameters).await {
                Err(error) if failure::read_again(&error, attempt) => attempt += 1,
                answer => return answer.map_err(Failure::told),
            }
        }
    }

    pub(crate) async fn all<T: FromRow>(
        &self,
        statement: &Statement,
        parameters: &[Value<'_>],
    ) -> Result<Vec<T>, Error> {
        let mut attempt = 1;
        loop {
            let client = connection(&self.pool).await.map_err(Failure::told)?;
            match Session::new(&client, &self.ids).all(statement, parameters).await {
                Err(error) if failure::read_again(&error, attempt) => attempt += 1,
                answer => return answer.map_err(Failure::told),
            }
        }
    }

    /// Waits for what was handed over, and closes every connection.
    pub(crate) async fn close(&self) {
        if let Ok(all) = self.handed_over.acquire_many(HANDED_OVER).await {
            self.handed_over.close();
            drop(all);
        }
        self.pool.close();
        self.ids.close();
    }
}

async fn connection(pool: &Pool) -> Result<Object, Error> {
    Ok(pool.get().await?)
}

fn make_pool(configuration: &tokio_postgres::Config, connections: usize) -> Result<Pool, Error> {
    // A connection that is closed is found when it is taken; one that breaks later is found by what is run on it.
    let manager =
        Manager::from_config(configuration.clone(), NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
    let durable = Hook::async_fn(|client, _| {
        Box::pin(async move { client.batch_execute(NEVER_COMMIT_EARLY).await.map_err(HookError::Backend) })
    });
    let pool = Pool::builder(manager)
        .max_size(connections)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(WAIT))
        .create_timeout(Some(CONNECT))
        .post_create(durable);
    pool.build().map_err(|error| Error::impossible("pool of connections", error))
}

#[cfg(test)]
pub(crate) mod steps;
