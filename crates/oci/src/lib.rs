//! The vocabulary of a container registry: names, tags, digests, references, media types, manifests, error codes and the
//! grammar of the `/v2` paths, as the OCI distribution and image specifications and the Docker formats before them define them.
//!
//! Whatever a stranger sends is parsed here, once, into a type that cannot hold anything else; every parser takes time and
//! memory linear in its input, never panics, and names the offending text (bounded) and the rule in its error. What exists, who
//! may have it and how it travels is for the other crates: nothing here does I/O, reads a clock or draws a random number.
#![forbid(unsafe_code)]

mod descriptor;
mod digest;
mod error_code;
mod exact_keys;
mod excerpt;
mod manifest;
pub mod media_type;
mod path;
mod reference;
mod repository_name;
mod tag;
mod upload_id;

pub use descriptor::{Descriptor, Platform};
pub use digest::{Algorithm, Digest, DigestError};
pub use error_code::ErrorCode;
pub use excerpt::Excerpt;
pub use manifest::{Manifest, ManifestError, ManifestReference, Role};
pub use media_type::{ManifestType, is_foreign_layer};
pub use path::{Path, PathError};
pub use reference::{Reference, ReferenceError};
pub use repository_name::{RepositoryName, RepositoryNameError};
pub use tag::{Tag, TagError};
pub use upload_id::{UploadId, UploadIdError};
