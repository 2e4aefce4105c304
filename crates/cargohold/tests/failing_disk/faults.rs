//! The disk's moods: which calls fail, and which are held up.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex},
};

use cargohold_blobs::watch::{self, Call, Watch};
use rustix::io::Errno;

use crate::{audit::Audit, random::Random};

/// A disk that can be told to misbehave.
#[derive(Debug)]
pub(crate) struct Faults {
    file_system: FileSystem,
    mood: Mutex<Mood>,
    /// Calls that were held up and not let go yet, and whether they are let go.
    held: Mutex<Held>,
    changed: Condvar,
    /// Calls that failed.
    struck: Mutex<Vec<Strike>>,
    pub(crate) audit: Mutex<Audit>,
}

/// The disk and the way it is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileSystem {
    Usual,
    /// One that cannot rename without replacing.
    WithoutRename,
}

/// What becomes of a call.
#[derive(Debug)]
pub(crate) enum Mood {
    /// It is made.
    Good,
    /// So many are made, and the next fails.
    Fails(usize, Errno),
    /// All fail that are of such a kind.
    Refuses(fn(Call) -> bool, Errno),
    /// Each fails by chance, so many in a hundred.
    Chance(Random, usize),
    /// Those that are of this kind wait, at a path that contains this.
    Holds(Call, String),
}

/// A call that failed.
#[derive(Clone, Debug)]
pub(crate) struct Strike {
    pub(crate) call: Call,
    pub(crate) path: PathBuf,
    pub(crate) error: Errno,
}

/// What becomes of one call.
enum Fate {
    Made,
    Held,
    Failed(Errno),
}

#[derive(Debug, Default)]
struct Held {
    calls: usize,
    let_go: bool,
}

/// What a disk says that fails, is full, cannot be written, or is as full as this user may make it.
pub(crate) const ERRORS: [Errno; 4] = [Errno::IO, Errno::NOSPC, Errno::ROFS, Errno::DQUOT];

impl Faults {
    /// Watches the folder `root`.
    pub(crate) fn below(root: &Path, file_system: FileSystem) -> (Arc<Self>, Watch) {
        let faults = Arc::new(Self {
            file_system,
            mood: Mutex::new(Mood::Good),
            held: Mutex::default(),
            changed: Condvar::new(),
            struck: Mutex::default(),
            audit: Mutex::default(),
        });
        let (before, after, whole) = (faults.clone(), faults.clone(), root.to_owned());
        let watch = watch::follow(
            root,
            move |call, path| before.befall(call, path),
            move |change, path| after.audit.lock().unwrap().made(&whole, change, path),
        );
        (faults, watch)
    }

    /// From now on the disk is in that mood; whatever was held up goes on.
    pub(crate) fn set(&self, mood: Mood) {
        let holds = matches!(mood, Mood::Holds(..));
        *self.mood.lock().unwrap() = mood;
        *self.held.lock().unwrap() = Held { calls: 0, let_go: !holds };
        self.changed.notify_all();
    }

    /// Waits until so many calls are held up.
    pub(crate) fn wait_for_held(&self, calls: usize) {
        let held = self.held.lock().unwrap();
        let (held, waited) = self.changed.wait_timeout_while(held, crate::PATIENCE, |held| held.calls < calls).unwrap();
        assert!(!waited.timed_out(), "{} of {calls} calls came", held.calls);
    }

    /// The calls that failed since this was asked for the last time.
    pub(crate) fn take_strikes(&self) -> Vec<Strike> {
        std::mem::take(&mut self.struck.lock().unwrap())
    }

    fn befall(&self, call: Call, path: &Path) -> io::Result<()> {
        if self.file_system == FileSystem::WithoutRename && call == Call::Rename {
            return Err(Errno::INVAL.into());
        }
        let fate = self.mood.lock().unwrap().judge(call, path);
        let error = match fate {
            Fate::Made => return Ok(()),
            Fate::Held => {
                self.hold();
                return Ok(());
            }
            Fate::Failed(error) => error,
        };
        self.audit.lock().unwrap().failed(call, path);
        self.struck.lock().unwrap().push(Strike { call, path: path.to_owned(), error });
        Err(error.into())
    }

    fn hold(&self) {
        let mut held = self.held.lock().unwrap();
        held.calls += 1;
        self.changed.notify_all();
        drop(self.changed.wait_while(held, |held| !held.let_go).unwrap());
    }
}

impl Mood {
    fn judge(&mut self, call: Call, path: &Path) -> Fate {
        match self {
            Self::Good => Fate::Made,
            Self::Fails(0, error) => {
                let error = *error;
                *self = Self::Good;
                Fate::Failed(error)
            }
            Self::Fails(calls, _) => {
                *calls -= 1;
                Fate::Made
            }
            Self::Refuses(which, error) => {
                if which(call) {
                    Fate::Failed(*error)
                } else {
                    Fate::Made
                }
            }
            Self::Chance(random, percent) => {
                if random.chance(*percent) {
                    Fate::Failed(random.pick(&ERRORS))
                } else {
                    Fate::Made
                }
            }
            Self::Holds(which, at) => {
                let is_meant = *which == call && path.to_string_lossy().contains(at.as_str());
                if is_meant { Fate::Held } else { Fate::Made }
            }
        }
    }
}

impl fmt::Display for Strike {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} of {} failed with {:?}", self.call, self.path.display(), self.error)
    }
}
