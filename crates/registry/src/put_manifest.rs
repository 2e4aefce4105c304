//! Putting a manifest: the moment an image exists.

use std::collections::HashSet;

use bytes::Bytes;
use cargohold_access::{Permit, Push};
use cargohold_metadata::{PutManifest, ReferencedContent, Timestamp};
use cargohold_oci::{Algorithm, Digest, Manifest, ManifestReference, Reference, RepositoryName, Tag};

use crate::{Error, Registry, uploads::to_the_end};

/// A manifest that was put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// What it can be pulled by.
    pub digest: Digest,
    /// What it is about, if it says so: from now on that one's referrers have it.
    pub subject: Option<Digest>,
    /// What it refers to and the repository does not have, since nothing was required: see [`References::None`](crate::References::None).
    pub absent: Vec<Digest>,
}

impl Registry {
    /// Puts a manifest under `reference`. Everything it refers to must be in the repository, but for its subject and for layers
    /// that say where else they are. `more_tags` name it as well, all of them or none.
    pub async fn put_manifest(
        &self,
        permit: &Permit<Push>,
        reference: &Reference,
        more_tags: Vec<Tag>,
        content_type: Option<&str>,
        bytes: Bytes,
    ) -> Result<Put, Error> {
        let validation = &self.0.validation;
        validation.check_name(permit.repository())?;
        validation.check_size(bytes.len())?;
        let (digest, tag) = name(reference, &bytes)?;
        let tags = tag.into_iter().chain(more_tags).collect();
        let manifest = Manifest::parse(&bytes, content_type)?;
        validation.check_manifest(&manifest)?;
        let subject = manifest.subject().map(|subject| subject.digest);
        let now = self.0.environment.now();
        let put =
            put_of(permit.repository(), digest, &manifest, |reference| validation.may_be_absent(reference), bytes, now);
        let put = PutManifest { tags, ..put };
        let registry = self.clone();
        let task = async move {
            registry.0.stores.disk().require_room(put.bytes.len() as u64).await?;
            let (repository, bytes) = (put.repository.clone(), put.bytes.clone());
            let put = registry.change_manifest(&repository, &bytes, put).await?;
            if put.is_ok() {
                registry.0.metrics.manifests_put.increment();
            }
            Ok(put)
        };
        match to_the_end(task).await? {
            Ok(absent) => Ok(Put { digest, subject, absent: unexpected(&manifest, absent) }),
            Err(missing) => Err(Error::ContentUnknown { repository: permit.repository().clone(), missing }),
        }
    }
}

/// What is written down of a manifest, without a tag.
pub(crate) fn put_of(
    repository: &RepositoryName,
    digest: Digest,
    manifest: &Manifest,
    may_be_absent: impl Fn(&ManifestReference<'_>) -> bool,
    bytes: Bytes,
    now: Timestamp,
) -> PutManifest {
    PutManifest {
        repository: repository.clone(),
        digest,
        media_type: manifest.media_type().to_owned(),
        artifact_type: manifest.artifact_type().map(str::to_owned),
        subject: manifest.subject().map(|subject| subject.digest),
        total_size: manifest.total_size(),
        references: references(manifest, may_be_absent),
        tags: Vec::new(),
        now,
        bytes,
    }
}

/// Of what is absent, that which the manifest does not say is elsewhere.
pub(crate) fn unexpected(manifest: &Manifest, mut absent: Vec<Digest>) -> Vec<Digest> {
    if !absent.is_empty() {
        let elsewhere = manifest.references().filter(ManifestReference::may_be_absent);
        let elsewhere: HashSet<_> = elsewhere.map(|reference| reference.descriptor.digest).collect();
        absent.retain(|digest| !elsewhere.contains(digest));
    }
    absent
}

/// The digest that the manifest gets, and its tag. A digest that was named must be right.
fn name(reference: &Reference, bytes: &[u8]) -> Result<(Digest, Option<Tag>), Error> {
    match reference {
        Reference::Tag(tag) => Ok((Digest::of(Algorithm::Sha256, bytes), Some(tag.clone()))),
        Reference::Digest(named) => {
            let computed = Digest::of(named.algorithm(), bytes);
            if computed == *named {
                Ok((computed, None))
            } else {
                Err(Error::DigestMismatch { named: *named, computed })
            }
        }
    }
}

fn references(manifest: &Manifest, may_be_absent: impl Fn(&ManifestReference<'_>) -> bool) -> Vec<ReferencedContent> {
    let references = manifest.references().map(|reference| ReferencedContent {
        role: reference.role,
        digest: reference.descriptor.digest,
        may_be_absent: may_be_absent(&reference),
    });
    references.collect()
}
