//! Adopting what another registry of the family has: facts about its tree are written down, and its bytes stay where they are, in a
//! store that we do not own and never write to.
//!
//! The tree is read by names, some at a time. Of a blob nothing is read but its length: it is trusted by its name until the scrub
//! has read it, or at once if that is asked for. A manifest is read and has to have its digest. What is known already is passed
//! over, so that an adoption that was cut off goes on where it was, and a later one takes what is new. What cannot be taken is told
//! and left out, and everything else is adopted.

mod layers;
mod manifests;
mod oddity;
mod tags;
mod verify;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use cargohold_access::OperatorPermit;
use cargohold_blobs::ReadOnlyDisk;
use cargohold_metadata::{SettleLinks, StoreId, Timestamp};
use cargohold_oci::{Algorithm, Digest, RepositoryName};
use futures_util::StreamExt;

pub use oddity::{Odd, Oddity};

use crate::{
    Error, Registry,
    distribution::{self, Walked, walk},
};

/// Repositories that are worked on at a time.
const REPOSITORIES: usize = 4;

/// What an adoption tells while it runs.
#[derive(Debug)]
pub enum Adopting {
    /// So many repositories are there.
    Repositories(u64),
    /// One of them is done.
    Repository,
    /// Something was left out, or is not as it should be.
    Odd(Oddity),
    /// So many bytes are to be read.
    ToRead(u64),
    /// So many were read.
    Read(u64),
}

/// How many of a kind there are, and how many of these were not known here before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// All that can be served.
    pub all: u64,
    /// Those that this run wrote down.
    pub new: u64,
}

/// What came of an adoption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Repositories that have a manifest.
    pub repositories: Found,
    /// Manifests, counted in each repository.
    pub manifests: Found,
    /// Tags.
    pub tags: Found,
    /// Blobs whose bytes are named in the adopted store.
    pub blobs: Found,
    /// The bytes of these.
    pub bytes: Found,
    /// Upload sessions, which end with the other registry.
    pub uploads: u64,
    /// Blobs that were read and are what they are called.
    pub verified: u64,
    /// What the other registry may have served and this one does not.
    pub left_out: u64,
    /// What the other registry did not serve either: left-overs of deletions and of what was cut off.
    pub harmless: u64,
}

/// An adoption under way.
struct Adoption<'a> {
    registry: &'a Registry,
    store: StoreId,
    disk: ReadOnlyDisk,
    tell: &'a (dyn Fn(Adopting) + Sync),
    adopted: Mutex<Adopted>,
}

impl Registry {
    /// Adopts all that lies in a store that we do not own, and reads all bytes there that nobody has read here yet if `verify`.
    pub async fn adopt(
        &self,
        _permit: &OperatorPermit,
        store: StoreId,
        verify: bool,
        tell: &(dyn Fn(Adopting) + Sync),
    ) -> Result<Adopted, Error> {
        let disk = self.0.stores.reader(store)?.clone();
        let adoption = Adoption { registry: self, store, disk, tell, adopted: Mutex::default() };
        adoption.disk.is_there()?;
        adoption.count().await;
        adoption.repositories().await?;
        if verify {
            adoption.verify().await?;
        }
        // A disk that went away meanwhile looks like one with less on it.
        adoption.disk.is_there()?;
        let holdings = self.0.metadata.holdings(store).await?;
        let mut adopted = *adoption.adopted();
        (adopted.blobs.all, adopted.bytes.all) = (holdings.objects, holdings.bytes);
        Ok(adopted)
    }
}

