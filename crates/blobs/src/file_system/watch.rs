//! For tests: sees every call below a folder, in order, with what it changes; may hold it up or fail it before it is made.
//!
//! With the feature `watch` the tests of other crates can do so too: those that lose the power
//! (`crates/cargohold/tests/power_loss`), and those that have a disk fail.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[cfg(test)]
use rustix::io::Errno;

use super::Failure;

/// What is done, without its details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the functions of `file_system`")]
pub enum Call {
    Open,
    Cut,
    Write,
    SyncData,
    SyncFolder,
    MakeFolder,
    Rename,
    Link,
    RemoveFile,
    RemoveFolder,
}

/// What is done to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'call> {
    /// A file is opened for writing, and made if it is not there.
    Open,
    /// A file gets this length.
    Cut {
        /// In bytes.
        length: u64,
    },
    /// A file gets these bytes.
    Write {
        /// The bytes.
        bytes: &'call [u8],
        /// Where the first of them goes.
        offset: u64,
    },
    /// A file's bytes and length are on the disk.
    SyncData,
    /// A folder's entries are on the disk.
    SyncFolder,
    /// A folder is made, unless it is there.
    MakeFolder,
    /// A file comes from another path; nothing was here.
    Rename {
        /// Where it was.
        from: &'call Path,
    },
    /// A file gets this path as a second name; nothing was here.
    Link {
        /// Its first name.
        from: &'call Path,
    },
    /// A file loses this name.
    RemoveFile,
    /// An empty folder goes.
    RemoveFolder,
}

/// Watches until it is dropped.
pub struct Watch {
    watcher: Arc<Watcher>,
}

struct Watcher {
    root: PathBuf,
    calls: Mutex<Vec<(Call, PathBuf)>>,
    before: Box<Before>,
    after: Box<After>,
}

/// A call that is about to be made.
pub(super) struct Watched<'call> {
    change: Change<'call>,
    path: &'call Path,
    watchers: Vec<Arc<Watcher>>,
}

type Before = dyn Fn(Call, &Path) -> io::Result<()> + Send + Sync;
type After = dyn Fn(Change<'_>, &Path) + Send + Sync;

static WATCHERS: Mutex<Vec<Arc<Watcher>>> = Mutex::new(Vec::new());

impl Change<'_> {
    /// What is done, without its details.
    pub fn call(self) -> Call {
        match self {
            Self::Open => Call::Open,
            Self::Cut { .. } => Call::Cut,
            Self::Write { .. } => Call::Write,
            Self::SyncData => Call::SyncData,
            Self::SyncFolder => Call::SyncFolder,
            Self::MakeFolder => Call::MakeFolder,
            Self::Rename { .. } => Call::Rename,
            Self::Link { .. } => Call::Link,
            Self::RemoveFile => Call::RemoveFile,
            Self::RemoveFolder => Call::RemoveFolder,
        }
    }
}

impl Watch {
    /// The calls that were begun so far, their paths below the root.
    pub fn calls(&self) -> Vec<(Call, String)> {
        let calls = held(&self.watcher.calls);
        calls.iter().map(|(call, path)| (*call, path.display().to_string())).collect()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        held(&WATCHERS).retain(|watcher| !Arc::ptr_eq(watcher, &self.watcher));
    }
}

/// Has `before` asked before every call at or below `root`; it is given the path below it.
pub fn watch(root: &Path, before: impl Fn(Call, &Path) -> io::Result<()> + Send + Sync + 'static) -> Watch {
    follow(root, before, |_, _| {})
}

/// Has `before` asked before every call at or below `root`, and `after` told once it was made. They are given the path below
/// it; where else a file comes from is a whole path.
pub fn follow(
    root: &Path,
    before: impl Fn(Call, &Path) -> io::Result<()> + Send + Sync + 'static,
    after: impl Fn(Change<'_>, &Path) + Send + Sync + 'static,
) -> Watch {
    let (before, after) = (Box::new(before), Box::new(after));
    let watcher = Arc::new(Watcher { root: root.to_owned(), calls: Mutex::default(), before, after });
    held(&WATCHERS).push(Arc::clone(&watcher));
    Watch { watcher }
}

/// Only looks on.
#[cfg(test)]
pub(crate) fn record(root: &Path) -> Watch {
    watch(root, |_, _| Ok(()))
}

/// Fails every call of one kind.
#[cfg(test)]
pub(crate) fn fail(root: &Path, failing: Call, errno: Errno) -> Watch {
    watch(root, move |call, _| if call == failing { Err(errno.into()) } else { Ok(()) })
}

/// Asks those who watch whether a call may be made.
pub(super) fn begin<'call>(change: Change<'call>, path: &'call Path) -> Result<Watched<'call>, Failure> {
    let watchers = held(&WATCHERS).clone();
    for watcher in &watchers {
        let Ok(below) = path.strip_prefix(&watcher.root) else { continue };
        held(&watcher.calls).push((change.call(), below.to_owned()));
        (watcher.before)(change.call(), below).map_err(|source| Failure::new(path, source))?;
    }
    Ok(Watched { change, path, watchers })
}

impl Watched<'_> {
    /// Tells those who watch that it was made.
    pub(super) fn made(self) {
        for watcher in &self.watchers {
            if let Ok(below) = self.path.strip_prefix(&watcher.root) {
                (watcher.after)(self.change, below);
            }
        }
    }
}

/// A test that failed while it held something is no reason for others to fail.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
