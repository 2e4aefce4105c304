//! Bringing back what was deleted, while its window has not ended.
//!
//! What was deleted together comes back together: a manifest with those that went with it, their links and their tags. Nothing
//! that came since is overwritten: a tag that was set again stays where it is.

mod manifest;
mod repository;
mod tag;

use std::time::Duration;

pub use manifest::UndeleteManifest;
pub use repository::UndeleteRepository;
pub use tag::UndeleteTag;

pub(crate) use manifest::STATEMENTS as MANIFEST_STATEMENTS;
pub(crate) use repository::STATEMENTS as REPOSITORY_STATEMENTS;
pub(crate) use tag::STATEMENTS as TAG_STATEMENTS;

use crate::Timestamp;

/// For how long what was deleted can come back.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Now.
    pub now: Timestamp,
    /// From the deletion on.
    pub length: Duration,
}

impl Window {
    fn has_ended(&self, deleted_at: Timestamp) -> bool {
        deleted_at.plus(self.length) <= self.now
    }
}

/// What came back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Undeleted {
    /// Manifests.
    pub manifests: usize,
    /// Tags.
    pub tags: usize,
}

/// Why nothing came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotUndeleted {
    /// There is nothing of that name, deleted or not; or it was swept.
    Unknown,
    /// It is there.
    NotDeleted,
    /// Its window ended, or was ended.
    TooLate,
}
