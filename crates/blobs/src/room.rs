//! Room on the disk: some of it is kept free, so that the facts can still be written when bytes cannot.
//!
//! A database that finds its disk full can record no deletion either, which is what would give space back.

use std::{io, path::Path, sync::atomic::AtomicU64, sync::atomic::Ordering};

use crate::{Error, LocalDisk, file_system::Failure};

/// How much room there is on a disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What it holds in all.
    pub size: u64,
    /// What is free for us; what only the administrator may use does not count.
    pub free: u64,
    /// What is kept free.
    pub reserve: u64,
}

/// How much of a disk is kept free.
#[derive(Debug, Default)]
pub(crate) struct Reserve(AtomicU64);

impl Reserve {
    /// Fails as a full disk does unless so many more bytes leave the reserve untouched. Blocks.
    pub(crate) fn require(&self, root: &Path, bytes: u64) -> Result<(), Failure> {
        let reserve = self.0.load(Ordering::Relaxed);
        if reserve == 0 {
            return Ok(());
        }
        let failed = |source| Failure { path: root.to_owned(), source };
        let disk = rustix::fs::statvfs(root).map_err(|error| failed(error.into()))?;
        // What only the administrator may use does not count.
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free >= reserve.saturating_add(bytes) { Ok(()) } else { Err(failed(io::ErrorKind::StorageFull.into())) }
    }
}

impl LocalDisk {
    /// Keeps so many bytes of the disk free from now on: what would use them is refused as if the disk were full.
    pub fn keep_free(&self, bytes: u64) {
        self.reserve().0.store(bytes, Ordering::Relaxed);
    }

    /// How much room there is. Blocks.
    pub fn space(&self) -> io::Result<Space> {
        let disk = rustix::fs::statvfs(self.root())?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        let reserve = self.reserve().0.load(Ordering::Relaxed);
        Ok(Space { size: bytes(disk.f_blocks), free: bytes(disk.f_bavail), reserve })
    }

    /// Fails with [`Error::NoSpace`] unless there is room for so many more bytes.
    pub async fn require_room(&self, bytes: u64) -> Result<(), Error> {
        self.blocking(move |disk| Ok(disk.reserve.require(disk.root(), bytes)?)).await
    }
}
