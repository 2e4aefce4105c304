//! Writing down what another registry has, and what of it is known already.
//!
//! Bytes stay where they are, in a store that we do not own. Whatever is done twice is done once: a link, a manifest and a tag
//! that are known are left as they are, and so is what was deleted or changed here after the other registry had it.

mod links;
mod tags;

use cargohold_oci::{Digest, RepositoryName};
use serde_json::json;

pub use links::{AdoptLinks, AdoptedLink, AdoptedLinks, SettleLinks};
pub(crate) use links::{LOCKS, STATEMENTS as LINK_STATEMENTS};
pub(crate) use tags::STATEMENTS as TAG_STATEMENTS;
pub use tags::{AdoptTags, AdoptedTag, TagOutcome};

use crate::{
    CheckedObject, Error, ManifestId, Metadata, ObjectId, StoreId, Timestamp,
    connection::{FromRow, Row, Value, hex},
    statement::statements,
};

statements! {
    REPOSITORY_IS_DELETED = "
        select 1 from repositories d
        where d.name = $1 and d.deleted_at is not null
            and not exists (select 1 from repositories r where r.name = $1 and r.deleted_at is null)
        limit 1";
    /// The live links among a list of digests whose bytes are there.
    LIST_KNOWN_LINKS = "
        select b.digest
        from repositories r
        cross join json_each(cast($1 as text)) e
        cross join blobs b
        cross join repository_blobs l
        where r.name = $2 and r.deleted_at is null and b.digest = unhex(e.value ->> 'digest')
            and l.repository_id = r.id and l.blob_id = b.id and l.deleted_at is null
            and exists (select 1 from objects o where o.blob_id = b.id and o.state = 'live')";
    LIST_KNOWN_MANIFESTS = "
        select p.digest, m.deleted_at
        from repositories r
        cross join json_each(cast($1 as text)) e
        cross join manifest_payloads p
        cross join manifests m
        where r.name = $2 and r.deleted_at is null and p.digest = unhex(e.value ->> 'digest')
            and m.repository_id = r.id and m.payload_id = p.id";
    LIST_OBJECTS_OF_BLOBS = "
        select o.id, o.store_id, o.key, o.state = 'live', b.digest, b.size
        from json_each(cast($1 as text)) e
        cross join blobs b
        cross join objects o
        where b.digest = unhex(e.value ->> 'digest') and o.blob_id = b.id and o.state = 'live'";
    LIST_UNVERIFIED_OBJECTS = "
        select o.id, o.store_id, o.key, o.state = 'live', b.digest, b.size
        from objects o join blobs b on b.id = o.blob_id
        where o.id > $1 and o.store_id = $2 and o.state = 'live' and o.verified_at is null
        order by o.id
        limit $3";
    COUNT_UNVERIFIED_OBJECTS = "
        select count(*), cast(coalesce(sum(size), 0) as bigint) from objects
        where store_id = $1 and state = 'live' and verified_at is null";
    COUNT_LIVE_OBJECTS = "
        select count(*), cast(coalesce(sum(size), 0) as bigint) from objects where store_id = $1 and state = 'live'";
    /// What live manifests of a repository refer to and it does not have.
    LIST_ABSENT_REFERENCES = "
        select m.id, p.digest, f.absent_digest
        from repositories r
        join manifest_references f on f.repository_id = r.id
        join manifests m on m.repository_id = r.id and m.id = f.manifest_id
        join manifest_payloads p on p.id = m.payload_id
        where r.name = $1 and r.deleted_at is null and f.absent_digest is not null and m.deleted_at is null and m.id > $2
        order by m.id
        limit $3";
}

/// A manifest that a repository has, or had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownManifest {
    /// Which.
    pub digest: Digest,
    /// When it was deleted, if it was.
    pub deleted_at: Option<Timestamp>,
}

