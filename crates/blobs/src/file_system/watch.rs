//! For tests: sees every call below a folder before it is made, in order, and may hold it up or fail it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustix::io::Errno;

use super::Failure;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
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

/// Watches until it is dropped.
pub(crate) struct Watch {
    watcher: Arc<Watcher>,
}

struct Watcher {
    root: PathBuf,
    calls: Mutex<Vec<(Call, PathBuf)>>,
    hook: Box<Hook>,
}

type Hook = dyn Fn(Call, &Path) -> io::Result<()> + Send + Sync;

static WATCHERS: Mutex<Vec<Arc<Watcher>>> = Mutex::new(Vec::new());

impl Watch {
    /// The calls so far, their paths below the root.
    pub(crate) fn calls(&self) -> Vec<(Call, String)> {
        let calls = self.watcher.calls.lock().unwrap();
        calls.iter().map(|(call, path)| (*call, path.display().to_string())).collect()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHERS.lock().unwrap().retain(|watcher| !Arc::ptr_eq(watcher, &self.watcher));
    }
}

/// Has `hook` asked before every call at or below `root`; it is given the path below it.
pub(crate) fn watch(root: &Path, hook: impl Fn(Call, &Path) -> io::Result<()> + Send + Sync + 'static) -> Watch {
    let watcher = Watcher { root: root.to_owned(), calls: Mutex::default(), hook: Box::new(hook) };
    let watcher = Arc::new(watcher);
    WATCHERS.lock().unwrap().push(Arc::clone(&watcher));
    Watch { watcher }
}

/// Only looks on.
pub(crate) fn record(root: &Path) -> Watch {
    watch(root, |_, _| Ok(()))
}

/// Fails every call of one kind.
pub(crate) fn fail(root: &Path, failing: Call, errno: Errno) -> Watch {
    watch(root, move |call, _| if call == failing { Err(errno.into()) } else { Ok(()) })
}

pub(super) fn call(call: Call, path: &Path) -> Result<(), Failure> {
    let watchers = WATCHERS.lock().unwrap().clone();
    for watcher in watchers {
        let Ok(below) = path.strip_prefix(&watcher.root) else { continue };
        watcher.calls.lock().unwrap().push((call, below.to_owned()));
        (watcher.hook)(call, below).map_err(|source| Failure { path: path.to_owned(), source })?;
    }
    Ok(())
}
