//! Putting a manifest: everything it refers to is there, or nothing happens.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use cargohold_oci::{Digest, RepositoryName, Role, Tag};
use serde_json::json;

use crate::{
    BlobId, Change, Error, ManifestId, PayloadId, RepositoryId, Timestamp, arrivals,
    connection::{FromRow, Row, hex},
    repositories,
    statement::{locks, statements},
    tags::{self, Cause},
    transaction::{
        Tx,
        sealed::{Run, RunAndTell},
    },
};

locks! {
    /// Behind the repository and before the links, as everywhere; one that is not there yet is inserted behind them, which nobody
    /// waits for who holds one.
    LOCK_PAYLOAD_TO_PUT = "select id from manifest_payloads where digest = $1 for no key update";
}

statements! {
    /// The live links among a list of digests, locked in the order of their ids.
    FIND_LINKED_BLOBS = "
        select b.digest, b.id
        from json_each(cast($1 as text)) e
        cross join blobs b
        cross join repository_blobs l
        where b.digest = unhex(e.value ->> 'digest')
            and l.repository_id = $2 and l.blob_id = b.id and l.deleted_at is null
            and exists (select 1 from objects o where o.blob_id = b.id and o.state = 'live')
        order by b.id"
        lock "for no key update of l";
    /// The live manifests among a list of digests, locked in the order of their ids.
    FIND_CHILD_MANIFESTS = "
        select p.digest, m.id
        from json_each(cast($1 as text)) e
        cross join manifest_payloads p
        cross join manifests m
        where p.digest = unhex(e.value ->> 'digest')
            and m.repository_id = $2 and m.payload_id = p.id and m.deleted_at is null
        order by m.id"
        lock "for no key update of m";
    /// Locks the payload's row for the rest of the transaction, new or not.
    UPSERT_PAYLOAD = "
        insert into manifest_payloads (id, digest, bytes) values ($1, $2, $3)
        on conflict (digest) do update set digest = excluded.digest
        returning id";
    UPSERT_MANIFEST = "
        insert into manifests
            (id, repository_id, payload_id, media_type, artifact_type, subject, config_blob, total_size, pushed_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        on conflict (repository_id, payload_id) do update
            set media_type = excluded.media_type, pushed_at = excluded.pushed_at, deleted_at = null, deleted_with = null
        returning id";
    /// A manifest's references never change, so those of one that was put before are there.
    INSERT_REFERENCES = "
        insert into manifest_references
            (manifest_id, position, repository_id, blob_id, child_manifest_id, absent_digest, kind)
        select cast($1 as bigint), cast(e.value ->> 'position' as bigint), cast($2 as bigint),
            cast(e.value ->> 'blob' as bigint), cast(e.value ->> 'child' as bigint), unhex(e.value ->> 'absent'),
            e.value ->> 'kind'
        from json_each(cast($3 as text)) e
        where true
        on conflict (manifest_id, position) do nothing";
    REFER_TO_LINKS = "
        update repository_blobs set unreferenced_since = null
        where repository_id = $1 and unreferenced_since is not null
            and blob_id in (select f.blob_id from manifest_references f where f.manifest_id = $2 and f.blob_id is not null)";
    /// What waited for this manifest in the repository refers to it from now on.
    RESOLVE_CHILD_REFERENCES = "
        update manifest_references set child_manifest_id = $1, absent_digest = null
        where repository_id = $2 and absent_digest = $3 and kind = 'child'";
}

/// Content that a manifest refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferencedContent {
    /// As what.
    pub role: Role,
    /// Which.
    pub digest: Digest,
    /// Whether the manifest is accepted without it.
    pub may_be_absent: bool,
}

/// What the repository would need before it takes the manifest: digests, in the manifest's order.
pub type MissingContent = Vec<Digest>;

/// What the repository does not have of an accepted manifest, since it may be absent: digests, in the manifest's order.
pub type AbsentContent = Vec<Digest>;

