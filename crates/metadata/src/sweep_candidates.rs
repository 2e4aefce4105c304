//! What may have become garbage: written where a reference, a link or a repository goes, or a link is made that nothing refers to.
//!
//! The sweeper reads nothing else, so its work is proportional to the garbage and never to the store.

use crate::{BlobId, Error, RepositoryId, Timestamp, connection::Connection, statement::statements};

statements! {
    NOTE_CANDIDATE = "
        insert into sweep_candidates (kind, repository_id, id, review_after) values ($1, $2, $3, $4)
        on conflict (kind, repository_id, id) do update set review_after = excluded.review_after";
}

/// Has the sweeper look at a link after `review_after`.
pub(crate) async fn note_link(
    connection: &mut Connection<'_>,
    repository: RepositoryId,
    blob: BlobId,
    review_after: Timestamp,
) -> Result<(), Error> {
    let row = ["link".into(), repository.into(), blob.into(), review_after.into()];
    connection.execute(&NOTE_CANDIDATE, &row).await?;
    Ok(())
}

/// Has the sweeper look after `review_after` whether anything was put into a repository.
pub(crate) async fn note_repository(
    connection: &mut Connection<'_>,
    repository: RepositoryId,
    review_after: Timestamp,
) -> Result<(), Error> {
    let row = ["repository".into(), repository.into(), repository.into(), review_after.into()];
    connection.execute(&NOTE_CANDIDATE, &row).await?;
    Ok(())
}
