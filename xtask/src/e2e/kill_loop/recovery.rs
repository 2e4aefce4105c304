//! What must hold after a start, and making good what the kill interrupted.

use anyhow::{Context as _, Result, bail, ensure};

use super::content::{Blob, Manifest};
use super::ledger::{Intent, Ledger, REPOSITORIES, Session};
use super::pusher::{Cut, go_on, push_in_chunks, push_whole, put_manifest};
use super::uploads;
use crate::e2e::random::Random;
use crate::e2e::registry::Registry;

/// How many facts are looked at after one start: the newest half of them, and others at random.
const FACTS_PER_START: usize = 400;

/// Checks the newest facts, a sample of the older ones and all tags; then what was interrupted, which is then repeated or resumed.
pub(super) fn after_restart(registry: &Registry, ledger: &Ledger, random: &mut Random) -> Result<()> {
    let interrupted = ledger.take_interrupted();
    for (repository, blob) in sample(&ledger.blobs(), random) {
        blob_is_there(registry, repository, blob)?;
    }
    for (repository, manifest) in sample(&ledger.manifests(), random) {
        manifest_is_there(registry, repository, manifest)?;
    }
    for intent in &interrupted {
        if is_whole_or_absent(registry, intent)? {
            ledger.count_completed();
        }
    }
    tags_point_where_they_may(registry, ledger)?;
    for intent in interrupted {
        make_good(registry, ledger, intent, random)?;
    }
    tags_point_where_they_may(registry, ledger)
}

/// Checks every fact.
pub(super) fn everything(registry: &Registry, ledger: &Ledger) -> Result<()> {
    for (repository, blob) in ledger.blobs() {
        blob_is_there(registry, repository, &blob)?;
    }
    for (repository, manifest) in ledger.manifests() {
        manifest_is_there(registry, repository, &manifest)?;
    }
    tags_point_where_they_may(registry, ledger)
}

/// [`FACTS_PER_START`] of the facts at most: the newest, and older ones at random.
fn sample<'a, T>(facts: &'a [T], random: &mut Random) -> Vec<&'a T> {
    let newest = facts.len().saturating_sub(FACTS_PER_START / 2);
    let older = &facts[..newest];
    let mut chosen: Vec<&T> = facts[newest..].iter().collect();
    if older.len() <= FACTS_PER_START / 2 {
        chosen.extend(older);
    } else {
        chosen.extend((0..FACTS_PER_START / 2).filter_map(|_| random.pick(older)));
    }
    chosen
}

fn blob_is_there(registry: &Registry, repository: &str, blob: &Blob) -> Result<()> {
    let bytes = registry.blob(repository, &blob.digest)?;
    let bytes = bytes.with_context(|| {
        format!("LOST: the acknowledged blob {} ({} bytes) of {repository}", blob.digest, blob.size)
    })?;
    ensure!(
        bytes.len() == blob.size,
        "the blob {} of {repository} has {} bytes, not {}",
        blob.digest,
        bytes.len(),
        blob.size
    );
    Ok(())
}

fn manifest_is_there(registry: &Registry, repository: &str, manifest: &Manifest) -> Result<()> {
    let served = registry.manifest(repository, &manifest.digest)?;
    let served =
        served.with_context(|| format!("LOST: the acknowledged manifest {} of {repository}", manifest.digest))?;
    ensure!(served.bytes == manifest.bytes, "the manifest {} of {repository} has other bytes", manifest.digest);
    ensure!(
        served.media_type == manifest.media_type,
        "the manifest {} of {repository} is served as {}, not {}",
        manifest.digest,
        served.media_type,
        manifest.media_type
    );
    Ok(())
}

