use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::file_system::watch::{self, Call, Watch};
use crate::testing::{id, sha256};

struct Place {
    root: tempfile::TempDir,
    folders: Folders,
    to: Key,
}

impl Place {
    /// A staged file with "bytes" in it.
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let folders = Folders::new(root.path().to_owned());
        fs::create_dir(root.path().join("uploads")).unwrap();
        let place = Self { root, folders, to: Key::blob(&sha256(b"bytes")) };
        fs::write(place.staging(), "bytes").unwrap();
        place
    }

    fn root(&self) -> &Path {
        self.root.path()
    }

    fn staging(&self) -> std::path::PathBuf {
        self.root().join(Key::staging(id(1)).as_str())
    }

    fn path(&self, key: &Key) -> std::path::PathBuf {
        self.root().join(key.as_str())
    }

    fn publish(&self) -> Result<Placed, Failure> {
        publish(self.root(), &self.folders, &self.staging(), &self.to)
    }

    fn link(&self) {
        fs::create_dir_all(self.root().join(self.to.folder())).unwrap();
        fs::hard_link(self.staging(), self.path(&self.to)).unwrap();
    }
}

fn calls(watch: &Watch) -> Vec<String> {
    watch.calls().iter().map(|(call, path)| format!("{call:?} {path}")).collect()
}

#[test]
fn a_place_is_durable_before_and_after_the_rename() {
    let place = Place::new();
    let watch = watch::record(place.root());
    assert_eq!(place.publish().unwrap(), Placed::There);
    let hex = sha256(b"bytes").hex();
    let (blobs, xx) = ("docker/registry/v2/blobs", &hex[..2]);
    assert_eq!(
        calls(&watch),
        [
            "MakeFolder docker".to_owned(),
            "MakeFolder docker/registry".to_owned(),
            "MakeFolder docker/registry/v2".to_owned(),
            format!("MakeFolder {blobs}"),
            format!("MakeFolder {blobs}/sha256"),
            format!("MakeFolder {blobs}/sha256/{xx}"),
            format!("MakeFolder {blobs}/sha256/{xx}/{hex}"),
            format!("SyncFolder {blobs}/sha256/{xx}"),
            format!("SyncFolder {blobs}/sha256"),
            format!("SyncFolder {blobs}"),
            "SyncFolder docker/registry/v2".to_owned(),
            "SyncFolder docker/registry".to_owned(),
            "SyncFolder docker".to_owned(),
            "SyncFolder ".to_owned(),
            format!("Rename {blobs}/sha256/{xx}/{hex}/data"),
            format!("SyncFolder {blobs}/sha256/{xx}/{hex}"),
        ]
    );
    assert_eq!(fs::read(place.path(&place.to)).unwrap(), b"bytes");
    assert!(!place.staging().exists());
}

#[test]
fn where_folders_are_known_two_syncs_are_enough() {
    let place = Place::new();
    place.publish().unwrap();
    fs::write(place.staging(), "bytes").unwrap();
    let beside = Key::blob_beside(&sha256(b"bytes"), id(1));
    let watch = watch::record(place.root());
    publish(place.root(), &place.folders, &place.staging(), &beside).unwrap();
    let syncs = watch.calls().iter().filter(|(call, _)| *call == Call::SyncFolder).count();
    assert_eq!(syncs, 2);
}

#[test]
fn a_file_in_the_way_stays_and_so_does_ours() {
    let place = Place::new();
    fs::create_dir_all(place.root().join(place.to.folder())).unwrap();
    fs::write(place.path(&place.to), "older").unwrap();
    assert_eq!(place.publish().unwrap(), Placed::Occupied);
    assert_eq!(fs::read(place.path(&place.to)).unwrap(), b"older");
    assert_eq!(fs::read(place.staging()).unwrap(), b"bytes");
}

#[test]
fn a_file_under_both_names_is_there() {
    let place = Place::new();
    place.link();
    assert_eq!(place.publish().unwrap(), Placed::There);
    assert!(!place.staging().exists());
    assert_eq!(fs::read(place.path(&place.to)).unwrap(), b"bytes");
}

#[test]
fn a_folder_that_is_removed_on_the_way_is_made_again() {
    let place = Place::new();
    let folder = place.root().join(place.to.folder());
    let done = AtomicBool::new(false);
    let watch = watch::watch(place.root(), move |call, _| {
        if call == Call::Rename && !done.swap(true, Ordering::Relaxed) {
            fs::remove_dir(&folder)?;
        }
        Ok(())
    });
    assert_eq!(place.publish().unwrap(), Placed::There);
    assert!(place.path(&place.to).exists());
    // The entry of the second folder is synced as that of the first was.
    let calls = watch.calls();
    let above = Path::new(place.to.folder()).parent().unwrap().display().to_string();
    let renames: Vec<usize> = (0..calls.len()).filter(|&index| calls[index].0 == Call::Rename).collect();
    assert_eq!(renames.len(), 2);
    assert!(calls[renames[0]..renames[1]].contains(&(Call::SyncFolder, above)));
}

