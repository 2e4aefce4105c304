//! What waits for each endpoint and what could not be delivered: for people.

use crate::{
    Count, EndpointId, Error, EventId, Metadata, Timestamp,
    connection::{FromRow, Row, Value},
    deliveries::Segment,
    statement::statements,
    sweep_status::MOST_COUNTED,
};

statements! {
    LIST_ENDPOINTS = "select id, name, dropped from endpoints where name > $1 order by name limit $2";
    COUNT_PENDING = "
        select count(*), min(event_id) from (
            select event_id from deliveries
            where endpoint_id = $1 and given_up_at is null
            order by event_id
            limit $2) d";
    COUNT_GIVEN_UP = "
        select count(*), min(event_id) from (
            select event_id from deliveries
            where endpoint_id = $1 and given_up_at is not null
            order by event_id
            limit $2) d";
    WHEN_WAS_EVENT = "select at from events where id = $1";
    LIST_FAILED = "
        select v.id, d.attempts, d.attempted_at, d.error, d.given_up_at, v.at, v.body
        from deliveries d join events v on v.id = d.event_id
        where d.endpoint_id = $1 and d.attempts > 0 and d.event_id > $2
        order by d.event_id
        limit $3";
}

/// An endpoint, as far as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointRecord {
    /// Its id.
    pub id: EndpointId,
    /// What the configuration calls it.
    pub name: String,
    /// How many events it was never told of, since there were too many.
    pub dropped: u64,
}

impl FromRow for EndpointRecord {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self { id: EndpointId(row.integer(0)?), name: row.text(1)?.to_owned(), dropped: row.length(2)? })
    }
}

/// What waits for an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingDeliveries {
    /// What it is yet to be told.
    pub pending: Count,
    /// When the oldest of that happened.
    pub oldest: Option<Timestamp>,
    /// What is not tried any more until somebody asks for it.
    pub given_up: Count,
}

/// A delivery that was tried in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedDelivery {
    /// The event.
    pub event: EventId,
    /// How often it was tried.
    pub attempts: u64,
    /// When it was tried last.
    pub attempted_at: Option<Timestamp>,
    /// What went wrong then.
    pub error: Option<String>,
    /// Whether it is not tried any more until somebody asks for it.
    pub given_up: bool,
    /// When the event happened.
    pub at: Timestamp,
    /// What is sent, in JSON.
    pub body: String,
}

impl FromRow for FailedDelivery {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            event: EventId(row.integer(0)?),
            attempts: row.length(1)?,
            attempted_at: row.optional_integer(2)?.map(Timestamp::from_micros),
            error: row.optional_text(3)?.map(str::to_owned),
            given_up: row.optional_integer(4)?.is_some(),
            at: Timestamp::from_micros(row.integer(5)?),
            body: row.text(6)?.to_owned(),
        })
    }
}

impl Metadata {
    /// The endpoints whose names come after `last`, in byte order, at most `limit`.
    pub async fn endpoints(&self, last: &str, limit: u16) -> Result<Vec<EndpointRecord>, Error> {
        self.reader().all(&LIST_ENDPOINTS, &[last.into(), Value::Integer(limit.into())]).await
    }

    /// What waits for an endpoint.
    pub async fn pending_deliveries(&self, endpoint: EndpointId) -> Result<PendingDeliveries, Error> {
        let most = [endpoint.into(), Value::Integer(i64::from(MOST_COUNTED) + 1)];
        let pending: Option<Segment> = self.reader().optional(&COUNT_PENDING, &most).await?;
        let given_up: Option<Segment> = self.reader().optional(&COUNT_GIVEN_UP, &most).await?;
        let oldest: Option<i64> = match pending.and_then(|pending| pending.oldest) {
            Some(event) => self.reader().optional(&WHEN_WAS_EVENT, &[event.into()]).await?,
            None => None,
        };
        let count = |segment: Option<Segment>| Count::of(segment.map_or(0, |segment| segment.count));
        let oldest = oldest.map(Timestamp::from_micros);
        Ok(PendingDeliveries { pending: count(pending), oldest, given_up: count(given_up) })
    }

    /// Deliveries that were tried in vain and wait, or were given up, of events after `last`, at most `limit`.
    pub async fn failed_deliveries(
        &self,
        endpoint: EndpointId,
        last: EventId,
        limit: u16,
    ) -> Result<Vec<FailedDelivery>, Error> {
        self.reader().all(&LIST_FAILED, &[endpoint.into(), last.into(), Value::Integer(limit.into())]).await
    }
}
