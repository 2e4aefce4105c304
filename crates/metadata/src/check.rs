//! What a check of the store asks of the facts, page by page, and what it writes down of what it found.
//!
//! Nothing here is for a request: a check reads everything. It runs beside a server, so a page may be old when it is looked at.

use cargohold_oci::{Digest, UploadId};
use serde_json::json;

use crate::{
    Error, Metadata, ObjectId, PayloadId, StoreId, Timestamp, backups, blobs,
    connection::{FromRow, Row, Value},
    ids::Ids,
    statement::statements,
    transaction::{Tx, sealed::Run},
};

statements! {
    LIST_OBJECTS = "
        select o.id, o.store_id, o.key, o.state = 'live', b.digest, b.size
        from objects o join blobs b on b.id = o.blob_id
        where o.id > $1 and o.state in ('live', 'missing')
        order by o.id
        limit $2";
    FIND_OBJECT = "
        select o.id, o.store_id, o.key, o.state = 'live', b.digest, b.size
        from objects o join blobs b on b.id = o.blob_id
        where o.id = $1 and o.state in ('live', 'missing')";
    NEXT_TO_SCRUB = "
        select o.id, o.store_id, o.key, o.state = 'live', b.digest, b.size
        from objects o join blobs b on b.id = o.blob_id
        where o.state = 'live' and coalesce(o.verified_at, 0) <= $1
        order by coalesce(o.verified_at, 0)
        limit 1";
    LIST_PAYLOADS = "select id, digest, bytes from manifest_payloads where id > $1 order by id limit $2";
    LIST_SESSIONS = "
        select u.id, u.received, o.key from uploads u join objects o on o.upload_id = u.id
        where u.id > $1 and o.state = 'staging'
        order by u.id
        limit $2";
    FIND_SESSION = "
        select u.id, u.received, o.key from uploads u join objects o on o.upload_id = u.id
        where u.id = $1 and o.state = 'staging'";
    LIST_NAMED_KEYS = "
        select o.key from json_each(cast($1 as text)) e
        cross join objects o
        where o.store_id = $2 and o.key = e.value ->> 'key'";
    LIST_NAMED_UPLOADS = "
        select o.upload_id from json_each(cast($1 as text)) e
        cross join objects o
        where o.upload_id = e.value ->> 'upload'";
    MARK_VERIFIED = "update objects set verified_at = $1 where id = $2 and state = 'live'";
    /// Unless another object has the blob's bytes by now.
    MARK_FOUND = "
        update objects set state = 'live', verified_at = $1, size = $2
        where id = $3 and state = 'missing'
            and not exists (select 1 from objects o where o.blob_id = objects.blob_id and o.state = 'live')";
    CORRECT_SIZE = "
        update blobs set size = $1 where id = (select o.blob_id from objects o where o.id = $2)";
    INSERT_UNNAMED = "
        insert into objects (id, store_id, key, state, delete_after)
        select cast(e.value ->> 'id' as bigint), cast($1 as bigint), e.value ->> 'key', 'discarded', cast($2 as bigint)
        from json_each(cast($3 as text)) e
        where true
        on conflict (store_id, key) do nothing";
}

/// An object whose bytes ought to be there, or ought not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedObject {
    /// The object.
    pub object: ObjectId,
    /// The store that has it.
    pub store: StoreId,
    /// Where in that store.
    pub key: String,
    /// Whether it is live; else it is missing.
    pub live: bool,
    /// The digest that its bytes have.
    pub digest: Digest,
    /// The length that they have.
    pub size: u64,
}

impl FromRow for CheckedObject {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            object: ObjectId(row.integer(0)?),
            store: StoreId(row.integer(1)?),
            key: row.text(2)?.to_owned(),
            live: row.flag(3)?,
            digest: row.digest(4)?,
            size: row.length(5)?,
        })
    }
}

/// The bytes of manifests.
#[derive(Clone, Debug)]
pub struct CheckedPayload {
    /// The payload.
    pub payload: PayloadId,
    /// The digest that it has.
    pub digest: Digest,
    /// It.
    pub bytes: Vec<u8>,
}

impl FromRow for CheckedPayload {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self { payload: PayloadId(row.integer(0)?), digest: row.digest(1)?, bytes: row.bytes(2)?.to_owned() })
    }
}

/// An upload session.
#[derive(Clone, Debug)]
pub struct CheckedSession {
    /// The session.
    pub upload: UploadId,
    /// Bytes that were acknowledged.
    pub received: u64,
    /// The second place where they can be, beside the staging one.
    pub key: String,
}

impl FromRow for CheckedSession {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        let upload = row.text(0)?;
        Ok(Self {
            upload: UploadId::parse(upload).map_err(|_| Error::impossible("upload id", upload))?,
            received: row.length(1)?,
            key: row.text(2)?.to_owned(),
        })
    }
}

struct Text(String);

impl FromRow for Text {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self(row.text(0)?.to_owned()))
    }
}