impl Adoption<'_> {
    fn adopted(&self) -> MutexGuard<'_, Adopted> {
        self.adopted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells how many repositories there are: names of folders are quickly read.
    async fn count(&self) {
        let found = walk(self.path(&distribution::repositories()));
        let count = found.filter(|walked| std::future::ready(matches!(walked, Walked::Repository(_)))).count().await;
        (self.tell)(Adopting::Repositories(count as u64));
    }

    async fn repositories(&self) -> Result<(), Error> {
        let found = walk(self.path(&distribution::repositories()));
        let mut done = found.map(|walked| self.walked(walked)).buffer_unordered(REPOSITORIES);
        while let Some(done) = done.next().await {
            done?;
        }
        Ok(())
    }

    async fn walked(&self, walked: Walked) -> Result<(), Error> {
        match walked {
            Walked::Repository(name) => {
                self.named(&name).await?;
                (self.tell)(Adopting::Repository);
            }
            Walked::Odd(path, what) => self.odd(path, Odd::from(what)),
            Walked::Unreadable(path, error) => self.odd(path, Odd::Unreadable(error)),
        }
        Ok(())
    }

    async fn named(&self, name: &str) -> Result<(), Error> {
        let path = self.path(&distribution::repositories()).join(name);
        match RepositoryName::parse(name) {
            Ok(name) if self.registry.0.metadata.repository_is_deleted(&name).await? => {
                self.odd(path, Odd::RepositoryDeleted);
                Ok(())
            }
            Ok(name) => self.repository(&name).await,
            Err(error) => {
                self.odd(path, Odd::Name(error));
                Ok(())
            }
        }
    }

    /// Blobs first, then the manifests that refer to them, then the tags that name these. Dying in between leaves what is true.
    async fn repository(&self, name: &RepositoryName) -> Result<(), Error> {
        let known = self.registry.0.metadata.repository_is_published(name).await?;
        self.layers(name).await?;
        let manifests = self.manifests(name).await?;
        self.absent(name).await?;
        self.tags(name).await?;
        self.registry.0.metadata.run(SettleLinks { repository: name.clone() }).await?;
        let folder = self.path(&distribution::repository(name));
        let uploads = self.names(folder.join("_uploads")).await;
        let mut adopted = self.adopted();
        adopted.uploads += uploads.len() as u64;
        if manifests > 0 {
            adopted.repositories.all += 1;
            adopted.repositories.new += u64::from(!known);
        } else {
            drop(adopted);
            self.odd(folder, Odd::NoManifests);
        }
        Ok(())
    }

    /// The algorithms that a folder has content by.
    async fn algorithms(&self, folder: &Path) -> Vec<Algorithm> {
        let mut algorithms = Vec::new();
        for name in self.names(folder.to_owned()).await {
            match name.parse() {
                Ok(algorithm) => algorithms.push(algorithm),
                Err(error) => self.odd(folder.join(&name), Odd::of_name(&name, Odd::Digest(error))),
            }
        }
        algorithms
    }

    /// The digests that the names in a folder stand for.
    fn digests(&self, folder: &Path, algorithm: Algorithm, names: Vec<String>) -> Vec<Digest> {
        let mut digests = Vec::with_capacity(names.len());
        for name in names {
            match Digest::parse(&format!("{algorithm}:{name}")) {
                Ok(digest) => digests.push(digest),
                Err(error) => self.odd(folder.join(&name), Odd::of_name(&name, Odd::Digest(error))),
            }
        }
        digests
    }

    /// All names in a folder that has few of them.
    async fn names(&self, folder: PathBuf) -> Vec<String> {
        let (mut listed, mut names) = (distribution::list(folder.clone()), Vec::new());
        while let Some(batch) = listed.next().await {
            match batch {
                Ok(batch) => names.extend(batch),
                Err(error) => self.odd(folder.clone(), Odd::Unreadable(error)),
            }
        }
        names
    }

    /// Tells of something odd, and counts it.
    fn odd(&self, path: impl AsRef<Path>, what: Odd) {
        let path = path.as_ref();
        let path = path.strip_prefix(self.disk.root()).unwrap_or(path).to_string_lossy().into_owned();
        {
            let mut adopted = self.adopted();
            if what.is_harmless() {
                adopted.harmless += 1;
            } else {
                adopted.left_out += 1;
            }
        }
        (self.tell)(Adopting::Odd(Oddity { path, what }));
    }

    fn path(&self, below: &str) -> PathBuf {
        self.disk.root().join(below)
    }

    /// Runs what blocks away from the tasks.
    async fn blocking<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        tokio::task::spawn_blocking(act).await.map_err(|_| Error::Broken)
    }
}

/// When a file was written, as far as that is not in the future.
fn written_at(path: &Path, now: Timestamp) -> io::Result<Timestamp> {
    Ok(Timestamp::from(fs::metadata(path)?.modified()?).min(now))
}
