//! Objects: one row for each object of bytes, from before its first byte until after its deletion.

use cargohold_oci::{Digest, UploadId};

use crate::{
    Error, Metadata, ObjectId, StoreId, Timestamp,
    connection::{FromRow, Row, Value},
    ids,
    statement::statements,
    transaction::{Tx, sealed::Run},
};

statements! {
    FIND_LIVE_OBJECT = "
        select o.id, o.store_id, o.key, o.size from blobs b join objects o on o.blob_id = b.id
        where b.digest = $1 and o.state = 'live'
        limit 1";
    MARK_MISSING = "update objects set state = 'missing' where id = $1 and state = 'live'";
    LIST_DISCARDED = "
        select id, store_id, key, upload_id, coalesce(size, 0) from objects
        where state = 'discarded' and delete_after <= $1
        order by delete_after
        limit $2";
    POSTPONE_OBJECTS = "
        update objects set delete_after = $1 where state = 'discarded'
            and id in (select cast(e.value ->> 'id' as bigint) from json_each(cast($2 as text)) e)";
    FORGET_OBJECTS = "
        delete from objects where state = 'discarded'
            and id in (select cast(e.value ->> 'id' as bigint) from json_each(cast($1 as text)) e)";
}

/// Bytes that are there for a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveObject {
    /// The object.
    pub object: ObjectId,
    /// The store that has it.
    pub store: StoreId,
    /// Where in that store.
    pub key: String,
    /// Length in bytes.
    pub size: u64,
}

impl FromRow for LiveObject {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            object: ObjectId(row.integer(0)?),
            store: StoreId(row.integer(1)?),
            key: row.text(2)?.to_owned(),
            size: row.length(3)?,
        })
    }
}

/// Bytes that nothing needs any more and that are to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discarded {
    /// The object.
    pub object: ObjectId,
    /// The store that has it.
    pub store: StoreId,
    /// Where in that store.
    pub key: String,
    /// The upload that wrote it, if it never became live: its staged bytes go too.
    pub upload: Option<UploadId>,
    /// Its bytes, if it was live.
    pub size: u64,
}

impl FromRow for Discarded {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        let upload = row.optional_text(3)?;
        let parse = |text: &str| UploadId::parse(text).map_err(|_| Error::impossible("upload id", text));
        Ok(Self {
            object: ObjectId(row.integer(0)?),
            store: StoreId(row.integer(1)?),
            key: row.text(2)?.to_owned(),
            upload: upload.map(parse).transpose()?,
            size: row.length(4)?,
        })
    }
}

impl Metadata {
    /// Where live bytes of a digest are, whichever repositories have it.
    pub async fn live_object(&self, digest: &Digest) -> Result<Option<LiveObject>, Error> {
        self.reader().optional(&FIND_LIVE_OBJECT, &[digest.into()]).await
    }

    /// The objects whose bytes may be deleted at `now`, oldest first, at most `limit`.
    pub async fn discarded(&self, now: Timestamp, limit: u16) -> Result<Vec<Discarded>, Error> {
        self.reader().all(&LIST_DISCARDED, &[now.into(), Value::Integer(limit.into())]).await
    }
}

/// Records that a live object's bytes are not there: readers get 404, and the next push replaces it.
#[derive(Debug)]
pub struct MarkMissing {
    /// The object.
    pub object: ObjectId,
}

impl Run for MarkMissing {
    type Output = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        tx.connection.execute(&MARK_MISSING, &[self.object.into()]).await?;
        Ok(())
    }
}

/// Removes the rows of discarded objects whose bytes are gone. Repeating it is harmless.
#[derive(Debug)]
pub struct ForgetObjects {
    /// The objects.
    pub objects: Vec<ObjectId>,
}

impl Run for ForgetObjects {
    type Output = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        let list = ids::list(self.objects.iter().map(|object| object.0));
        tx.connection.execute(&FORGET_OBJECTS, &[list.as_str().into()]).await?;
        Ok(())
    }
}

/// Has discarded objects whose bytes could not be deleted wait, so that they keep none of the others.
#[derive(Debug)]
pub struct PostponeObjects {
    /// The objects.
    pub objects: Vec<ObjectId>,
    /// Until when.
    pub until: Timestamp,
}

impl Run for PostponeObjects {
    type Output = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        let list = ids::list(self.objects.iter().map(|object| object.0));
        tx.connection.execute(&POSTPONE_OBJECTS, &[self.until.into(), list.as_str().into()]).await?;
        Ok(())
    }
}
