//! What the sweep has before it, and why each candidate is still there: for people.
//!
//! The reasons are those that the sweep itself goes by, told without a lock: by the time they are read they may have changed.

use cargohold_oci::{Digest, RepositoryName};

use crate::{
    Error, Metadata, Timestamp,
    connection::{FromRow, Row, Value},
    statement::statements,
};

statements! {
    LIST_CANDIDATES = "
        select c.kind, c.review_after, c.purge, r.name,
            case c.kind when 'link' then b.digest when 'blob' then b.digest else p.digest end,
            case c.kind when 'link' then b.size when 'blob' then b.size else length(p.bytes) end,
            case c.kind when 'link' then l.deleted_at when 'manifest' then m.deleted_at else r.deleted_at end,
            case c.kind when 'link' then l.unreferenced_since when 'repository' then r.created_at end,
            r.published_at is not null,
            case c.kind
                when 'link' then (
                    select hp.digest from manifest_references f
                    join manifests hm on hm.id = f.manifest_id
                    join manifest_payloads hp on hp.id = hm.payload_id
                    where f.repository_id = c.repository_id and f.blob_id = c.id
                    limit 1)
            end,
            case c.kind
                when 'blob' then (
                    select hr.name from repository_blobs hl join repositories hr on hr.id = hl.repository_id
                    where hl.blob_id = c.id
                    limit 1)
                when 'payload' then (
                    select hr.name from manifests hm join repositories hr on hr.id = hm.repository_id
                    where hm.payload_id = c.id
                    limit 1)
            end
        from sweep_candidates c
        left join repositories r on r.id = c.repository_id
        left join repository_blobs l on c.kind = 'link' and l.repository_id = c.repository_id and l.blob_id = c.id
        left join manifests m on c.kind = 'manifest' and m.id = c.id
        left join manifest_payloads p on p.id = case c.kind when 'payload' then c.id when 'manifest' then m.payload_id end
        left join blobs b on c.kind in ('link', 'blob') and b.id = c.id
        where c.review_after >= $1
        order by c.review_after
        limit $2";
    COUNT_CANDIDATES = "
        select count(*), min(review_after) from (
            select review_after from sweep_candidates where review_after >= $1 order by review_after limit $2) c";
    COUNT_DISCARDED = "
        select count(*), min(delete_after), cast(coalesce(sum(size), 0) as bigint) from (
            select delete_after, size from objects
            where state = 'discarded' and delete_after >= $1
            order by delete_after
            limit $2) o";
}

/// The most that is counted, so that asking costs the same however much there is.
pub(crate) const MOST_COUNTED: u32 = 10_000;

/// What the sweep and the discard worker have before them.
#[derive(Clone, Debug)]
pub struct SweepStatus {
    /// The candidates that are looked at next, soonest first.
    pub candidates: Vec<CandidateStatus>,
    /// All candidates.
    pub candidates_in_all: Count,
    /// When the first of them is looked at; long ago if the sweep cannot keep up.
    pub first_review: Option<Timestamp>,
    /// Objects whose bytes are to be deleted.
    pub discarded: Count,
    /// What they take, in bytes; of those that were counted, and without unfinished uploads.
    pub discarded_bytes: u64,
    /// When the first of them may be deleted.
    pub first_deletion: Option<Timestamp>,
}

/// How many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Of those that were counted.
    pub counted: u64,
    /// Whether there may be more of them.
    pub or_more: bool,
}

/// One candidate of the sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CandidateStatus {
    /// What it is: `repository`, `link`, `manifest`, `payload` or `blob`.
    pub kind: String,
    /// Where, if it belongs to one repository.
    pub repository: Option<RepositoryName>,
    /// Which, if it has a digest.
    pub digest: Option<Digest>,
    /// Its bytes, if it has any.
    pub size: Option<u64>,
    /// When it is looked at.
    pub review_after: Timestamp,
    /// Why it is there.
    pub reason: Reason,
    /// Whether it was purged: then it waits for nothing.
    pub purged: bool,
}

/// Why a candidate is there, and still there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It was deleted, and can come back for a while.
    Deleted(Timestamp),
    /// No manifest refers to it, and a push may still want it.
    Unreferenced(Timestamp),
    /// A repository in which nothing but uploads and mounts happened.
    Unpublished(Timestamp),
    /// A manifest of its repository refers to it.
    HeldByManifest(Digest),
    /// This repository has it.
    HeldByRepository(RepositoryName),
    /// It is there, or there again: the sweep will leave it alone.
    InUse,
    /// Nothing needs it.
    Unneeded,
}

impl FromRow for CandidateStatus {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        let name = |column| row.optional_text(column)?.map(parse_name).transpose();
        let time = |column| Ok::<_, Error>(row.optional_integer(column)?.map(Timestamp::from_micros));
        let (deleted_at, since, published) = (time(6)?, time(7)?, row.flag(8)?);
        let kind = row.text(0)?.to_owned();
        let reason = match (kind.as_str(), deleted_at, since) {
            (_, Some(deleted_at), _) => Reason::Deleted(deleted_at),
            ("repository", None, Some(created)) if !published => Reason::Unpublished(created),
            ("repository" | "manifest", None, _) => Reason::InUse,
            _ => match (row.optional_digest(9)?, name(10)?, since) {
                (Some(manifest), ..) => Reason::HeldByManifest(manifest),
                (None, Some(repository), _) => Reason::HeldByRepository(repository),
                (None, None, Some(since)) if kind == "link" => Reason::Unreferenced(since),
                _ => Reason::Unneeded,
            },
        };
        Ok(Self {
            repository: name(3)?,
            digest: row.optional_digest(4)?,
            size: row.optional_integer(5)?.map(u64::try_from).transpose().ok().flatten(),
            review_after: Timestamp::from_micros(row.integer(1)?),
            reason,
            purged: row.integer(2)? == 1,
            kind,
        })
    }
}

fn parse_name(name: &str) -> Result<RepositoryName, Error> {
    RepositoryName::parse(name).map_err(|_| Error::impossible("repository name", name))
}

struct Candidates(u64, Option<Timestamp>);

impl FromRow for Candidates {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self(row.length(0)?, row.optional_integer(1)?.map(Timestamp::from_micros)))
    }
}

struct Discarded(u64, Option<Timestamp>, u64);

impl FromRow for Discarded {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self(row.length(0)?, row.optional_integer(1)?.map(Timestamp::from_micros), row.length(2)?))
    }
}

impl Metadata {
    /// What the sweep has before it; of its candidates at most `limit`.
    pub async fn sweep_status(&self, limit: u16) -> Result<SweepStatus, Error> {
        // From the first on.
        let all = Value::Integer(0);
        let most = [all, Value::Integer(i64::from(MOST_COUNTED) + 1)];
        let candidates = self.reader().all(&LIST_CANDIDATES, &[all, Value::Integer(limit.into())]).await?;
        let Candidates(all, first_review) =
            self.reader().optional(&COUNT_CANDIDATES, &most).await?.unwrap_or(Candidates(0, None));
        let Discarded(discarded, first_deletion, discarded_bytes) =
            self.reader().optional(&COUNT_DISCARDED, &most).await?.unwrap_or(Discarded(0, None, 0));
        Ok(SweepStatus {
            candidates,
            candidates_in_all: Count::of(all),
            first_review,
            discarded: Count::of(discarded),
            discarded_bytes,
            first_deletion,
        })
    }
}

impl Count {
    pub(crate) fn of(counted: u64) -> Self {
        let most = u64::from(MOST_COUNTED);
        Self { counted: counted.min(most), or_more: counted > most }
    }
}
