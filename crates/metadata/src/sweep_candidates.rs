//! What may have become garbage: written where a reference, a link or a repository goes, or a link is made that nothing refers to.
//!
//! The sweeper reads nothing else, so its work is proportional to the garbage and never to the store.

use crate::{
    BlobId, Error, ManifestId, Metadata, PayloadId, RepositoryId, Timestamp,
    connection::{Connection, FromRow, Row, Value},
    statement::statements,
};

statements! {
    NOTE_CANDIDATE = "
        insert into sweep_candidates (kind, repository_id, id, review_after, purge) values ($1, $2, $3, $4, $5)
        on conflict (kind, repository_id, id) do update set review_after = excluded.review_after, purge = excluded.purge";
    NOTE_CANDIDATES = "
        insert into sweep_candidates (kind, repository_id, id, review_after, purge)
        select e.value ->> 'kind', cast(e.value ->> 'repository' as bigint), cast(e.value ->> 'id' as bigint),
            cast($1 as bigint), cast($2 as bigint)
        from json_each(cast($3 as text)) e
        where true
        on conflict (kind, repository_id, id) do update set review_after = excluded.review_after, purge = excluded.purge";
    FIND_PURGED_CANDIDATE = "
        select 1 from sweep_candidates where kind = $1 and repository_id = $2 and id = $3 and purge = 1";
    /// A purged one stays purged.
    POSTPONE_CANDIDATE = "
        update sweep_candidates set review_after = $1 where kind = $2 and repository_id = $3 and id = $4";
    FORGET_CANDIDATE = "delete from sweep_candidates where kind = $1 and repository_id = $2 and id = $3";
    LIST_DUE_CANDIDATES = "
        select kind, repository_id, id from sweep_candidates
        where review_after <= $1
        order by review_after
        limit $2";
}

/// What may have become garbage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidate {
    /// A repository that was deleted, or that nothing but an upload or a mount made.
    Repository(RepositoryId),
    /// A blob's link to a repository.
    Link(RepositoryId, BlobId),
    /// A manifest that was deleted.
    Manifest(RepositoryId, ManifestId),
    /// The bytes of a manifest.
    Payload(PayloadId),
    /// A blob, whichever repositories had it.
    Blob(BlobId),
}

impl Candidate {
    /// Its key in the table. What belongs to no repository has 0 there.
    fn key(self) -> (&'static str, i64, i64) {
        match self {
            Self::Repository(repository) => ("repository", repository.0, repository.0),
            Self::Link(repository, blob) => ("link", repository.0, blob.0),
            Self::Manifest(repository, manifest) => ("manifest", repository.0, manifest.0),
            Self::Payload(payload) => ("payload", 0, payload.0),
            Self::Blob(blob) => ("blob", 0, blob.0),
        }
    }
}

impl FromRow for Candidate {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        let (repository, id) = (RepositoryId(row.integer(1)?), row.integer(2)?);
        match row.text(0)? {
            "repository" => Ok(Self::Repository(repository)),
            "link" => Ok(Self::Link(repository, BlobId(id))),
            "manifest" => Ok(Self::Manifest(repository, ManifestId(id))),
            "payload" => Ok(Self::Payload(PayloadId(id))),
            "blob" => Ok(Self::Blob(BlobId(id))),
            kind => Err(Error::impossible("kind of candidate", kind)),
        }
    }
}

/// When the sweeper looks at a candidate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Review {
    pub(crate) after: Timestamp,
    /// Neither it nor what it alone holds waits for anything.
    pub(crate) purge: bool,
}

impl Review {
    /// At `now`, and neither it nor what it alone holds waits for anything.
    pub(crate) fn purge(now: Timestamp) -> Self {
        Self { after: now, purge: true }
    }
}

impl From<Timestamp> for Review {
    fn from(after: Timestamp) -> Self {
        Self { after, purge: false }
    }
}

impl Metadata {
    /// The candidates that may be looked at, those that wait for longest first, at most `limit`.
    pub async fn due_candidates(&self, now: Timestamp, limit: u16) -> Result<Vec<Candidate>, Error> {
        self.reader().all(&LIST_DUE_CANDIDATES, &[now.into(), Value::Integer(limit.into())]).await
    }
}

/// Has the sweeper look at something.
pub(crate) async fn note(
    connection: &mut Connection<'_>,
    candidate: Candidate,
    review: impl Into<Review>,
) -> Result<(), Error> {
    let (kind, repository, id) = candidate.key();
    let Review { after, purge } = review.into();
    let row = [kind.into(), repository.into(), id.into(), after.into(), i64::from(purge).into()];
    connection.execute(&NOTE_CANDIDATE, &row).await?;
    Ok(())
}

/// Has the sweeper look at all of them.
pub(crate) async fn note_all(
    connection: &mut Connection<'_>,
    candidates: impl Iterator<Item = Candidate>,
    review: impl Into<Review>,
) -> Result<(), Error> {
    let Review { after, purge } = review.into();
    let rows = candidates.map(|candidate| {
        let (kind, repository, id) = candidate.key();
        serde_json::json!({ "kind": kind, "repository": repository, "id": id })
    });
    let list = serde_json::Value::Array(rows.collect()).to_string();
    connection.execute(&NOTE_CANDIDATES, &[after.into(), i64::from(purge).into(), list.as_str().into()]).await?;
    Ok(())
}

/// Whether neither it nor what it alone holds waits for anything. To be asked behind the lock of what it is about.
pub(crate) async fn is_purged(connection: &mut Connection<'_>, candidate: Candidate) -> Result<bool, Error> {
    let (kind, repository, id) = candidate.key();
    let found: Option<i64> =
        connection.optional(&FIND_PURGED_CANDIDATE, &[kind.into(), repository.into(), id.into()]).await?;
    Ok(found.is_some())
}

/// Has the sweeper look at a candidate again after `until`.
pub(crate) async fn postpone(
    connection: &mut Connection<'_>,
    candidate: Candidate,
    until: Timestamp,
) -> Result<(), Error> {
    let (kind, repository, id) = candidate.key();
    let row = [until.into(), kind.into(), repository.into(), id.into()];
    connection.execute(&POSTPONE_CANDIDATE, &row).await?;
    Ok(())
}

/// It is none any more.
pub(crate) async fn forget(connection: &mut Connection<'_>, candidate: Candidate) -> Result<(), Error> {
    let (kind, repository, id) = candidate.key();
    connection.execute(&FORGET_CANDIDATE, &[kind.into(), repository.into(), id.into()]).await?;
    Ok(())
}
