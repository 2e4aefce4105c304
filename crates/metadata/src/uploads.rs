//! Upload sessions, and how one ends: in a blob that a repository has, or in nothing.
//!
//! A session's `epoch` names its one writer: whoever claims it makes every older writer's commit fail. `received` and the hash
//! state count synced bytes only.

use cargohold_oci::{Digest, RepositoryName, UploadId};

use crate::{
    BlobId, Change, Error, Grace, Metadata, ObjectId, RepositoryId, Statement, StoreId, Timestamp, arrivals, backups,
    blobs,
    connection::{FromRow, Row, Value},
    repositories,
    statement::statements,
    transaction::{
        Tx,
        sealed::{Run, RunAndTell},
    },
};

statements! {
    FIND_UPLOAD = "
        select u.epoch, u.received, u.hash_state, o.key
        from uploads u
        join repositories r on r.id = u.repository_id
        join objects o on o.upload_id = u.id
        where u.id = $1 and r.name = $2 and r.deleted_at is null and o.state = 'staging'";
    INSERT_UPLOAD = "
        insert into uploads (id, repository_id, epoch, received, hash_state, created_at, touched_at)
        values ($1, $2, 1, 0, $3, $4, $4)";
    INSERT_STAGING_OBJECT = "
        insert into objects (id, store_id, key, state, upload_id) values ($1, $2, $3, 'staging', $4)";
    /// Nobody became the writer since the caller looked, and nothing came.
    CLAIM_UPLOAD = "
        update uploads set epoch = epoch + 1, touched_at = $1 where id = $2 and epoch = $3 and received = $4
        returning epoch";
    ADVANCE_UPLOAD = "
        update uploads set received = $1, hash_state = $2, touched_at = $3 where id = $4 and epoch = $5";
    CLAIM_KEY = "
        update objects set key = $1
        where upload_id = $2 and state = 'staging'
            and not exists (select 1 from objects o where o.store_id = objects.store_id and o.key = $1 and o.id <> objects.id)";
    HOLD_UPLOADS_REPOSITORY = "
        select r.id from uploads u join repositories r on r.id = u.repository_id
        where u.id = $1 and u.epoch = $2 and u.received = $3 and r.deleted_at is null"
        lock "for key share of r for update of u";
    /// The blob of an object that is live, for the rest of the transaction.
    HOLD_BLOB_OF_WINNER = "
        select b.id from objects o join blobs b on b.id = o.blob_id
        where o.id = $1 and o.state = 'live' and b.digest = $2"
        lock "for no key update of b";
    FIND_LIVE_OBJECT_OF_BLOB = "select id from objects where blob_id = $1 and state = 'live' limit 1";
    MAKE_LIVE = "
        update objects set state = 'live', blob_id = $1, size = $2, verified_at = $3, upload_id = null
        where upload_id = $4 and state = 'staging'";
    /// What was thought lost is not looked for any more.
    DISCARD_MISSING = "
        update objects set state = 'discarded', blob_id = null, delete_after = $1
        where blob_id = $2 and state = 'missing'";
    DISCARD_STAGED = "
        update objects set state = 'discarded', delete_after = $1 where upload_id = $2 and state = 'staging'";
    DELETE_UPLOAD = "delete from uploads where id = $1 and epoch = $2 and received = $3";
    LIST_STALE_UPLOADS = "select id from uploads where touched_at < $1 order by touched_at limit $2";
    EXPIRE_UPLOAD = "delete from uploads where id = $1 and touched_at < $2";
    CANCEL_UPLOAD = "
        delete from uploads where id = $1
            and repository_id = (select r.id from repositories r where r.name = $2 and r.deleted_at is null)";
}

/// Names one writer of a session; a newer one has a higher number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(i64);

impl From<Epoch> for Value<'_> {
    fn from(epoch: Epoch) -> Self {
        Self::Integer(epoch.0)
    }
}

impl FromRow for Epoch {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self(row.integer(0)?))
    }
}

