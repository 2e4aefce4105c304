//! The data folder: made if it is not there, and owned by one process.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, bail};

/// A data folder that belongs to this process until it is dropped.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
    /// Holds the lock; the kernel gives it back however the process ends.
    _lock: File,
}

impl DataFolder {
    /// Makes the folder if needed and takes it.
    pub(crate) fn claim(path: &Path) -> anyhow::Result<Self> {
        let named = || format!("storage.filesystem.rootdirectory: {}", path.display());
        refuse_others(path)?;
        make(path).map_err(|error| anyhow!("{}: cannot make the data folder: {error}{}", named(), whose(path)))?;
        let path = path.canonicalize().with_context(named)?;
        let lock = path.join("cargohold.lock");
        let mut file =
            OpenOptions::new().create(true).truncate(false).write(true).open(&lock).map_err(|error| {
                anyhow!("{}: cannot write to the data folder: {error}{}", path.display(), whose(&path))
            })?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let process = std::fs::read_to_string(&lock).unwrap_or_default();
                bail!(
                    "{}: another cargohold uses this data folder, process {}\n  \
                     Stop that one, or name another folder with CARGOHOLD__STORAGE__FILESYSTEM__ROOTDIRECTORY",
                    path.display(),
                    process.trim()
                )
            }
            Err(TryLockError::Error(error)) => return Err(error).context("cannot lock the data folder"),
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).with_context(named)?;
        Ok(Self { path, _lock: file })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The embedded database's file.
    pub(crate) fn database(&self) -> PathBuf {
        database(&self.path)
    }

    /// Makes the folder's own entries durable.
    pub(crate) fn sync(&self) -> anyhow::Result<()> {
        sync(&self.path).context("cannot sync the data folder")
    }
}

/// Fails unless a registry keeps its data in the folder.
pub(crate) fn require(folder: &Path) -> anyhow::Result<()> {
    refuse_others(folder)?;
    let found = database(folder).try_exists().with_context(|| {
        let owner = folder.metadata().map_or_else(|_| "its owner".to_owned(), |found| format!("'#{}'", found.uid()));
        format!(
            "cannot look into the data folder {}\n  It is its owner's alone: try again as that user, as in sudo -u {owner} cargohold ...",
            folder.display()
        )
    })?;
    if !found {
        bail!(
            "there is no registry's data in {}\n  Name its configuration with --config, or its folder with \
             CARGOHOLD__STORAGE__FILESYSTEM__ROOTDIRECTORY",
            folder.display()
        );
    }
    Ok(())
}

/// Where a folder is, or will be if it is not there yet: without links, so that two can be compared.
pub(crate) fn place_of(folder: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(folder)?;
    let existing = absolute.ancestors().find_map(|above| Some((above.canonicalize().ok()?, above)));
    Ok(match existing.map(|(canonical, above)| (canonical, absolute.strip_prefix(above))) {
        // A slash behind it would make it another path.
        Some((canonical, Ok(below))) if below.as_os_str().is_empty() => canonical,
        Some((canonical, Ok(below))) => canonical.join(below),
        _ => absolute,
    })
}

/// Whether the folder is the data folder of another registry of the family.
pub(crate) fn is_anothers(folder: &Path) -> bool {
    let is_there = |name: &str| folder.join(name).symlink_metadata().is_ok();
    is_there("docker/registry/v2/repositories") && !is_there("cargohold-store")
}

/// What to do about a folder that is another user's, or cannot be made since the one above it is, as that of a container's volume.
fn whose(path: &Path) -> String {
    let above = path.ancestors().find_map(|above| Some((above, above.metadata().ok()?.uid())));
    let us = rustix::process::geteuid().as_raw();
    match above {
        Some((above, owner)) if us != 0 && owner != us => format!(
            "\n  {0} is user {owner}'s, and this is user {us}: `chown {us} {0}` gives it the folder alone, which is enough; \
             or run it as user {owner} (docker run --user {owner})",
            above.display()
        ),
        _ => "\n  Make it this user's own, or name another one in storage.filesystem.rootdirectory".to_owned(),
    }
}

/// Fails if the folder is the data folder of another registry of the family. Taken for ours it would look empty, and a repair
/// would throw away what nobody names.
fn refuse_others(folder: &Path) -> anyhow::Result<()> {
    if is_anothers(folder) {
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let ours = folder.with_file_name("cargohold-data");
        bail!(
            "storage.filesystem.rootdirectory: {} is the data folder of another registry (docker/registry/v2/repositories)\n  \
             Cargohold keeps its own data in a folder of its own, and reads the other registry's where it is:\n    \
             export CARGOHOLD__STORAGE__FILESYSTEM__ROOTDIRECTORY={}\n    \
             cargohold adopt {}\n    \
             cargohold serve",
            folder.display(),
            ours.display(),
            folder.display()
        );
    }
    Ok(())
}

/// The embedded database's file in a data folder.
pub(crate) fn database(folder: &Path) -> PathBuf {
    folder.join("cargohold.db")
}

/// Makes the folder and those above it that are missing, durably. What is pushed may be private: they are their owner's alone.
///
/// That a folder outlives a power loss is up to the one above it. The folder above the data folder is left to the store to sync,
/// which does so at every start.
fn make(path: &Path) -> io::Result<()> {
    let path = std::path::absolute(path)?;
    let missing: Vec<&Path> = path.ancestors().skip(1).take_while(|folder| !folder.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
    missing.into_iter().filter_map(Path::parent).try_for_each(sync)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_owner_is_told_who_has_it() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let first = DataFolder::claim(&path).unwrap();
        let refused = DataFolder::claim(&path).unwrap_err().to_string();
        assert!(refused.contains("another cargohold uses this data folder"), "{refused}");
        drop(first);
        DataFolder::claim(&path).unwrap();
    }
}
