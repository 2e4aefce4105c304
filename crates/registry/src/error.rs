//! Why an operation was refused or failed, by what the caller can do about it.

use std::time::Duration;

use cargohold_oci::{Digest, Excerpt, ManifestError, Reference, RepositoryName, UploadId};

use crate::uploads::ContentError;

/// Where a failure comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The bytes, and the disk that they are on.
    Store,
    /// The facts.
    Database,
    /// Anything else.
    Other,
}

/// The refusals and failures of all operations.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such repository for this caller.
    #[error("repository {0} is not known to the registry")]
    RepositoryUnknown(RepositoryName),
    /// A name that the registry's operator does not allow.
    #[error("the name of repository {repository} has {bytes} bytes, and at most {most} are allowed")]
    NameTooLong {
        /// The name.
        repository: RepositoryName,
        /// Its length.
        bytes: usize,
        /// `validation.repositories.maxname`.
        most: usize,
    },
    /// The repository does not have that blob, or its bytes are lost: push it.
    #[error("blob {digest} is not in repository {repository}")]
    BlobUnknown {
        /// The repository.
        repository: RepositoryName,
        /// The blob.
        digest: Digest,
    },
    /// A live manifest of the repository needs the blob: delete that first.
    #[error(
        "blob {digest} cannot be deleted: manifest {manifest} in repository {repository} needs it; delete that first"
    )]
    BlobNeeded {
        /// The repository.
        repository: RepositoryName,
        /// The blob.
        digest: Digest,
        /// One of the manifests that need it.
        manifest: Digest,
    },
    /// The repository has no such manifest.
    #[error("manifest {reference} is not in repository {repository}")]
    ManifestUnknown {
        /// The repository.
        repository: RepositoryName,
        /// The tag or digest that was asked for.
        reference: Reference,
    },
    /// It is there: there is nothing to bring back, and nothing to purge before it is deleted.
    #[error("{} is there, it is not deleted", named(.repository, .reference.as_ref()))]
    NotDeleted {
        /// The repository.
        repository: RepositoryName,
        /// What of it, if not all.
        reference: Option<Reference>,
    },
    /// Nothing of that name was deleted, or it is gone for good.
    #[error("nothing that was deleted is called {}, or it is gone for good", named(.repository, .reference.as_ref()))]
    NothingDeleted {
        /// The repository.
        repository: RepositoryName,
        /// What of it, if not all.
        reference: Option<Reference>,
    },
    /// It was deleted too long ago, or purged.
    #[error(
        "{} cannot come back: it was purged, or deleted longer ago than {window:?} (sweep.window)",
        named(.repository, .reference.as_ref())
    )]
    WindowEnded {
        /// The repository.
        repository: RepositoryName,
        /// What of it, if not all.
        reference: Option<Reference>,
        /// For how long what was deleted can come back.
        window: Duration,
    },
    /// The session ended, expired, or was another repository's: start a new one.
    #[error(
        "upload session {upload} is not known in repository {repository}: it ended, expired or never began; start a new one"
    )]
    UploadUnknown {
        /// The repository.
        repository: RepositoryName,
        /// The session.
        upload: UploadId,
    },
    /// The session stands elsewhere, and goes on from there.
    #[error("the upload has received {received} bytes, so the next chunk starts at {received}")]
    OutOfOrder {
        /// Bytes received so far.
        received: u64,
    },
    /// A newer request took the session over; that one's answer counts.
    #[error("a newer request writes to this upload session")]
    Superseded {
        /// Bytes received so far.
        received: u64,
    },
    /// The body's length is not the one that was announced; nothing of it was kept.
    #[error("the request announced {announced} bytes and brought {brought}")]
    WrongLength {
        /// By `Content-Length` or `Content-Range`.
        announced: u64,
        /// Bytes that came; where more came than announced, those up to the first too many.
        brought: u64,
    },
    /// The body broke off; what had arrived is kept and the session can be resumed.
    #[error("the request's body broke off: {0}")]
    BrokenBody(#[source] ContentError),
    /// What arrived is something else than what was named; the upload is discarded.
    #[error("the content has the digest {computed}, not {named}")]
    DigestMismatch {
        /// What the client said.
        named: Digest,
        /// What the bytes say.
        computed: Digest,
    },
    /// The manifest breaks a rule.
    #[error(transparent)]
    InvalidManifest(#[from] ManifestError),
    /// Larger than a manifest may be.
    #[error("the manifest has {bytes} bytes, and at most {most} are allowed")]
    ManifestTooLarge {
        /// The size that came.
        bytes: usize,
        /// `validation.manifests.maxbytes`.
        most: usize,
    },
    /// The manifest refers to more than it may.
    #[error("the manifest refers to {references} blobs and manifests, and at most {most} are allowed")]
    TooManyReferences {
        /// What it refers to.
        references: usize,
        /// `validation.manifests.maxreferences`.
        most: usize,
    },
    /// The manifest's artifact type is longer than it may be.
    #[error(
        "the manifest's artifactType, or its configuration's media type, has {bytes} bytes, and at most {most} are allowed"
    )]
    ArtifactTypeTooLong {
        /// Its length.
        bytes: usize,
        /// `validation.manifests.maxartifacttype`.
        most: usize,
    },
    /// The manifest names an address that layers may not be had from.
    #[error(
        "the manifest names {} in urls, which this registry does not allow: push the layer itself, without urls",
        Excerpt::of(url)
    )]
    UrlDenied {
        /// The address.
        url: String,
    },
    /// The manifest refers to what the repository does not have: push that first.
    #[error("the manifest refers to content that is not in repository {repository}")]
    ContentUnknown {
        /// The repository.
        repository: RepositoryName,
        /// What is missing, in the manifest's order.
        missing: Vec<Digest>,
    },
    /// No endpoint of that name is told of events.
    #[error("no endpoint is called {0}: `cargohold notifications status` lists those that there are")]
    EndpointUnknown(String),
    /// The disk is full: free space, then try again.
    #[error("no space left on device")]
    NoSpace,
    /// The store can be read only: try again once somebody has seen to it.
    #[error("the store can only be read")]
    ReadOnly(#[source] cargohold_blobs::Error),
    /// The database could not commit at the moment: try again.
    #[error("the database is busy")]
    Busy,
    /// The store cannot be reached at the moment: try again.
    #[error("the store is away")]
    StoreAway(#[source] cargohold_blobs::Error),
    /// A row names a store that this process did not open, which is a bug, or somebody else changed it.
    #[error("a row names store {0}, which is not known here")]
    StoreUnknown(i64),
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] cargohold_blobs::Error),
    /// A row holds a key that is none: somebody else changed it, or the database is damaged.
    #[error("a row holds an impossible key")]
    ImpossibleKey(#[from] cargohold_blobs::KeyError),
    /// The database failed.
    #[error("the database failed")]
    Metadata(#[source] cargohold_metadata::Error),
    /// An operation ended without an answer, which is a bug.
    #[error("the operation broke off")]
    Broken,
}

impl Error {
    /// Whether bytes that were acknowledged are gone, though the store is there.
    pub(crate) fn tells_of_lost_bytes(&self) -> bool {
        use cargohold_blobs::Error::{NotFound, Truncated};
        matches!(self, Self::Store(NotFound { .. } | Truncated { .. }))
    }

    /// Where it comes from, if it is a failure; none if it is a refusal, which is the right answer.
    pub fn part(&self) -> Option<Part> {
        match self {
            Self::Store(_) | Self::StoreUnknown(_) | Self::StoreAway(_) | Self::ReadOnly(_) | Self::NoSpace => {
                Some(Part::Store)
            }
            Self::Metadata(_) | Self::Busy | Self::ImpossibleKey(_) => Some(Part::Database),
            Self::Broken => Some(Part::Other),
            _ => None,
        }
    }
}

impl From<cargohold_blobs::Error> for Error {
    fn from(error: cargohold_blobs::Error) -> Self {
        match error {
            cargohold_blobs::Error::NoSpace => Self::NoSpace,
            cargohold_blobs::Error::ReadOnly { .. } => Self::ReadOnly(error),
            cargohold_blobs::Error::StoreAway { .. } => Self::StoreAway(error),
            // Whoever answers the client asks where the session stands.
            cargohold_blobs::Error::Stopped => Self::Superseded { received: 0 },
            error => Self::Store(error),
        }
    }
}

impl From<cargohold_metadata::Error> for Error {
    fn from(error: cargohold_metadata::Error) -> Self {
        match error {
            cargohold_metadata::Error::NoSpace => Self::NoSpace,
            cargohold_metadata::Error::NotCommitted | cargohold_metadata::Error::OutcomeUnknown => Self::Busy,
            error => Self::Metadata(error),
        }
    }
}

/// A repository, or a tag or manifest of it, as people write it.
fn named(repository: &RepositoryName, reference: Option<&Reference>) -> String {
    match reference {
        None => format!("repository {repository}"),
        Some(Reference::Tag(tag)) => format!("{repository}:{tag}"),
        Some(Reference::Digest(digest)) => format!("{repository}@{digest}"),
    }
}
