//! What an adoption meets that is not as it should be: half-written, damaged, left over, or refused by our rules.

use std::io;

use cargohold_blobs::LinkError;
use cargohold_oci::{Digest, DigestError, ManifestError, RepositoryNameError, TagError};

use crate::distribution;

/// Something odd, and where.
#[derive(Debug)]
pub struct Oddity {
    /// The file or folder, below the adopted one.
    pub path: String,
    /// What is odd about it.
    pub what: Odd,
}

/// What is odd about a file or folder.
#[derive(Debug, thiserror::Error)]
pub enum Odd {
    /// A blob that the repository has, and whose bytes are nowhere.
    #[error("the bytes of {0} are not there")]
    NoBytes(Digest),
    /// A file that is shorter or longer than the blob, or holds something else.
    #[error("the bytes of {digest} are damaged: {found}")]
    Damaged {
        /// What it should be.
        digest: Digest,
        /// What is there.
        found: String,
    },
    /// A link that names nothing.
    #[error("the link is damaged: {0}")]
    Link(#[source] LinkError),
    /// A link that names something else than where it lies says.
    #[error("the link names {0}")]
    OtherDigest(Digest),
    /// A manifest that ours would refuse.
    #[error("{0}")]
    Manifest(#[source] ManifestError),
    /// A manifest that is larger than any may be.
    #[error("the manifest has {0} bytes")]
    ManifestSize(u64),
    /// Something that a manifest needs and the repository does not have.
    #[error("manifest {manifest} refers to {absent}, which is not there")]
    Absent {
        /// The manifest.
        manifest: Digest,
        /// What it needs.
        absent: Digest,
    },
    /// A repository whose name ours would refuse.
    #[error("{0}")]
    Name(#[source] RepositoryNameError),
    /// A tag that ours would refuse.
    #[error("{0}")]
    Tag(#[source] TagError),
    /// A folder that stands for no digest that ours knows.
    #[error("{0}")]
    Digest(#[source] DigestError),
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// A link to a folder elsewhere.
    #[error("it is a symbolic link, and these are not followed")]
    Symlink,
    /// A repository that was deleted here.
    #[error("the repository was deleted here")]
    RepositoryDeleted,
    /// A tag that names a manifest which is not there.
    #[error("the tag names {0}, which the repository does not have")]
    DanglingTag(Digest),
    /// A tag whose setting was cut off.
    #[error("the tag names nothing")]
    TagOfNothing,
    /// Content that was deleted: its folder stays without a link.
    #[error("it has no link: it was deleted")]
    Deleted,
    /// A repository that nothing was ever pushed to as a whole, or whose manifests were all deleted.
    #[error("the repository has no manifest")]
    NoManifests,
    /// A file that a crash has left.
    #[error("a file that was never finished")]
    Unfinished,
    /// A folder with nothing in it.
    #[error("the folder is empty")]
    Empty,
    /// A file that belongs to no registry.
    #[error("a file that has no place there")]
    Stray,
}

impl Odd {
    /// What is odd about something whose name is none that may be there.
    pub(super) fn of_name(name: &str, otherwise: Self) -> Self {
        let unfinished = std::path::Path::new(name).extension().is_some_and(|extension| extension == "tmp");
        if unfinished { Self::Unfinished } else { otherwise }
    }

    /// What kind of oddity it is, for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoBytes(_) => "blob missing",
            Self::Damaged { .. } => "blob damaged",
            Self::Link(_) | Self::OtherDigest(_) => "link damaged",
            Self::Manifest(ManifestError::SchemaOne) => "manifest of schema 1",
            Self::Manifest(_) | Self::ManifestSize(_) => "manifest refused",
            Self::Absent { .. } => "content missing",
            Self::Name(_) => "repository refused",
            Self::Tag(_) => "tag refused",
            Self::Digest(_) => "digest refused",
            Self::Unreadable(_) => "unreadable",
            Self::Symlink => "symbolic link",
            Self::RepositoryDeleted => "repository deleted here",
            Self::DanglingTag(_) => "tag dangling",
            Self::TagOfNothing => "tag unfinished",
            Self::Deleted => "deleted",
            Self::NoManifests => "repository without manifests",
            Self::Unfinished => "file unfinished",
            Self::Empty => "folder empty",
            Self::Stray => "file unknown",
        }
    }

    /// What that means for those who push and pull.
    pub fn meaning(&self) -> &'static str {
        match self {
            Self::NoBytes(_) | Self::Damaged { .. } => "pulls of the blob get 404 until it is pushed again",
            Self::Link(_) | Self::OtherDigest(_) | Self::Digest(_) => "what it should name is not in the repository",
            Self::Manifest(_) | Self::ManifestSize(_) => "the manifest and its tags are left out; push the image again",
            Self::Absent { .. } => "the manifest is served as it is, and pulls of the whole fail until that is pushed",
            Self::Name(_) => "the repository is left out",
            Self::Tag(_) => "the tag is left out, its manifest has its digest",
            Self::Unreadable(_) => "what is in it is left out; make it readable and adopt again",
            Self::Symlink => "what it leads to is left out; adopt that folder itself, or put it in its place",
            Self::RepositoryDeleted => "it stays deleted; bring it back with `cargohold repository undelete`",
            Self::DanglingTag(_) | Self::TagOfNothing => "the tag is left out",
            Self::Deleted | Self::Unfinished | Self::Empty | Self::Stray => "nothing is missing",
            Self::NoManifests => "it is not listed until an image is pushed to it",
        }
    }

    /// Whether the other registry did not serve it either.
    pub fn is_harmless(&self) -> bool {
        matches!(
            self,
            Self::RepositoryDeleted
                | Self::DanglingTag(_)
                | Self::TagOfNothing
                | Self::Deleted
                | Self::NoManifests
                | Self::Unfinished
                | Self::Empty
                | Self::Stray
        )
    }
}

impl From<distribution::Odd> for Odd {
    fn from(odd: distribution::Odd) -> Self {
        match odd {
            distribution::Odd::Empty => Self::Empty,
            distribution::Odd::Symlink => Self::Symlink,
            distribution::Odd::File => Self::Stray,
        }
    }
}

/// Of a link that cannot be read: one that is not there belongs to something that was deleted.
impl From<LinkError> for Odd {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Unreadable(error) if error.kind() == io::ErrorKind::NotFound => Self::Deleted,
            LinkError::Unreadable(error) => Self::Unreadable(error),
            error => Self::Link(error),
        }
    }
}
