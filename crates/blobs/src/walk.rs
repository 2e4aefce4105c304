//! Every file of a store, for a check. Nothing else walks.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tokio::sync::mpsc;

use crate::{
    Error, LocalDisk,
    file_system::Failure,
    key::{BLOBS, UPLOADS},
};

/// Files that are told at once.
const BATCH: usize = 500;

impl LocalDisk {
    /// The paths of all files where objects lie, below the store's root, some at a time and in no order. What comes or goes
    /// meanwhile may be told or not. Names that are not UTF-8 are told with what is not replaced.
    pub fn walk(&self) -> mpsc::Receiver<Result<Vec<String>, Error>> {
        let (tell, told) = mpsc::channel(2);
        let disk = self.clone();
        tokio::task::spawn_blocking(move || {
            let mut walk = Walk { root: disk.root().to_owned(), tell: &tell, files: Vec::with_capacity(BATCH) };
            let walked = [UPLOADS, BLOBS].iter().try_for_each(|below| walk.folder(&walk.root.join(below)));
            match walked {
                Ok(()) => walk.flush(),
                Err(Stop::Failed(failure)) => drop(tell.blocking_send(Err(failure.into()))),
                Err(Stop::Unwanted) => {}
            }
        });
        told
    }
}

struct Walk<'w> {
    root: PathBuf,
    tell: &'w mpsc::Sender<Result<Vec<String>, Error>>,
    files: Vec<String>,
}

enum Stop {
    Failed(Failure),
    Unwanted,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path) -> Result<(), Stop> {
        let failed = |source: io::Error| Stop::Failed(Failure::new(folder, source));
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            // Removed since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.folder(&entry.path())?,
                Ok(_) => self.file(&entry.path())?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> Result<(), Stop> {
        let below = path.strip_prefix(&self.root).unwrap_or(path);
        self.files.push(below.to_string_lossy().into_owned());
        if self.files.len() == BATCH {
            self.flush();
            if self.tell.is_closed() {
                return Err(Stop::Unwanted);
            }
        }
        Ok(())
    }

    fn flush(&mut self) {
        if !self.files.is_empty() {
            self.tell.blocking_send(Ok(std::mem::take(&mut self.files))).ok();
        }
    }
}
