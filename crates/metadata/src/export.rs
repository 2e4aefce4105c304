//! All that a repository has, page by page, for a registry that keeps it in another way.
//!
//! Nothing here is for a request. Deleted things are not told. Pages are read from facts that stand still: a copy, or those of a
//! registry that is stopped.

use cargohold_oci::{Digest, RepositoryName, Tag};

use crate::{
    BlobId, Error, ManifestId, Metadata, StoreId, Timestamp,
    connection::{FromRow, Row, Value},
    statement::statements,
};

statements! {
    LIST_LINKED_BLOBS = "
        select b.id, b.digest, b.size, l.linked_at, o.store_id, o.key
        from repositories r
        join repository_blobs l on l.repository_id = r.id
        join blobs b on b.id = l.blob_id
        left join objects o on o.blob_id = b.id and o.state = 'live'
        where r.name = $1 and r.deleted_at is null and l.deleted_at is null and l.blob_id > $2
        order by l.blob_id
        limit $3";
    LIST_LIVE_MANIFESTS = "
        select m.id from repositories r join manifests m on m.repository_id = r.id
        where r.name = $1 and r.deleted_at is null and m.deleted_at is null and m.id > $2
        order by m.id
        limit $3";
    LIST_LIVE_CHILDREN = "
        select distinct m.id from manifest_references f
        join manifests m on m.repository_id = f.repository_id and m.id = f.child_manifest_id
        where f.manifest_id = $1 and m.deleted_at is null";
    FIND_PAYLOAD = "
        select p.digest, p.bytes, m.pushed_at from manifests m join manifest_payloads p on p.id = m.payload_id
        where m.id = $1";
    LIST_TAGGED_MANIFESTS = "
        select t.name, p.digest, t.pushed_at
        from repositories r
        join tags t on t.repository_id = r.id
        join manifests m on m.repository_id = r.id and m.id = t.manifest_id
        join manifest_payloads p on p.id = m.payload_id
        where r.name = $1 and r.deleted_at is null and m.deleted_at is null and t.name > $2
        order by t.name
        limit $3";
}

/// A blob that a repository has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedBlob {
    /// Its row.
    pub id: BlobId,
    /// It.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Since when the repository has it.
    pub linked_at: Timestamp,
    /// The store and the key of live bytes; none if they are lost.
    pub object: Option<(StoreId, String)>,
}

impl FromRow for LinkedBlob {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        let (store, key) = (row.optional_integer(4)?, row.optional_text(5)?);
        Ok(Self {
            id: BlobId(row.integer(0)?),
            digest: row.digest(1)?,
            size: row.length(2)?,
            linked_at: Timestamp::from_micros(row.integer(3)?),
            object: store.zip(key).map(|(store, key)| (StoreId(store), key.to_owned())),
        })
    }
}

/// A manifest that a repository has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedManifest {
    /// The digest that it was pushed under.
    pub digest: Digest,
    /// It.
    pub bytes: Vec<u8>,
    /// When it was pushed last.
    pub pushed_at: Timestamp,
}

impl FromRow for PushedManifest {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            digest: row.digest(0)?,
            bytes: row.bytes(1)?.to_owned(),
            pushed_at: Timestamp::from_micros(row.integer(2)?),
        })
    }
}

/// What a tag names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedManifest {
    /// The tag.
    pub tag: Tag,
    /// The manifest.
    pub manifest: Digest,
    /// Since when.
    pub pushed_at: Timestamp,
}

impl FromRow for TaggedManifest {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            tag: Tag::from_row(row)?,
            manifest: row.digest(1)?,
            pushed_at: Timestamp::from_micros(row.integer(2)?),
        })
    }
}

impl Metadata {
    /// The blobs behind `after` that a repository has, at most `limit`.
    pub async fn linked_blobs(
        &self,
        repository: &RepositoryName,
        after: Option<BlobId>,
        limit: u16,
    ) -> Result<Vec<LinkedBlob>, Error> {
        let after = after.map_or(0, |after| after.0);
        let page = [repository.as_str().into(), after.into(), Value::Integer(limit.into())];
        self.reader().all(&LIST_LINKED_BLOBS, &page).await
    }

    /// The manifests behind `after` that a repository has, at most `limit`.
    pub async fn live_manifests(
        &self,
        repository: &RepositoryName,
        after: ManifestId,
        limit: u16,
    ) -> Result<Vec<ManifestId>, Error> {
        let page = [repository.as_str().into(), after.into(), Value::Integer(limit.into())];
        self.reader().all(&LIST_LIVE_MANIFESTS, &page).await
    }

    /// The manifests that an index refers to and its repository has.
    pub async fn live_children(&self, index: ManifestId) -> Result<Vec<ManifestId>, Error> {
        self.reader().all(&LIST_LIVE_CHILDREN, &[index.into()]).await
    }

    /// A manifest with its bytes.
    pub async fn pushed_manifest(&self, manifest: ManifestId) -> Result<Option<PushedManifest>, Error> {
        self.reader().optional(&FIND_PAYLOAD, &[manifest.into()]).await
    }

    /// The tags of a repository that come after `last`, with what they name, at most `limit`.
    pub async fn tagged_manifests(
        &self,
        repository: &RepositoryName,
        last: &str,
        limit: u16,
    ) -> Result<Vec<TaggedManifest>, Error> {
        let page = [repository.as_str().into(), last.into(), Value::Integer(limit.into())];
        self.reader().all(&LIST_TAGGED_MANIFESTS, &page).await
    }
}