/// An upload session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Its newest writer.
    pub epoch: Epoch,
    /// Bytes that are synced and hashed.
    pub received: u64,
    /// The hash over them.
    pub hash_state: Vec<u8>,
    /// The second place where its bytes can be, beside the staging one.
    pub key: String,
}

impl FromRow for Upload {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            epoch: Epoch(row.integer(0)?),
            received: row.length(1)?,
            hash_state: row.bytes(2)?.to_owned(),
            key: row.text(3)?.to_owned(),
        })
    }
}

impl FromRow for ObjectId {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self(row.integer(0)?))
    }
}

impl Metadata {
    /// The session of that id, if it belongs to that repository and has not ended.
    pub async fn upload(&self, repository: &RepositoryName, upload: UploadId) -> Result<Option<Upload>, Error> {
        self.reader().optional(&FIND_UPLOAD, &[upload.to_string().as_str().into(), repository.as_str().into()]).await
    }
}

impl FromRow for UploadId {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        let id = row.text(0)?;
        Self::parse(id).map_err(|_| Error::impossible("upload id", id))
    }
}

impl Metadata {
    /// Sessions that no byte came to since `touched_before`, the oldest first, at most `limit`.
    pub async fn stale_uploads(&self, touched_before: Timestamp, limit: u16) -> Result<Vec<UploadId>, Error> {
        self.reader().all(&LIST_STALE_UPLOADS, &[touched_before.into(), Value::Integer(limit.into())]).await
    }
}

/// Opens a session, and makes the repository if it is not there yet. Its first writer needs no claim.
#[derive(Debug)]
pub struct StartUpload {
    /// Where the blob will be linked.
    pub repository: RepositoryName,
    /// The session's id.
    pub upload: UploadId,
    /// The store that takes the bytes.
    pub store: StoreId,
    /// Where they are staged in it.
    pub key: String,
    /// The state of a hash over nothing.
    pub hash_state: Vec<u8>,
    /// Now, and when the sweeper may look at a repository that nothing else was put into.
    pub grace: Grace,
}

impl Run for StartUpload {
    type Output = Epoch;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Epoch, Error> {
        let upload = self.upload.to_string();
        let repository = repositories::hold_or_make(tx, &self.repository, self.grace).await?;
        let row = [upload.as_str().into(), repository.into(), self.hash_state.as_slice().into(), self.grace.now.into()];
        tx.connection.execute(&INSERT_UPLOAD, &row).await?;
        let row = [tx.ids.next()?.into(), self.store.into(), self.key.as_str().into(), upload.as_str().into()];
        tx.connection.execute(&INSERT_STAGING_OBJECT, &row).await?;
        Ok(Epoch(1))
    }
}

/// A session as somebody saw it.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// The session.
    pub upload: UploadId,
    /// Its newest writer.
    pub epoch: Epoch,
    /// Synced bytes in all.
    pub received: u64,
}

impl Seen {
    async fn claim(self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Epoch>, Error> {
        let upload = self.upload.to_string();
        let claim = [now.into(), upload.as_str().into(), self.epoch.into(), blobs::length(self.received)?];
        tx.connection.optional(&CLAIM_UPLOAD, &claim).await
    }
}

/// Makes the caller the session's one writer; none if it is not as it was seen any more.
#[derive(Debug)]
pub struct ClaimUpload {
    /// The session.
    pub seen: Seen,
    /// Now.
    pub now: Timestamp,
}

impl Run for ClaimUpload {
    type Output = Option<Epoch>;

