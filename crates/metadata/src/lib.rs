//! Facts, in SQL: which repositories, blobs, manifests, tags and upload sessions exist, and where bytes lie.
//!
//! It owns every SQL statement of the program and the transactions of the data model: each is one named type
//! ([`PutManifest`], [`FinishUpload`], ...) that commits whole or not at all, and is durable once its answer is given.
//! Reads are methods of [`Metadata`], one statement each, every one an index lookup.
//!
//! It knows nothing of bytes (a key is text to it), of HTTP, or of who may do what. It has no clock: every time is passed in.

#![forbid(unsafe_code)]

mod adopt;
mod arrivals;
mod backups;
mod blobs;
mod census;
mod check;
mod connection;
mod deliveries;
mod error;
mod events;
mod export;
mod ids;
mod liveness;
mod manifests;
mod metrics;
mod mounts;
mod objects;
mod postgres;
mod purge;
mod referrers;
mod repositories;
pub mod schema;
mod settings;
mod sqlite;
mod statement;
mod stores;
mod sweep;
mod sweep_candidates;
mod sweep_status;
mod tags;
mod timestamp;
mod transaction;
mod undelete;
mod uploads;

use std::path::Path;

use cargohold_metrics::Page;

pub use adopt::{
    AbsentReference, AdoptLinks, AdoptTags, AdoptedLink, AdoptedLinks, AdoptedTag, Holdings, KnownManifest,
    SettleLinks, TagOutcome,
};
pub use backups::{PutOffDeletions, RecordBackup};
pub use blobs::{BlobCopy, DeleteBlob, DeletedBlob, RenewLink};
pub use census::{Counted, CountedPage};
pub use check::{CheckedObject, CheckedPayload, CheckedSession, DiscardUnnamed, MarkFound, MarkVerified};
pub use deliveries::{
    Delivered, Delivery, EndpointRecord, EnsureEndpoint, FailedDelivery, Fence, ForgetEndpoint, HoldEndpoint,
    KeepEndpoint, NotDelivered, PendingDeliveries, Redeliver, Segment, TrimDeliveries,
};
pub use error::{Error, NewerSchema};
pub use events::{Change, Herald, NewEvent, Notice, Told};
pub use export::{LinkedBlob, PushedManifest, TaggedManifest};
pub use ids::{BlobId, EndpointId, EventId, ManifestId, ObjectId, PayloadId, RepositoryId, StoreId};
pub use manifests::{
    AbsentContent, DeleteManifest, DeletedManifests, ManifestHead, MissingContent, PutManifest, ReferencedContent,
    StoredManifest,
};
pub use mounts::Mount;
pub use objects::{Discarded, ForgetObjects, LiveObject, MarkMissing, PostponeObjects};
pub use purge::{Deleted, Purge, Purged};
pub use referrers::Referrer;
pub use repositories::DeleteRepository;
pub use settings::{PutSetting, RemoveSetting, SettingName};
pub use statement::{LockStatement, Statement};
pub use stores::{AdoptStore, AdoptedStore, EnsureStore, MoveAdoptedStore, Store};
pub use sweep::{PostponeCandidate, SweepCandidate, SweepTimes, Swept};
pub use sweep_candidates::Candidate;
pub use sweep_status::{CandidateStatus, Count, Reason, SweepStatus};
pub use tags::DeleteTag;
pub use timestamp::Timestamp;
pub use transaction::{Grace, Telling, Transaction};
pub use undelete::{NotUndeleted, UndeleteManifest, UndeleteRepository, UndeleteTag, Undeleted, Window};
pub use uploads::{
    AbandonUpload, AdvanceUpload, CancelUpload, ClaimKey, ClaimUpload, ClaimedKey, Epoch, ExpireUpload, FinishUpload,
    Finished, Seen, StartUpload, Upload,
};

use connection::{FromRow, Value};

/// The facts of one registry. Cheap to clone; all clones share one writer, or one pool of connections.
#[derive(Clone, Debug)]
pub struct Metadata {
    engine: Engine,
}

#[derive(Clone, Debug)]
enum Engine {
    Sqlite(sqlite::Sqlite),
    Postgres(postgres::Postgres),
}

impl Metadata {
    /// Opens the embedded database in `file`, making it and bringing its schema up to date where needed.
    ///
    /// Blocks while it does so. Needs a tokio runtime only once it is used.
    pub fn open(file: &Path, now: Timestamp) -> Result<Self, Error> {
        Ok(Self { engine: Engine::Sqlite(sqlite::Sqlite::open(file, now)?) })
    }

    /// Opens the embedded database in `file` for reading, beside the process that writes to it. Transactions fail with
    /// [`Error::Closed`]; so does a schema that is not this program's.
    pub fn open_beside(file: &Path) -> Result<Self, Error> {
        Ok(Self { engine: Engine::Sqlite(sqlite::Sqlite::beside(file)?) })
    }

    /// The number of the store that a copy of an embedded database tells of, which is not changed; none if it is whole, and of a
    /// registry that was never started. Blocks.
    ///
    /// Fails if it is damaged, or is no database of this or an earlier program.
    pub fn store_of_copy(file: &Path) -> Result<Option<StoreId>, Error> {
        sqlite::store_of_copy(file)
    }

