//! Making the folders that a blob lies in, so that they are found again after a power loss.
//!
//! A file is only as durable as the entries of all folders above it. [`Folders::make`] returns once every one of them is on the
//! disk, at the cost of one sync in the usual case.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::file_system::{self, Failure};

/// How many folders are remembered: more than a store has above its blobs' own, which are 2 x 256 and the few above them.
const MOST_REMEMBERED: usize = 1024;

/// The folders below a store's root.
#[derive(Debug)]
pub(crate) struct Folders {
    root: PathBuf,
    /// Folders whose entry in the folder above was synced by this process. As good as none of them is ever removed by it: only the
    /// folder that a blob has to itself is, which is not remembered, and one whose sync failed for who made it.
    synced: Mutex<HashSet<Box<str>>>,
    /// Folders that were made, whose entry a failed sync may have lost, and that could not be removed yet.
    doubtful: Mutex<HashSet<Box<str>>>,
}

impl Folders {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root, synced: Mutex::default(), doubtful: Mutex::default() }
    }

    /// Makes the folder `path` (relative to the root) and those above it, has their entries on the disk, and returns it opened.
    ///
    /// That a folder is there already does not mean that its entry is on the disk: another upload may have made it a moment
    /// ago and not have come to its sync, or a crash may have come before it. So every folder above is synced, unless this
    /// process knows that it did so after the entry was there.
    ///
    /// A folder whose sync failed, or was not come to, is removed again by who made it. The same sync could succeed for the next
    /// without anything being on the disk; a folder that is made anew has to be written.
    ///
    /// The folder is opened before the folder above it is synced, and files are moved into what was opened. If it is removed
    /// meanwhile and made again by another, such a move fails, and never lands in a folder whose entry nobody synced yet.
    pub(crate) fn make(&self, path: &str) -> Result<File, Failure> {
        match self.make_from_what_is_known(path) {
            // Somebody removed a remembered folder behind our back.
            Err(failure) if failure.kind() == io::ErrorKind::NotFound => {
                self.synced().clear();
                self.make_from_what_is_known(path)
            }
            result => result,
        }
    }

    /// Makes a folder that this process never removes, and those above it, and has their entries on the disk.
    pub(crate) fn make_for_good(&self, path: &str) -> Result<(), Failure> {
        self.make(path)?;
        self.remember(&[path]);
        Ok(())
    }

    fn make_from_what_is_known(&self, path: &str) -> Result<File, Failure> {
        let uncertain = self.uncertain(path);
        self.remove_doubtful(&uncertain)?;
        let mut made = Vec::new();
        let opened = match self.make_and_sync(&uncertain, &mut made) {
            Ok(opened) => opened,
            Err(failure) => {
                self.doubt(&made);
                // What cannot be removed now is removed before it is used.
                self.remove_doubtful(&uncertain).ok();
                return Err(failure);
            }
        };
        self.remember(&uncertain[1..]);
        self.doubtful().retain(|folder| !uncertain.contains(&&**folder));
        Ok(opened)
    }

    /// Makes folders, of which the innermost is the first, has their entries on the disk and opens the innermost; tells which were
    /// not there before, whether or not it succeeds.
    fn make_and_sync<'f>(&self, folders: &[&'f str], made: &mut Vec<&'f str>) -> Result<File, Failure> {
        for folder in folders.iter().rev() {
            if file_system::make_folder(&self.root.join(folder))? {
                made.push(folder);
            }
        }
        let opened = file_system::open_folder(&self.root.join(folders[0]))?;
        for folder in folders {
            let above = self.root.join(above(folder).unwrap_or_default());
            file_system::sync_folder(&file_system::open_folder(&above)?, &above)?;
        }
        Ok(opened)
    }

    /// Notes folders that were made and not synced, but for those that somebody else had synced.
    fn doubt(&self, made: &[&str]) {
        let synced = self.synced();
        let doubtful = made.iter().filter(|folder| !synced.contains(**folder));
        self.doubtful().extend(doubtful.map(|folder| Box::from(*folder)));
    }

    /// Removes those of the folders that are doubtful, from the innermost. One that is not empty has something in it that failed
    /// too, and is about to be discarded, or somebody's who is about to have it synced.
    fn remove_doubtful(&self, folders: &[&str]) -> Result<(), Failure> {
        for folder in folders {
            if !self.doubtful().contains(*folder) {
                continue;
            }
            match file_system::remove_folder(&self.root.join(folder)) {
                Err(failure) if failure.kind() != io::ErrorKind::NotFound => return Err(failure),
                _ => drop(self.doubtful().remove(*folder)),
            }
        }
        Ok(())
    }

    /// The folder itself and those above it up to the first that is known to be on the disk.
    fn uncertain<'path>(&self, path: &'path str) -> Vec<&'path str> {
        let synced = self.synced();
        let mut uncertain = vec![path];
        while let Some(folder) = uncertain.last().and_then(|folder| above(folder))
            && !synced.contains(folder)
        {
            uncertain.push(folder);
        }
        uncertain
    }

    fn remember(&self, folders: &[&str]) {
        let mut synced = self.synced();
        for folder in folders {
            if synced.len() < MOST_REMEMBERED {
                synced.insert((*folder).into());
            }
        }
    }

    fn doubtful(&self) -> std::sync::MutexGuard<'_, HashSet<Box<str>>> {
        self.doubtful.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn synced(&self) -> std::sync::MutexGuard<'_, HashSet<Box<str>>> {
        self.synced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a store's root and the folders above it, from the outermost that is missing.
