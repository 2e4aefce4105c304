//! What a push may bring: the bounds and the strictness that operators choose.

use cargohold_oci::{Manifest, RepositoryName};

use crate::Error;

/// What is asked of what is pushed. Content that is stored already is served whatever this says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validation {
    /// Whether what a manifest refers to must be there.
    pub references: References,
    /// The largest manifest, in bytes.
    pub manifest_bytes: usize,
    /// The most that one manifest refers to: its configuration and layers, or its children.
    pub manifest_references: usize,
    /// The longest `artifactType` of a manifest, or media type of a configuration that stands for it, in bytes.
    pub artifact_type_bytes: usize,
    /// The longest name of a repository, in bytes.
    pub name_bytes: usize,
}

/// Whether what a manifest refers to must be in the repository before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum References {
    /// All of it, but for layers that say where else they are.
    All,
    /// Nothing: an image may come without its layers, an index without some of its children (sparse content).
    None,
}

impl Default for Validation {
    fn default() -> Self {
        Self {
            references: References::All,
            // What every registry must take and most clients stop at (OCI distribution specification, "Pushing Manifests").
            manifest_bytes: 4 * 1024 * 1024,
            manifest_references: 10_000,
            // A type and a subtype have 127 characters at the most (RFC 6838 §4.2).
            artifact_type_bytes: 255,
            name_bytes: RepositoryName::MAX_BYTES,
        }
    }
}

impl Validation {
    /// Whether a repository that is pushed to may be called this.
    pub(crate) fn check_name(&self, name: &RepositoryName) -> Result<(), Error> {
        match (name.as_str().len(), self.name_bytes) {
            (bytes, most) if bytes > most => Err(Error::NameTooLong { repository: name.clone(), bytes, most }),
            _ => Ok(()),
        }
    }

    /// Whether a manifest of that size may be read at all.
    pub(crate) fn check_size(&self, bytes: usize) -> Result<(), Error> {
        match self.manifest_bytes {
            most if bytes > most => Err(Error::ManifestTooLarge { bytes, most }),
            _ => Ok(()),
        }
    }

    /// Whether a manifest keeps to the bounds.
    pub(crate) fn check_manifest(&self, manifest: &Manifest) -> Result<(), Error> {
        let references = manifest.references().count();
        if references > self.manifest_references {
            return Err(Error::TooManyReferences { references, most: self.manifest_references });
        }
        match manifest.artifact_type() {
            Some(kind) if kind.len() > self.artifact_type_bytes => {
                Err(Error::ArtifactTypeTooLong { bytes: kind.len(), most: self.artifact_type_bytes })
            }
            _ => Ok(()),
        }
    }
}
