//! The bound of what waits for an endpoint: beyond it the oldest are dropped, by whoever delivers, never by a push.

use super::remove;
use crate::{
    EndpointId, Error, EventId, Metadata,
    connection::{FromRow, Row, Value},
    statement::statements,
    transaction::{Tx, sealed::Run},
};

statements! {
    /// From the newest back.
    COUNT_BACK = "
        select count(*), min(event_id) from (
            select event_id from deliveries where endpoint_id = $1 and event_id < $2 order by event_id desc limit $3) d";
    FIND_OLDEST = "
        select event_id from deliveries where endpoint_id = $1 order by event_id limit $2";
    COUNT_DROPPED = "update endpoints set dropped = dropped + $1 where id = $2";
    /// Waits for whoever writes down that it is to be told something, and has whoever comes later find none.
    LOCK_ENDPOINT = "select id from endpoints where id = $1"
        lock "for update";
    DELETE_ENDPOINT = "delete from endpoints where id = $1";
}

/// Some of what waits for an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// How many.
    pub count: u64,
    /// The oldest of them.
    pub oldest: Option<EventId>,
}

impl FromRow for Segment {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self { count: row.length(0)?, oldest: row.optional_integer(1)?.map(EventId) })
    }
}

impl Metadata {
    /// Of what waits for an endpoint, or was given up, those of before `before`, the newest `limit`. It reads so many rows of an
    /// index: to count far, ask again from the oldest one on.
    pub async fn deliveries_before(
        &self,
        endpoint: EndpointId,
        before: Option<EventId>,
        limit: u32,
    ) -> Result<Segment, Error> {
        let before = before.unwrap_or(EventId(i64::MAX));
        let segment = [endpoint.into(), before.into(), Value::Integer(limit.into())];
        let found = self.reader().optional(&COUNT_BACK, &segment).await?;
        Ok(found.unwrap_or(Segment { count: 0, oldest: None }))
    }
}

/// Drops the oldest of what waits for an endpoint, or was given up. Answers how many.
#[derive(Debug)]
pub struct TrimDeliveries {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// How many, or all if there are fewer.
    pub count: u16,
}

impl Run for TrimDeliveries {
    type Output = usize;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<usize, Error> {
        let oldest = [self.endpoint.into(), Value::Integer(self.count.into())];
        let oldest: Vec<EventId> = tx.connection.all(&FIND_OLDEST, &oldest).await?;
        let dropped = remove(tx, self.endpoint, &oldest).await?;
        let count = i64::try_from(dropped).unwrap_or(i64::MAX);
        tx.connection.execute(&COUNT_DROPPED, &[count.into(), self.endpoint.into()]).await?;
        Ok(dropped)
    }
}

/// Forgets an endpoint that the configuration does not name any more, with what it was to be told. Answers how many deliveries
/// went; the endpoint goes with the last of them, so ask again while it is `limit`.
#[derive(Debug)]
pub struct ForgetEndpoint {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The most that one transaction drops.
    pub limit: u16,
}

impl Run for ForgetEndpoint {
    type Output = usize;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<usize, Error> {
        if tx.connection.optional::<EndpointId>(&LOCK_ENDPOINT, &[self.endpoint.into()]).await?.is_none() {
            return Ok(0);
        }
        let all = [self.endpoint.into(), Value::Integer(self.limit.into())];
        let oldest: Vec<EventId> = tx.connection.all(&FIND_OLDEST, &all).await?;
        let dropped = remove(tx, self.endpoint, &oldest).await?;
        if dropped < usize::from(self.limit) {
            tx.connection.execute(&DELETE_ENDPOINT, &[self.endpoint.into()]).await?;
        }
        Ok(dropped)
    }
}
