//! Every repository of a tree, by the names of folders alone.
//!
//! Names nest: `a` and `a/b` may both be repositories. A folder whose name begins with `_` is no part of a name; a folder that has
//! one is a repository. Links to folders are not followed, since they may lead in a circle or out of the tree.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use futures_util::Stream;
use tokio::sync::mpsc::Sender;

/// A thing that was found.
#[derive(Debug)]
pub(crate) enum Walked {
    /// A repository, by its path below the folder of all of them.
    Repository(String),
    /// Something that is no repository and leads to none.
    Odd(PathBuf, Odd),
    /// A folder that cannot be read, so that nobody knows what is in it.
    Unreadable(PathBuf, io::Error),
}

/// What is neither a repository nor on the way to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Odd {
    /// A folder with nothing in it.
    Empty,
    /// A link to elsewhere.
    Symlink,
    /// A file.
    File,
}

/// What marks a folder as a repository.
const PARTS: [&str; 3] = ["_manifests", "_layers", "_uploads"];

/// A folder that is being walked.
struct Level {
    folder: PathBuf,
    entries: fs::ReadDir,
    empty: bool,
}

/// Walks below `root`, the folder of all repositories, and tells what is there as it is found, in no order.
pub(crate) fn walk(root: PathBuf) -> impl Stream<Item = Walked> + Unpin {
    super::told(move |tell| {
        // One open folder for each level, however many repositories there are.
        let mut levels = match Level::open(root.clone()) {
            Ok(level) => vec![level],
            Err(unreadable) => return drop(tell.blocking_send(unreadable)),
        };
        while let Some(level) = levels.last_mut() {
            let found = if let Some(entry) = level.entries.next() {
                level.empty = false;
                level.descend(&root, entry, tell)
            } else {
                let done = levels.pop().filter(|done| done.empty && done.folder != root);
                done.map_or(Ok(None), |done| Err(Walked::Odd(done.folder, Odd::Empty)))
            };
            match found {
                Ok(below) => levels.extend(below),
                Err(walked) => {
                    if tell.blocking_send(walked).is_err() {
                        return;
                    }
                }
            }
        }
    })
}

impl Level {
    fn open(folder: PathBuf) -> Result<Self, Walked> {
        match fs::read_dir(&folder) {
            Ok(entries) => Ok(Self { folder, entries, empty: true }),
            Err(error) => Err(Walked::Unreadable(folder, error)),
        }
    }

    /// Looks at an entry: a folder to go on in, if it is one.
    fn descend(
        &self,
        root: &Path,
        entry: io::Result<fs::DirEntry>,
        tell: &Sender<Walked>,
    ) -> Result<Option<Self>, Walked> {
        let entry = entry.map_err(|error| Walked::Unreadable(self.folder.clone(), error))?;
        if entry.file_name().as_encoded_bytes().starts_with(b"_") {
            return Ok(None);
        }
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {}
            Ok(kind) if kind.is_symlink() => return Err(Walked::Odd(path, Odd::Symlink)),
            Ok(_) => return Err(Walked::Odd(path, Odd::File)),
            Err(error) => return Err(Walked::Unreadable(path, error)),
        }
        if PARTS.iter().any(|part| path.join(part).symlink_metadata().is_ok()) {
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            tell.blocking_send(Walked::Repository(name)).ok();
        }
        Self::open(path).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    #[tokio::test]
    async fn names_nest_and_what_is_odd_is_told() {
        let root = tempfile::tempdir().unwrap();
        for folder in
            ["a/_manifests/tags", "a/b/_layers", "a/b/c/d/_uploads", "empty/too", "x/_other", "_trash/y/_layers"]
        {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        fs::write(root.path().join("a/file"), "").unwrap();
        std::os::unix::fs::symlink(root.path(), root.path().join("a/loop")).unwrap();
        let mut found: Vec<String> = walk(root.path().to_owned())
            .map(|walked| match walked {
                Walked::Repository(name) => name,
                Walked::Odd(path, what) => {
                    format!("{what:?} {}", path.strip_prefix(root.path()).unwrap().display())
                }
                Walked::Unreadable(path, error) => panic!("{}: {error}", path.display()),
            })
            .collect()
            .await;
        found.sort();
        assert_eq!(found, ["Empty empty/too", "File a/file", "Symlink a/loop", "a", "a/b", "a/b/c/d"]);
    }
}
