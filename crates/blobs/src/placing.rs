//! Moving finished uploads to where their blobs lie, bringing them back after a crash, and removing what was discarded: the
//! three steps that change names on the disk, and cutting a staged file to what counts. All of them block and may be repeated
//! after a crash at any point.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::Key;
use crate::file_system::{self, Context as _, Failure};
use crate::folders::Folders;

/// How often a folder may be removed while a file is on its way there before that counts as a failure.
const MOST_ATTEMPTS: usize = 16;

/// Where a finished upload is now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    /// In its place.
    There,
    /// Where it was, since another file is in its place.
    Occupied,
}

/// Moves the synced file `from` to the place `to` below `root`.
pub(crate) fn publish(root: &Path, folders: &Folders, from: &Path, to: &Key) -> Result<Placed, Failure> {
    for _ in 1..MOST_ATTEMPTS {
        match place(root, folders, from, to) {
            // The last other file of this blob was removed a moment ago, and the folder with it.
            Err(failure) if failure.kind() == io::ErrorKind::NotFound && present(from)?.is_some() => {}
            result => return result,
        }
    }
    place(root, folders, from, to)
}

fn place(root: &Path, folders: &Folders, from: &Path, to: &Key) -> Result<Placed, Failure> {
    let staged = metadata(from)?;
    let place = root.join(to.as_str());
    let folder = folders.make(to.folder())?;
    match file_system::rename(from, &folder, &place) {
        Err(failure) if failure.kind() == io::ErrorKind::AlreadyExists => {
            if !present(&place)?.is_some_and(|placed| is_same_file(&staged, &placed)) {
                return Ok(Placed::Occupied);
            }
            // A crash between linking and unlinking left the file under both names.
            file_system::remove_file(from)?;
        }
        result => result?,
    }
    file_system::sync_folder(&folder, &root.join(to.folder()))?;
    Ok(Placed::There)
}

/// The length of a staged file.
pub(crate) fn length(path: &Path) -> Result<u64, Failure> {
    Ok(metadata(path)?.len())
}

/// Makes a staged file end where it was acknowledged, on the disk too: a request that broke off has left more in it.
///
/// Its row names its place by now, so whoever comes after a crash syncs it again: the length alone does not tell that it was cut.
pub(crate) fn cut_off(path: &Path, acknowledged: u64) -> Result<(), Failure> {
    let file = file_system::open_for_writing(path, false)?;
    file_system::cut(&file, path, acknowledged)?;
    file_system::sync_data(&file, path)
}

/// Gives back what a staged file has taken behind what was acknowledged, but for one byte: so whoever publishes it sees that its
/// length is not settled, and [has it cut off](cut_off).
pub(crate) fn cut_back(path: &Path, acknowledged: u64) -> Result<(), Failure> {
    let most = acknowledged + 1;
    match present(path)? {
        Some(staged) if staged.len() > most => {
            file_system::cut(&file_system::open_for_writing(path, false)?, path, most)
        }
        _ => Ok(()),
    }
}

/// Brings a file back to where uploads are staged, if it was moved to the place `at` before its row could say so.
///
/// A file that is staged counts, whatever lies at `at`: that is a stranger which was in the way, or the same file under a second
/// name. Nothing is synced here: the row knows both places, and the bytes are found in either.
pub(crate) fn bring_back(root: &Path, at: &Key, staging: &Path) -> Result<(), Failure> {
    let place = root.join(at.as_str());
    match (present(staging)?, present(&place)?) {
        (None, Some(_)) => {
            let folder = staging.parent().unwrap_or(root);
            file_system::rename(&place, &file_system::open_folder(folder)?, staging)
        }
        (Some(staged), Some(placed)) if is_same_file(&staged, &placed) => file_system::remove_file(&place),
        _ => Ok(()),
    }
}

/// Removes the file at `key`, and the folder that a blob has to itself with its last file.
///
/// A file that is gone is removed again: it may have been removed without its sync.
pub(crate) fn remove(root: &Path, key: &Key) -> Result<(), Failure> {
    let folder = root.join(key.folder());
    match file_system::remove_file(&root.join(key.as_str())) {
        Err(failure) if failure.kind() == io::ErrorKind::NotFound => remove_again(root, key)?,
        result => result?,
    }
    let changed = if key.has_own_folder() && removes_folder(&folder)? {
        folder.parent().unwrap_or(root)
    } else {
        folder.as_path()
    };
    unless_missing(file_system::open_folder(changed).and_then(|opened| file_system::sync_folder(&opened, changed)))
}

/// Makes the name that is gone and removes it once more, so that there is something to sync: if it was a sync that failed the last
/// time, the system has nothing left to write, and the same sync would succeed with the name still on the disk.
fn remove_again(root: &Path, key: &Key) -> Result<(), Failure> {
    if key.has_own_folder() {
        unless_missing(file_system::make_folder(&root.join(key.folder())).map(drop))?;
    }
    let path = root.join(key.as_str());
    unless_missing(file_system::open_for_writing(&path, true).map(drop))?;
    unless_missing(file_system::remove_file(&path))
}

/// Removes the folder if nothing is in it; says whether it is gone.
fn removes_folder(folder: &Path) -> Result<bool, Failure> {
    match file_system::remove_folder(folder) {
        Err(failure) if failure.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
        result => unless_missing(result).map(|()| true),
    }
}

/// Counts as done what was done already.
fn unless_missing(removal: Result<(), Failure>) -> Result<(), Failure> {
    match removal {
        Err(failure) if failure.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn present(path: &Path) -> Result<Option<Metadata>, Failure> {
    match metadata(path) {
        Err(failure) if failure.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

fn metadata(path: &Path) -> Result<Metadata, Failure> {
    fs::symlink_metadata(path).at(path)
}

fn is_same_file(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(test)]
mod tests;