#[test]
fn a_folder_that_is_always_removed_is_a_failure() {
    let place = Place::new();
    let folder = place.root().join(place.to.folder());
    let _watch = watch::watch(place.root(), move |call, _| match call {
        Call::Rename => fs::remove_dir(&folder),
        _ => Ok(()),
    });
    assert_eq!(place.publish().unwrap_err().kind(), io::ErrorKind::NotFound);
    assert!(place.staging().exists());
}

#[test]
fn nothing_staged_makes_no_folders() {
    let place = Place::new();
    fs::remove_file(place.staging()).unwrap();
    assert_eq!(place.publish().unwrap_err().kind(), io::ErrorKind::NotFound);
    assert!(!place.root().join("docker").exists());
}

#[test]
fn a_published_file_comes_back() {
    let place = Place::new();
    place.publish().unwrap();
    bring_back(place.root(), &place.to, &place.staging()).unwrap();
    assert_eq!(fs::read(place.staging()).unwrap(), b"bytes");
    assert!(!place.path(&place.to).exists());
}

#[test]
fn a_file_under_both_names_keeps_the_staged_one() {
    let place = Place::new();
    place.link();
    bring_back(place.root(), &place.to, &place.staging()).unwrap();
    assert!(place.staging().exists() && !place.path(&place.to).exists());
}

#[test]
fn a_stranger_at_the_place_is_not_brought_back() {
    let place = Place::new();
    fs::create_dir_all(place.root().join(place.to.folder())).unwrap();
    fs::write(place.path(&place.to), "stranger").unwrap();
    bring_back(place.root(), &place.to, &place.staging()).unwrap();
    assert_eq!(fs::read(place.staging()).unwrap(), b"bytes");
    assert_eq!(fs::read(place.path(&place.to)).unwrap(), b"stranger");
}

#[test]
fn nowhere_is_nothing_to_bring_back() {
    let place = Place::new();
    fs::remove_file(place.staging()).unwrap();
    bring_back(place.root(), &place.to, &place.staging()).unwrap();
    assert!(!place.staging().exists());
}

#[test]
fn the_last_file_of_a_blob_takes_the_folder_with_it() {
    let place = Place::new();
    place.publish().unwrap();
    let beside = Key::blob_beside(&sha256(b"bytes"), id(1));
    fs::write(place.path(&beside), "again").unwrap();
    let folder = place.root().join(place.to.folder());
    let above = Path::new(place.to.folder()).parent().unwrap().display().to_string();

    let watch = watch::record(place.root());
    remove(place.root(), &place.to).unwrap();
    assert!(folder.exists() && !place.path(&place.to).exists());
    assert_eq!(watch.calls().last(), Some(&(Call::SyncFolder, place.to.folder().to_owned())));

    remove(place.root(), &beside).unwrap();
    assert!(!folder.exists());
    assert_eq!(watch.calls().last(), Some(&(Call::SyncFolder, above)));
}

#[test]
fn removing_again_syncs_again() {
    let place = Place::new();
    place.publish().unwrap();
    for key in [place.to.clone(), Key::staging(id(1))] {
        remove(place.root(), &key).unwrap();
        let watch = watch::record(place.root());
        remove(place.root(), &key).unwrap();
        assert_eq!(watch.calls().last().map(|(call, _)| *call), Some(Call::SyncFolder));
    }
    assert!(place.root().join("uploads").exists());
}

/// A sync that failed has nothing left to write, unless there is a change again.
#[test]
fn a_removal_whose_sync_failed_is_made_again() {
    let place = Place::new();
    place.publish().unwrap();
    for key in [place.to.clone(), Key::staging(id(1))] {
        let failing = watch::fail(place.root(), Call::SyncFolder, rustix::io::Errno::IO);
        remove(place.root(), &key).unwrap_err();
        drop(failing);
        let watch = watch::record(place.root());
        remove(place.root(), &key).unwrap();
        let calls: Vec<Call> = watch.calls().into_iter().map(|(call, _)| call).collect();
        let changes = calls.iter().position(|call| *call == Call::Open).expect("the name is made again");
        assert_eq!(calls[changes + 1], Call::RemoveFile);
        assert_eq!(calls.last(), Some(&Call::SyncFolder));
        assert!(!place.path(&key).exists());
    }
}

#[test]
fn removing_what_has_not_even_a_folder_is_done() {
    let place = Place::new();
    remove(place.root(), &place.to).unwrap();
}