    /// What the embedded engine itself finds wrong with its file: nothing, if all is well. Blocks.
    pub fn damage(&self) -> Result<Vec<String>, Error> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.damage(),
            Engine::Postgres(_) => Ok(Vec::new()),
        }
    }

    /// Writes a copy of the embedded database, all of one moment, to a file that is empty or not there, and syncs it. Blocks.
    ///
    /// PostgreSQL has programs of its own for that: [`Error::NotEmbedded`].
    pub fn copy_to(&self, file: &Path) -> Result<(), Error> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.copy_to(file),
            Engine::Postgres(_) => Err(Error::NotEmbedded),
        }
    }

    /// Connects to a PostgreSQL database, version 15 or newer, bringing its schema up to date where needed.
    ///
    /// `url` is a libpq connection string or URI; the tables are made in the first schema of its search path. At most
    /// `connections` are open at a time, and one more that reserves ids. The connections are not encrypted.
    pub async fn connect(url: &str, connections: usize, now: Timestamp) -> Result<Self, Error> {
        Ok(Self { engine: Engine::Postgres(postgres::Postgres::connect(url, connections, now).await?) })
    }

    /// Runs `transaction` and answers once it is durable. On an error nothing of it has happened, with one exception:
    /// [`Error::OutcomeUnknown`].
    ///
    /// What was handed over runs to its end even if the caller stops waiting. On PostgreSQL it may be run several times, of
    /// which one counts.
    pub async fn run<T: Transaction>(&self, transaction: T) -> Result<T::Output, Error> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.run(transaction).await,
            Engine::Postgres(postgres) => postgres.run(transaction).await,
        }
    }

    /// Whether other processes may write at the same time.
    pub const fn is_shared(&self) -> bool {
        matches!(self.engine, Engine::Postgres(_))
    }

    /// Ends the engine once what was handed over is done; SQLite folds its log into the database file. What is asked of any clone
    /// afterwards fails with [`Error::Closed`]. A process that ends without it loses nothing.
    pub async fn close(&self) {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.close().await,
            Engine::Postgres(postgres) => postgres.close().await,
        }
    }

    /// Tells what it counted of its work.
    pub fn tell(&self, page: &mut Page) {
        if let Engine::Sqlite(sqlite) = &self.engine {
            sqlite.tell(page);
        }
    }

    fn reader(&self) -> &Engine {
        &self.engine
    }
}

/// What goes to PostgreSQL is boxed: every request has such a future in its own, which is moved about, and over the network it
/// counts for nothing.
impl Engine {
    /// The first row, if there is one. SQLite answers within the call.
    async fn optional<T: FromRow>(&self, statement: &Statement, parameters: &[Value<'_>]) -> Result<Option<T>, Error> {
        match self {
            Self::Sqlite(sqlite) => sqlite.optional(statement, parameters),
            Self::Postgres(postgres) => Box::pin(postgres.optional(statement, parameters)).await,
        }
    }

    /// All rows. SQLite answers within the call.
    async fn all<T: FromRow>(&self, statement: &Statement, parameters: &[Value<'_>]) -> Result<Vec<T>, Error> {
        match self {
            Self::Sqlite(sqlite) => sqlite.all(statement, parameters),
            Self::Postgres(postgres) => Box::pin(postgres.all(statement, parameters)).await,
        }
    }
}

/// Every SQL statement of the program: what a test prepares on each engine.
pub fn statements() -> impl Iterator<Item = &'static Statement> {
    [
        adopt::LINK_STATEMENTS,
        adopt::STATEMENTS,
        adopt::TAG_STATEMENTS,
        arrivals::STATEMENTS,
        backups::STATEMENTS,
        blobs::DELETE_STATEMENTS,
        blobs::STATEMENTS,
        census::STATEMENTS,
        check::STATEMENTS,
        deliveries::STATEMENTS,
        deliveries::STATUS_STATEMENTS,
        deliveries::TRIM_STATEMENTS,
        events::STATEMENTS,
        export::STATEMENTS,
        ids::STATEMENTS,
        manifests::DELETE_STATEMENTS,
        manifests::PUT_STATEMENTS,
        manifests::STATEMENTS,
        mounts::STATEMENTS,
        objects::STATEMENTS,
        purge::STATEMENTS,
        referrers::STATEMENTS,
        repositories::DELETE_STATEMENTS,
        repositories::STATEMENTS,
        schema::STATEMENTS,
        settings::STATEMENTS,
        stores::STATEMENTS,
        sweep::BLOB_STATEMENTS,
        sweep::LINK_STATEMENTS,
        sweep::MANIFEST_STATEMENTS,
        sweep::PAYLOAD_STATEMENTS,
        sweep::REPOSITORY_STATEMENTS,
        sweep_candidates::STATEMENTS,
        sweep_status::STATEMENTS,
        tags::STATEMENTS,
        undelete::MANIFEST_STATEMENTS,
        undelete::REPOSITORY_STATEMENTS,
        undelete::TAG_STATEMENTS,
        uploads::STATEMENTS,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// Every statement that only takes locks, which PostgreSQL alone needs.
pub fn locks() -> impl Iterator<Item = &'static LockStatement> {
    [
        adopt::LOCKS,
        arrivals::LOCKS,
        deliveries::LOCKS,
        manifests::DELETE_LOCKS,
        manifests::PUT_LOCKS,
        purge::LOCKS,
        sweep::LINK_LOCKS,
        sweep::MANIFEST_LOCKS,
        sweep::REPOSITORY_LOCKS,
    ]
    .into_iter()
    .flatten()
    .copied()
}

#[cfg(test)]
mod tests;
