//! What can go wrong with bytes on a disk, told apart by what the caller can do about it. The cause of an error is its `source`.

use std::io;
use std::path::PathBuf;

use cargohold_oci::UploadId;
use thiserror::Error;

use crate::file_system::Failure;
use crate::local_disk::Disk;
use crate::{Key, MarkerError};

/// What went wrong.
#[derive(Debug, Error)]
pub enum Error {
    /// The store is there and the object is not. Its row should be marked `missing`, after another look.
    #[error("no file is at {key}")]
    NotFound {
        /// Where it should be.
        key: Key,
    },
    /// A file is in the way, and no row can name it since this one does. [`Key::blob_beside`] is free.
    #[error("a file that belongs to nothing is in the way at {key}")]
    Occupied {
        /// Where it lies.
        key: Key,
    },
    /// A newer request has taken the upload over; this one must end.
    #[error("a newer request has taken the upload over")]
    Stopped,
    /// Bytes that were acknowledged are gone: the upload must be discarded.
    #[error("the file at {key} has {length} bytes, and {received} were acknowledged")]
    Truncated {
        /// Where it lies.
        key: Key,
        /// How many bytes it must have.
        received: u64,
        /// How many it has.
        length: u64,
    },
    /// A mistake of the caller: an upload was to be published without a successful [`sync`](crate::UploadWriter::sync) after its
    /// last byte.
    #[error("the bytes of upload {id} were not synced, so they cannot be published")]
    Unsynced {
        /// The upload.
        id: UploadId,
    },
    /// The disk, or what its owner may use of it, is full.
    #[error("no space is left in the store")]
    NoSpace,
    /// The disk takes no changes, as one does that was mounted again after an error; try again once somebody has seen to it.
    #[error("the store can only be read: the file system refused a change at {path}")]
    ReadOnly {
        /// The file or folder that was to be changed.
        path: PathBuf,
    },
    /// The store itself cannot be reached, so nothing can be said about what it holds; try again later.
    #[error("the store at {root} is away")]
    StoreAway {
        /// The folder where it should be.
        root: PathBuf,
        /// How that shows.
        source: MarkerError,
    },
    /// The disk failed. What was being written must be discarded.
    #[error("the disk failed at {path}")]
    Io {
        /// The file or folder that was worked on.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A step of an upload that failed.
#[derive(Debug)]
pub struct Failed {
    /// Why.
    pub error: Error,
    /// Whether it was a write or a sync: then nobody knows what is on the disk, and asking again could answer a lie. Else it can be
    /// tried again.
    pub is_unsure: bool,
}

impl Failed {
    pub(crate) fn sure(error: Error) -> Self {
        Self { error, is_unsure: false }
    }

    pub(crate) fn unsure(error: Error) -> Self {
        Self { error, is_unsure: true }
    }

    /// What a failed call means for the object at `key`. Blocks.
    pub(crate) fn of(disk: &Disk, key: &Key, failure: Failure) -> Self {
        let is_unsure = failure.is_unsure;
        Self { error: disk.explain(key, failure), is_unsure }
    }
}
