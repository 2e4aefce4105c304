//! Deleting tags, manifests and blobs: out of the readers' sight at once, gone from the disk later, if nothing brings it back.

use cargohold_access::{Delete, Permit};
use cargohold_metadata::{
    DeleteBlob, DeleteManifest, DeleteRepository, DeleteTag, DeletedBlob, DeletedManifests, Grace, Timestamp,
};
use cargohold_oci::{Digest, Reference, RepositoryName, Tag};

use crate::{Error, Registry};

/// What a deletion took with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TakenAlong {
    /// Manifests that only the deleted one kept: children of an index, referrers of a subject.
    pub manifests: usize,
    /// Tags that named any of them, or that clients keep about them.
    pub tags: usize,
}

impl Registry {
    /// Deletes a tag, whose manifest stays, or a manifest, with its tags and all that only it kept.
    pub async fn delete_manifest(&self, permit: &Permit<Delete>, reference: &Reference) -> Result<TakenAlong, Error> {
        let repository = permit.repository().clone();
        let deleted = match reference {
            Reference::Tag(tag) => self.delete_tag(repository, tag.clone()).await?,
            Reference::Digest(digest) => self.delete_by_digest(repository, *digest).await?,
        };
        deleted.ok_or_else(|| Error::ManifestUnknown {
            repository: permit.repository().clone(),
            reference: reference.clone(),
        })
    }

    /// Deletes a repository with all that it has: its name is free at once. Answers until when it can come back.
    pub async fn delete_repository(&self, permit: &Permit<Delete>) -> Result<Timestamp, Error> {
        let (repository, window) = (permit.repository().clone(), self.undo_window());
        let deleted = self.change(&repository, DeleteRepository { repository: repository.clone(), window }).await?;
        if !deleted {
            return Err(Error::RepositoryUnknown(repository));
        }
        self.0.metrics.repositories_deleted.increment();
        Ok(window.until)
    }

    /// Deletes a blob from one repository, unless a manifest there needs it.
    pub async fn delete_blob(&self, permit: &Permit<Delete>, digest: Digest) -> Result<(), Error> {
        let repository = permit.repository().clone();
        let delete = DeleteBlob { repository: repository.clone(), digest, window: self.undo_window() };
        match self.change(&repository, delete).await? {
            DeletedBlob::Deleted => {
                self.0.metrics.blobs_deleted.increment();
                Ok(())
            }
            DeletedBlob::Unknown => Err(Error::BlobUnknown { repository, digest }),
            DeletedBlob::NeededBy(manifest) => Err(Error::BlobNeeded { repository, digest, manifest }),
        }
    }

    async fn delete_tag(&self, repository: RepositoryName, tag: Tag) -> Result<Option<TakenAlong>, Error> {
        let delete = DeleteTag { repository: repository.clone(), tag, now: self.0.environment.now() };
        let deleted = self.change(&repository, delete).await?;
        if deleted {
            self.0.metrics.tags_deleted.increment();
        }
        Ok(deleted.then(TakenAlong::default))
    }

    async fn delete_by_digest(&self, repository: RepositoryName, digest: Digest) -> Result<Option<TakenAlong>, Error> {
        let delete = DeleteManifest { repository: repository.clone(), digest, window: self.undo_window() };
        let deleted = self.change(&repository, delete).await?;
        if let Some(DeletedManifests { manifests, tags }) = &deleted {
            self.0.metrics.manifests_deleted.add(*manifests as u64);
            self.0.metrics.tags_deleted.add(*tags as u64);
        }
        // The one that was named does not count.
        Ok(deleted.map(|DeletedManifests { manifests, tags }| TakenAlong { manifests: manifests - 1, tags }))
    }

    /// From now on, for as long as what is deleted can come back.
    pub fn undo_window(&self) -> Grace {
        let now = self.0.environment.now();
        Grace { now, until: now.plus(self.0.lifetimes.deleted) }
    }
}
