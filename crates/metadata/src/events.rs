//! Events: what a change is told as, written down in the very transaction that makes the change.
//!
//! A transaction that is [`Told`] tells its changes to a [`Herald`], who says what is told of them and to which endpoints; that is
//! the last thing it does, so whoever waits for its rows waits no longer for that. What nobody wants to know costs nothing.

use std::{fmt, sync::Arc};

use cargohold_oci::{Digest, RepositoryName, Tag};
use serde_json::json;

use crate::{
    EndpointId, Error, EventId, Timestamp,
    connection::{FromRow, Row},
    ids,
    statement::statements,
    transaction::{
        Tx,
        sealed::{Run, RunAndTell},
    },
};

statements! {
    /// Numbered in the order of the list.
    INSERT_EVENTS = "
        insert into events (uuid, at, body)
        select e.value ->> 'uuid', cast(e.value ->> 'at' as bigint), e.value ->> 'body'
        from json_each(cast($1 as text)) e
        order by cast(e.value ->> 'place' as bigint)
        returning id";
    INSERT_DELIVERIES = "
        insert into deliveries (endpoint_id, event_id)
        select n.id, cast(v.value ->> 'id' as bigint)
        from json_each(cast($1 as text)) v
        cross join json_each(cast($2 as text)) e
        cross join endpoints n
        where n.id = cast(e.value ->> 'id' as bigint)"
        lock "for key share of n";
    DELETE_EVENTS = "
        delete from events where id in (select cast(e.value ->> 'id' as bigint) from json_each(cast($1 as text)) e)";
}

/// Something that happened to a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An upload ended in a blob.
    BlobPushed {
        /// Which.
        digest: Digest,
        /// Its length in bytes.
        size: u64,
    },
    /// A blob came from another repository.
    BlobMounted {
        /// Which.
        digest: Digest,
        /// Its length in bytes.
        size: u64,
        /// The repository that had it.
        source: RepositoryName,
    },
    /// A manifest was put, under its digest or under a tag.
    ManifestPushed {
        /// Which.
        digest: Digest,
        /// Its length in bytes.
        size: u64,
        /// What it is served as.
        media_type: String,
        /// The tag.
        tag: Option<Tag>,
    },
    /// A tag is gone.
    TagDeleted(Tag),
    /// A manifest is gone.
    ManifestDeleted(Digest),
    /// A blob is gone.
    BlobDeleted(Digest),
    /// The repository is gone, with all that it had.
    RepositoryDeleted,
}

/// Knows what is told of changes, and to whom.
pub trait Herald: fmt::Debug + Send + Sync + 'static {
    /// What is told of changes that commit together; none if nobody wants to know.
    fn tell(&self, changes: Vec<Change>) -> Option<Notice>;
}

/// What is told, and to whom.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The endpoints.
    pub endpoints: Vec<EndpointId>,
    /// The events, in order.
    pub events: Vec<NewEvent>,
}

/// An event that is to be written down.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// What receivers know it by.
    pub uuid: String,
    /// When it happened.
    pub at: Timestamp,
    /// What is sent.
    pub body: String,
}

/// A transaction that is told of.
#[derive(Debug)]
pub struct Told<T> {
    /// What changes something.
    pub transaction: T,
    /// Who tells.
    pub herald: Arc<dyn Herald>,
}

impl<T: RunAndTell> Run for Told<T> {
    type Output = T::Output;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<T::Output, Error> {
        let (output, changes) = self.transaction.run_and_tell(tx).await?;
        if !changes.is_empty()
            && let Some(notice) = self.herald.tell(changes)
        {
            write(tx, &notice).await?;
        }
        Ok(output)
    }
}

impl FromRow for EventId {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self(row.integer(0)?))
    }
}

async fn write(tx: &mut Tx<'_>, notice: &Notice) -> Result<(), Error> {
    let event = |(place, event): (usize, &NewEvent)| json!({ "place": place, "uuid": event.uuid, "at": event.at.micros(), "body": event.body });
    let events = serde_json::Value::Array(notice.events.iter().enumerate().map(event).collect()).to_string();
    let written: Vec<EventId> = tx.connection.all(&INSERT_EVENTS, &[events.as_str().into()]).await?;
    let events = ids::list(written.iter().map(|event| event.0));
    let endpoints = ids::list(notice.endpoints.iter().map(|endpoint| endpoint.0));
    if tx.connection.execute(&INSERT_DELIVERIES, &[events.as_str().into(), endpoints.as_str().into()]).await? == 0 {
        // Those who wanted to know were forgotten meanwhile.
        tx.connection.execute(&DELETE_EVENTS, &[events.as_str().into()]).await?;
    }
    Ok(())
}
