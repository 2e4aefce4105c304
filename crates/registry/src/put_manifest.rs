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
    /// that say where else they are.
    pub async fn put_manifest(
        &self,
        permit: &Permit<Push>,
        reference: &Reference,
        content_type: Option<&str>,
        bytes: Bytes,
    ) -> Result<Put, Error> {
        let (digest, tags) = name(reference, &bytes)?;
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

/// The digest that the manifest gets, and its tags. One that was named must be right.
fn name(reference: &Reference, bytes: &[u8]) -> Result<(Digest, Vec<Tag>), Error> {
    match reference {
        Reference::Tag(tag) => Ok((Digest::of(Algorithm::Sha256, bytes), vec![tag.clone()])),
        Reference::Digest(named) => {
            let computed = Digest::of(named.algorithm(), bytes);
            if computed == *named {
                Ok((computed, Vec::new()))
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
