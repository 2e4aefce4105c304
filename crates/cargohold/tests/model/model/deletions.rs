//! What goes with a manifest: every tag that names it, the tags that clients keep about it, the children that nothing else
//! holds, and its referrers, if nothing else holds them. A manifest is held by a tag, by an index, and, as a referrer, by its
//! subject.

use super::{Model, Repository, manifests::reference_refusal};
use crate::{
    digest::is_digest,
    promise::{Detail, Expected, Promise},
};

impl Model {
    pub(super) fn delete_manifest(&mut self, repository: &str, reference: &str) -> Expected {
        if let Some(refusal) = reference_refusal(reference) {
            return Expected::one(refusal);
        }
        let here = self.repository_mut(repository);
        let deleted = if reference.contains(':') {
            let there = here.manifests.contains_key(reference);
            here.delete(reference);
            there
        } else {
            here.tags.remove(reference).is_some()
        };
        Expected::one(if deleted { gone() } else { Promise::refusal(404, "MANIFEST_UNKNOWN") })
    }

    pub(super) fn delete_blob(&mut self, repository: &str, digest: &str) -> Expected {
        let here = self.repository_mut(repository);
        Expected::one(if !is_digest(digest) {
            Promise::refusal(400, "DIGEST_INVALID")
        } else if !here.blobs.contains(digest) {
            Promise::refusal(404, "BLOB_UNKNOWN")
        } else {
            let needed = here.needing(digest);
            if !needed.is_empty() {
                let refusal = Promise::refusal_with(405, "UNSUPPORTED", Detail::NeededBy(needed));
                return Expected::one(refusal.lists("Allow", ["GET", "HEAD"]));
            }
            here.blobs.remove(digest);
            gone().is("Docker-Content-Digest", digest)
        })
    }
}

impl Repository {
    /// The manifests that need a blob.
    pub(crate) fn needing(&self, digest: &str) -> Vec<String> {
        let needing = self.manifests.iter().filter(|(_, manifest)| manifest.refers_to(digest));
        needing.map(|(digest, _)| digest.clone()).collect()
    }

    fn delete(&mut self, digest: &str) {
        let Some(deleted) = self.manifests.remove(digest) else { return };
        self.tags.retain(|_, named| named != digest);
        let mut orphans: Vec<_> = deleted.references.into_iter().map(|reference| reference.digest).collect();
        let referrers = self.manifests.iter().filter(|(_, manifest)| manifest.subject.as_deref() == Some(digest));
        orphans.extend(referrers.map(|(digest, _)| digest.clone()));
        for tag in about(digest) {
            orphans.extend(self.tags.remove(&tag));
        }
        for orphan in orphans {
            if !self.is_held(&orphan) {
                self.delete(&orphan);
            }
        }
    }

    fn is_held(&self, digest: &str) -> bool {
        let subject = self.manifests.get(digest).and_then(|manifest| manifest.subject.as_ref());
        self.tags.values().any(|named| named == digest)
            || self.manifests.values().any(|manifest| manifest.has_child(digest))
            || subject.is_some_and(|subject| self.manifests.contains_key(subject))
    }
}

/// The tags that clients keep about a manifest: one for its referrers, and those of cosign. A sha512 digest is too long for one.
fn about(digest: &str) -> Vec<String> {
    let tag = digest.replace(':', "-");
    ["", ".sig", ".att", ".sbom"].iter().map(|suffix| format!("{tag}{suffix}")).collect()
}

fn gone() -> Promise {
    Promise::empty(202).is("Content-Length", "0")
}
