//! Bringing back what was deleted, and ending its window at once.

use cargohold_access::{Delete, Permit};
use cargohold_metadata::{
    Deleted, NotUndeleted, Purge, Purged, UndeleteManifest, UndeleteRepository, UndeleteTag, Undeleted, Window,
};
use cargohold_oci::Reference;

use crate::{Error, Registry};

impl Registry {
    /// Brings back the repository of that name that was deleted last, with all that it had.
    pub async fn undelete_repository(&self, permit: &Permit<Delete>) -> Result<(), Error> {
        let repository = permit.repository().clone();
        let undelete = UndeleteRepository { repository, window: self.window() };
        let undeleted = self.0.metadata.run(undelete).await?;
        undeleted.map_err(|reason| self.not_undeleted(permit, None, reason))
    }

    /// Brings back a tag, with its manifest if that was deleted too, or a manifest; with it all that was deleted together with it.
    pub async fn undelete_manifest(&self, permit: &Permit<Delete>, reference: &Reference) -> Result<Undeleted, Error> {
        let (repository, window) = (permit.repository().clone(), self.window());
        let undeleted = match reference {
            Reference::Tag(tag) => self.0.metadata.run(UndeleteTag { repository, tag: tag.clone(), window }).await?,
            Reference::Digest(digest) => {
                self.0.metadata.run(UndeleteManifest { repository, digest: *digest, window }).await?
            }
        };
        undeleted.map_err(|reason| self.not_undeleted(permit, Some(reference), reason))
    }

    /// Ends the window of what was deleted: a tag's history, a manifest with what went with it, or, without a reference, the
    /// repositories of that name. It cannot come back, and bytes that nothing else needs go now. Answers how much it was.
    pub async fn purge(&self, permit: &Permit<Delete>, reference: Option<&Reference>) -> Result<usize, Error> {
        let deleted = match reference {
            None => Deleted::Repository,
            Some(Reference::Tag(tag)) => Deleted::Tag(tag.clone()),
            Some(Reference::Digest(digest)) => Deleted::Manifest(*digest),
        };
        let repository = permit.repository().clone();
        let now = self.0.environment.now();
        match self.0.metadata.run(Purge { repository: repository.clone(), deleted, now }).await? {
            Purged::Ended(count) => {
                self.wake_sweep();
                Ok(count)
            }
            Purged::NotDeleted => Err(Error::NotDeleted { repository, reference: reference.cloned() }),
            Purged::Unknown => Err(Error::NothingDeleted { repository, reference: reference.cloned() }),
        }
    }

    fn window(&self) -> Window {
        Window { now: self.0.environment.now(), length: self.0.lifetimes.deleted }
    }

    fn not_undeleted(&self, permit: &Permit<Delete>, reference: Option<&Reference>, reason: NotUndeleted) -> Error {
        let (repository, reference) = (permit.repository().clone(), reference.cloned());
        match reason {
            NotUndeleted::Unknown => Error::NothingDeleted { repository, reference },
            NotUndeleted::NotDeleted => Error::NotDeleted { repository, reference },
            NotUndeleted::TooLate => Error::WindowEnded { repository, reference, window: self.0.lifetimes.deleted },
        }
    }
}
