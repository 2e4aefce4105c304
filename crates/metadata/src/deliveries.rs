//! Deliveries: which endpoint has yet to be told of which event.
//!
//! A delivery's row goes once it was told, and an event's with its last delivery. To each endpoint one process delivers at a time,
//! the one that holds it: a newer holder makes what the older one writes down come to nothing. An event may so be told twice, and
//! is never left out.

mod status;
mod trim;

pub(crate) use status::STATEMENTS as STATUS_STATEMENTS;
pub use status::{EndpointRecord, FailedDelivery, PendingDeliveries};
pub(crate) use trim::STATEMENTS as TRIM_STATEMENTS;
pub use trim::{ForgetEndpoint, Segment, TrimDeliveries};

use crate::{
    EndpointId, Error, EventId, Metadata, Timestamp,
    connection::{FromRow, Row, Value},
    ids,
    statement::{locks, statements},
    transaction::{Tx, sealed::Run},
};

locks! {
    /// Of two that bring about the last two deliveries of an event, the later one sees that it was the last.
    LOCK_EVENTS = "
        select v.id from events v
        where v.id in (select cast(e.value ->> 'id' as bigint) from json_each(cast($1 as text)) e)
        order by v.id
        for update";
}

statements! {
    INSERT_ENDPOINT = "insert into endpoints (id, name) values ($1, $2) on conflict (name) do nothing";
    FIND_ENDPOINT = "select id from endpoints where name = $1";
    /// Whoever delivered to it before has let go of it, or its time is over.
    HOLD_ENDPOINT = "
        update endpoints set fence = fence + 1, leased_until = $1 where id = $2 and leased_until <= $3
        returning fence";
    KEEP_ENDPOINT = "update endpoints set leased_until = $1 where id = $2 and fence = $3";
    ENDPOINT_IS_HELD = "select 1 from endpoints where id = $1 and fence = $2";
    NEXT_DELIVERIES = "
        select v.id, d.attempts, v.uuid, v.at, v.body
        from deliveries d join events v on v.id = d.event_id
        where d.endpoint_id = $1 and d.given_up_at is null
        order by d.event_id
        limit $2";
    NEWEST_EVENT = "select id from events where id >= $1 order by id desc limit 1";
    DELETE_DELIVERIES = "
        delete from deliveries
        where endpoint_id = $1
            and event_id in (select cast(e.value ->> 'id' as bigint) from json_each(cast($2 as text)) e)";
    DELETE_TOLD_EVENTS = "
        delete from events
        where id in (select cast(e.value ->> 'id' as bigint) from json_each(cast($1 as text)) e)
            and not exists (select 1 from deliveries d where d.event_id = events.id)";
    RECORD_FAILURE = "
        update deliveries set attempts = attempts + 1, attempted_at = $1, error = $2, given_up_at = $3
        where endpoint_id = $4 and event_id = $5
            and exists (select 1 from endpoints n where n.id = $4 and n.fence = $6)";
    REDELIVER_ALL = "
        update deliveries set given_up_at = null where endpoint_id = $1 and given_up_at is not null and event_id in (
            select d.event_id from deliveries d
            where d.endpoint_id = $1 and d.given_up_at is not null
            order by d.event_id
            limit $2)";
    REDELIVER_ONE = "
        update deliveries set given_up_at = null where endpoint_id = $1 and event_id = $2 and given_up_at is not null";
}

/// Says that somebody holds an endpoint, and which holder of it that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence(i64);

/// What an endpoint is to be told next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The event.
    pub event: EventId,
    /// How often it was tried.
    pub attempts: u64,
    /// What receivers know it by.
    pub uuid: String,
    /// When it happened.
    pub at: Timestamp,
    /// What is sent.
    pub body: String,
}

impl FromRow for Delivery {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            event: EventId(row.integer(0)?),
            attempts: row.length(1)?,
            uuid: row.text(2)?.to_owned(),
            at: Timestamp::from_micros(row.integer(3)?),
            body: row.text(4)?.to_owned(),
        })
    }
}

impl FromRow for EndpointId {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self(row.integer(0)?))
    }
}

impl FromRow for Fence {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self(row.integer(0)?))
    }
}

impl Metadata {
    /// What an endpoint is to be told next, in order, at most `limit`.
    pub async fn next_deliveries(&self, endpoint: EndpointId, limit: u16) -> Result<Vec<Delivery>, Error> {
        self.reader().all(&NEXT_DELIVERIES, &[endpoint.into(), Value::Integer(limit.into())]).await
    }
}