///
/// The folder above a root that was there already is synced too, since a crash may have come before that sync, but only where
/// that is permitted: it belongs to somebody else.
pub(crate) fn make_root(root: &Path) -> Result<(), Failure> {
    let missing: Vec<&Path> = root.ancestors().take_while(|folder| !folder.exists()).collect();
    for folder in missing.iter().rev() {
        file_system::make_folder(folder)?;
    }
    for folder in missing.iter().copied().chain(missing.is_empty().then_some(root)) {
        let Some(above) = folder.parent() else { continue };
        let synced = file_system::open_folder(above).and_then(|opened| file_system::sync_folder(&opened, above));
        match synced {
            Err(failure) if missing.is_empty() && failure.kind() == io::ErrorKind::PermissionDenied => {}
            result => result?,
        }
    }
    Ok(())
}

fn above(folder: &str) -> Option<&str> {
    folder.rsplit_once('/').map(|(above, _)| above)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::file_system::watch::{self, Call};

    fn folders() -> (tempfile::TempDir, Folders) {
        let root = tempfile::tempdir().unwrap();
        let folders = Folders::new(root.path().to_owned());
        (root, folders)
    }

    fn calls(root: &Path, act: impl FnOnce()) -> Vec<(Call, String)> {
        let watch = watch::record(root);
        act();
        watch.calls()
    }

    fn call(call: Call, path: &str) -> (Call, String) {
        (call, path.to_owned())
    }

    #[test]
    fn syncs_every_folder_that_may_have_gained_an_entry() {
        let (root, folders) = folders();
        let first = calls(root.path(), || drop(folders.make("a/b/c").unwrap()));
        assert_eq!(
            first,
            [
                call(Call::MakeFolder, "a"),
                call(Call::MakeFolder, "a/b"),
                call(Call::MakeFolder, "a/b/c"),
                call(Call::SyncFolder, "a/b"),
                call(Call::SyncFolder, "a"),
                call(Call::SyncFolder, ""),
            ]
        );
    }

    #[test]
    fn what_this_process_synced_it_does_not_sync_again() {
        let (root, folders) = folders();
        folders.make("a/b/c").unwrap();
        let next = calls(root.path(), || drop(folders.make("a/b/d").unwrap()));
        assert_eq!(next, [call(Call::MakeFolder, "a/b/d"), call(Call::SyncFolder, "a/b")]);
    }

    /// Another upload of the same blob, or a process before this one, may have made the folder and not have synced it.
    #[test]
    fn a_folder_that_is_there_is_synced_until_this_process_did() {
        let (root, folders) = folders();
        fs::create_dir_all(root.path().join("a/b/c")).unwrap();
        let first = calls(root.path(), || drop(folders.make("a/b/c").unwrap()));
        assert!(first.ends_with(&["a/b", "a", ""].map(|folder| call(Call::SyncFolder, folder))));
        let again = calls(root.path(), || drop(folders.make("a/b/c").unwrap()));
        assert_eq!(again.last(), Some(&call(Call::SyncFolder, "a/b")));
    }

    #[test]
    fn what_was_not_synced_is_not_remembered() {
        let (root, folders) = folders();
        let failing = watch::fail(root.path(), Call::SyncFolder, rustix::io::Errno::IO);
        folders.make("a/b/c").unwrap_err();
        drop(failing);
        let next = calls(root.path(), || drop(folders.make("a/b/d").unwrap()));
        assert!(next.ends_with(&["a/b", "a", ""].map(|folder| call(Call::SyncFolder, folder))));
    }

    /// The same sync would succeed the next time, and nothing be on the disk.
    #[test]
    fn a_folder_whose_sync_failed_is_made_again() {
        let (root, folders) = folders();
        folders.make("a/x").unwrap();
        let failing = watch::fail(root.path(), Call::SyncFolder, rustix::io::Errno::IO);
        folders.make("a/b/c").unwrap_err();
        drop(failing);
        assert!(!root.path().join("a/b").exists());
        let failing = watch::watch(root.path(), |call, _| match call {
            Call::SyncFolder | Call::RemoveFolder => Err(rustix::io::Errno::IO.into()),
            _ => Ok(()),
        });
        folders.make("a/b/c").unwrap_err();
        folders.make("a/b/c").unwrap_err();
        drop(failing);
        let next = calls(root.path(), || drop(folders.make("a/b/c").unwrap()));
        let remove = [call(Call::RemoveFolder, "a/b/c"), call(Call::RemoveFolder, "a/b")];
        let make = [call(Call::MakeFolder, "a/b"), call(Call::MakeFolder, "a/b/c")];
        let sync = [call(Call::SyncFolder, "a/b"), call(Call::SyncFolder, "a")];
        assert_eq!(next, [&remove[..], &make, &sync].concat());
    }

    #[test]
    fn makes_again_what_was_removed_behind_its_back() {
        let (root, folders) = folders();
        folders.make("a/b/c").unwrap();
        fs::remove_dir_all(root.path().join("a")).unwrap();
        folders.make("a/b/d").unwrap();
        assert!(root.path().join("a/b/d").is_dir());
    }

    #[test]
    fn remembers_a_bounded_number() {
        let (_root, folders) = folders();
        for number in 0..=MOST_REMEMBERED {
            folders.make(&format!("{number}/a")).unwrap();
        }
        assert_eq!(folders.synced().len(), MOST_REMEMBERED);
    }

    #[test]
    fn makes_a_root_with_all_above_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("a/b");
        let first = calls(folder.path(), || make_root(&root).unwrap());
        let [make, sync] = [Call::MakeFolder, Call::SyncFolder];
        assert_eq!(first, [call(make, "a"), call(make, "a/b"), call(sync, "a"), call(sync, "")]);
        let again = calls(folder.path(), || make_root(&root).unwrap());
        assert_eq!(again, [call(sync, "a")]);
    }
}
