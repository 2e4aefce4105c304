//! Where ids come from: blocks reserved on a connection of their own, each lent to one transaction at a time.

use std::sync::{Mutex, PoisonError};

use deadpool_postgres::Pool;

use super::connection;
use crate::{
    Error,
    connection::{Row, Value},
    ids::{Ids, RESERVE_IDS},
};

#[derive(Debug)]
pub(crate) struct IdSource {
    pool: Pool,
    /// What was reserved and is not lent.
    blocks: Mutex<Vec<Ids>>,
}

impl IdSource {
    pub(super) fn new(pool: Pool) -> Self {
        Self { pool, blocks: Mutex::default() }
    }

    /// Ids for a transaction; there may be none in them.
    pub(super) fn lend(&self) -> Ids {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_else(Ids::none)
    }

    /// Takes back what a transaction left.
    pub(super) fn take_back(&self, ids: Ids) {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner).push(ids);
    }

    /// Reserves ids in a transaction of its own; answers the last of them.
    pub(super) async fn reserve(&self, count: i64) -> Result<i64, Error> {
        let client = connection(&self.pool).await?;
        let reserve = client.prepare_cached(RESERVE_IDS.postgres).await.map_err(Error::from)?;
        let row = client.query_one(&reserve, &[&Value::Integer(count)]).await.map_err(Error::from)?;
        Row::Postgres(&row).integer(0)
    }

    pub(super) fn close(&self) {
        self.pool.close();
    }
}
