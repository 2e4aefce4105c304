//! A chunk: behind what a session has received, and durable once acknowledged.

use cargohold_access::{Permit, Push};
use cargohold_metadata::AdvanceUpload;
use cargohold_oci::{RepositoryName, UploadId};

use super::{Content, Placement, receive::receive, session::Session, to_the_end};
use crate::{Error, Registry};

impl Registry {
    /// Appends a body to a session; answers how many bytes it has received in all.
    ///
    /// If the client breaks off, what had arrived is kept and the upload can be resumed behind it.
    pub async fn append(
        &self,
        permit: &Permit<Push>,
        upload: UploadId,
        placement: Placement,
        content: Content,
    ) -> Result<u64, Error> {
        let (registry, repository) = (self.clone(), permit.repository().clone());
        let task = async move {
            let appended = registry.append_all(&repository, upload, placement, content).await;
            match appended {
                Err(refusal) => Err(registry.say_where_it_stands(refusal, &repository, upload).await),
                received => received,
            }
        };
        to_the_end(task).await
    }

    async fn append_all(
        &self,
        repository: &RepositoryName,
        upload: UploadId,
        placement: Placement,
        content: Content,
    ) -> Result<u64, Error> {
        self.require_room(placement).await?;
        let mut session = self.take_over(repository, upload, placement.start).await?;
        match receive(&mut session, content, placement.length).await {
            Ok(()) => self.keep(session).await,
            Err(broken @ Error::BrokenBody(_)) => {
                self.keep(session).await?;
                Err(broken)
            }
            Err(refusal) => Err(self.discard_if_unwritten(session, refusal).await),
        }
    }

    /// Refuses a body that there is no room for before anything is touched: the session stays as it is.
    pub(super) async fn require_room(&self, placement: Placement) -> Result<(), Error> {
        Ok(self.0.stores.disk().require_room(placement.length.unwrap_or_default()).await?)
    }

    /// Makes durable what was received, and counts it.
    async fn keep(&self, mut session: Session) -> Result<u64, Error> {
        if session.writer.received() == session.start {
            return Ok(session.start);
        }
        let synced = match session.writer.sync().await {
            Ok(synced) => synced,
            Err(error) => return Err(self.discard_if_unwritten(session, error.into()).await),
        };
        let advance = AdvanceUpload {
            upload: session.upload,
            epoch: session.epoch,
            received: synced.received,
            hash_state: synced.hash.to_bytes(),
            now: self.0.environment.now(),
        };
        if self.0.metadata.run(advance).await? {
            return Ok(synced.received);
        }
        Err(Error::Superseded { received: session.start })
    }

    /// After a write or a sync that failed nobody knows what is on the disk, and writing or syncing again could answer a lie: the
    /// upload ends in nothing. Refusals that have nothing to do with the disk leave it as it was.
    pub(super) async fn discard_if_unwritten(&self, session: Session, refusal: Error) -> Error {
        if matches!(refusal, Error::Store(_) | Error::StoreAway(_) | Error::ReadOnly(_) | Error::NoSpace) {
            let (repository, upload) = (session.repository.clone(), session.upload);
            // On a full disk this makes the room that the database needs to record the rest.
            session.cut_back().await;
            self.abandon(&repository, upload).await;
        }
        refusal
    }
}
