//! Blobs that another registry's repository has: their objects lie in its store, and ours has links to them from now on.

use std::collections::HashMap;

use cargohold_oci::{Digest, RepositoryName};
use serde_json::json;

use crate::{
    BlobId, Candidate, Error, Grace, ObjectId, RepositoryId, StoreId, Timestamp, arrivals,
    connection::{FromRow, Row, hex},
    ids::{self, Ids},
    repositories,
    statement::{locks, statements},
    sweep_candidates,
    transaction::{Tx, sealed::Run},
};

locks! {
    /// In the order of their ids, as everywhere.
    LOCK_ADOPTED_BLOBS = "
        select b.id from blobs b
        where b.digest in (select unhex(e.value ->> 'digest') from json_each(cast($1 as text)) e)
        order by b.id
        for no key update";
}

statements! {
    INSERT_BLOBS = "
        insert into blobs (id, digest, size)
        select cast(e.value ->> 'id' as bigint), unhex(e.value ->> 'digest'), cast(e.value ->> 'size' as bigint)
        from json_each(cast($1 as text)) e
        where true
        on conflict (digest) do nothing";
    /// The blobs with whether live bytes of them are anywhere.
    FIND_BLOBS = "
        select b.digest, b.id, b.size, exists (select 1 from objects o where o.blob_id = b.id and o.state = 'live')
        from json_each(cast($1 as text)) e
        cross join blobs b
        where b.digest = unhex(e.value ->> 'digest')";
    /// What was found missing or damaged in this store stays so until it was read again.
    INSERT_OBJECTS = "
        insert into objects (id, store_id, key, state, blob_id, size)
        select cast(e.value ->> 'id' as bigint), cast($1 as bigint), e.value ->> 'key', 'live',
            cast(e.value ->> 'blob' as bigint), cast(e.value ->> 'size' as bigint)
        from json_each(cast($2 as text)) e
        where true
        on conflict (store_id, key) do update
            set state = 'live', blob_id = excluded.blob_id, size = excluded.size, verified_at = null, delete_after = null
            where objects.state = 'discarded'
        returning size";
    FIND_LOST_OBJECTS = "
        select b.digest, o.id
        from json_each(cast($1 as text)) e
        cross join objects o
        cross join blobs b
        where o.store_id = $2 and o.key = e.value ->> 'key' and o.state = 'missing' and b.id = o.blob_id";
    /// One that was deleted here stays deleted, unless the other registry got it anew since.
    INSERT_LINKS = "
        insert into repository_blobs (repository_id, blob_id, linked_at, unreferenced_since)
        select cast($1 as bigint), cast(e.value ->> 'blob' as bigint), cast(e.value ->> 'at' as bigint),
            cast($2 as bigint)
        from json_each(cast($3 as text)) e
        where true
        on conflict (repository_id, blob_id) do update
            set deleted_at = null, linked_at = excluded.linked_at, unreferenced_since = excluded.unreferenced_since
            where repository_blobs.deleted_at < excluded.linked_at
        returning blob_id";
    LINKS_ARE_REFERENCED = "
        update repository_blobs set unreferenced_since = null
        where repository_id = $1
            and blob_id in (select cast(e.value ->> 'id' as bigint) from json_each(cast($2 as text)) e)
            and exists (
                select 1 from manifest_references f
                where f.repository_id = $1 and f.blob_id = repository_blobs.blob_id)";
    /// The sweeper would find each of them needed and forget it: there may be millions.
    FORGET_REFERENCED_LINKS = "
        delete from sweep_candidates
        where kind = 'link' and repository_id = $1 and purge = 0
            and exists (
                select 1 from repository_blobs l
                where l.repository_id = $1 and l.blob_id = sweep_candidates.id
                    and l.unreferenced_since is null and l.deleted_at is null)";
    FORGET_PUBLISHED_REPOSITORY = "
        delete from sweep_candidates
        where kind = 'repository' and repository_id = $1 and id = $1 and purge = 0
            and exists (
                select 1 from repositories r
                where r.id = $1 and r.published_at is not null and r.deleted_at is null)";
}

/// A blob as another registry's repository has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdoptedLink {
    /// What the repository calls it by.
    pub digest: Digest,
    /// Where its bytes lie in that registry's store.
    pub key: String,
    /// The length of the file there; nobody has read it.
    pub size: u64,
    /// Since when the repository has it.
    pub linked_at: Timestamp,
}

/// Gives a repository, made if it is not there, blobs whose bytes lie in a store that we do not own.
#[derive(Debug)]
pub struct AdoptLinks {
    /// The repository.
    pub repository: RepositoryName,
    /// The store.
    pub store: StoreId,
    /// The blobs, each once.
    pub links: Vec<AdoptedLink>,
    /// Now, and when the sweeper may look at what no manifest refers to.
    pub grace: Grace,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdoptedLinks {
    /// Blobs that the repository did not have before.
    pub links: u64,
    /// Those whose bytes nobody knew before.
    pub objects: u64,
    /// The bytes of these.
    pub bytes: u64,
    /// Those whose bytes in this store were found missing or damaged: to be read before anybody trusts them again.
    pub lost: Vec<(Digest, ObjectId)>,
    /// Those whose file has another length than the blob is known to have, and whose bytes are nowhere else.
    pub refused: Vec<Digest>,
}

/// Has the sweeper not look at what came to be referred to: links that were adopted before their manifests, and the repository.
#[derive(Debug)]
pub struct SettleLinks {
    /// The repository.
    pub repository: RepositoryName,
}

impl Run for SettleLinks {
    type Output = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        let Some(repository) = repositories::hold(tx, &self.repository).await? else { return Ok(()) };
        tx.connection.execute(&FORGET_REFERENCED_LINKS, &[repository.into()]).await?;
        tx.connection.execute(&FORGET_PUBLISHED_REPOSITORY, &[repository.into()]).await?;
        Ok(())
    }
}