impl FromRow for KnownManifest {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self { digest: row.digest(0)?, deleted_at: row.optional_integer(1)?.map(Timestamp::from_micros) })
    }
}

/// Something that a manifest refers to and its repository does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbsentReference {
    /// The manifest's row.
    pub id: ManifestId,
    /// The manifest.
    pub manifest: Digest,
    /// What is not there.
    pub absent: Digest,
}

impl FromRow for AbsentReference {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self { id: ManifestId(row.integer(0)?), manifest: row.digest(1)?, absent: row.digest(2)? })
    }
}

/// How many objects there are, and the bytes of all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl FromRow for Holdings {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self { objects: row.length(0)?, bytes: row.length(1)? })
    }
}

impl FromRow for Digest {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        row.digest(0)
    }
}

impl Metadata {
    /// Whether every repository of that name is a deleted one, of which there is at least one.
    pub async fn repository_is_deleted(&self, name: &RepositoryName) -> Result<bool, Error> {
        let found: Option<i64> = self.reader().optional(&REPOSITORY_IS_DELETED, &[name.as_str().into()]).await?;
        Ok(found.is_some())
    }

    /// Those of some blobs that the repository has, bytes and all.
    pub async fn known_links(&self, repository: &RepositoryName, blobs: &[Digest]) -> Result<Vec<Digest>, Error> {
        let list = digests(blobs);
        self.reader().all(&LIST_KNOWN_LINKS, &[list.as_str().into(), repository.as_str().into()]).await
    }

    /// Those of some manifests that the repository has or had.
    pub async fn known_manifests(
        &self,
        repository: &RepositoryName,
        manifests: &[Digest],
    ) -> Result<Vec<KnownManifest>, Error> {
        let list = digests(manifests);
        self.reader().all(&LIST_KNOWN_MANIFESTS, &[list.as_str().into(), repository.as_str().into()]).await
    }

    /// Where the live bytes of some blobs are, whichever repositories have them.
    pub async fn objects_of(&self, blobs: &[Digest]) -> Result<Vec<CheckedObject>, Error> {
        self.reader().all(&LIST_OBJECTS_OF_BLOBS, &[digests(blobs).as_str().into()]).await
    }

    /// The live objects of a store behind `after` whose bytes nobody has read here yet, at most `limit`.
    pub async fn unverified_objects(
        &self,
        store: StoreId,
        after: Option<ObjectId>,
        limit: u16,
    ) -> Result<Vec<CheckedObject>, Error> {
        let page = [after.map_or(0, |after| after.0).into(), store.into(), Value::Integer(limit.into())];
        self.reader().all(&LIST_UNVERIFIED_OBJECTS, &page).await
    }

    /// How many live objects of a store nobody has read here yet. Not for a request: it counts.
    pub async fn unverified_holdings(&self, store: StoreId) -> Result<Holdings, Error> {
        Ok(self.reader().optional(&COUNT_UNVERIFIED_OBJECTS, &[store.into()]).await?.unwrap_or_default())
    }

    /// How many live objects a store has. Not for a request: it counts.
    pub async fn holdings(&self, store: StoreId) -> Result<Holdings, Error> {
        Ok(self.reader().optional(&COUNT_LIVE_OBJECTS, &[store.into()]).await?.unwrap_or_default())
    }

    /// What the live manifests behind `after` refer to and the repository does not have, at most `limit`.
    pub async fn absent_references(
        &self,
        repository: &RepositoryName,
        after: ManifestId,
        limit: u16,
    ) -> Result<Vec<AbsentReference>, Error> {
        let page = [repository.as_str().into(), after.into(), Value::Integer(limit.into())];
        self.reader().all(&LIST_ABSENT_REFERENCES, &page).await
    }
}

/// Digests as one parameter.
fn digests(of: &[Digest]) -> String {
    serde_json::Value::Array(of.iter().map(|digest| json!({ "digest": hex(digest) })).collect()).to_string()
}
