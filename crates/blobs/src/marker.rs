//! The marker: a small file in a store's root that names the store's id.
//!
//! A disk that is not mounted looks like an empty folder. Whoever misses an object asks for the marker first: where it cannot be
//! read, the store is away and nothing is known to be lost.

use std::fs;
use std::io;
use std::path::Path;

use thiserror::Error;

use crate::LAYOUT;
use crate::file_system::{self, Failure};

const NAME: &str = "cargohold-store";
const UNFINISHED_NAME: &str = "cargohold-store.new";
const PREFIX: &str = "cargohold store ";

/// Why a folder is not the store that is looked for.
#[derive(Debug, Error)]
pub enum MarkerError {
    /// There is no marker.
    #[error("its marker, the file {NAME}, is not there")]
    Missing,
    /// The marker cannot be read.
    #[error("its marker, the file {NAME}, cannot be read")]
    Unreadable(#[source] io::Error),
    /// The marker does not say `cargohold store <id>`.
    #[error("its marker, the file {NAME}, does not name a store")]
    Malformed,
    /// Another store is there.
    #[error("its marker, the file {NAME}, names store {found}, and store {expected} should be there")]
    Other {
        /// The id that the marker names.
        found: i64,
        /// The id that it should name.
        expected: i64,
    },
    /// The folder of another registry's layout, which stands for the marker of a store that was adopted, is not there.
    #[error("its folder {LAYOUT} is not there")]
    NoLayout,
    /// That folder cannot be looked at.
    #[error("its folder {LAYOUT} cannot be looked at")]
    UnreadableLayout(#[source] io::Error),
}

/// Succeeds if the folder `root` is the store `id`.
pub(crate) fn check(root: &Path, id: i64) -> Result<(), MarkerError> {
    let text = fs::read(root.join(NAME)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => MarkerError::Missing,
        _ => MarkerError::Unreadable(error),
    })?;
    match parse(&text) {
        Some(found) if found == id => Ok(()),
        Some(found) => Err(MarkerError::Other { found, expected: id }),
        None => Err(MarkerError::Malformed),
    }
}

/// Makes the folder `root` the store `id`, durably. It must not be a store yet.
pub(crate) fn write(root: &Path, id: i64) -> Result<(), Failure> {
    let unfinished = root.join(UNFINISHED_NAME);
    let file = file_system::open_for_writing(&unfinished, true)?;
    file_system::cut(&file, &unfinished, 0)?;
    file_system::write(&file, &unfinished, format!("{PREFIX}{id}\n").as_bytes(), 0)?;
    file_system::sync_data(&file, &unfinished)?;
    let folder = file_system::open_folder(root)?;
    file_system::rename(&unfinished, &folder, &root.join(NAME))?;
    file_system::sync_folder(&folder, root)
}

fn parse(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    text.strip_prefix(PREFIX)?.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_which_store_a_folder_is() {
        let root = tempfile::tempdir().unwrap();
        assert!(matches!(check(root.path(), 7), Err(MarkerError::Missing)));
        write(root.path(), 7).unwrap();
        check(root.path(), 7).unwrap();
        assert!(matches!(check(root.path(), 8), Err(MarkerError::Other { found: 7, expected: 8 })));
    }

    #[test]
    fn a_crash_before_it_was_finished_leaves_nothing_in_the_way() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join(UNFINISHED_NAME), "cargohold st").unwrap();
        write(root.path(), 7).unwrap();
        check(root.path(), 7).unwrap();
    }

    #[test]
    fn a_damaged_one_names_no_store() {
        let root = tempfile::tempdir().unwrap();
        for text in ["", "cargohold store ", "cargohold store x", "7", "\u{0}\u{0}"] {
            fs::write(root.path().join(NAME), text).unwrap();
            assert!(matches!(check(root.path(), 7), Err(MarkerError::Malformed)), "{text:?}");
        }
        fs::remove_file(root.path().join(NAME)).unwrap();
        fs::create_dir(root.path().join(NAME)).unwrap();
        assert!(matches!(check(root.path(), 7), Err(MarkerError::Unreadable(_))));
    }
}