impl Metadata {
    /// The live and missing objects behind `after`, at most `limit`.
    pub async fn objects_to_check(&self, after: Option<ObjectId>, limit: u16) -> Result<Vec<CheckedObject>, Error> {
        let page = [after.map_or(0, |after| after.0).into(), Value::Integer(limit.into())];
        self.reader().all(&LIST_OBJECTS, &page).await
    }

    /// An object as it is now, if it is live or missing.
    pub async fn object_to_check(&self, object: ObjectId) -> Result<Option<CheckedObject>, Error> {
        self.reader().optional(&FIND_OBJECT, &[object.into()]).await
    }

    /// The live object whose bytes nobody has read for longest, if nobody has since `before`.
    pub async fn next_to_scrub(&self, before: Timestamp) -> Result<Option<CheckedObject>, Error> {
        self.reader().optional(&NEXT_TO_SCRUB, &[before.into()]).await
    }

    /// The payloads behind `after`, at most `limit`.
    pub async fn payloads_to_check(&self, after: Option<PayloadId>, limit: u16) -> Result<Vec<CheckedPayload>, Error> {
        let page = [after.map_or(0, |after| after.0).into(), Value::Integer(limit.into())];
        self.reader().all(&LIST_PAYLOADS, &page).await
    }

    /// The upload sessions behind `after`, at most `limit`.
    pub async fn sessions_to_check(&self, after: Option<UploadId>, limit: u16) -> Result<Vec<CheckedSession>, Error> {
        let after = after.map(|after| after.to_string()).unwrap_or_default();
        self.reader().all(&LIST_SESSIONS, &[after.as_str().into(), Value::Integer(limit.into())]).await
    }

    /// An upload session as it is now, if it has not ended.
    pub async fn session_to_check(&self, upload: UploadId) -> Result<Option<CheckedSession>, Error> {
        self.reader().optional(&FIND_SESSION, &[upload.to_string().as_str().into()]).await
    }

    /// Those of some keys that a row of the store names.
    pub async fn named_keys(&self, store: StoreId, keys: &[String]) -> Result<Vec<String>, Error> {
        let list = keys.iter().map(|key| json!({ "key": key })).collect();
        let list = serde_json::Value::Array(list).to_string();
        let named: Vec<Text> = self.reader().all(&LIST_NAMED_KEYS, &[list.as_str().into(), store.into()]).await?;
        Ok(named.into_iter().map(|text| text.0).collect())
    }

    /// Those of some upload sessions' ids that a row names: what they wrote may still lie where uploads are staged.
    pub async fn named_uploads(&self, uploads: &[&str]) -> Result<Vec<String>, Error> {
        let list = uploads.iter().map(|upload| json!({ "upload": upload })).collect();
        let list = serde_json::Value::Array(list).to_string();
        let named: Vec<Text> = self.reader().all(&LIST_NAMED_UPLOADS, &[list.as_str().into()]).await?;
        Ok(named.into_iter().map(|text| text.0).collect())
    }
}

/// Records that an object's bytes were read and have its digest.
#[derive(Debug)]
pub struct MarkVerified {
    /// The object.
    pub object: ObjectId,
    /// When.
    pub now: Timestamp,
}

impl Run for MarkVerified {
    type Output = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        tx.connection.execute(&MARK_VERIFIED, &[self.now.into(), self.object.into()]).await?;
        Ok(())
    }
}

/// Records that a missing object's bytes are there after all and were read, whatever length was known of them before: it is live
/// again. False if another object has the blob's bytes by now.
#[derive(Debug)]
pub struct MarkFound {
    /// The object.
    pub object: ObjectId,
    /// The length of its bytes.
    pub size: u64,
    /// When its bytes were read.
    pub now: Timestamp,
}

impl Run for MarkFound {
    type Output = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Error> {
        let size = blobs::length(self.size)?;
        let found = tx.connection.execute(&MARK_FOUND, &[self.now.into(), size, self.object.into()]).await? == 1;
        if found {
            tx.connection.execute(&CORRECT_SIZE, &[size, self.object.into()]).await?;
        }
        Ok(found)
    }
}

/// Has files that no row names deleted, once `delete_after` has come.
#[derive(Debug)]
pub struct DiscardUnnamed {
    /// The store that they are in.
    pub store: StoreId,
    /// Where in that store.
    pub keys: Vec<String>,
    /// When they may go.
    pub delete_after: Timestamp,
}

impl Run for DiscardUnnamed {
    type Output = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        let delete_after = backups::not_before_their_end(tx, self.delete_after).await?;
        let first = Ids::take(&mut tx.connection, self.keys.len()).await?;
        let rows = (first..).zip(&self.keys).map(|(id, key)| json!({ "id": id, "key": key })).collect();
        let list = serde_json::Value::Array(rows).to_string();
        let rows = [self.store.into(), delete_after.into(), list.as_str().into()];
        tx.connection.execute(&INSERT_UNNAMED, &rows).await?;
        Ok(())
    }
}
