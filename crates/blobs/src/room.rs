//! Room on the disk: some of it is kept free, so that the facts can still be written when bytes cannot.
//!
//! A database that finds its disk full can record no deletion either, which is what would give space back.

use std::{
    io,
    path::Path,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{Error, LocalDisk, file_system::Failure};

/// How long what was seen of a disk says that it has plenty of room.
const LATELY: Duration = Duration::from_millis(100);
/// What a disk is taken not to lose within that time, in bytes.
const PLENTY: u64 = 4 << 30;

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
pub(crate) struct Reserve {
    bytes: AtomicU64,
    /// What was free when that was last looked at.
    seen: Mutex<Option<(Instant, u64)>>,
}

impl Space {
    fn of(root: &Path, reserve: u64) -> io::Result<Self> {
        let disk = rustix::fs::statvfs(root)?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        Ok(Self { size: bytes(disk.f_blocks), free: bytes(disk.f_bavail), reserve })
    }
}

impl Reserve {
    /// Fails as a full disk does unless so many more bytes leave the reserve untouched. Blocks.
    pub(crate) fn require(&self, root: &Path, bytes: u64) -> Result<(), Failure> {
        let reserve = self.bytes.load(Ordering::Relaxed);
        if reserve == 0 {
            return Ok(());
        }
        let failed = |source: io::Error| Failure::new(root, source);
        let Space { free, .. } = Space::of(root, reserve).map_err(failed)?;
        *self.seen() = Some((Instant::now(), free));
        if free >= reserve.saturating_add(bytes) { Ok(()) } else { Err(failed(io::ErrorKind::StorageFull.into())) }
    }

    /// Whether there is so much room that the disk need not be looked at for so many more bytes.
    fn is_ample(&self, bytes: u64) -> bool {
        let reserve = self.bytes.load(Ordering::Relaxed);
        let needed = reserve.saturating_add(bytes).saturating_add(PLENTY);
        reserve == 0 || self.seen().is_some_and(|(at, free)| at.elapsed() < LATELY && free >= needed)
    }

    fn seen(&self) -> MutexGuard<'_, Option<(Instant, u64)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LocalDisk {
    /// Keeps so many bytes of the disk free from now on: what would use them is refused as if the disk were full.
    pub fn keep_free(&self, bytes: u64) {
        self.reserve().bytes.store(bytes, Ordering::Relaxed);
    }

    /// How much room there is. Blocks.
    pub fn space(&self) -> io::Result<Space> {
        Space::of(self.root(), self.reserve().bytes.load(Ordering::Relaxed))
    }

    /// Fails with [`Error::NoSpace`] unless there is room for so many more bytes. What is written is measured again: this spares
    /// clients the sending, and must cost next to nothing.
    pub async fn require_room(&self, bytes: u64) -> Result<(), Error> {
        if self.reserve().is_ample(bytes) {
            return Ok(());
        }
        self.blocking(move |disk| Ok(disk.reserve.require(disk.root(), bytes)?)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plenty_is_taken_on_trust_and_not_for_long() {
        let reserve = Reserve::default();
        assert!(reserve.is_ample(u64::MAX), "nothing is kept free");
        reserve.bytes.store(100, Ordering::Relaxed);
        assert!(!reserve.is_ample(0), "nobody has looked");
        *reserve.seen() = Some((Instant::now(), PLENTY + 110));
        assert!(reserve.is_ample(10));
        assert!(!reserve.is_ample(11));
        *reserve.seen() = Instant::now().checked_sub(LATELY).map(|before| (before, u64::MAX));
        assert!(!reserve.is_ample(0));
    }

    #[test]
    fn whoever_looks_remembers() {
        let (folder, reserve) = (tempfile::tempdir().unwrap(), Reserve::default());
        reserve.bytes.store(1, Ordering::Relaxed);
        reserve.require(folder.path(), 0).unwrap();
        assert!(reserve.seen().is_some_and(|(_, free)| free > 0));
    }
}
