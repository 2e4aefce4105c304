//! Facts, in SQL: which repositories, blobs, manifests, tags and upload sessions exist, and where bytes lie.
//!
//! It owns every SQL statement of the program and the transactions of the data model: each is one named type
//! ([`PutManifest`], [`FinishUpload`], ...) that commits whole or not at all, and is durable once its answer is given.
//! Reads are methods of [`Metadata`], one statement each, every one an index lookup.
//!
//! It knows nothing of bytes (a key is text to it), of HTTP, or of who may do what. It has no clock: every time is passed in.

#![forbid(unsafe_code)]

mod backups;
mod blobs;
mod check;
mod connection;
mod error;
mod ids;
mod manifests;
mod mounts;
mod objects;
mod purge;
mod referrers;
mod repositories;
pub mod schema;
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

pub use backups::RecordBackup;
pub use blobs::{BlobCopy, DeleteBlob, DeletedBlob, RenewLink};
pub use check::{CheckedObject, CheckedPayload, CheckedSession, DiscardUnnamed, MarkFound, MarkVerified};
pub use error::Error;
pub use ids::{BlobId, ManifestId, ObjectId, PayloadId, RepositoryId, StoreId};
pub use manifests::{
    AbsentContent, DeleteManifest, DeletedManifests, ManifestHead, MissingContent, PutManifest, ReferencedContent,
    StoredManifest,
};
pub use mounts::Mount;
pub use objects::{Discarded, ForgetObjects, LiveObject, MarkMissing, PostponeObjects};
pub use purge::{Deleted, Purge, Purged};
pub use referrers::Referrer;
pub use repositories::DeleteRepository;
pub use statement::Statement;
pub use stores::{EnsureStore, Store};
pub use sweep::{PostponeCandidate, SweepCandidate, SweepTimes, Swept};
pub use sweep_candidates::Candidate;
pub use sweep_status::{CandidateStatus, Count, Reason, SweepStatus};
pub use tags::DeleteTag;
pub use timestamp::Timestamp;
pub use transaction::{Grace, Transaction};
pub use undelete::{NotUndeleted, UndeleteManifest, UndeleteRepository, UndeleteTag, Undeleted, Window};
pub use uploads::{
    AdvanceUpload, CancelUpload, ClaimKey, ClaimUpload, ClaimedKey, Epoch, ExpireUpload, FinishUpload, Finished,
    StartUpload, Upload,
};

/// The facts of one registry. Cheap to clone; all clones share one writer.
#[derive(Clone, Debug)]
pub struct Metadata {
    sqlite: sqlite::Sqlite,
}

impl Metadata {
    /// Opens the embedded database in `file`, making it and bringing its schema up to date where needed.
    ///
    /// Blocks while it does so. Needs a tokio runtime only once it is used.
    pub fn open(file: &Path, now: Timestamp) -> Result<Self, Error> {
        Ok(Self { sqlite: sqlite::Sqlite::open(file, now)? })
    }

    /// Opens the embedded database in `file` for reading, beside the process that writes to it. Transactions fail with
    /// [`Error::Closed`]; so does a schema that is not this program's.
    pub fn open_beside(file: &Path) -> Result<Self, Error> {
        Ok(Self { sqlite: sqlite::Sqlite::beside(file)? })
    }

    /// What the database engine itself finds wrong with its file: nothing, if all is well. Blocks.
    pub fn damage(&self) -> Result<Vec<String>, Error> {
        self.sqlite.damage()
    }

    /// Writes a copy of the facts, all of one moment, to a file that is not there yet, and syncs it. Blocks.
    pub fn copy_to(&self, file: &Path) -> Result<(), Error> {
        self.sqlite.copy_to(file)
    }

    /// Runs `transaction` and answers once it is durable; on an error nothing of it has happened.
    ///
    /// What was handed over runs to its end even if the caller stops waiting.
    pub async fn run<T: Transaction>(&self, transaction: T) -> Result<T::Output, Error> {
        self.sqlite.run(transaction).await
    }

    /// Ends the writer once what was handed over is done, and folds its log into the database file. What is asked of any clone
    /// afterwards fails with [`Error::Closed`]. A process that ends without it loses nothing.
    pub async fn close(&self) {
        self.sqlite.close().await;
    }

    fn reader(&self) -> &sqlite::Sqlite {
        &self.sqlite
    }
}

/// Every SQL statement of the program: what a test prepares on each engine.
pub fn statements() -> impl Iterator<Item = &'static Statement> {
    [
        backups::STATEMENTS,
        blobs::DELETE_STATEMENTS,
        blobs::STATEMENTS,
        check::STATEMENTS,
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

#[cfg(test)]
mod tests;
