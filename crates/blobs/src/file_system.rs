//! The calls to the file system whose order decides what outlives a power loss, and nothing else: one function a call, each
//! naming in its error the path it failed at. In tests every call can be watched, held up and made to fail (`watch`).
//!
//! Which of them are needed, and in which order, is for those who call.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, RenameFlags};
use rustix::io::Errno;

#[cfg(any(test, feature = "watch"))]
pub mod watch;
#[cfg(any(test, feature = "watch"))]
use watch::Change;

/// A call that failed, and where.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
    /// Whether it was a write or a sync: then nobody knows what is on the disk, and doing it again could answer a lie.
    pub(crate) is_unsure: bool,
}

/// Adds the path to the error of a call.
pub(crate) trait Context<T> {
    fn at(self, path: &Path) -> Result<T, Failure>;
}

impl Failure {
    pub(crate) fn new(path: &Path, source: impl Into<io::Error>) -> Self {
        Self { path: path.to_owned(), source: source.into(), is_unsure: false }
    }

    pub(crate) fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// Whether the call is one that this file system does not have.
    fn is_unsupported(&self) -> bool {
        let errno = Errno::from_io_error(&self.source);
        matches!(errno, Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP))
    }
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn at(self, path: &Path) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(path, error))
    }
}

/// Makes a call that changes the disk. In tests those who watch are asked before it and told after it.
macro_rules! change {
    ($change:expr, $path:expr, $call:expr) => {{
        #[cfg(any(test, feature = "watch"))]
        let watched = watch::begin($change, $path)?;
        let outcome = $call.at($path)?;
        #[cfg(any(test, feature = "watch"))]
        watched.made();
        Ok(outcome)
    }};
}

fn unsure(call: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    call().map_err(|failure| Failure { is_unsure: true, ..failure })
}

/// Opens the file at `path` for writing, and makes it if it is not there and `create` says so. What it holds stays.
pub(crate) fn open_for_writing(path: &Path, create: bool) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create(create).truncate(false);
    change!(Change::Open, path, options.open(path))
}

/// Cuts the file back to `length` bytes.
pub(crate) fn cut(file: &File, path: &Path, length: u64) -> Result<(), Failure> {
    change!(Change::Cut { length }, path, file.set_len(length))
}

/// Writes all of `bytes` at `offset`.
pub(crate) fn write(file: &File, path: &Path, bytes: &[u8], offset: u64) -> Result<(), Failure> {
    unsure(|| change!(Change::Write { bytes, offset }, path, file.write_all_at(bytes, offset)))
}

/// Has the disk begin with the `length` bytes at `offset`, so that the sync at the end of a large upload finds most of its work
/// done. It changes nothing else, so no failure of it matters.
///
/// `DontNeed` is the portable name: Linux starts the write-back of dirty pages and drops clean ones, and those just written are
/// dirty, so they stay in the cache for the first pulls.
pub(crate) fn start_writeback(file: &File, offset: u64, length: u64) {
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(file, offset, std::num::NonZeroU64::new(length), rustix::fs::Advice::DontNeed);
    #[cfg(not(target_os = "linux"))]
    let _ = (file, offset, length);
}

/// Returns once the file's bytes and length are on the disk.
pub(crate) fn sync_data(file: &File, path: &Path) -> Result<(), Failure> {
    unsure(|| change!(Change::SyncData, path, file.sync_data()))
}

/// Returns once the entries of the folder are on the disk.
pub(crate) fn sync_folder(folder: &File, path: &Path) -> Result<(), Failure> {
    unsure(|| change!(Change::SyncFolder, path, folder.sync_all()))
}

/// Opens a folder, to sync it or to move files into it.
pub(crate) fn open_folder(path: &Path) -> Result<File, Failure> {
    let folder = File::open(path).at(path)?;
    if !folder.metadata().at(path)?.is_dir() {
        return Err(Failure::new(path, io::ErrorKind::NotADirectory));
    }
    Ok(folder)
}

/// Makes a folder in a folder that is there; says whether it was not there before.
pub(crate) fn make_folder(path: &Path) -> Result<bool, Failure> {
    let is_new = || match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        result => result.map(|()| true),
    };
    change!(Change::MakeFolder, path, is_new())
}

/// Moves the file `from` to `to`, which lies in the opened `folder`; `AlreadyExists` if a file is there.
pub(crate) fn rename(from: &Path, folder: &File, to: &Path) -> Result<(), Failure> {
    match rename_exclusively(from, folder, to) {
        Err(failure) if failure.is_unsupported() => link_and_unlink(from, folder, to),
        result => result,
    }
}

