//! Read connections, one for each thread that reads.

use std::{
    cell::RefCell,
    collections::{HashMap, hash_map::Entry},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::Error;

thread_local! {
    /// This thread's connections, by the number of the reader they belong to.
    static CONNECTIONS: RefCell<HashMap<u64, rusqlite::Connection>> = RefCell::default();
}

#[derive(Debug)]
pub(crate) struct Reader {
    number: u64,
    file: PathBuf,
}

impl Reader {
    pub(crate) fn new(file: &Path) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        Self { number: NUMBER.fetch_add(1, Ordering::Relaxed), file: file.to_owned() }
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Runs `read` on this thread's connection, which is opened when it is first needed.
    pub(crate) fn with<T>(&self, read: impl FnOnce(&rusqlite::Connection) -> Result<T, Error>) -> Result<T, Error> {
        CONNECTIONS.with_borrow_mut(|connections| {
            let connection = match connections.entry(self.number) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => {
                    let connection = super::connect(&self.file)?;
                    connection.pragma_update(None, "query_only", true)?;
                    entry.insert(connection)
                }
            };
            read(connection)
        })
    }
}
