//! Putting a manifest: the moment an image exists.

use bytes::Bytes;
use cargohold_access::{Permit, Push};
use cargohold_metadata::{PutManifest, ReferencedContent};
use cargohold_oci::{Algorithm, Digest, Manifest, Reference, Tag};

use crate::{Error, Registry};

/// A manifest that was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put {
    /// What it can be pulled by.
    pub digest: Digest,
    /// What it is about, if it says so: from now on that one's referrers have it.
    pub subject: Option<Digest>,
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
        let (digest, tag) = name(reference, &bytes)?;
        let tags = tag.into_iter().chain(more_tags).collect();
        let manifest = Manifest::parse(&bytes, content_type)?;
        let subject = manifest.subject().map(|subject| subject.digest);
        let put = PutManifest {
            repository: permit.repository().clone(),
            digest,
            media_type: manifest.media_type().to_owned(),
            artifact_type: manifest.artifact_type().map(str::to_owned),
            subject,
            total_size: manifest.total_size(),
            references: references(&manifest),
            tags,
            now: self.0.environment.now(),
            bytes,
        };
        match self.0.metadata.run(put).await? {
            Ok(()) => Ok(Put { digest, subject }),
            Err(missing) => Err(Error::ContentUnknown { repository: permit.repository().clone(), missing }),
        }
    }
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

fn references(manifest: &Manifest) -> Vec<ReferencedContent> {
    let references = manifest.references().map(|reference| ReferencedContent {
        role: reference.role,
        digest: reference.descriptor.digest,
        may_be_absent: reference.may_be_absent(),
    });
    references.collect()
}
