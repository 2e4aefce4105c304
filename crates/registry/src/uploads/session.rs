//! Becoming a session's one writer.

use cargohold_blobs::{HashState, Key, UploadClaim, UploadWriter};
use cargohold_metadata::{ClaimUpload, Epoch, Upload};
use cargohold_oci::{Algorithm, RepositoryName, UploadId};

use crate::{Error, Registry};

/// A session with its one writer, which is this request.
pub(super) struct Session {
    pub(super) repository: RepositoryName,
    pub(super) upload: UploadId,
    pub(super) epoch: Epoch,
    /// What was received before this request.
    pub(super) start: u64,
    pub(super) writer: UploadWriter,
}

impl Registry {
    /// Makes this request the session's writer. Older writers have written their last byte, and can no longer commit.
    pub(super) async fn take_over(
        &self,
        repository: &RepositoryName,
        upload: UploadId,
        start: Option<u64>,
    ) -> Result<Session, Error> {
        // Asked before anybody is stopped: a chunk that is out of order ends no upload that is under way.
        in_order(start, &self.find_upload(repository, upload).await?)?;
        let claim = self.0.stores.disk().claim(upload).await;
        // Asked again, since the writer that was just waited for may have committed.
        let row = self.find_upload(repository, upload).await?;
        in_order(start, &row)?;
        let take = ClaimUpload { upload, received: row.received, now: self.0.environment.now() };
        match self.0.metadata.run(take).await? {
            Some(epoch) => self.open_writer(repository, upload, epoch, &row, claim).await,
            None => Err(Error::Superseded { received: row.received }),
        }
    }

    /// Opens the staged bytes for the writer that holds `epoch`.
    async fn open_writer(
        &self,
        repository: &RepositoryName,
        upload: UploadId,
        epoch: Epoch,
        row: &Upload,
        claim: UploadClaim,
    ) -> Result<Session, Error> {
        let hash = HashState::from_bytes(&row.hash_state).ok_or(Error::Broken)?;
        let opened = claim.writer(&Key::parse(&row.key)?, row.received, hash).await;
        if let Err(error @ (cargohold_blobs::Error::NotFound { .. } | cargohold_blobs::Error::Truncated { .. })) =
            &opened
        {
            tracing::error!(%upload, %error, "received bytes are gone: the client has to start again");
            self.abandon(repository, upload).await;
            return Err(super::unknown(repository, upload));
        }
        Ok(Session { repository: repository.clone(), upload, epoch, start: row.received, writer: opened? })
    }

    /// Opens the staged bytes of a session that nobody else knows of yet.
    pub(super) async fn open_first_writer(
        &self,
        repository: &RepositoryName,
        upload: UploadId,
        epoch: Epoch,
        hash: HashState,
    ) -> Result<Session, Error> {
        let writer = self.0.stores.disk().claim(upload).await.writer(&Key::staging(upload), 0, hash).await?;
        Ok(Session { repository: repository.clone(), upload, epoch, start: 0, writer })
    }
}

impl Session {
    /// Gives the space back that this request's bytes took, and ends its writing.
    pub(super) async fn cut_back(self) {
        let Self { upload, start, writer, .. } = self;
        // Opening for a writer cuts the file. If a newer one waits already it will do so itself, and the hash is for nobody.
        let cut = writer.into_claim().writer(&Key::staging(upload), start, HashState::new(Algorithm::Sha256)).await;
        if let Err(error) = cut {
            tracing::debug!(%upload, %error, "what arrived stays until the next writer comes or the session expires");
        }
    }
}

fn in_order(start: Option<u64>, row: &Upload) -> Result<(), Error> {
    match start {
        Some(start) if start != row.received => Err(Error::OutOfOrder { received: row.received }),
        _ => Ok(()),
    }
}