impl Metadata {
    /// The newest event that somebody is yet to be told of, or one before all: what is told from now on comes behind it.
    pub async fn newest_event(&self) -> Result<EventId, Error> {
        Ok(self.reader().optional(&NEWEST_EVENT, &[EventId::FIRST.into()]).await?.unwrap_or(EventId::FIRST))
    }
}

/// Makes an endpoint known, if it is not.
#[derive(Debug)]
pub struct EnsureEndpoint {
    /// What the configuration calls it.
    pub name: String,
}

impl Run for EnsureEndpoint {
    type Output = EndpointId;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<EndpointId, Error> {
        let row = [tx.ids.next()?.into(), self.name.as_str().into()];
        tx.connection.execute(&INSERT_ENDPOINT, &row).await?;
        tx.connection.one(&FIND_ENDPOINT, &[self.name.as_str().into()]).await
    }
}

/// Makes the caller the one who delivers to an endpoint. None if somebody else does.
#[derive(Debug)]
pub struct HoldEndpoint {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Until when it is held unless that is put off.
    pub until: Timestamp,
    /// Now; the end of time to take it away from whoever holds it, by whoever knows that nobody does.
    pub now: Timestamp,
}

impl Run for HoldEndpoint {
    type Output = Option<Fence>;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Fence>, Error> {
        tx.connection.optional(&HOLD_ENDPOINT, &[self.until.into(), self.endpoint.into(), self.now.into()]).await
    }
}

/// Holds an endpoint for longer. False if somebody else holds it by now.
#[derive(Debug)]
pub struct KeepEndpoint {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The holder.
    pub fence: Fence,
    /// Until when; in the past to let go of it.
    pub until: Timestamp,
}

impl Run for KeepEndpoint {
    type Output = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Error> {
        let keep = [self.until.into(), self.endpoint.into(), self.fence.into()];
        Ok(tx.connection.execute(&KEEP_ENDPOINT, &keep).await? > 0)
    }
}

/// Writes down that an endpoint was told of events. False if somebody else holds it by now, who tells it again.
#[derive(Debug)]
pub struct Delivered {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The holder.
    pub fence: Fence,
    /// The events.
    pub events: Vec<EventId>,
}

impl Run for Delivered {
    type Output = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Error> {
        let held = [self.endpoint.into(), self.fence.into()];
        if tx.connection.optional::<i64>(&ENDPOINT_IS_HELD, &held).await?.is_none() {
            return Ok(false);
        }
        remove(tx, self.endpoint, &self.events).await?;
        Ok(true)
    }
}

/// Writes down that an endpoint could not be told. False if somebody else holds it by now.
#[derive(Debug)]
pub struct NotDelivered {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The holder.
    pub fence: Fence,
    /// The event.
    pub event: EventId,
    /// What went wrong.
    pub error: String,
    /// Now.
    pub now: Timestamp,
    /// Whether it is not tried again until somebody asks for it.
    pub give_up: bool,
}

impl Run for NotDelivered {
    type Output = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Error> {
        let failure = [
            self.now.into(),
            self.error.as_str().into(),
            self.give_up.then_some(self.now).into(),
            self.endpoint.into(),
            self.event.into(),
            self.fence.into(),
        ];
        Ok(tx.connection.execute(&RECORD_FAILURE, &failure).await? > 0)
    }
}

/// Has what was given up be tried again, in its old place. Answers how many.
#[derive(Debug)]
pub struct Redeliver {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The event; all of them if none is named, at most `limit`.
    pub event: Option<EventId>,
    /// The most that one transaction touches.
    pub limit: u16,
}

impl Run for Redeliver {
    type Output = usize;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<usize, Error> {
        let endpoint = self.endpoint.into();
        match self.event {
            Some(event) => tx.connection.execute(&REDELIVER_ONE, &[endpoint, event.into()]).await,
            None => tx.connection.execute(&REDELIVER_ALL, &[endpoint, Value::Integer(self.limit.into())]).await,
        }
    }
}

impl From<Fence> for Value<'_> {
    fn from(fence: Fence) -> Self {
        Self::Integer(fence.0)
    }
}

/// Removes deliveries, and the events that have no other.
async fn remove(tx: &mut Tx<'_>, endpoint: EndpointId, events: &[EventId]) -> Result<usize, Error> {
    let list = ids::list(events.iter().map(|event| event.0));
    tx.connection.lock(&LOCK_EVENTS, &[list.as_str().into()]).await?;
    let removed = tx.connection.execute(&DELETE_DELIVERIES, &[endpoint.into(), list.as_str().into()]).await?;
    tx.connection.execute(&DELETE_TOLD_EVENTS, &[list.as_str().into()]).await?;
    Ok(removed)
}
