//! The manifests that a repository of another registry has, and what they refer to.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

use bytes::Bytes;
use cargohold_blobs::{Key, Pace, read_link};
use cargohold_metadata::{ManifestId, Timestamp};
use cargohold_oci::{Digest, Manifest, RepositoryName, Role};
use futures_util::{StreamExt, stream};

use super::{Adoption, Odd, written_at};
use crate::{
    Error, distribution,
    put_manifest::{put_of, unexpected},
};

/// Manifests that are put at a time, of each repository: they share transactions.
const AT_A_TIME: usize = 16;
/// Larger than any registry of the family takes.
const MOST_BYTES: u64 = 16 << 20;
/// Absent references read at once.
const PAGE: u16 = 500;

/// A manifest's bytes, which have its digest.
struct Payload {
    bytes: Bytes,
    pushed_at: Timestamp,
}

impl Adoption<'_> {
    /// Adopts them all; answers how many there are.
    pub(super) async fn manifests(&self, name: &RepositoryName) -> Result<u64, Error> {
        let revisions = self.path(&distribution::repository(name)).join("_manifests/revisions");
        let mut all = 0;
        for algorithm in self.algorithms(&revisions).await {
            let folder = revisions.join(algorithm.as_str());
            let mut batches = distribution::list(folder.clone());
            while let Some(batch) = batches.next().await {
                match batch {
                    Ok(names) => all += self.put_all(name, self.digests(&folder, algorithm, names)).await?,
                    Err(error) => self.odd(&folder, Odd::Unreadable(error)),
                }
            }
        }
        Ok(all)
    }

    /// Puts those that are not known; answers how many of all are there.
    async fn put_all(&self, name: &RepositoryName, digests: Vec<Digest>) -> Result<u64, Error> {
        let known = self.registry.0.metadata.known_manifests(name, &digests).await?;
        let known: HashMap<Digest, Option<Timestamp>> =
            known.into_iter().map(|known| (known.digest, known.deleted_at)).collect();
        let is_live = |digest: &Digest| matches!(known.get(digest), Some(None));
        let live = digests.iter().filter(|digest| is_live(digest)).count() as u64;
        let others = digests.into_iter().filter(|digest| !is_live(digest));
        let puts = others.map(|digest| (digest, known.get(&digest).copied().flatten()));
        let mut puts = stream::iter(puts)
            .map(|(digest, deleted_at)| self.put(name, digest, deleted_at))
            .buffer_unordered(AT_A_TIME);
        let mut new = 0;
        while let Some(put) = puts.next().await {
            new += u64::from(put?);
        }
        let mut adopted = self.adopted();
        adopted.manifests.all += live + new;
        adopted.manifests.new += new;
        Ok(live + new)
    }

    /// Puts one, if it is one. What was deleted here stays so, unless the other registry got it anew since.
    async fn put(&self, name: &RepositoryName, digest: Digest, deleted_at: Option<Timestamp>) -> Result<bool, Error> {
        let link = distribution::revision(name, &digest);
        let (root, path, now) = (self.disk.root().to_owned(), link.clone(), self.registry.0.environment.now());
        let payload = match Self::blocking(move || read(&root, &path, &digest, now)).await? {
            Ok(payload) if deleted_at.is_some_and(|deleted_at| payload.pushed_at <= deleted_at) => return Ok(false),
            Ok(payload) => payload,
            Err(odd) => {
                self.odd(self.path(&link), odd);
                return Ok(false);
            }
        };
        let manifest = match Manifest::parse(&payload.bytes, None) {
            Ok(manifest) => manifest,
            Err(error) => {
                self.odd(self.path(&link), Odd::Manifest(error));
                return Ok(false);
            }
        };
        self.check_lengths(&manifest).await?;
        // It was accepted once, and it is better to have it without something than not at all.
        let put = put_of(name, digest, &manifest, |_| true, payload.bytes, payload.pushed_at);
        Ok(self.registry.0.metadata.run(put).await?.is_ok())
    }

    /// Reads the blobs whose length is not what a manifest says: a file that was cut off has the right name too.
    async fn check_lengths(&self, manifest: &Manifest) -> Result<(), Error> {
        let blobs = manifest.references().filter(|reference| reference.role != Role::Child);
        let lengths: HashMap<Digest, u64> = blobs.map(|blob| (blob.descriptor.digest, blob.descriptor.size)).collect();
        let digests: Vec<Digest> = lengths.keys().copied().collect();
        for object in self.registry.0.metadata.objects_of(&digests).await? {
            if object.store != self.store || lengths.get(&object.digest) == Some(&object.size) {
                continue;
            }
            let problem = self.registry.examine(&object, Some(Pace::Fast)).await?;
            self.registry.settle(&object, problem.as_ref()).await?;
            if problem.is_some() {
                let found = format!("the file has {} bytes", object.size);
                self.odd(self.path(&object.key), Odd::Damaged { digest: object.digest, found });
            }
        }
        Ok(())
    }

    /// Tells what the repository's manifests need and it does not have.
    pub(super) async fn absent(&self, name: &RepositoryName) -> Result<(), Error> {
        let (metadata, mut after) = (&self.registry.0.metadata, ManifestId::FIRST);
        loop {
            let mut page = metadata.absent_references(name, after, PAGE).await?;
            let (Some(first), Some(last)) = (page.first().copied(), page.last().copied()) else { return Ok(()) };
            if page.len() == usize::from(PAGE) && first.id != last.id {
                // There may be more of the last one.
                page.retain(|reference| reference.id != last.id);
            }
            after = page.last().map_or(last.id, |last| last.id);
            for of_manifest in page.chunk_by(|one, other| one.id == other.id) {
                let digest = of_manifest[0].manifest;
                let Some(stored) = metadata.manifest_by_digest(name, &digest).await? else { continue };
                let Ok(manifest) = Manifest::parse(&stored.bytes, Some(&stored.media_type)) else { continue };
                let path = self.path(&distribution::revision(name, &digest));
                for absent in unexpected(&manifest, of_manifest.iter().map(|reference| reference.absent).collect()) {
                    self.odd(&path, Odd::Absent { manifest: digest, absent });
                }
            }
        }
    }
}

/// Reads a manifest that a repository has by `link`. Blocks.
fn read(root: &Path, link: &str, digest: &Digest, now: Timestamp) -> Result<Payload, Odd> {
    let path = root.join(link);
    let named = read_link(&path)?;
    if named.algorithm() == digest.algorithm() && named != *digest {
        return Err(Odd::OtherDigest(named));
    }
    let file = root.join(Key::blob(&named).as_str());
    let missing = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Odd::NoBytes(*digest),
        _ => Odd::Unreadable(error),
    };
    let found = fs::metadata(&file).map_err(missing)?;
    if !found.is_file() {
        return Err(Odd::NoBytes(*digest));
    }
    if found.len() > MOST_BYTES {
        return Err(Odd::ManifestSize(found.len()));
    }
    let mut bytes = Vec::new();
    File::open(&file).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes)).map_err(missing)?;
    for named in [&named, digest] {
        let computed = Digest::of(named.algorithm(), &bytes);
        if computed != *named {
            let found = match bytes.len() {
                0 => "the file is empty".to_owned(),
                _ => format!("they have the digest {computed}"),
            };
            return Err(Odd::Damaged { digest: *named, found });
        }
    }
    let pushed_at = written_at(&path, now).map_err(Odd::Unreadable)?;
    Ok(Payload { bytes: bytes.into(), pushed_at })
}
