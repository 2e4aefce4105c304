//! The blobs that a repository of another registry has.

use std::{fs, io, path::Path};

use cargohold_blobs::{Key, Pace, read_link};
use cargohold_metadata::{AdoptLinks, AdoptedLink, MarkFound, ObjectId, Timestamp};
use cargohold_oci::{Algorithm, Digest, RepositoryName};
use futures_util::StreamExt;

use super::{Adoption, Odd, written_at};
use crate::{Error, distribution};

/// Batches of links that are worked on at a time: the next is looked at while one is written down.
const BATCHES: usize = 2;

impl Adoption<'_> {
    pub(super) async fn layers(&self, name: &RepositoryName) -> Result<(), Error> {
        let layers = self.path(&distribution::repository(name)).join("_layers");
        for algorithm in self.algorithms(&layers).await {
            let folder = layers.join(algorithm.as_str());
            let batches = distribution::list(folder.clone());
            let mut done = batches.map(|batch| self.batch(name, &folder, algorithm, batch)).buffered(BATCHES);
            while let Some(done) = done.next().await {
                done?;
            }
        }
        Ok(())
    }

    async fn batch(
        &self,
        name: &RepositoryName,
        folder: &Path,
        algorithm: Algorithm,
        batch: io::Result<Vec<String>>,
    ) -> Result<(), Error> {
        let mut digests = match batch {
            Ok(names) => self.digests(folder, algorithm, names),
            Err(error) => {
                self.odd(folder, Odd::Unreadable(error));
                return Ok(());
            }
        };
        let metadata = &self.registry.0.metadata;
        let known = metadata.known_links(name, &digests).await?;
        digests.retain(|digest| !known.contains(digest));
        if digests.is_empty() {
            return Ok(());
        }
        let links = self.look_at(name, digests).await?;
        let adopt = AdoptLinks {
            repository: name.clone(),
            store: self.store,
            links: links.clone(),
            grace: self.registry.grace(),
        };
        let done = metadata.run(adopt).await?;
        {
            let mut adopted = self.adopted();
            adopted.blobs.new += done.objects;
            adopted.bytes.new += done.bytes;
        }
        let link_of = |digest: &Digest| links.iter().find(|link| link.digest == *digest);
        for link in done.refused.iter().filter_map(link_of) {
            let found = format!("it has {} bytes, and the blob has others", link.size);
            self.odd(self.path(&link.key), Odd::Damaged { digest: link.digest, found });
        }
        for (digest, object) in done.lost {
            if let Some(link) = link_of(&digest) {
                self.read_lost(link, object).await?;
            }
        }
        Ok(())
    }

    /// What the links of a repository name, and where it lies.
    async fn look_at(&self, name: &RepositoryName, digests: Vec<Digest>) -> Result<Vec<AdoptedLink>, Error> {
        let (root, name, now) = (self.disk.root().to_owned(), name.clone(), self.registry.0.environment.now());
        let seen = Self::blocking(move || {
            let look = |digest: &Digest| link(&root, &distribution::layer(&name, digest), digest, now);
            let seen = digests.iter().map(|digest| (distribution::layer(&name, digest), look(digest)));
            seen.collect::<Vec<_>>()
        });
        let mut links = Vec::new();
        for (path, seen) in seen.await? {
            match seen {
                Ok(link) => links.push(link),
                Err(odd) => self.odd(self.path(&path), odd),
            }
        }
        Ok(links)
    }

    /// Bytes that were missing or damaged once are read before anybody trusts their name again.
    async fn read_lost(&self, link: &AdoptedLink, object: ObjectId) -> Result<(), Error> {
        let key = Key::parse(&link.key)?;
        let seen = self.disk.examine(&key, link.digest.algorithm(), Pace::Fast).await;
        match seen {
            Ok(seen) if seen.digest == link.digest => {
                let read = MarkFound { object, size: seen.size, now: self.registry.0.environment.now() };
                self.registry.0.metadata.run(read).await?;
            }
            Ok(seen) => {
                let found = format!("they have the digest {}", seen.digest);
                self.odd(self.path(&link.key), Odd::Damaged { digest: link.digest, found });
            }
            Err(away @ cargohold_blobs::Error::StoreAway { .. }) => return Err(away.into()),
            Err(error) => {
                let found = error.to_string();
                self.odd(self.path(&link.key), Odd::Damaged { digest: link.digest, found });
            }
        }
        Ok(())
    }
}

/// What a link names. Blocks.
///
/// Content that was pushed under a digest of another algorithm lies under its sha256, which this link alone tells: then the link is
/// the key.
fn link(root: &Path, link: &str, digest: &Digest, now: Timestamp) -> Result<AdoptedLink, Odd> {
    let path = root.join(link);
    let named = read_link(&path)?;
    let place = Key::blob(&named);
    let key = match (named == *digest, named.algorithm() == digest.algorithm()) {
        (true, _) => place.as_str(),
        (false, true) => return Err(Odd::OtherDigest(named)),
        (false, false) => link,
    };
    let found = match fs::metadata(root.join(place.as_str())) {
        Ok(found) if found.is_file() => found,
        Ok(_) => return Err(Odd::NoBytes(*digest)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Odd::NoBytes(*digest)),
        Err(error) => return Err(Odd::Unreadable(error)),
    };
    if found.len() == 0 && *digest != Digest::of(digest.algorithm(), b"") {
        return Err(Odd::Damaged { digest: *digest, found: "the file is empty".to_owned() });
    }
    if Key::parse(key).is_err() {
        return Err(Odd::NoBytes(*digest));
    }
    let linked_at = written_at(&path, now).map_err(Odd::Unreadable)?;
    Ok(AdoptedLink { digest: *digest, key: key.to_owned(), size: found.len(), linked_at })
}
