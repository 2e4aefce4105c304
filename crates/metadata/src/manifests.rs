//! Manifests: payloads kept byte for byte, what each refers to, and the transaction that puts one.

mod delete;
mod put;

use bytes::Bytes;
use cargohold_oci::{Digest, RepositoryName, Tag};

pub use delete::{DeleteManifest, DeletedManifests};
pub(crate) use delete::{LOCKS as DELETE_LOCKS, STATEMENTS as DELETE_STATEMENTS};
pub use put::{AbsentContent, MissingContent, PutManifest, ReferencedContent};
pub(crate) use put::{LOCKS as PUT_LOCKS, STATEMENTS as PUT_STATEMENTS};

use crate::{
    Error, ManifestId, Metadata,
    connection::{FromRow, Row},
    statement::statements,
};

statements! {
    FIND_MANIFEST_BY_TAG = "
        select p.digest, m.media_type, p.bytes
        from repositories r
        join tags t on t.repository_id = r.id
        join manifests m on m.repository_id = r.id and m.id = t.manifest_id
        join manifest_payloads p on p.id = m.payload_id
        where r.name = $1 and r.deleted_at is null and t.name = $2 and m.deleted_at is null";
    FIND_MANIFEST_BY_DIGEST = "
        select p.digest, m.media_type, p.bytes
        from repositories r
        join manifest_payloads p on p.digest = $1
        join manifests m on m.repository_id = r.id and m.payload_id = p.id
        where r.name = $2 and r.deleted_at is null and m.deleted_at is null";
    FIND_MANIFEST_HEAD_BY_TAG = "
        select p.digest, m.media_type, length(p.bytes)
        from repositories r
        join tags t on t.repository_id = r.id
        join manifests m on m.repository_id = r.id and m.id = t.manifest_id
        join manifest_payloads p on p.id = m.payload_id
        where r.name = $1 and r.deleted_at is null and t.name = $2 and m.deleted_at is null";
    FIND_MANIFEST_HEAD_BY_DIGEST = "
        select p.digest, m.media_type, length(p.bytes)
        from repositories r
        join manifest_payloads p on p.digest = $1
        join manifests m on m.repository_id = r.id and m.payload_id = p.id
        where r.name = $2 and r.deleted_at is null and m.deleted_at is null";
}

impl FromRow for ManifestId {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self(row.integer(0)?))
    }
}

/// A manifest without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestHead {
    /// The digest that it was pushed under.
    pub digest: Digest,
    /// What it was pushed as.
    pub media_type: String,
    /// Length of its bytes.
    pub size: u64,
}

impl FromRow for ManifestHead {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self { digest: row.digest(0)?, media_type: row.text(1)?.to_owned(), size: row.length(2)? })
    }
}

/// A manifest as it was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredManifest {
    /// The digest that it was pushed under.
    pub digest: Digest,
    /// What it was pushed as.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Bytes,
}

impl FromRow for StoredManifest {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        let bytes = Bytes::copy_from_slice(row.bytes(2)?);
        Ok(Self { digest: row.digest(0)?, media_type: row.text(1)?.to_owned(), bytes })
    }
}

impl Metadata {
    /// The manifest that a tag names.
    pub async fn manifest_by_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<StoredManifest>, Error> {
        self.reader().optional(&FIND_MANIFEST_BY_TAG, &[repository.as_str().into(), tag.as_str().into()]).await
    }

    /// The manifest of that digest in the repository.
    pub async fn manifest_by_digest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<StoredManifest>, Error> {
        self.reader().optional(&FIND_MANIFEST_BY_DIGEST, &[digest.into(), repository.as_str().into()]).await
    }

    /// As [`manifest_by_tag`](Self::manifest_by_tag), without the bytes.
    pub async fn manifest_head_by_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<ManifestHead>, Error> {
        self.reader().optional(&FIND_MANIFEST_HEAD_BY_TAG, &[repository.as_str().into(), tag.as_str().into()]).await
    }

    /// As [`manifest_by_digest`](Self::manifest_by_digest), without the bytes.
    pub async fn manifest_head_by_digest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<ManifestHead>, Error> {
        self.reader().optional(&FIND_MANIFEST_HEAD_BY_DIGEST, &[digest.into(), repository.as_str().into()]).await
    }
}
