//! A chunk: behind what a session has received, and durable once acknowledged.

use cargohold_access::{Permit, Push};
use cargohold_metadata::{AdvanceUpload, Seen};
use cargohold_oci::{RepositoryName, UploadId};

use super::{Content, Placement, session::Session, to_the_end};
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
        match self.receive(&mut session, content, placement.length).await {
            Ok(()) => self.keep(session).await,
            Err(broken @ Error::BrokenBody(_)) => {
                self.keep(session).await?;
                Err(broken)
            }
            Err(refusal) => Err(self.turn_away(session, refusal).await),
        }
    }

    /// Refuses a body that there is no room for before anything is touched: the session stays as it is.
    pub(super) async fn require_room(&self, placement: Placement) -> Result<(), Error> {
        Ok(self.0.stores.disk().require_room(placement.length.unwrap_or_default()).await?)
    }

    /// Makes durable what was received, and counts it.
    async fn keep(&self, mut session: Session) -> Result<u64, Error> {
        let Seen { upload, epoch, received: before } = session.seen;
        if session.writer.received() == before {
            return Ok(before);
        }
        let synced = match session.writer.sync().await {
            Ok(synced) => synced,
            Err(error) => return Err(self.turn_away(session, error.into()).await),
        };
        let advance = AdvanceUpload {
            upload,
            epoch,
            received: synced.received,
            hash_state: synced.hash.to_bytes(),
            now: self.0.environment.now(),
        };
        if self.0.metadata.run(advance).await? {
            return Ok(synced.received);
        }
        Err(Error::Superseded { received: before })
    }

    /// Ends a request whose bytes do not count, and gives the room back that they took.
    pub(super) async fn turn_away(&self, mut session: Session, refusal: Error) -> Error {
        // On a full disk this makes the room that the database needs to record the rest.
        if let Err(error) = session.writer.cut_back().await {
            let upload = session.seen.upload;
            tracing::warn!(%upload, %error, cause = ?error, "a request that broke off did not get its bytes off the disk");
        }
        let refusal = self.end_if_lost(session.seen, session.writer.is_unsure(), refusal).await;
        // The turn lasts until here: nobody else is to write meanwhile.
        drop(session);
        refusal
    }
}
