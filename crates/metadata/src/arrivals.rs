//! Who refers to something absent, and who brings it, must not miss each other.
//!
//! A manifest that is accepted without some of what it refers to waits for it: whatever brings that later (a finished upload, a
//! mount, a manifest, one that comes back) makes the reference one to the row. Neither of two transactions at the same time
//! would see the other's row, and there is no row yet that both could lock. So both lock a name, right behind the repository: who
//! waits alone, who brings together with others, since bringing is what pushes do. There are [`NAMES`] of them in a repository,
//! each for many digests, so that a manifest of any length locks a bounded number.
//!
//! SQLite, which has one writer, has no need of it.

use cargohold_oci::Digest;
use serde_json::json;

use crate::{
    Error, RepositoryId,
    connection::Connection,
    statement::{locks, statements},
    transaction::Tx,
};

/// Names that a repository's digests share.
const NAMES: usize = 64;

locks! {
    /// In the order of the list. A database may have several registries, a schema each.
    LOCK_NAMES = "
        select case e.value ->> 'waits'
            when 'true' then cast(pg_advisory_xact_lock(n.key) as text)
            else cast(pg_advisory_xact_lock_shared(n.key) as text)
        end
        from json_each(cast($1 as text)) e
        cross join lateral (
            select hashtextextended(
                concat_ws(' ', 'cargohold', current_schema(), cast($2 as bigint), e.value ->> 'name'), 0) as key
        ) n";
}

statements! {
    RESOLVE_CONFIGS = "
        update manifests set
            config_blob = (
                select b.id from manifest_references f join blobs b on b.digest = f.absent_digest
                where f.manifest_id = manifests.id and f.kind = 'config')
        where id in (
            select f.manifest_id from json_each(cast($1 as text)) e
            cross join blobs b
            cross join manifest_references f
            where b.id = cast(e.value ->> 'id' as bigint)
                and f.repository_id = $2 and f.absent_digest = b.digest and f.kind = 'config')";
    /// What waited for one of these blobs refers to it from now on.
    RESOLVE_BLOBS = "
        update manifest_references set absent_digest = null,
            blob_id = (select b.id from blobs b where b.digest = manifest_references.absent_digest)
        where repository_id = $1
            and absent_digest in (
                select b.digest from json_each(cast($2 as text)) e
                cross join blobs b
                where b.id = cast(e.value ->> 'id' as bigint))";
}

/// For the rest of the transaction, nobody begins to wait for this digest in the repository.
pub(crate) async fn bring(tx: &mut Tx<'_>, repository: RepositoryId, digest: &Digest) -> Result<(), Error> {
    wait_and_bring(tx, repository, std::iter::empty(), digest).await
}

/// For the rest of the transaction, nobody begins to wait for anything in the repository.
pub(crate) async fn bring_many(tx: &mut Tx<'_>, repository: RepositoryId) -> Result<(), Error> {
    lock(tx, repository, &[Some(false); NAMES]).await
}

/// For the rest of the transaction, nobody brings one of the `absent` to the repository, nor begins to wait for `brought`.
pub(crate) async fn wait_and_bring<'d>(
    tx: &mut Tx<'_>,
    repository: RepositoryId,
    absent: impl Iterator<Item = &'d Digest>,
    brought: &Digest,
) -> Result<(), Error> {
    let mut waits = [None; NAMES];
    waits[name(brought)] = Some(false);
    for digest in absent {
        waits[name(digest)] = Some(true);
    }
    lock(tx, repository, &waits).await
}

/// Has what waits for blobs of a list (see [`ids::list`](crate::ids::list)) refer to them: the repository has them now.
pub(crate) async fn resolve_blobs(tx: &mut Tx<'_>, repository: RepositoryId, blobs: &str) -> Result<(), Error> {
    tx.connection.execute(&RESOLVE_CONFIGS, &[blobs.into(), repository.into()]).await?;
    tx.connection.execute(&RESOLVE_BLOBS, &[repository.into(), blobs.into()]).await?;
    Ok(())
}

/// Locks the names of which it is said whether they are waited for or brought.
async fn lock(tx: &mut Tx<'_>, repository: RepositoryId, waits: &[Option<bool>; NAMES]) -> Result<(), Error> {
    if let Connection::Sqlite(_) = tx.connection {
        return Ok(());
    }
    let names = waits.iter().enumerate();
    let names = names.filter_map(|(name, waits)| waits.map(|waits| json!({ "name": name, "waits": waits })));
    let list = serde_json::Value::Array(names.collect()).to_string();
    tx.connection.lock(&LOCK_NAMES, &[list.as_str().into(), repository.into()]).await
}

fn name(digest: &Digest) -> usize {
    usize::from(digest.hash()[0]) % NAMES
}
