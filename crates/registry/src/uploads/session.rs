//! Becoming a session's one writer.

use cargohold_blobs::{HashState, Key, UploadWriter};
use cargohold_metadata::{ClaimUpload, Epoch, Seen, Upload};
use cargohold_oci::{Algorithm, RepositoryName, UploadId};

use crate::{Error, Registry};

/// A session, and this request as the newest in this process that wants to write to it.
pub(super) struct Session {
    pub(super) repository: RepositoryName,
    /// Where it stands, without what this request brings.
    pub(super) seen: Seen,
    /// Whether this request is the writer that is named there. Before it is, nothing is written.
    is_writer: bool,
    pub(super) writer: UploadWriter,
}

impl Registry {
    /// Ends the session's older writers in this process, and sees where it stands. They have written their last byte.
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
        let hash = HashState::from_bytes(&row.hash_state).ok_or(Error::Broken)?;
        let writer = claim.writer(&Key::parse(&row.key)?, row.received, hash);
        let seen = Seen { upload, epoch: row.epoch, received: row.received };
        Ok(Session { repository: repository.clone(), seen, is_writer: false, writer })
    }

    /// The session that this request began: nobody else knows of it yet.
    pub(super) async fn first_writer(
        &self,
        repository: &RepositoryName,
        upload: UploadId,
        epoch: Epoch,
        algorithm: Algorithm,
    ) -> Session {
        let claim = self.0.stores.disk().claim(upload).await;
        let writer = claim.writer(&Key::staging(upload), 0, HashState::new(algorithm));
        let seen = Seen { upload, epoch, received: 0 };
        Session { repository: repository.clone(), seen, is_writer: true, writer }
    }

    /// Makes this request the session's one writer, if it is not: older ones can no longer commit, wherever they run.
    pub(super) async fn become_writer(&self, session: &mut Session) -> Result<(), Error> {
        if !session.is_writer {
            let seen = session.seen;
            let claimed = self.0.metadata.run(ClaimUpload { seen, now: self.0.environment.now() }).await?;
            session.seen.epoch = claimed.ok_or(Error::Superseded { received: seen.received })?;
            session.is_writer = true;
        }
        Ok(())
    }
}

fn in_order(start: Option<u64>, row: &Upload) -> Result<(), Error> {
    match start {
        Some(start) if start != row.received => Err(Error::OutOfOrder { received: row.received }),
        _ => Ok(()),
    }
}