/// Puts a manifest under its digest and any number of tags.
#[derive(Debug)]
pub struct PutManifest {
    /// The repository; made if it is not there and the manifest needs nothing of it.
    pub repository: RepositoryName,
    /// The digest of `bytes`.
    pub digest: Digest,
    /// The manifest, byte for byte.
    pub bytes: Bytes,
    /// What it is served as.
    pub media_type: String,
    /// What kind of artifact it is.
    pub artifact_type: Option<String>,
    /// What it is about.
    pub subject: Option<Digest>,
    /// Bytes of it and of what it refers to.
    pub total_size: u64,
    /// What it refers to, in order.
    pub references: Vec<ReferencedContent>,
    /// What it will be called.
    pub tags: Vec<Tag>,
    /// Now.
    pub now: Timestamp,
}

/// A reference, resolved.
enum Target {
    Blob(BlobId),
    Child(ManifestId),
    Absent,
}

struct Found<T> {
    digest: Digest,
    id: T,
}

impl FromRow for Found<BlobId> {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self { digest: row.digest(0)?, id: BlobId(row.integer(1)?) })
    }
}

impl FromRow for Found<ManifestId> {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self { digest: row.digest(0)?, id: ManifestId(row.integer(1)?) })
    }
}

impl Run for PutManifest {
    type Output = Result<AbsentContent, MissingContent>;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, Error> {
        let repository = match repositories::hold(tx, &self.repository).await? {
            Some(repository) => repository,
            // It is made only for what is accepted even if there is nothing in it.
            None => match self.judge_absent(&self.references.iter().map(|_| Target::Absent).collect::<Vec<_>>()) {
                Ok(_) => repositories::make(tx, &self.repository, self.now).await?,
                Err(missing) => return Ok(Err(missing)),
            },
        };
        let may_be_absent = self.references.iter().filter(|reference| reference.may_be_absent);
        let waits_for = may_be_absent.map(|reference| &reference.digest);
        arrivals::wait_and_bring(tx, repository, waits_for, &self.digest).await?;
        tx.connection.lock(&LOCK_PAYLOAD_TO_PUT, &[(&self.digest).into()]).await?;
        let targets = self.resolve(tx, repository).await?;
        let absent = match self.judge_absent(&targets) {
            Ok(absent) => absent,
            Err(missing) => return Ok(Err(missing)),
        };
        let manifest = self.upsert_manifest(tx, repository, &targets).await?;
        self.insert_references(tx, repository, manifest, &targets).await?;
        tx.connection.execute(&REFER_TO_LINKS, &[repository.into(), manifest.into()]).await?;
        let resolve = [manifest.into(), repository.into(), (&self.digest).into()];
        tx.connection.execute(&RESOLVE_CHILD_REFERENCES, &resolve).await?;
        for tag in &self.tags {
            tags::point(tx, repository, tag, manifest, self.now, Cause::Push).await?;
        }
        repositories::publish(tx, repository, self.now).await?;
        Ok(Ok(absent))
    }
}

impl RunAndTell for PutManifest {
    async fn run_and_tell(&self, tx: &mut Tx<'_>) -> Result<(Self::Output, Vec<Change>), Error> {
        let put = self.run(tx).await?;
        let change = |tag: Option<&Tag>| Change::ManifestPushed {
            digest: self.digest,
            size: self.bytes.len() as u64,
            media_type: self.media_type.clone(),
            tag: tag.cloned(),
        };
        let changes = match &put {
            Err(_missing) => Vec::new(),
            Ok(_) if self.tags.is_empty() => vec![change(None)],
            Ok(_) => self.tags.iter().map(|tag| change(Some(tag))).collect(),
        };
        Ok((put, changes))
    }
}

