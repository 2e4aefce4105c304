//! What is on the disk for sure, by the calls that succeeded and those that failed.
//!
//! After a sync that failed the system may take what it could not write for written: the same sync then succeeds, and nothing is
//! on the disk. So what was to be synced then counts as doubtful until it is changed again, and a sync that succeeds without that
//! is a lie.

use std::{
    collections::HashMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use cargohold_blobs::watch::{Call, Change};

#[derive(Debug, Default)]
pub(crate) struct Audit {
    /// What files hold.
    files: HashMap<PathBuf, Bytes>,
    /// The names that were made in folders, or removed from them.
    folders: HashMap<PathBuf, HashMap<OsString, Name>>,
    lies: Vec<String>,
}

#[derive(Clone, Debug, Default)]
struct Bytes {
    length: u64,
    /// Of them, so many are on the disk.
    synced: u64,
    /// A write or a sync of the others failed.
    doubtful: bool,
}

/// A name in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Name {
    is_there: bool,
    on_disk: OnDisk,
}

/// Whether the disk knows that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnDisk {
    /// The folder was not synced since.
    NotYet,
    Yes,
    /// A sync of the folder failed.
    Doubtful,
}

impl Audit {
    /// A call below `root` succeeded.
    pub(crate) fn made(&mut self, root: &Path, change: Change<'_>, path: &Path) {
        match change {
            Change::Open => {
                if self.appears(path) {
                    self.files.insert(path.to_owned(), Bytes::default());
                }
            }
            Change::MakeFolder => drop(self.appears(path)),
            Change::Cut { length } => self.file(path).cut(length),
            Change::Write { bytes, offset } => self.file(path).write(offset, bytes.len() as u64),
            Change::SyncData => {
                let file = self.file(path);
                file.synced = file.length;
                if file.doubtful {
                    self.lies.push(format!("{} was synced again after a failure", path.display()));
                }
            }
            Change::SyncFolder => {
                let names = self.folders.entry(path.to_owned()).or_default().values_mut();
                names.filter(|name| name.on_disk == OnDisk::NotYet).for_each(|name| name.on_disk = OnDisk::Yes);
            }
            Change::Rename { from } | Change::Link { from } => {
                let from = from.strip_prefix(root).expect("nothing comes from elsewhere");
                let bytes = self.file(from).clone();
                if bytes.doubtful {
                    self.lies.push(format!("{} was given another name after a failure", from.display()));
                }
                self.files.insert(path.to_owned(), bytes);
                self.appears(path);
                if matches!(change, Change::Rename { .. }) {
                    self.files.remove(from);
                    // A move is on the disk once either folder is.
                    self.names_beside(from).remove(&name(from));
                }
            }
            Change::RemoveFolder if self.is_empty_for_sure(path) => {
                // If it comes back there is nothing in it.
                self.folders.remove(path);
                self.names_beside(path).remove(&name(path));
            }
            Change::RemoveFile | Change::RemoveFolder => {
                self.files.remove(path);
                self.folders.remove(path);
                let gone = Name { is_there: false, on_disk: OnDisk::NotYet };
                self.names_beside(path).insert(name(path), gone);
            }
        }
    }

    /// A call failed.
    pub(crate) fn failed(&mut self, call: Call, path: &Path) {
        match call {
            Call::Write | Call::SyncData => self.file(path).doubtful = true,
            Call::SyncFolder => {
                let names = self.folders.entry(path.to_owned()).or_default().values_mut();
                names.filter(|name| name.on_disk == OnDisk::NotYet).for_each(|name| name.on_disk = OnDisk::Doubtful);
            }
            _ => {}
        }
    }

    /// Syncs that were believed and should not have been.
    pub(crate) fn lies(&self) -> &[String] {
        &self.lies
    }

    /// What of a file that somebody was told of may not outlive a power loss.
    pub(crate) fn doubts(&self, file: &Path) -> Vec<String> {
        let bytes = self.files.get(file).filter(|bytes| bytes.synced < bytes.length || bytes.doubtful);
        let mut doubts: Vec<String> = bytes.map(|bytes| format!("{}: {bytes:?}", file.display())).into_iter().collect();
        for path in file.ancestors().take_while(|path| !path.as_os_str().is_empty()) {
            let known = self.folders.get(parent(path)).and_then(|names| names.get(&name(path)));
            match known {
                Some(Name { is_there: true, on_disk: OnDisk::Yes }) => {}
                known => doubts.push(format!("the name {}: {known:?}", path.display())),
            }
        }
        doubts
    }

    /// What was removed and may be there again after a power loss, though nothing names it any more.
    pub(crate) fn revenants(&self) -> Vec<String> {
        let gone = |(folder, names): (&PathBuf, &HashMap<OsString, Name>)| {
            let gone = names.iter().filter(|(_, name)| !name.is_there && name.on_disk != OnDisk::Yes);
            gone.map(|(name, how)| format!("{}: {:?}", folder.join(name).display(), how.on_disk)).collect::<Vec<_>>()
        };
        self.folders.iter().flat_map(gone).collect()
    }

    /// A name is made, unless it is there; says whether it was.
    fn appears(&mut self, path: &Path) -> bool {
        let names = self.names_beside(path);
        let is_new = names.get(&name(path)).is_none_or(|name| !name.is_there);
        if is_new {
            names.insert(name(path), Name { is_there: true, on_disk: OnDisk::NotYet });
        }
        is_new
    }

    fn is_empty_for_sure(&self, folder: &Path) -> bool {
        let gone = Name { is_there: false, on_disk: OnDisk::Yes };
        self.folders.get(folder).is_none_or(|names| names.values().all(|name| *name == gone))
    }

    fn names_beside(&mut self, path: &Path) -> &mut HashMap<OsString, Name> {
        self.folders.entry(parent(path).to_owned()).or_default()
    }

    fn file(&mut self, path: &Path) -> &mut Bytes {
        self.files.entry(path.to_owned()).or_default()
    }
}

impl Bytes {
    fn cut(&mut self, length: u64) {
        self.doubtful &= length > self.synced;
        self.synced = self.synced.min(length);
        self.length = length;
    }

    fn write(&mut self, offset: u64, length: u64) {
        self.doubtful &= offset > self.synced || offset + length < self.length;
        self.synced = self.synced.min(offset);
        self.length = self.length.max(offset + length);
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

fn name(path: &Path) -> OsString {
    path.file_name().unwrap_or_default().to_owned()
}
