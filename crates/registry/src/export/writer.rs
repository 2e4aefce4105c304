//! Files of an export: each appears whole, under its name, or not at all. Making them durable is for the end of it.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, UNIX_EPOCH},
};

use cargohold_blobs::{Key, read_link};
use cargohold_metadata::Timestamp;
use cargohold_oci::Digest;

use super::{ExportFolder, failed};
use crate::Error;

/// Writes the files of an export. Blocks.
#[derive(Debug)]
pub(super) struct Writer {
    folder: ExportFolder,
    next: AtomicU64,
}

/// How the bytes of a blob came into the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// They were there.
    There,
    /// They are one file with ours.
    Linked,
    /// They were copied.
    Copied,
}

impl Writer {
    pub(super) fn new(folder: ExportFolder) -> Self {
        Self { folder, next: AtomicU64::new(0) }
    }

    /// Has the bytes of a blob lie in their place; none if `from` does not have them.
    pub(super) fn bytes(&self, from: &Path, digest: &Digest, size: u64) -> Result<Option<Placed>, Error> {
        let to = self.folder.root.join(Key::blob(digest).as_str());
        if has_length(&to, size) {
            return Ok(Some(Placed::There));
        }
        if !has_length(from, size) {
            return Ok(None);
        }
        make_folder_of(&to)?;
        if !self.folder.copy {
            // What is in the way has another length: it was left by something else.
            fs::remove_file(&to).or_else(unless_missing).map_err(|error| failed(&to, error))?;
            if fs::hard_link(from, &to).is_ok() {
                return Ok(Some(Placed::Linked));
            }
        }
        self.appear(&to, |file| {
            // The kernel copies it, or shares the blocks, where the file systems can do that.
            io::copy(&mut File::open(from)?, file).map(drop)
        })?;
        Ok(Some(Placed::Copied))
    }

    /// Has the bytes of a manifest lie in their place.
    pub(super) fn payload(&self, digest: &Digest, bytes: &[u8]) -> Result<(), Error> {
        let to = self.folder.root.join(Key::blob(digest).as_str());
        if has_length(&to, bytes.len() as u64) {
            return Ok(());
        }
        make_folder_of(&to)?;
        self.appear(&to, |file| file.write_all(bytes))
    }

    /// Has a link name something since a time.
    pub(super) fn link(&self, link: &str, named: &Digest, since: Timestamp) -> Result<(), Error> {
        let to = self.folder.root.join(link);
        if read_link(&to).is_ok_and(|there| there == *named) {
            return Ok(());
        }
        make_folder_of(&to)?;
        self.appear(&to, |file| {
            // Without a newline: the other registry reads none.
            file.write_all(named.to_string().as_bytes())?;
            let micros = u64::try_from(since.micros()).unwrap_or_default();
            file.set_modified(UNIX_EPOCH + Duration::from_micros(micros))
        })
    }

    /// Whether a link is there that names something else since later than `since`.
    pub(super) fn is_newer(&self, link: &str, named: &Digest, since: Timestamp) -> bool {
        let path = self.folder.root.join(link);
        let written = fs::metadata(&path).and_then(|found| found.modified());
        written.is_ok_and(|written| Timestamp::from(written) > since)
            && read_link(&path).is_ok_and(|there| there != *named)
    }

    /// Has a folder be there.
    pub(super) fn folder(&self, folder: &str) -> Result<(), Error> {
        let path = self.folder.root.join(folder);
        fs::create_dir_all(&path).map_err(|error| failed(&path, error))
    }

    fn appear(&self, to: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), Error> {
        let unfinished = self.unfinished();
        let mut file = File::create(&unfinished).map_err(|error| failed(&unfinished, error))?;
        fill(&mut file).map_err(|error| failed(&unfinished, error))?;
        fs::rename(&unfinished, to).map_err(|error| failed(to, error))
    }

    fn unfinished(&self) -> PathBuf {
        self.folder.unfinished.join(self.next.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

fn has_length(file: &Path, size: u64) -> bool {
    fs::metadata(file).is_ok_and(|found| found.is_file() && found.len() == size)
}

fn make_folder_of(file: &Path) -> Result<(), Error> {
    let folder = file.parent().unwrap_or(file);
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))
}

fn unless_missing(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