/// Whether what was under way is there: whole, since anything else is an error.
fn is_whole_or_absent(registry: &Registry, intent: &Intent) -> Result<bool> {
    match intent {
        Intent::Blob { repository, blob } | Intent::Session(Session { repository, blob, .. }) => {
            // That its bytes have the digest is checked by the request itself.
            Ok(registry.blob(repository, &blob.digest)?.is_some())
        }
        Intent::Manifest { repository, manifest, .. } => {
            if registry.manifest(repository, &manifest.digest)?.is_none() {
                return Ok(false);
            }
            manifest_is_there(registry, repository, manifest).map(|()| true)
        }
    }
}

/// Each tag points at something that it may point at, and the lists name exactly the tags that point at something.
fn tags_point_where_they_may(registry: &Registry, ledger: &Ledger) -> Result<()> {
    let mut seen: Vec<(&str, String)> = Vec::new();
    for (tag, history) in ledger.tags() {
        let (repository, name) = &tag;
        let observed = registry.manifest(repository, name)?.map(|manifest| manifest.digest);
        if !history.allows(observed.as_deref()) {
            let observed = observed.as_deref().unwrap_or("nothing");
            bail!("LOST: the tag {repository}:{name} points at {observed}; it may point at {:?}", history.allowed());
        }
        ledger.settle_tag(&tag, observed.as_deref());
        if observed.is_some() {
            seen.push(tag);
        }
    }
    for repository in REPOSITORIES {
        let listed = registry.tags(repository)?;
        let there: Vec<&String> = seen.iter().filter(|(name, _)| *name == repository).map(|(_, tag)| tag).collect();
        ensure!(
            listed.iter().collect::<Vec<_>>() == there,
            "{repository} lists the tags {listed:?}, but has {there:?}"
        );
    }
    Ok(())
}

/// An interrupted push is repeated, as a client does; an interrupted session goes on instead, most of the time.
fn make_good(registry: &Registry, ledger: &Ledger, intent: Intent, random: &mut Random) -> Result<()> {
    match intent {
        Intent::Blob { repository, blob } => push_whole(registry, ledger, repository, &blob)?,
        Intent::Session(session) if random.one_in(4) => {
            push_in_chunks(registry, ledger, session.repository, session.blob, &[])?;
        }
        Intent::Session(session) => resume(registry, ledger, session, random)?,
        Intent::Manifest { repository, manifest, tag } => put_manifest(registry, ledger, repository, &manifest, tag)?,
    }
    Ok(())
}

fn resume(registry: &Registry, ledger: &Ledger, session: Session, random: &mut Random) -> Result<()> {
    let (repository, digest, size) = (session.repository, session.blob.digest.clone(), session.blob.size);
    let Some(received) = uploads::status(registry, &session.location)? else {
        ensure!(session.closing, "LOST: the upload session {} of {repository}", session.location);
        ensure!(
            registry.blob(repository, &digest)?.is_some(),
            "LOST: the upload session {} of {repository} was closed, but its blob {digest} is not there",
            session.location
        );
        return Ok(());
    };
    ensure!(
        (session.received..=size).contains(&received),
        "the upload session {} of {repository} has {received} bytes; {} of {size} were acknowledged",
        session.location,
        session.received
    );
    let cuts: Vec<Cut> =
        if received < size && random.one_in(2) { vec![Cut { end: size, with_place: true }] } else { Vec::new() };
    go_on(registry, ledger, Session { received, ..session }, &cuts)?;
    blob_is_there(registry, repository, &Blob::clone(&ledger.blobs().last().context("it was acknowledged")?.1))?;
    ledger.count_resumed();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{FACTS_PER_START, Random, sample};

    #[test]
    fn few_facts_are_all_looked_at_and_of_many_the_newest() {
        let facts: Vec<usize> = (0..10).collect();
        assert_eq!(sample(&facts, &mut Random::new(1)).len(), 10);
        let facts: Vec<usize> = (0..5_000).collect();
        let chosen = sample(&facts, &mut Random::new(1));
        assert_eq!(chosen.len(), FACTS_PER_START);
        assert!((4_900..5_000).all(|fact| chosen.contains(&&fact)));
    }
}