    /// Whoever a power loss makes forget who wrote has also ended the one who did.
    const AWAITS_DISK: bool = false;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Epoch>, Error> {
        self.seen.claim(tx, self.now).await
    }
}

/// Records bytes that are synced. False if the caller is no longer the session's writer.
#[derive(Debug)]
pub struct AdvanceUpload {
    /// The session.
    pub upload: UploadId,
    /// The writer.
    pub epoch: Epoch,
    /// Synced bytes in all.
    pub received: u64,
    /// The hash over them.
    pub hash_state: Vec<u8>,
    /// Now.
    pub now: Timestamp,
}

impl Run for AdvanceUpload {
    type Output = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Error> {
        let upload = self.upload.to_string();
        let row = [
            blobs::length(self.received)?,
            self.hash_state.as_slice().into(),
            self.now.into(),
            upload.as_str().into(),
            self.epoch.into(),
        ];
        Ok(tx.connection.execute(&ADVANCE_UPLOAD, &row).await? > 0)
    }
}

/// Makes the caller the session's one writer and names the place where its bytes are going to lie, before they are moved there:
/// the first of `keys` that no row has. None if the session is not as it was seen any more.
#[derive(Debug)]
pub struct ClaimKey {
    /// The session.
    pub seen: Seen,
    /// Places, the preferred one first; the last is the upload's alone.
    pub keys: Vec<String>,
    /// Now.
    pub now: Timestamp,
}

/// The place that the row of an upload names now.
#[derive(Debug, PartialEq, Eq)]
pub struct ClaimedKey {
    /// The caller, as the writer.
    pub epoch: Epoch,
    /// Which of the keys.
    pub place: usize,
}

impl Run for ClaimKey {
    type Output = Option<ClaimedKey>;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<ClaimedKey>, Error> {
        let Some(epoch) = self.seen.claim(tx, self.now).await? else { return Ok(None) };
        let upload = self.seen.upload.to_string();
        for (place, key) in self.keys.iter().enumerate() {
            let claim = [key.as_str().into(), upload.as_str().into()];
            if tx.connection.execute(&CLAIM_KEY, &claim).await? > 0 {
                return Ok(Some(ClaimedKey { epoch, place }));
            }
        }
        Ok(None)
    }
}

/// Ends a session in a blob that the repository has. The bytes are durable at the key that the row names, or, if `winner` is
/// given, those of that live object are, and the upload's own are discarded.
#[derive(Debug)]
pub struct FinishUpload {
    /// The session; its writer is the caller, unless there is a winner.
    pub seen: Seen,
    /// The digest that was computed over the bytes.
    pub digest: Digest,
    /// Their length.
    pub size: u64,
    /// A live object whose bytes were seen to be there.
    pub winner: Option<ObjectId>,
    /// Now, and when the sweeper may look at the link.
    pub grace: Grace,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    /// The repository has the blob; the upload's bytes are the ones that readers get.
    Live,
    /// The repository has the blob; the upload's bytes were not needed and are discarded.
    Discarded,
    /// Nothing has happened: the session is not as it was seen any more.
    Superseded,
    /// Nothing has happened: `winner` is not live any more.
    WinnerGone,
}

impl Run for FinishUpload {
    type Output = Finished;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Finished, Error> {
        let upload = self.seen.upload.to_string();
        let held = [upload.as_str().into(), self.seen.epoch.into(), blobs::length(self.seen.received)?];
        let Some(repository) = tx.connection.optional::<RepositoryId>(&HOLD_UPLOADS_REPOSITORY, &held).await? else {
            return Ok(Finished::Superseded);
        };
        arrivals::bring(tx, repository, &self.digest).await?;
        let blob = match self.winner {
            None => blobs::ensure(tx, &self.digest, self.size).await?,
            Some(winner) => {
                let winner = [winner.into(), (&self.digest).into()];
                let Some(blob) = tx.connection.optional(&HOLD_BLOB_OF_WINNER, &winner).await? else {
                    return Ok(Finished::WinnerGone);
                };
                blob
            }
        };
        // Asked once the blob's row is locked: another finisher of the digest, or the sweep, may have come before.
        let live = tx.connection.optional(&FIND_LIVE_OBJECT_OF_BLOB, &[blob.into()]).await?;
        if self.winner.is_some() && live != self.winner {
            return Ok(Finished::WinnerGone);
        }
        let finished = self.settle_object(tx, &upload, blob, live).await?;
        blobs::link(tx, repository, blob, &self.digest, self.grace).await?;
        require_one(tx.connection.execute(&DELETE_UPLOAD, &held).await?, "upload session that ends")?;
        Ok(finished)
    }
}

impl RunAndTell for FinishUpload {
    async fn run_and_tell(&self, tx: &mut Tx<'_>) -> Result<(Finished, Vec<Change>), Error> {
        let finished = self.run(tx).await?;
        let changes = match finished {
            Finished::Live | Finished::Discarded => vec![Change::BlobPushed { digest: self.digest, size: self.size }],
            Finished::Superseded | Finished::WinnerGone => Vec::new(),
        };
        Ok((finished, changes))
    }
}

impl FinishUpload {
    /// Of two that finished the same digest the one that committed first has the live object.
    async fn settle_object(
        &self,
        tx: &mut Tx<'_>,
        upload: &str,
        blob: BlobId,
        live: Option<ObjectId>,
    ) -> Result<Finished, Error> {
        let now = self.grace.now.into();
        if live.is_some() {
            require_one(tx.connection.execute(&DISCARD_STAGED, &[now, upload.into()]).await?, "staged object")?;
            return Ok(Finished::Discarded);
        }
        let row = [blob.into(), blobs::length(self.size)?, now, upload.into()];
        require_one(tx.connection.execute(&MAKE_LIVE, &row).await?, "staged object")?;
        // Whoever restores a backup may look for it there.
        let delete_after = backups::not_before_their_end(tx, self.grace.now).await?;
        tx.connection.execute(&DISCARD_MISSING, &[delete_after.into(), blob.into()]).await?;
        Ok(Finished::Live)
    }
}

/// A statement that must touch one row did, or the whole transaction is undone.
fn require_one(touched: usize, what: &'static str) -> Result<(), Error> {
    if touched == 1 { Ok(()) } else { Err(Error::impossible(what, touched)) }
}

/// Deletes a session by that statement, and discards its bytes at once. False if it deletes none.
async fn end_in_nothing(
    tx: &mut Tx<'_>,
    upload: &str,
    delete: &Statement,
    parameters: &[Value<'_>],
    now: Timestamp,
) -> Result<bool, Error> {
    if tx.connection.execute(delete, parameters).await? == 0 {
        return Ok(false);
    }
    tx.connection.execute(&DISCARD_STAGED, &[now.into(), upload.into()]).await?;
    Ok(true)
}

/// Ends a session in nothing if no byte came since; its bytes are discarded at once.
#[derive(Debug)]
pub struct ExpireUpload {
    /// The session.
    pub upload: UploadId,
    /// It is kept if it was touched at this time or later.
    pub touched_before: Timestamp,
    /// Now.
    pub now: Timestamp,
}

impl Run for ExpireUpload {
    type Output = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Error> {
        let upload = self.upload.to_string();
        let expire = [upload.as_str().into(), self.touched_before.into()];
        end_in_nothing(tx, &upload, &EXPIRE_UPLOAD, &expire, self.now).await
    }
}

/// Ends a session in nothing, unless it is not as it was seen any more; its bytes are discarded at once. False if it is not.
#[derive(Debug)]
pub struct AbandonUpload {
    /// The session.
    pub seen: Seen,
    /// Now.
    pub now: Timestamp,
}

impl Run for AbandonUpload {
    type Output = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Error> {
        let Seen { upload, epoch, received } = self.seen;
        let upload = upload.to_string();
        let seen = [upload.as_str().into(), epoch.into(), blobs::length(received)?];
        end_in_nothing(tx, &upload, &DELETE_UPLOAD, &seen, self.now).await
    }
}

/// Ends a session in nothing, whoever writes it; its bytes are discarded at once. False if it is not there.
#[derive(Debug)]
pub struct CancelUpload {
    /// The repository that the session belongs to.
    pub repository: RepositoryName,
    /// The session.
    pub upload: UploadId,
    /// Now.
    pub now: Timestamp,
}

impl Run for CancelUpload {
    type Output = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Error> {
        let upload = self.upload.to_string();
        let cancel = [upload.as_str().into(), self.repository.as_str().into()];
        end_in_nothing(tx, &upload, &CANCEL_UPLOAD, &cancel, self.now).await
    }
}
