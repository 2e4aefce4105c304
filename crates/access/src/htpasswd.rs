//! Users and their passwords from a file of Apache's `htpasswd`, hashed with bcrypt; other hashes are too weak to be taken.
//!
//! The file is read again once it has changed. Checking a password takes a tenth of a second by design, so it happens on the pool
//! for blocking work, a few at a time, and what was right is remembered (as a fingerprint, never the password) until the file
//! changes. Somebody who is not in the file costs as much time as somebody who is.

use std::{
    collections::{HashMap, HashSet},
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tokio::sync::Semaphore;

use crate::TokenKey;

/// The largest file, in bytes: some hundred thousand users.
const MOST_BYTES: u64 = 16 * 1024 * 1024;
/// How many passwords are remembered that were right.
const MOST_REMEMBERED: usize = 4096;
/// How often the file is looked at, at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a sign-in waits for those before it.
const PATIENCE: Duration = Duration::from_secs(20);
/// No password is longer in what bcrypt looks at, and none is longer than this.
const MOST_PASSWORD: usize = 4096;
/// Of nobody's password: what follows bcrypt's version and cost.
const NOBODY: &str = "abcdefghijklmnopqrstuuBoO7fTBPiBCuyQnKnMWmbVWdMLLAOOO";
/// Version and cost where there is no user to take them from.
const USUAL: &str = "$2b$10$";

/// Users from a file.
#[derive(Debug)]
pub struct Htpasswd {
    path: PathBuf,
    key: TokenKey,
    current: Mutex<Current>,
    /// Who checks a password right now.
    checks: Semaphore,
}

#[derive(Debug)]
struct Current {
    users: Arc<Users>,
    stamp: Stamp,
    looked: Instant,
}

/// What the file holds, and which passwords were found right since it was read.
#[derive(Debug)]
struct Users {
    hashes: HashMap<String, String>,
    /// What the password of somebody who is not there is compared with: by the cost of the first user's, so that it takes as long.
    nobody: String,
    remembered: Mutex<HashSet<[u8; 32]>>,
}

/// Tells whether a file has changed.
type Stamp = Option<(SystemTime, u64, u64)>;

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum HtpasswdError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is not what it has to be.
    #[error("{path}:{line}: {reason}", path = .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// What is wrong.
        reason: &'static str,
    },
}

/// Why a password was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejected {
    Wrong,
    /// So many are being checked that it was not its turn.
    Busy,
}

impl Htpasswd {
    /// Reads the file. `key` is for what is remembered.
    pub fn open(path: &Path, key: TokenKey) -> Result<Self, HtpasswdError> {
        let stamp = stamp(path);
        let users = Arc::new(Users::read(path)?);
        let checks = std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
        Ok(Self {
            path: path.to_owned(),
            key,
            current: Mutex::new(Current { users, stamp, looked: Instant::now() }),
            checks: Semaphore::new(checks),
        })
    }

