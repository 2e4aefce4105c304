//! A store that is a folder on a disk of this machine: finished blobs in the layout of the CNCF registry, uploads in progress in
//! `uploads/`, and a marker that names the store.
//!
//! What a method reports is on the disk when it returns. Files are read, moved and removed on the pool for blocking work. That
//! the folder has one owner, and that each file has its row, is for the caller.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cargohold_oci::UploadId;

use crate::claim::Claims;
use crate::file_system::Failure;
use crate::folders::{self, Folders};
use crate::key::{BLOBS, UPLOADS};
use crate::placing::{self, Placed};
use crate::room::Reserve;
use crate::{Error, Failed, Key, MarkerError, ReadOnlyDisk, UploadClaim, marker};

/// A folder with bytes in it. Cloning is cheap and gives the same store.
#[derive(Debug, Clone)]
pub struct LocalDisk {
    disk: Arc<Disk>,
}

#[derive(Debug)]
pub(crate) struct Disk {
    reader: ReadOnlyDisk,
    folders: Folders,
    claims: Arc<Claims>,
    pub(crate) reserve: Reserve,
}

impl LocalDisk {
    /// Opens the store `store_id` in the folder `root`, and makes what is missing of it, so that a folder without a marker
    /// becomes that store. Blocks.
    ///
    /// For a store that the facts know already, [`LocalDisk::reopen`] tells a disk that is not mounted from a new one.
    /// Fails with [`Error::StoreAway`] if the folder is another store.
    pub fn open(root: &Path, store_id: i64) -> Result<Self, Error> {
        let disk = Disk::new(root, store_id)?;
        let is_new = match disk.is_there() {
            Err(Error::StoreAway { source: MarkerError::Missing, .. }) => true,
            result => result.map(|()| false)?,
        };
        disk.make()?;
        if is_new {
            marker::write(disk.root(), store_id)?;
        }
        Ok(Self { disk: Arc::new(disk) })
    }

    /// Opens the store `store_id`, which was opened in the folder `root` before; a folder without a marker is
    /// [`Error::StoreAway`]. Blocks.
    pub fn reopen(root: &Path, store_id: i64) -> Result<Self, Error> {
        let disk = Disk::new(root, store_id)?;
        disk.is_there()?;
        disk.make()?;
        Ok(Self { disk: Arc::new(disk) })
    }

    /// The half of it that reads.
    pub fn reader(&self) -> &ReadOnlyDisk {
        &self.disk.reader
    }

    pub(crate) fn root(&self) -> &Path {
        self.disk.root()
    }

    pub(crate) fn reserve(&self) -> &Reserve {
        &self.disk.reserve
    }

    /// Claims the right to write an upload. The newest claimant wins: older ones in this process are told to stop, and this
    /// returns once the last of them is gone, with every write that it began.
    ///
    /// **Claim first, then ask the facts** how much was acknowledged. The other way round a request that was slow between the two
    /// would write over what a faster one has meanwhile written and acknowledged.
    pub async fn claim(&self, id: UploadId) -> UploadClaim {
        let turn = self.disk.claims.take(id).await;
        UploadClaim { disk: Arc::clone(&self.disk), turn: Arc::new(turn), synced: None }
    }

    /// Moves the staged file of an upload to `to`, durably. A file is never replaced.
    ///
    /// The claim is one that a writer gave back after its last sync, or it is [`Error::Unsynced`]; what the file holds beyond
    /// that is cut off. Fails with [`Error::Occupied`] if a file is in the way, [`Error::NotFound`] if nothing is staged,
    /// [`Error::Truncated`] if less is than was synced, and [`Error::Stopped`] if a newer claimant came. Once begun it is carried
    /// out, even if the future is dropped.
    pub async fn publish(&self, claim: &UploadClaim, to: &Key) -> Result<(), Failed> {
        claim.go_on().map_err(Failed::sure)?;
        let Some(length) = claim.synced else {
            return Err(Failed::sure(Error::Unsynced { id: claim.id() }));
        };
        let (turn, staging, place) = (Arc::clone(&claim.turn), Key::staging(claim.id()), to.clone());
        let publishing = self.blocking(move |disk| {
            // The turn ends with what runs here, not with the request that asked for it.
            let _turn = turn;
            Ok(disk.publish(&staging, length, &place))
        });
        publishing.await.unwrap_or_else(|error| Err(Failed::unsure(error)))
    }

    /// Removes an object, durably; one that is not there is removed. Once begun it is carried out, even if the future is dropped.
    ///
    /// Whoever removes a staged file holds the claim of its upload. While the store is away, nothing is removed.
    pub async fn remove(&self, key: &Key) -> Result<(), Error> {
        let key = key.clone();
        self.blocking(move |disk| {
            disk.is_there()?;
            placing::remove(disk.root(), &key).map_err(|failure| disk.explain(&key, failure))
        })
        .await
    }

    /// Runs what blocks away from the tasks.
    pub(crate) async fn blocking<T, F>(&self, act: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Disk) -> Result<T, Error> + Send + 'static,
    {
        let disk = Arc::clone(&self.disk);
        let task = tokio::task::spawn_blocking(move || act(&disk));
        task.await.unwrap_or_else(|ended| Err(Error::Io { path: self.root().to_owned(), source: ended.into() }))
    }
}

impl Disk {
    fn new(root: &Path, store_id: i64) -> Result<Self, Error> {
        let root = std::path::absolute(root).map_err(|source| Error::Io { path: root.to_owned(), source })?;
        let folders = Folders::new(root.clone());
        let reader = ReadOnlyDisk::ours(root, store_id);
        Ok(Self { reader, folders, claims: Arc::default(), reserve: Reserve::default() })
    }

    /// Makes the folders of the store.
    fn make(&self) -> Result<(), Failure> {
        folders::make_root(self.root())?;
        self.folders.make_for_good(UPLOADS)?;
        self.folders.make_for_good(BLOBS)?;
        Ok(())
    }

    /// Fails with [`Error::StoreAway`] unless the marker is there and names this store.
    fn is_there(&self) -> Result<(), Error> {
        self.reader.is_there()
    }

    fn publish(&self, staging: &Key, length: u64, to: &Key) -> Result<(), Failed> {
        let failed = |failure| Failed::of(self, staging, failure);
        let from = self.path(staging);
        let found = placing::length(&from).map_err(failed)?;
        if found < length {
            return Err(Failed::sure(Error::Truncated { key: staging.clone(), received: length, length: found }));
        }
        if found > length {
            placing::cut_off(&from, length).map_err(failed)?;
        }
        match placing::publish(self.root(), &self.folders, &from, to).map_err(failed)? {
            Placed::There => Ok(()),
            Placed::Occupied => Err(Failed::sure(Error::Occupied { key: to.clone() })),
        }
    }

    pub(crate) fn path(&self, key: &Key) -> PathBuf {
        self.root().join(key.as_str())
    }

    pub(crate) fn root(&self) -> &Path {
        self.reader.root()
    }

    /// What a failed call means for the object at `key`. Blocks.
    pub(crate) fn explain(&self, key: &Key, failure: Failure) -> Error {
        self.reader.explain(key, failure)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path: failure.path },
            _ => Self::Io { path: failure.path, source: failure.source },
        }
    }
}

#[cfg(test)]
mod tests;
