//! Ids: bigints that we make, dense, never used twice, in blocks reserved from a row.
//!
//! A process reserves a block and hands its ids out without asking again. What is left of a block when the process ends is lost,
//! which is harmless.

use std::ops::Range;

use crate::{
    Error,
    connection::{Connection, Value},
    statement::statements,
};

/// How many ids one reservation takes.
const BLOCK: u16 = 4096;
/// More than any one transaction uses: a manifest, its payload, its repository, and one history row for each of its tags.
pub(crate) const MOST_PER_TRANSACTION: i64 = 1024;

statements! {
    RESERVE_IDS = "
        update settings set value = cast(cast(value as bigint) + cast($1 as bigint) as text)
        where key = 'last_id'
        returning cast(value as bigint)";
}

/// The ids that this process may hand out.
#[derive(Debug)]
pub(crate) struct Ids(Range<i64>);

impl Ids {
    pub(crate) fn none() -> Self {
        Self(0..0)
    }

    /// Makes sure that a transaction finds the ids it needs. In SQLite, where this is a part of it, what was reserved counts only
    /// once the transaction has committed: if it does not, the ids must be dropped with it.
    pub(crate) async fn reserve(&mut self, connection: &mut Connection<'_>) -> Result<(), Error> {
        if self.0.end - self.0.start < MOST_PER_TRANSACTION {
            let last = connection.reserve_ids(BLOCK.into()).await?;
            self.0 = last - i64::from(BLOCK) + 1..last + 1;
        }
        Ok(())
    }

    /// The first of `count` ids in a row, for transactions that need any number of them.
    pub(crate) async fn take(connection: &mut Connection<'_>, count: usize) -> Result<i64, Error> {
        let count = i64::try_from(count).map_err(|_| Error::impossible("number of ids", count))?;
        let last = connection.reserve_ids(count).await?;
        Ok(last - count + 1)
    }

    pub(crate) fn next(&mut self) -> Result<i64, Error> {
        self.0.next().ok_or_else(|| Error::impossible("number of ids in one transaction", MOST_PER_TRANSACTION))
    }
}

/// Ids as one parameter: a list in JSON, as statements read it with `json_each`.
pub(crate) fn list(ids: impl Iterator<Item = i64>) -> String {
    serde_json::Value::Array(ids.map(|id| serde_json::json!({ "id": id })).collect()).to_string()
}

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(crate) i64);

        impl From<$name> for Value<'_> {
            fn from(id: $name) -> Self {
                Self::Integer(id.0)
            }
        }
    )+};
}

id! {
    /// A row of `stores`.
    StoreId
    /// A row of `repositories`.
    RepositoryId
    /// A row of `blobs`.
    BlobId
    /// A row of `objects`.
    ObjectId
    /// A row of `manifests`.
    ManifestId
    /// A row of `manifest_payloads`.
    PayloadId
    /// A row of `endpoints`.
    EndpointId
    /// A row of `events`; one that came behind another has a higher one.
    EventId
}

impl StoreId {
    /// The number that the store's marker names.
    pub const fn number(self) -> i64 {
        self.0
    }
}

impl ManifestId {
    /// The one before all others.
    pub const FIRST: Self = Self(0);

    /// The id of that number: a place to go on from, whether or not there is such a manifest.
    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn number(self) -> i64 {
        self.0
    }
}

impl EventId {
    /// The one before all others.
    pub const FIRST: Self = Self(0);

    /// The id of that number, whether or not there is such an event.
    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn number(self) -> i64 {
        self.0
    }
}
