//! The suite's temporary folder: where engines, clusters and servers keep their data for one run.
//!
//! It is removed when dropped, mounts that an engine left in it included. What a killed run left is removed by the next one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::command::Tool;

const PREFIX: &str = "cargohold-e2e.";

/// A folder that goes away with the run. Its path is short, since Unix sockets lie in it.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: PathBuf,
    keep: bool,
}

impl Scratch {
    /// Makes the folder of this process; `keep` leaves it behind for a look at it.
    pub(crate) fn new(keep: bool) -> Result<Self> {
        let parent = std::env::temp_dir();
        remove_left_overs(&parent);
        let folder = parent.join(format!("{PREFIX}{}", std::process::id()));
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self { folder, keep })
    }

    /// One within this one, where names are free that are taken here.
    pub(crate) fn within(&self, name: &str) -> Result<Self> {
        Ok(Self { folder: self.folder(name)?, keep: self.keep })
    }

    /// A path in it; nothing is made there.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A new folder in it.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.path(name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.keep {
            unmount_below(&self.folder);
            println!("kept {}", self.folder.display());
        } else {
            remove(&self.folder);
        }
    }
}

fn remove(folder: &Path) {
    unmount_below(folder);
    if let Err(error) = fs::remove_dir_all(folder) {
        eprintln!("warning: cannot remove {}: {error}", folder.display());
    }
}

fn remove_left_overs(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(process) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        if process.parse::<u32>().is_ok() && !Path::new("/proc").join(process).exists() {
            remove(&entry.path());
        }
    }
}

fn unmount_below(folder: &Path) {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for point in mount_points_below(&mounts, folder) {
        if let Err(error) = Tool::new("umount").argument("--lazy").run(&[&point]) {
            eprintln!("warning: {error}");
        }
    }
}

/// The mount points below `folder`, deepest first, from the text of `/proc/self/mountinfo` (proc(5)).
fn mount_points_below(mountinfo: &str, folder: &Path) -> Vec<PathBuf> {
    let mut points: Vec<PathBuf> = mountinfo
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        // The kernel writes a space as \040; the names that engines choose have none.
        .map(|point| PathBuf::from(point.replace("\\040", " ")))
        .filter(|point| point.starts_with(folder) && point != folder)
        .collect();
    points.sort_by_key(|point| std::cmp::Reverse(point.components().count()));
    points
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::mount_points_below;

    #[test]
    fn mounts_below_the_folder_are_found_deepest_first() {
        let mountinfo = "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
            40 22 254:0 /x /tmp/run.1/data rw - ext4 /dev/vda rw\n\
            41 40 0:50 / /tmp/run.1/data/overlay/merged rw - overlay overlay rw\n\
            42 22 0:51 / /tmp/run.12/data rw - tmpfs tmpfs rw\n";
        assert_eq!(
            mount_points_below(mountinfo, Path::new("/tmp/run.1")),
            ["/tmp/run.1/data/overlay/merged", "/tmp/run.1/data"].map(PathBuf::from)
        );
    }
}