impl PutManifest {
    /// Finds what each reference means in the repository; a child may be a blob, as in older build caches.
    async fn resolve(&self, tx: &mut Tx<'_>, repository: RepositoryId) -> Result<Vec<Target>, Error> {
        let (mut blobs, mut children) = (HashMap::new(), HashMap::new());
        if !self.references.is_empty() {
            let digests: Vec<_> =
                self.references.iter().map(|reference| json!({ "digest": hex(&reference.digest) })).collect();
            let list = serde_json::Value::Array(digests).to_string();
            let parameters = [list.as_str().into(), repository.into()];
            let found: Vec<Found<BlobId>> = tx.connection.all(&FIND_LINKED_BLOBS, &parameters).await?;
            blobs.extend(found.into_iter().map(|found| (found.digest, found.id)));
            if self.references.iter().any(|reference| reference.role == Role::Child) {
                let found: Vec<Found<ManifestId>> = tx.connection.all(&FIND_CHILD_MANIFESTS, &parameters).await?;
                children.extend(found.into_iter().map(|found| (found.digest, found.id)));
            }
        }
        let target = |reference: &ReferencedContent| {
            let child = children.get(&reference.digest).filter(|_| reference.role == Role::Child);
            match (child, blobs.get(&reference.digest)) {
                (Some(child), _) => Target::Child(*child),
                (None, Some(blob)) => Target::Blob(*blob),
                (None, None) => Target::Absent,
            }
        };
        Ok(self.references.iter().map(target).collect())
    }

    /// What is not there, each digest once: an error if any of it has to be.
    fn judge_absent(&self, targets: &[Target]) -> Result<AbsentContent, MissingContent> {
        let (mut absent, mut missing, mut named) = (Vec::new(), Vec::new(), HashSet::new());
        for (reference, target) in self.references.iter().zip(targets) {
            let list = if reference.may_be_absent { &mut absent } else { &mut missing };
            if matches!(target, Target::Absent) && named.insert((reference.may_be_absent, reference.digest)) {
                list.push(reference.digest);
            }
        }
        if missing.is_empty() { Ok(absent) } else { Err(missing) }
    }

    async fn upsert_manifest(
        &self,
        tx: &mut Tx<'_>,
        repository: RepositoryId,
        targets: &[Target],
    ) -> Result<ManifestId, Error> {
        let payload = [tx.ids.next()?.into(), (&self.digest).into(), self.bytes.as_ref().into()];
        let payload = PayloadId(tx.connection.one(&UPSERT_PAYLOAD, &payload).await?);
        let config = self.references.iter().zip(targets).find_map(|(reference, target)| match target {
            Target::Blob(blob) if reference.role == Role::Config => Some(*blob),
            _ => None,
        });
        let row = [
            tx.ids.next()?.into(),
            repository.into(),
            payload.into(),
            self.media_type.as_str().into(),
            self.artifact_type.as_deref().into(),
            self.subject.as_ref().into(),
            config.into(),
            crate::blobs::length(self.total_size.min(i64::MAX as u64))?,
            self.now.into(),
        ];
        Ok(ManifestId(tx.connection.one(&UPSERT_MANIFEST, &row).await?))
    }

    async fn insert_references(
        &self,
        tx: &mut Tx<'_>,
        repository: RepositoryId,
        manifest: ManifestId,
        targets: &[Target],
    ) -> Result<(), Error> {
        let references = self.references.iter().zip(targets).enumerate();
        let rows: Vec<_> = references
            .map(|(position, (reference, target))| {
                let kind = kind(reference.role);
                match target {
                    Target::Blob(blob) => json!({ "position": position, "kind": kind, "blob": blob.0 }),
                    Target::Child(child) => json!({ "position": position, "kind": kind, "child": child.0 }),
                    Target::Absent => json!({ "position": position, "kind": kind, "absent": hex(&reference.digest) }),
                }
            })
            .collect();
        let list = serde_json::Value::Array(rows).to_string();
        tx.connection.execute(&INSERT_REFERENCES, &[manifest.into(), repository.into(), list.as_str().into()]).await?;
        Ok(())
    }
}

fn kind(role: Role) -> &'static str {
    match role {
        Role::Config => "config",
        Role::Layer => "layer",
        Role::Child => "child",
    }
}
