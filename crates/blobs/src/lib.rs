//! Bytes by digest: where they lie, how they arrive and how they are found again. This crate knows one kind of store, a folder
//! on a [`LocalDisk`], and the same of another registry, which is read only ([`ReadOnlyDisk`]).
//!
//! It guarantees that bytes which a call reported as synced or published outlive a power loss at any later instruction, that a
//! file is never replaced or truncated once it was published, that an upload has one writer at a time in the process, and that
//! an upload in progress takes constant memory. It leaves to its callers what the bytes mean: which blob, which repository,
//! whether the digest is the right one, and above all the row that names an object from before its first byte until after its
//! deletion.
#![forbid(unsafe_code)]

mod claim;
mod error;
mod examine;
mod file_system;
mod folders;
mod hash_state;
mod key;
mod link;
mod local_disk;
mod marker;
mod observer;
mod placing;
mod read_only_disk;
mod room;
mod walk;
mod writer;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod testing;

pub use claim::UploadClaim;
pub use error::{Error, Failed};
pub use examine::{Examined, Pace};
#[cfg(any(test, feature = "watch"))]
pub use file_system::watch;
pub use hash_state::HashState;
pub use key::{Key, KeyError};
pub use link::{LinkError, read as read_link};
pub use local_disk::LocalDisk;
pub use marker::MarkerError;
pub use observer::Observer;
pub use read_only_disk::{LAYOUT, OpenBlob, ReadOnlyDisk};
pub use room::Space;
pub use writer::{Synced, UploadWriter};
