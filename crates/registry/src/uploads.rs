//! Upload sessions: how a blob comes in.
//!
//! A session is a row; its bytes are staged on the disk and hashed as they arrive. A request ends the older ones of this process,
//! so that two never mix bytes, and makes itself the session's one writer in the database before it writes or moves anything, so
//! that nobody else's bytes count any more; what it received counts once it is synced and committed. Receiving and finishing run in tasks of their own: a client that hangs up
//! cuts neither off half-way.

mod append;
mod finish;
mod receive;
mod session;

use std::pin::Pin;

use bytes::Bytes;
use cargohold_access::{Permit, Push};
use cargohold_blobs::{HashState, Key};
use cargohold_metadata::{CancelUpload, Epoch, StartUpload, Upload};
use cargohold_oci::{Algorithm, RepositoryName, UploadId};
use futures_util::Stream;
use tracing::Instrument;

use crate::{Error, Registry};

/// A request's body.
pub type Content = Pin<Box<dyn Stream<Item = Result<Bytes, ContentError>> + Send>>;

/// Why a body broke off.
pub type ContentError = Box<dyn std::error::Error + Send + Sync>;

/// Where a body belongs in its upload, as far as the client said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// The offset of its first byte; unsaid, it follows what is there.
    pub start: Option<u64>,
    /// Its length in bytes.
    pub length: Option<u64>,
}

impl Registry {
    /// Opens a session whose bytes are hashed by `algorithm` as they arrive. The digest at its end may name another one, at the
    /// cost of reading them once more.
    pub async fn start_upload(&self, permit: &Permit<Push>, algorithm: Algorithm) -> Result<UploadId, Error> {
        self.require_room(Placement::default()).await?;
        Ok(self.start(permit.repository(), algorithm).await?.0)
    }

    /// Bytes that the session has received, synced and hashed.
    pub async fn upload_status(&self, permit: &Permit<Push>, upload: UploadId) -> Result<u64, Error> {
        Ok(self.find_upload(permit.repository(), upload).await?.received)
    }

    /// Ends a session in nothing, whoever is writing to it.
    pub async fn cancel_upload(&self, permit: &Permit<Push>, upload: UploadId) -> Result<(), Error> {
        let is_ended = self.cancel(permit.repository(), upload).await?;
        if is_ended { Ok(()) } else { Err(unknown(permit.repository(), upload)) }
    }

    async fn cancel(&self, repository: &RepositoryName, upload: UploadId) -> Result<bool, Error> {
        let cancel = CancelUpload { repository: repository.clone(), upload, now: self.0.environment.now() };
        let is_ended = self.0.metadata.run(cancel).await?;
        if is_ended {
            self.wake_discards();
        }
        Ok(is_ended)
    }

    async fn start(&self, repository: &RepositoryName, algorithm: Algorithm) -> Result<(UploadId, Epoch), Error> {
        self.0.validation.check_name(repository)?;
        let upload = self.0.environment.upload_id();
        let start = StartUpload {
            repository: repository.clone(),
            upload,
            store: self.0.stores.own(),
            key: Key::staging(upload).as_str().to_owned(),
            hash_state: HashState::new(algorithm).to_bytes(),
            grace: self.grace(),
        };
        let epoch = self.0.metadata.run(start).await?;
        self.0.metrics.uploads_started.increment();
        Ok((upload, epoch))
    }

    async fn find_upload(&self, repository: &RepositoryName, upload: UploadId) -> Result<Upload, Error> {
        self.0.metadata.upload(repository, upload).await?.ok_or_else(|| unknown(repository, upload))
    }

    /// To a writer that was overtaken: where the session stands now, or that it has ended, as it also has without its bytes.
    async fn say_where_it_stands(&self, refusal: Error, repository: &RepositoryName, upload: UploadId) -> Error {
        match refusal {
            lost if lost.tells_of_lost_bytes() => {
                tracing::error!(%upload, error = %lost, cause = ?lost, "received bytes are gone: the client has to start again");
                unknown(repository, upload)
            }
            Error::Superseded { .. } => match self.find_upload(repository, upload).await {
                Ok(row) => Error::Superseded { received: row.received },
                Err(ended) => ended,
            },
            refusal => refusal,
        }
    }
}

/// Runs a task to its end even if whoever asked for it goes away.
pub(crate) async fn to_the_end<T: Send + 'static>(
    task: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(task.in_current_span()).await.map_err(|_| Error::Broken)?
}

fn unknown(repository: &RepositoryName, upload: UploadId) -> Error {
    Error::UploadUnknown { repository: repository.clone(), upload }
}
