//! The grammar of the `/v2` paths, once for both directions: a server parses with it what a client builds with it.
//!
//! Repository names have slashes and may hold the words of the paths themselves (`a/blobs/b` and `tags/list` are names), so a
//! path is read from its right end. The words decide which path it is; a name, digest, tag or upload id in it that is wrong is
//! then an error of its own, never "not found". Each segment may arrive percent-encoded. Methods and queries are not known here.
//!
//! Source: OCI distribution specification, "Endpoints" and "Extensions"; `_catalog` is Docker's.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use thiserror::Error;

use crate::{
    Digest, DigestError, Reference, ReferenceError, RepositoryName, RepositoryNameError, TagError, UploadId,
    UploadIdError,
};

/// A path of the registry API.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Path {
    /// `/v2/`
    Ping,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/_oci/ext/discover`, or `/v2/<name>/_oci/ext/discover` for one repository.
    Discover {
        /// The repository; none for the whole registry.
        name: Option<RepositoryName>,
    },
    /// `/v2/<name>/tags/list`
    Tags {
        /// The repository.
        name: RepositoryName,
    },
    /// `/v2/<name>/manifests/<reference>`
    Manifest {
        /// The repository.
        name: RepositoryName,
        /// The tag or digest.
        reference: Reference,
    },
    /// `/v2/<name>/blobs/<digest>`
    Blob {
        /// The repository.
        name: RepositoryName,
        /// The blob.
        digest: Digest,
    },
    /// `/v2/<name>/blobs/uploads/`, where uploads begin. Old tools leave out the last slash.
    Uploads {
        /// The repository.
        name: RepositoryName,
    },
    /// `/v2/<name>/blobs/uploads/<id>`
    Upload {
        /// The repository.
        name: RepositoryName,
        /// The session.
        id: UploadId,
    },
    /// `/v2/<name>/referrers/<digest>`
    Referrers {
        /// The repository.
        name: RepositoryName,
        /// The manifest that is referred to.
        digest: Digest,
    },
}

/// Why a path leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PathError {
    /// The words of the path are none of the API's.
    #[error("the registry API has no such path")]
    NotFound,
    /// The repository name in it is wrong.
    #[error(transparent)]
    Name(#[from] RepositoryNameError),
    /// The digest in it is wrong.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// The tag in it is wrong.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// The upload id in it is wrong.
    #[error(transparent)]
    Upload(#[from] UploadIdError),
}

impl Path {
    /// Reads the path of a request as it came, percent-encoded and without its query.
    pub fn parse(raw_path: &str) -> Result<Self, PathError> {
        let path = match raw_path.strip_prefix("/v2").ok_or(PathError::NotFound)? {
            "" => return Ok(Self::Ping),
            path => path.strip_prefix('/').ok_or(PathError::NotFound)?,
        };
        match decode(path).as_ref() {
            "" => return Ok(Self::Ping),
            "_catalog" => return Ok(Self::Catalog),
            "_oci/ext/discover" => return Ok(Self::Discover { name: None }),
            _ => {}
        }
        let (rest, last) = cut_last(path)?;
        let (rest, word) = cut_last(rest)?;
        match (word.as_ref(), last.as_ref()) {
            ("tags", "list") => Ok(Self::Tags { name: name(rest)? }),
            ("manifests", reference) => {
                Ok(Self::Manifest { name: name(rest)?, reference: Reference::parse(reference)? })
            }
            ("blobs", "uploads") => Ok(Self::Uploads { name: name(rest)? }),
            ("blobs", digest) => Ok(Self::Blob { name: name(rest)?, digest: Digest::parse(digest)? }),
            ("uploads", id) => match cut_last(rest)? {
                (rest, word) if word == "blobs" && id.is_empty() => Ok(Self::Uploads { name: name(rest)? }),
                (rest, word) if word == "blobs" => Ok(Self::Upload { name: name(rest)?, id: UploadId::parse(id)? }),
                _ => Err(PathError::NotFound),
            },
            ("referrers", digest) => Ok(Self::Referrers { name: name(rest)?, digest: Digest::parse(digest)? }),
            ("ext", "discover") => match cut_last(rest)? {
                (rest, word) if word == "_oci" => Ok(Self::Discover { name: Some(name(rest)?) }),
                _ => Err(PathError::NotFound),
            },
            _ => Err(PathError::NotFound),
        }
    }

    /// The repository that the path is about, if it is about one.
    pub fn name(&self) -> Option<&RepositoryName> {
        match self {
            Self::Ping | Self::Catalog => None,
            Self::Discover { name } => name.as_ref(),
            Self::Tags { name }
            | Self::Manifest { name, .. }
            | Self::Blob { name, .. }
            | Self::Uploads { name }
            | Self::Upload { name, .. }
            | Self::Referrers { name, .. } => Some(name),
        }
    }
}

impl fmt::Display for Path {
    /// Writes the path as a request carries it: no character of a name, tag, digest or id needs encoding.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ping => formatter.write_str("/v2/"),
            Self::Catalog => formatter.write_str("/v2/_catalog"),
            Self::Discover { name: None } => formatter.write_str("/v2/_oci/ext/discover"),
            Self::Discover { name: Some(name) } => write!(formatter, "/v2/{name}/_oci/ext/discover"),
            Self::Tags { name } => write!(formatter, "/v2/{name}/tags/list"),
            Self::Manifest { name, reference } => write!(formatter, "/v2/{name}/manifests/{reference}"),
            Self::Blob { name, digest } => write!(formatter, "/v2/{name}/blobs/{digest}"),
            Self::Uploads { name } => write!(formatter, "/v2/{name}/blobs/uploads/"),
            Self::Upload { name, id } => write!(formatter, "/v2/{name}/blobs/uploads/{id}"),
            Self::Referrers { name, digest } => write!(formatter, "/v2/{name}/referrers/{digest}"),
        }
    }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(raw_path: &str) -> Result<Self, PathError> {
        Self::parse(raw_path)
    }
}

impl From<ReferenceError> for PathError {
    fn from(error: ReferenceError) -> Self {
        match error {
            ReferenceError::Tag(error) => Self::Tag(error),
            ReferenceError::Digest(error) => Self::Digest(error),
        }
    }
}

/// The last segment, decoded, and what stands before its slash. Without a slash there is no room for a name: not found.
fn cut_last(path: &str) -> Result<(&str, Cow<'_, str>), PathError> {
    let (rest, last) = path.rsplit_once('/').ok_or(PathError::NotFound)?;
    Ok((rest, decode(last)))
}

/// Reads a name, in which even the slashes may be encoded: some clients encode it as one piece.
fn name(raw: &str) -> Result<RepositoryName, PathError> {
    Ok(RepositoryName::parse(&decode(raw))?)
}

/// Malformed escapes stay as they are and malformed UTF-8 becomes U+FFFD; no grammar allows either, so each is refused where
/// it stands.
fn decode(raw: &str) -> Cow<'_, str> {
    // Nearly always there is nothing to decode.
    if raw.contains('%') { percent_decode_str(raw).decode_utf8_lossy() } else { raw.into() }
}

#[cfg(test)]
mod tests;
