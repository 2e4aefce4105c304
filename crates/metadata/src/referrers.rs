//! Referrers: the manifests of a repository that are about another one, which need not be there.

use bytes::Bytes;
use cargohold_oci::{Digest, RepositoryName};

use crate::{
    Error, ManifestId, Metadata,
    connection::{FromRow, Row, Value},
    statement::statements,
};

statements! {
    LIST_REFERRERS = "
        select m.id, p.digest, m.media_type, m.artifact_type, p.bytes
        from repositories r
        join manifests m on m.repository_id = r.id
        join manifest_payloads p on p.id = m.payload_id
        where r.name = $1 and r.deleted_at is null and m.subject = $2 and m.id > $3 and m.deleted_at is null
        order by m.id
        limit $4";
}

/// A manifest that is about another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// Its place among the referrers of its subject.
    pub manifest: ManifestId,
    /// The digest that it was pushed under.
    pub digest: Digest,
    /// What it was pushed as.
    pub media_type: String,
    /// What kind of artifact it is.
    pub artifact_type: Option<String>,
    /// Its bytes, which have its annotations.
    pub bytes: Bytes,
}

impl FromRow for Referrer {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            manifest: ManifestId(row.integer(0)?),
            digest: row.digest(1)?,
            media_type: row.text(2)?.to_owned(),
            artifact_type: row.optional_text(3)?.map(str::to_owned),
            bytes: Bytes::copy_from_slice(row.bytes(4)?),
        })
    }
}

impl Metadata {
    /// The referrers of a subject in the order in which they first came, those behind `after`, at most `limit`.
    pub async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        after: ManifestId,
        limit: u16,
    ) -> Result<Vec<Referrer>, Error> {
        let page = [repository.as_str().into(), subject.into(), after.into(), Value::Integer(limit.into())];
        self.reader().all(&LIST_REFERRERS, &page).await
    }
}
