//! A chunk: behind what a session has received, and durable once acknowledged.

use cargohold_access::{Permit, Push};
use cargohold_metadata::AdvanceUpload;
use cargohold_oci::{RepositoryName, UploadId};

use super::{Content, Placement, receive::receive, session::Session};
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
        tokio::spawn(task).await.map_err(|_| Error::Broken)?
    }

    async fn append_all(
        &self,
        repository: &RepositoryName,
        upload: UploadId,
        placement: Placement,
        content: Content,
    ) -> Result<u64, Error> {
        let mut session = self.take_over(repository, upload, placement.start).await?;
        match receive(&mut session, content, placement.length).await {
            Ok(()) => self.keep(session).await,
            Err(error @ Error::BrokenBody(_)) => {
                self.keep(session).await?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes durable what was received, and counts it.
    async fn keep(&self, mut session: Session) -> Result<u64, Error> {
        if session.writer.received() == session.start {
            return Ok(session.start);
        }
        let synced = session.writer.sync().await?;
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
}
