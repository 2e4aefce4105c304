//! Blobs: one row for each digest in the registry, and the links that let a repository's readers have them.

mod delete;

use cargohold_oci::{Digest, RepositoryName};

pub(crate) use delete::STATEMENTS as DELETE_STATEMENTS;
pub use delete::{DeleteBlob, DeletedBlob};

use crate::{
    BlobId, Candidate, Error, Grace, Metadata, ObjectId, RepositoryId, StoreId, Timestamp,
    connection::{FromRow, Row, Value},
    statement::statements,
    sweep_candidates,
    transaction::{Tx, sealed::Run},
};

statements! {
    FIND_BLOB_COPY = "
        select l.repository_id, l.blob_id, o.id, o.store_id, o.key, b.size, l.unreferenced_since
        from repositories r
        join blobs b on b.digest = $1
        join repository_blobs l on l.repository_id = r.id and l.blob_id = b.id
        join objects o on o.blob_id = b.id
        where r.name = $2 and r.deleted_at is null and l.deleted_at is null and o.state = 'live'
        limit 1";
    /// Locks the blob's row for the rest of the transaction, new or not. The size of one that was adopted may be that of a file
    /// which was cut: it is what was counted now from then on.
    UPSERT_BLOB = "
        insert into blobs (id, digest, size) values ($1, $2, $3)
        on conflict (digest) do update set size = excluded.size
        returning id";
    UPSERT_LINK = "
        insert into repository_blobs (repository_id, blob_id, linked_at, unreferenced_since) values ($1, $2, $3, $3)
        on conflict (repository_id, blob_id) do update set deleted_at = null, unreferenced_since = excluded.unreferenced_since";
    /// What waited for this blob as its configuration has it from now on.
    RESOLVE_CONFIG_BLOBS = "
        update manifests set config_blob = $1
        where id in (
            select f.manifest_id from manifest_references f
            where f.repository_id = $2 and f.absent_digest = $3 and f.kind = 'config')";
    /// What waited for this blob in the repository refers to it from now on.
    RESOLVE_BLOB_REFERENCES = "
        update manifest_references set blob_id = $1, absent_digest = null
        where repository_id = $2 and absent_digest = $3";
    LINK_IS_REFERENCED = "
        update repository_blobs set unreferenced_since = null
        where repository_id = $1 and blob_id = $2
            and exists (select 1 from manifest_references f where f.repository_id = $1 and f.blob_id = $2)";
    RENEW_LINK = "
        update repository_blobs set unreferenced_since = $1
        where repository_id = $2 and blob_id = $3 and deleted_at is null and unreferenced_since is not null";
    LINK_IS_LIVE = "select 1 from repository_blobs where repository_id = $1 and blob_id = $2 and deleted_at is null";
}

/// A blob as one repository's readers have it: where a live object of it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobCopy {
    /// The repository.
    pub repository: RepositoryId,
    /// The blob.
    pub blob: BlobId,
    /// The object that has the bytes.
    pub object: ObjectId,
    /// The store that it is in.
    pub store: StoreId,
    /// Where in that store.
    pub key: String,
    /// Length in bytes.
    pub size: u64,
    /// Since when no manifest refers to it, or somebody who will push one was told that it exists.
    pub unreferenced_since: Option<Timestamp>,
}

impl FromRow for BlobCopy {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            repository: RepositoryId(row.integer(0)?),
            blob: BlobId(row.integer(1)?),
            object: ObjectId(row.integer(2)?),
            store: StoreId(row.integer(3)?),
            key: row.text(4)?.to_owned(),
            size: row.length(5)?,
            unreferenced_since: row.optional_integer(6)?.map(Timestamp::from_micros),
        })
    }
}

impl FromRow for BlobId {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self(row.integer(0)?))
    }
}

impl Metadata {
    /// Where a blob lies that is linked to this repository; none if it is not, or if its bytes are not there.
    pub async fn blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<Option<BlobCopy>, Error> {
        self.reader().optional(&FIND_BLOB_COPY, &[digest.into(), repository.as_str().into()]).await
    }
}

/// Counts a link's grace from now on, for a caller that is told "exists" and will push a manifest. False if it is gone.
#[derive(Debug)]
pub struct RenewLink {
    /// The repository of the link.
    pub repository: RepositoryId,
    /// Its blob.
    pub blob: BlobId,
    /// Now, and when the sweeper may look again.
    pub grace: Grace,
}

impl Run for RenewLink {
    type Output = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Error> {
        let link = [self.repository.into(), self.blob.into()];
        let renewed = tx.connection.execute(&RENEW_LINK, &[self.grace.now.into(), link[0], link[1]]).await?;
        if renewed > 0 {
            sweep_candidates::note(&mut tx.connection, Candidate::Link(self.repository, self.blob), self.grace.until)
                .await?;
            return Ok(true);
        }
        // A manifest came to refer to it in between, or it was deleted.
        Ok(tx.connection.optional::<i64>(&LINK_IS_LIVE, &link).await?.is_some())
    }
}

/// The blob's row, made if it was not there. The size is that of bytes which were verified.
pub(crate) async fn ensure(tx: &mut Tx<'_>, digest: &Digest, size: u64) -> Result<BlobId, Error> {
    let row = [tx.ids.next()?.into(), digest.into(), length(size)?];
    tx.connection.one(&UPSERT_BLOB, &row).await
}

/// Links a blob to a repository: what a finished upload and a mount both do.
pub(crate) async fn link(
    tx: &mut Tx<'_>,
    repository: RepositoryId,
    blob: BlobId,
    digest: &Digest,
    grace: Grace,
) -> Result<(), Error> {
    let link = [repository.into(), blob.into()];
    tx.connection.execute(&UPSERT_LINK, &[link[0], link[1], grace.now.into()]).await?;
    let resolve = [blob.into(), repository.into(), digest.into()];
    tx.connection.execute(&RESOLVE_CONFIG_BLOBS, &resolve).await?;
    tx.connection.execute(&RESOLVE_BLOB_REFERENCES, &resolve).await?;
    if tx.connection.execute(&LINK_IS_REFERENCED, &link).await? == 0 {
        sweep_candidates::note(&mut tx.connection, Candidate::Link(repository, blob), grace.until).await?;
    }
    Ok(())
}

/// A length as the database keeps it.
pub(crate) fn length(bytes: u64) -> Result<Value<'static>, Error> {
    i64::try_from(bytes).map(Value::Integer).map_err(|_| Error::impossible("length", bytes))
}