struct Known {
    digest: Digest,
    blob: BlobId,
    size: u64,
    live: bool,
}

impl FromRow for Known {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self { digest: row.digest(0)?, blob: BlobId(row.integer(1)?), size: row.length(2)?, live: row.flag(3)? })
    }
}

struct Length(u64);

impl FromRow for Length {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self(row.length(0)?))
    }
}

struct Lost(Digest, ObjectId);

impl FromRow for Lost {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self(row.digest(0)?, ObjectId(row.integer(1)?)))
    }
}

impl Run for AdoptLinks {
    type Output = AdoptedLinks;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<AdoptedLinks, Error> {
        let repository = repositories::hold_or_make(tx, &self.repository, self.grace).await?;
        arrivals::bring_many(tx, repository).await?;
        let known = self.insert_blobs(tx).await?;
        let objects = self.insert_objects(tx, &known).await?;
        let lost = self.find_lost(tx).await?;
        let refused = self.find_refused(&known, &lost);
        let links = self.insert_links(tx, repository, &known, &refused).await?;
        resolve(tx, repository, &links).await?;
        let candidates = links.iter().map(|blob| Candidate::Link(repository, *blob));
        sweep_candidates::note_all(&mut tx.connection, candidates, self.grace.until).await?;
        Ok(AdoptedLinks {
            links: links.len() as u64,
            objects: objects.len() as u64,
            bytes: objects.iter().map(|Length(bytes)| bytes).sum(),
            lost: lost.into_iter().map(|Lost(digest, object)| (digest, object)).collect(),
            refused,
        })
    }
}

impl AdoptLinks {
    /// The blobs' rows, locked, made where they were not there.
    async fn insert_blobs(&self, tx: &mut Tx<'_>) -> Result<HashMap<Digest, Known>, Error> {
        let first = Ids::take(&mut tx.connection, self.links.len()).await?;
        let rows = (first..).zip(&self.links);
        let rows = rows.map(|(id, link)| json!({ "id": id, "digest": hex(&link.digest), "size": link.size }));
        let list = serde_json::Value::Array(rows.collect()).to_string();
        let list = [list.as_str().into()];
        tx.connection.execute(&INSERT_BLOBS, &list).await?;
        tx.connection.lock(&LOCK_ADOPTED_BLOBS, &list).await?;
        let known: Vec<Known> = tx.connection.all(&FIND_BLOBS, &list).await?;
        Ok(known.into_iter().map(|known| (known.digest, known)).collect())
    }

    /// The objects of blobs whose bytes are nowhere yet. A file of another length than is known is none of them.
    async fn insert_objects(&self, tx: &mut Tx<'_>, known: &HashMap<Digest, Known>) -> Result<Vec<Length>, Error> {
        let first = Ids::take(&mut tx.connection, self.links.len()).await?;
        let rows = (first..).zip(&self.links).filter_map(|(id, link)| {
            let known = known.get(&link.digest).filter(|known| !known.live && known.size == link.size)?;
            Some(json!({ "id": id, "key": link.key, "blob": known.blob.0, "size": link.size }))
        });
        let list = serde_json::Value::Array(rows.collect()).to_string();
        tx.connection.all(&INSERT_OBJECTS, &[self.store.into(), list.as_str().into()]).await
    }

    async fn find_lost(&self, tx: &mut Tx<'_>) -> Result<Vec<Lost>, Error> {
        let keys = self.links.iter().map(|link| json!({ "key": link.key })).collect();
        let list = serde_json::Value::Array(keys).to_string();
        tx.connection.all(&FIND_LOST_OBJECTS, &[list.as_str().into(), self.store.into()]).await
    }

    fn find_refused(&self, known: &HashMap<Digest, Known>, lost: &[Lost]) -> Vec<Digest> {
        let is_lost = |digest: &Digest| lost.iter().any(|lost| lost.0 == *digest);
        let refused = self.links.iter().filter(|link| {
            let known = known.get(&link.digest);
            known.is_none_or(|known| !known.live && known.size != link.size) && !is_lost(&link.digest)
        });
        refused.map(|link| link.digest).collect()
    }

    /// The links, those only that were not there.
    async fn insert_links(
        &self,
        tx: &mut Tx<'_>,
        repository: RepositoryId,
        known: &HashMap<Digest, Known>,
        refused: &[Digest],
    ) -> Result<Vec<BlobId>, Error> {
        let rows = self.links.iter().filter(|link| !refused.contains(&link.digest)).filter_map(|link| {
            let known = known.get(&link.digest)?;
            Some(json!({ "blob": known.blob.0, "at": link.linked_at.micros() }))
        });
        let list = serde_json::Value::Array(rows.collect()).to_string();
        let rows = [repository.into(), self.grace.now.into(), list.as_str().into()];
        tx.connection.all(&INSERT_LINKS, &rows).await
    }
}

/// What waited for these blobs in the repository refers to them from now on.
async fn resolve(tx: &mut Tx<'_>, repository: RepositoryId, links: &[BlobId]) -> Result<(), Error> {
    if links.is_empty() {
        return Ok(());
    }
    let list = ids::list(links.iter().map(|blob| blob.0));
    arrivals::resolve_blobs(tx, repository, &list).await?;
    tx.connection.execute(&LINKS_ARE_REFERENCED, &[repository.into(), list.as_str().into()]).await?;
    Ok(())
}
