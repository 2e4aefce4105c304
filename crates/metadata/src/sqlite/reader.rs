//! Read connections, one for each thread that reads.
//!
//! To begin a read and to end it costs two system calls, for a lock on the log, and a look at the log's index: as much as the
//! read itself, if it is small. So where this process is the one that writes, a connection keeps what it sees for the reads to
//! come, until the writer commits: nothing changes in between. The writer has all of them let go then. Before it folds the log
//! into the database file, and behind that, it also waits for those who read: so the log can always start over.

use std::{
    cell::RefCell,
    collections::{HashMap, hash_map::Entry},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use crate::Error;

thread_local! {
    /// This thread's connections, by the number of the reader they belong to.
    static CONNECTIONS: RefCell<HashMap<u64, Arc<Mutex<View>>>> = RefCell::default();
}

#[derive(Debug)]
pub(crate) struct Reader {
    number: u64,
    file: PathBuf,
    views: Arc<Views>,
}

/// What the read connections of one writer see.
#[derive(Debug, Default)]
pub(crate) struct Views {
    /// How often that was outdated.
    commits: AtomicU64,
    /// Whether nothing is kept, or nothing any more.
    closed: AtomicBool,
    all: Mutex<Vec<Weak<Mutex<View>>>>,
}

/// A connection with what it sees of the database.
#[derive(Debug)]
struct View {
    connection: rusqlite::Connection,
    /// The number of commits that it sees, if it keeps what it sees.
    commits: Option<u64>,
}

impl Reader {
    pub(crate) fn new(file: &Path, views: Arc<Views>) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        Self { number: NUMBER.fetch_add(1, Ordering::Relaxed), file: file.to_owned(), views }
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Runs `read` on this thread's connection, which is opened when it is first needed.
    pub(crate) fn with<T>(&self, read: impl FnOnce(&rusqlite::Connection) -> Result<T, Error>) -> Result<T, Error> {
        CONNECTIONS.with_borrow_mut(|connections| {
            let view = match connections.entry(self.number) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => entry.insert(self.open()?),
            };
            self.views.read(view, read)
        })
    }

    fn open(&self) -> Result<Arc<Mutex<View>>, Error> {
        let connection = super::connect(&self.file)?;
        connection.pragma_update(None, "query_only", true)?;
        let view = Arc::new(Mutex::new(View { connection, commits: None }));
        held(&self.views.all).push(Arc::downgrade(&view));
        Ok(view)
    }
}

impl Views {
    /// Of a database that another process writes: nobody says when what was seen is outdated, so nothing is kept.
    pub(crate) fn none() -> Self {
        Self { closed: AtomicBool::new(true), ..Self::default() }
    }

    /// Has everything that is read from now on see the database as it is now. Waits for nobody: who reads just now lets go of
    /// what it sees behind that.
    pub(crate) fn outdate(&self) {
        self.let_go_of_all(|view| match view.try_lock() {
            Ok(view) => Some(view),
            Err(TryLockError::Poisoned(view)) => Some(view.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        });
    }

    /// The same, and nobody sees any more what was before when it returns.
    pub(crate) fn end(&self) {
        self.let_go_of_all(|view| Some(held(view)));
    }

    /// The same, for good: whoever reads from now on keeps nothing.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.end();
    }

    fn let_go_of_all(&self, hold: impl Fn(&Mutex<View>) -> Option<MutexGuard<'_, View>>) {
        self.commits.fetch_add(1, Ordering::SeqCst);
        held(&self.all).retain(|view| {
            let Some(view) = view.upgrade() else { return false };
            if let Some(mut view) = hold(&view) {
                // If that fails, the next read tries it again and says so.
                view.let_go().ok();
            }
            true
        });
    }

    fn read<T>(
        &self,
        view: &Mutex<View>,
        read: impl FnOnce(&rusqlite::Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let commits = self.commits.load(Ordering::SeqCst);
        if self.closed.load(Ordering::SeqCst) {
            return read(&held(view).connection);
        }
        let outcome = held(view).read(commits, read);
        // A failure may have undone what it saw. The number is asked for when the writer can have the connection again: it may
        // have passed by in between.
        if outcome.is_err() || self.commits.load(Ordering::SeqCst) != commits {
            // If that fails, the next read tries it again and says so.
            held(view).let_go().ok();
        }
        outcome
    }
}

impl View {
    fn read<T>(
        &mut self,
        commits: u64,
        read: impl FnOnce(&rusqlite::Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.commits != Some(commits) {
            self.let_go()?;
            super::steer(&self.connection, "begin")?;
            self.commits = Some(commits);
        }
        read(&self.connection)
    }

    fn let_go(&mut self) -> Result<(), Error> {
        self.commits = None;
        if !self.connection.is_autocommit() {
            super::steer(&self.connection, "commit")?;
        }
        Ok(())
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