    /// Whether this is the user's password.
    pub(crate) async fn check(self: &Arc<Self>, user: &str, password: &str) -> Result<(), Rejected> {
        if password.len() > MOST_PASSWORD || user.is_empty() {
            return Err(Rejected::Wrong);
        }
        self.look();
        let users = self.users();
        let shown = self.key.fingerprint(&[user, password]);
        if users.remembers(&shown) {
            return Ok(());
        }
        let turn = tokio::time::timeout(PATIENCE, self.checks.acquire());
        let Ok(Ok(_turn)) = turn.await else { return Err(Rejected::Busy) };
        if users.remembers(&shown) {
            return Ok(());
        }
        let hash = users.hashes.get(user).unwrap_or(&users.nobody).clone();
        let (password, known) = (password.to_owned(), users.hashes.contains_key(user));
        let checked = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash).unwrap_or(false));
        if !(checked.await.unwrap_or(false) && known) {
            return Err(Rejected::Wrong);
        }
        users.remember(shown);
        Ok(())
    }

    /// What stands for the user's present password; nothing for somebody who is not there.
    pub(crate) fn version(self: &Arc<Self>, user: &str) -> Option<String> {
        self.look();
        let users = self.users();
        let hash = users.hashes.get(user)?;
        Some(URL_SAFE_NO_PAD.encode(&self.key.fingerprint(&[hash])[..12]))
    }

    /// Has the file looked at, if that was not done within the last second. Nobody waits for it.
    fn look(self: &Arc<Self>) {
        {
            let mut current = self.current();
            if current.looked.elapsed() < LOOK_EVERY {
                return;
            }
            current.looked = Instant::now();
        }
        let this = Arc::clone(self);
        tokio::task::spawn_blocking(move || this.reload());
    }

    /// Reads the file if it has changed. One that cannot be read changes nothing.
    pub(crate) fn reload(&self) {
        let found = stamp(&self.path);
        if found != self.current().stamp {
            // What came of it is in the log.
            let _ = self.read_again();
        }
    }

    /// Reads the file, whether it has changed or not. One that cannot be read changes nothing. Blocks.
    pub fn read_again(&self) -> Result<(), HtpasswdError> {
        let found = stamp(&self.path);
        match Users::read(&self.path) {
            Ok(users) => {
                tracing::info!(path = %self.path.display(), users = users.hashes.len(), "users were read again");
                let mut current = self.current();
                (current.users, current.stamp) = (Arc::new(users), found);
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "users could not be read again: those from before stay");
                self.current().stamp = found;
                Err(error)
            }
        }
    }

    fn users(&self) -> Arc<Users> {
        self.current().users.clone()
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Users {
    fn read(path: &Path) -> Result<Self, HtpasswdError> {
        let unreadable = |source| HtpasswdError::Unreadable { path: path.to_owned(), source };
        let mut text = String::new();
        let file = fs::File::open(path).map_err(unreadable)?;
        if file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(unreadable)? as u64 > MOST_BYTES {
            return Err(unreadable(io::Error::other(format!("it has more than {MOST_BYTES} bytes"))));
        }
        Self::parse(&text).map_err(|(line, reason)| HtpasswdError::Line { path: path.to_owned(), line, reason })
    }

    /// Reads the lines; the number of the one that is wrong, and why, otherwise.
    fn parse(text: &str) -> Result<Self, (usize, &'static str)> {
        let (mut hashes, mut cost) = (HashMap::new(), None);
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let refuse = |reason| (number + 1, reason);
            let (user, hash) = line.split_once(':').ok_or_else(|| refuse("not <user>:<hash>"))?;
            if !is_bcrypt(hash) {
                return Err(refuse("the password is not hashed with bcrypt: make the line with `htpasswd -B`"));
            }
            cost = cost.or_else(|| hash.get(..USUAL.len()));
            hashes.insert(user.to_owned(), hash.to_owned());
        }
        let nobody = format!("{}{NOBODY}", cost.unwrap_or(USUAL));
        Ok(Self { hashes, nobody, remembered: Mutex::default() })
    }

    fn remembers(&self, shown: &[u8; 32]) -> bool {
        // A lookup in a table by a keyed hash tells nothing by the time that it takes.
        self.remembered().contains(shown)
    }

    fn remember(&self, shown: [u8; 32]) {
        let mut remembered = self.remembered();
        if remembered.len() >= MOST_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(shown);
    }

    fn remembered(&self) -> MutexGuard<'_, HashSet<[u8; 32]>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `$2y$05$` and 53 characters; the letter tells which of bcrypt's mistakes were mended.
fn is_bcrypt(hash: &str) -> bool {
    hash.len() == 60
        && hash.is_ascii()
        && ["$2a$", "$2b$", "$2x$", "$2y$"].iter().any(|version| hash.starts_with(version))
}

/// Time, length and number of the file: another file moved in its place has another number.
fn stamp(path: &Path) -> Stamp {
    use std::os::unix::fs::MetadataExt as _;
    let found = fs::metadata(path).ok()?;
    Some((found.modified().ok()?, found.len(), found.ino()))
}

#[cfg(test)]
mod tests;
