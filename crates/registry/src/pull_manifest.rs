//! Manifests for readers, byte for byte as they were pushed.

use cargohold_access::{Permit, Pull};
use cargohold_metadata::{ManifestHead, StoredManifest};
use cargohold_oci::Reference;

use crate::{Error, Registry};

impl Registry {
    /// The manifest that a tag or digest names.
    pub async fn pull_manifest(&self, permit: &Permit<Pull>, reference: &Reference) -> Result<StoredManifest, Error> {
        let (metadata, repository) = (&self.0.metadata, permit.repository());
        let found = match reference {
            Reference::Tag(tag) => metadata.manifest_by_tag(repository, tag).await?,
            Reference::Digest(digest) => metadata.manifest_by_digest(repository, digest).await?,
        };
        found.ok_or_else(|| unknown(permit, reference))
    }

    /// As [`pull_manifest`](Self::pull_manifest), without the bytes.
    pub async fn stat_manifest(&self, permit: &Permit<Pull>, reference: &Reference) -> Result<ManifestHead, Error> {
        let (metadata, repository) = (&self.0.metadata, permit.repository());
        let found = match reference {
            Reference::Tag(tag) => metadata.manifest_head_by_tag(repository, tag).await?,
            Reference::Digest(digest) => metadata.manifest_head_by_digest(repository, digest).await?,
        };
        found.ok_or_else(|| unknown(permit, reference))
    }
}

fn unknown(permit: &Permit<Pull>, reference: &Reference) -> Error {
    Error::ManifestUnknown { repository: permit.repository().clone(), reference: reference.clone() }
}
