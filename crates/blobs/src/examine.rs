//! Reading an object to its end, to see what it really is.

use std::{
    fs::File,
    io::{self, Read as _},
    num::NonZeroU64,
    path::Path,
    sync::Weak,
    thread,
    time::{Duration, Instant},
};

use cargohold_oci::{Algorithm, Digest};

use crate::{HashState, file_system::Failure};

/// How much is read at once.
pub(crate) const READ_BYTES: usize = 256 * 1024;

/// What an object was seen to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Examined {
    /// The digest of its bytes.
    pub digest: Digest,
    /// How many there are.
    pub size: u64,
}

/// How an object is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As fast as the disk gives it.
    Fast,
    /// At most so many bytes in a second, leaving none of them in the page cache.
    Gentle(NonZeroU64),
}

/// Reads a file, at most its first `most` bytes, or fails with any error once nobody wants it any more. Blocks.
pub(crate) fn examine(
    path: &Path,
    most: u64,
    algorithm: Algorithm,
    pace: Pace,
    still_wanted: &Weak<()>,
) -> Result<Examined, Failure> {
    let failed = |source: io::Error| Failure::new(path, source);
    let mut file = File::open(path).map_err(failed)?.take(most);
    let (mut hash, mut size) = (HashState::new(algorithm), 0);
    let mut buffer = vec![0; READ_BYTES];
    let begun = Instant::now();
    while still_wanted.strong_count() > 0 {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Examined { digest: hash.finish(), size }),
            Ok(length) => {
                hash.update(&buffer[..length]);
                size += length as u64;
                pace.keep(file.get_ref(), size, begun);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Err(failed(io::ErrorKind::Interrupted.into()))
}

impl Pace {
    /// Waits until so many bytes may have been read, and lets go of the last of them.
    fn keep(self, file: &File, read: u64, begun: Instant) {
        let Self::Gentle(a_second) = self else { return };
        // Advice that is not taken changes nothing.
        rustix::fs::fadvise(file, read.saturating_sub(READ_BYTES as u64), None, rustix::fs::Advice::DontNeed).ok();
        let due = Duration::from_secs(read / a_second)
            + Duration::from_nanos(read % a_second * 1_000_000_000 / a_second.get().max(1));
        thread::sleep(due.saturating_sub(begun.elapsed()));
    }
}