fn rename_exclusively(from: &Path, folder: &File, to: &Path) -> Result<(), Failure> {
    let name = to.file_name().unwrap_or_default();
    change!(Change::Rename { from }, to, rustix::fs::renameat_with(CWD, from, folder, name, RenameFlags::NOREPLACE))
}

/// What [`rename`] does where the file system cannot rename without replacing. A crash can leave the file under both names, so
/// the new name is on disk before the old one goes, and the old one is gone from the disk before this returns.
fn link_and_unlink(from: &Path, folder: &File, to: &Path) -> Result<(), Failure> {
    link(from, folder, to)?;
    sync_folder(folder, to.parent().unwrap_or(to))?;
    remove_file(from)?;
    let emptied = from.parent().unwrap_or(from);
    sync_folder(&open_folder(emptied)?, emptied)
}

fn link(from: &Path, folder: &File, to: &Path) -> Result<(), Failure> {
    let name = to.file_name().unwrap_or_default();
    change!(Change::Link { from }, to, rustix::fs::linkat(CWD, from, folder, name, AtFlags::empty()))
}

/// Removes a file.
pub(crate) fn remove_file(path: &Path) -> Result<(), Failure> {
    change!(Change::RemoveFile, path, fs::remove_file(path))
}

/// Removes a folder that is empty.
pub(crate) fn remove_folder(path: &Path) -> Result<(), Failure> {
    change!(Change::RemoveFolder, path, fs::remove_dir(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folders {
        root: tempfile::TempDir,
        target: File,
    }

    fn folders() -> Folders {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("target")).unwrap();
        fs::write(root.path().join("file"), "bytes").unwrap();
        let target = open_folder(&root.path().join("target")).unwrap();
        Folders { root, target }
    }

    fn moves(rename: fn(&Path, &File, &Path) -> Result<(), Failure>) {
        let Folders { root, target } = folders();
        let (from, to) = (root.path().join("file"), root.path().join("target/file"));
        rename(&from, &target, &to).unwrap();
        assert!(!from.exists());
        assert_eq!(fs::read(&to).unwrap(), b"bytes");
        assert_eq!(rename(&from, &target, &to).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    fn never_replaces(rename: fn(&Path, &File, &Path) -> Result<(), Failure>) {
        let Folders { root, target } = folders();
        let (from, to) = (root.path().join("file"), root.path().join("target/file"));
        fs::write(&to, "older").unwrap();
        assert_eq!(rename(&from, &target, &to).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&from).unwrap(), b"bytes");
        assert_eq!(fs::read(&to).unwrap(), b"older");
    }

    /// What placing files relies on when a folder is removed while a file is on its way there.
    fn fails_into_a_removed_folder(rename: fn(&Path, &File, &Path) -> Result<(), Failure>) {
        let Folders { root, target } = folders();
        let (from, to) = (root.path().join("file"), root.path().join("target/file"));
        fs::remove_dir(root.path().join("target")).unwrap();
        fs::create_dir(root.path().join("target")).unwrap();
        assert_eq!(rename(&from, &target, &to).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(from.exists() && !to.exists());
    }

    #[test]
    fn renames_without_replacing() {
        moves(rename_exclusively);
        never_replaces(rename_exclusively);
        fails_into_a_removed_folder(rename_exclusively);
    }

    #[test]
    fn links_and_unlinks_without_replacing() {
        moves(link_and_unlink);
        never_replaces(link_and_unlink);
        fails_into_a_removed_folder(link_and_unlink);
    }

    #[test]
    fn a_file_is_never_without_a_name_on_the_disk() {
        let Folders { root, target } = folders();
        let watch = watch::record(root.path());
        link_and_unlink(&root.path().join("file"), &target, &root.path().join("target/file")).unwrap();
        let expected = [
            (watch::Call::Link, "target/file"),
            (watch::Call::SyncFolder, "target"),
            (watch::Call::RemoveFile, "file"),
            (watch::Call::SyncFolder, ""),
        ];
        assert_eq!(watch.calls(), expected.map(|(call, path)| (call, path.to_owned())));
    }

    #[test]
    fn links_where_renaming_without_replacing_is_unknown() {
        for errno in [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP] {
            let Folders { root, target } = folders();
            let watch = watch::fail(root.path(), watch::Call::Rename, errno);
            rename(&root.path().join("file"), &target, &root.path().join("target/file")).unwrap();
            assert!(watch.calls().iter().any(|(call, _)| *call == watch::Call::Link));
            assert!(root.path().join("target/file").exists() && !root.path().join("file").exists());
        }
    }
}
