//! Reads of a file that never make an async worker wait for a disk.
//!
//! [`CachedFile`] asks the kernel what its page cache holds: a read with `RWF_NOWAIT` returns what is in memory and
//! fails with `EAGAIN` instead of waiting. What is not there is brought in by [`CachedFile::prefetch`] or
//! [`CachedFile::read_exact_at`], both of which block and belong on the blocking pool; deciding when to go there is
//! left to the callers.
//!
//! Some file systems do not know `RWF_NOWAIT` (`EOPNOTSUPP`: tmpfs before Linux 6.6, overlayfs). Those that live in
//! memory are always resident, so a plain read serves; of the others nothing is known, so nothing counts as resident.

use std::{
    fs::File,
    io::{self, IoSliceMut},
    iter,
    num::NonZeroU64,
    ops::Range,
    os::unix::fs::FileExt,
    sync::{Arc, OnceLock},
};

use rustix::{
    fs::Advice,
    io::{Errno, ReadWriteFlags},
};

/// The unit in which residency is asked for and brought about, in bytes.
///
/// 128 KiB is the kernel's readahead window unless an administrator changed it, so pages come in, and hints are
/// heard, in runs of about that length. A hole inside a run is not seen; it costs whoever reads it one short wait.
/// Asking in these steps takes 3.5 to 4 ms of CPU time a GiB, under 3 % of what sending it takes.
const RUN: u64 = 128 * 1024;

/// The magic numbers of file systems whose files are memory (statfs(2)).
const TMPFS_MAGIC: i64 = 0x0102_1994;
const RAMFS_MAGIC: i64 = 0x8584_58f6;

/// An open file together with what is known about probing it; clones share both.
#[derive(Clone, Debug)]
pub(crate) struct CachedFile(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    file: Arc<File>,
    /// Set once the file system has refused `RWF_NOWAIT`.
    refused: OnceLock<Fallback>,
}

/// What holds for a file whose file system does not know `RWF_NOWAIT`.
#[derive(Clone, Copy, Debug)]
enum Fallback {
    /// Every byte is in memory.
    AlwaysResident,
    /// Nobody can tell without waiting.
    Unknown,
}

impl CachedFile {
    pub(crate) fn new(file: Arc<File>) -> CachedFile {
        CachedFile(Arc::new(Shared { file, refused: OnceLock::new() }))
    }

    pub(crate) fn file(&self) -> &File {
        &self.0.file
    }

    /// Reads what is in memory at `offset`, at most `buffer.len()` bytes; 0 at the end of the file.
    ///
    /// `None` if the read would have to wait.
    pub(crate) fn read_resident(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        loop {
            match self.0.refused.get() {
                Some(Fallback::AlwaysResident) => return self.file().read_at(buffer, offset).map(Some),
                Some(Fallback::Unknown) => return Ok(None),
                None => {}
            }
            match rustix::io::preadv2(self.file(), &mut [IoSliceMut::new(buffer)], offset, ReadWriteFlags::NOWAIT) {
                Ok(read) => return Ok(Some(read)),
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                    self.0.refused.get_or_init(|| self.fallback());
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// How many bytes of `range`, counted from its start, can be read without waiting, as far as one byte of each
    /// run can tell.
    pub(crate) fn resident_prefix(&self, range: Range<u64>) -> io::Result<u64> {
        let mut resident = 0;
        for run in runs(range.clone()) {
            if self.read_resident(&mut [0], run.start)?.is_none() {
                break;
            }
            if let Some(Fallback::AlwaysResident) = self.0.refused.get() {
                return Ok(range.end - range.start);
            }
            resident = run.end - range.start;
        }
        Ok(resident)
    }

    /// Brings `range` into the page cache and starts, without waiting, to bring in `ahead`. Blocks.
    ///
    /// The kernel reads all runs at once; both ends of each are waited for, which costs a fraction of reading all of
    /// it. If the kernel does not heed the hints, the middles stay cold: slow, not wrong.
    pub(crate) fn prefetch(&self, range: Range<u64>, ahead: Range<u64>) -> io::Result<()> {
        runs(range.clone()).for_each(|run| self.will_need(&run));
        for run in runs(range) {
            self.read_exact_at(&mut [0], run.start)?;
            self.read_exact_at(&mut [0], run.end - 1)?;
        }
        runs(ahead).for_each(|run| self.will_need(&run));
        Ok(())
    }

    /// Fills `buffer` from `offset`; the file ending first is an error. Blocks.
    pub(crate) fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file().read_exact_at(buffer, offset)
    }

    /// Asks the kernel to read `range` in the background, which it may or may not do.
    fn will_need(&self, range: &Range<u64>) {
        let length = NonZeroU64::new(range.end.saturating_sub(range.start));
        let _ = rustix::fs::fadvise(self.file(), range.start, length, Advice::WillNeed);
    }

    fn fallback(&self) -> Fallback {
        match rustix::fs::fstatfs(self.file()) {
            Ok(system) if matches!(system.f_type, TMPFS_MAGIC | RAMFS_MAGIC) => Fallback::AlwaysResident,
            _ => Fallback::Unknown,
        }
    }
}

/// `range` in pieces that end at multiples of [`RUN`], none of them empty.
fn runs(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let mut next = range.start;
    iter::from_fn(move || {
        let start = next;
        next = ((start / RUN + 1) * RUN).min(range.end);
        (start < next).then_some(start..next)
    })
}

#[cfg(test)]
pub(crate) mod tests;
