//! The end of an upload: its bytes become a blob that the repository has.

use cargohold_access::{Permit, Push};
use cargohold_blobs::{HashState, Key, UploadClaim};
use cargohold_metadata::{CancelUpload, ClaimKey, ClaimedKey, Epoch, FinishUpload, Finished, MarkMissing, ObjectId};
use cargohold_oci::{Digest, RepositoryName, UploadId};

use super::{Content, Placement, receive::receive, session::Session, to_the_end};
use crate::{Error, Registry};

/// An upload whose bytes are synced and known to be what was named.
struct Verified {
    repository: RepositoryName,
    upload: UploadId,
    epoch: Epoch,
    digest: Digest,
    size: u64,
    claim: UploadClaim,
}

impl Registry {
    /// Appends a body, which may be empty, to a session, checks the digest of everything it received, and gives the repository
    /// the blob. Repeating it after a success is a success.
    pub async fn finish_upload(
        &self,
        permit: &Permit<Push>,
        upload: UploadId,
        digest: Digest,
        placement: Placement,
        content: Content,
    ) -> Result<(), Error> {
        let (registry, repository) = (self.clone(), permit.repository().clone());
        let task = async move {
            registry.require_room(placement).await?;
            let finished = match registry.take_over(&repository, upload, placement.start).await {
                Ok(session) => registry.finish(session, digest, placement, content).await,
                Err(refusal) => Err(refusal),
            };
            match finished {
                Ok(()) => Ok(()),
                Err(refusal) => match registry.say_where_it_stands(refusal, &repository, upload).await {
                    ended @ Error::UploadUnknown { .. } => registry.finished_before(&repository, &digest, ended).await,
                    refusal => Err(refusal),
                },
            }
        };
        to_the_end(task).await
    }

    /// A session that is gone may have ended as it was asked to, and only the answer got lost.
    async fn finished_before(&self, repository: &RepositoryName, digest: &Digest, ended: Error) -> Result<(), Error> {
        match self.0.metadata.blob(repository, digest).await? {
            Some(_) => Ok(()),
            None => Err(ended),
        }
    }

    /// Uploads a blob in one go, without a session that the client would know of.
    pub async fn upload_blob(
        &self,
        permit: &Permit<Push>,
        digest: Digest,
        placement: Placement,
        content: Content,
    ) -> Result<(), Error> {
        let (registry, repository) = (self.clone(), permit.repository().clone());
        let task = async move {
            registry.require_room(placement).await?;
            let (upload, epoch) = registry.start(&repository, digest.algorithm()).await?;
            let hash = HashState::new(digest.algorithm());
            let finished = match registry.open_first_writer(&repository, upload, epoch, hash).await {
                Ok(session) => registry.finish(session, digest, placement, content).await,
                Err(error) => Err(error),
            };
            if finished.is_err() {
                registry.abandon(&repository, upload).await;
            }
            finished
        };
        to_the_end(task).await
    }

    async fn finish(
        &self,
        mut session: Session,
        digest: Digest,
        placement: Placement,
        content: Content,
    ) -> Result<(), Error> {
        match receive(&mut session, content, placement.length).await {
            Ok(()) => {}
            Err(broken @ Error::BrokenBody(_)) => {
                // Not kept as a chunk is: clients send the same PUT again from its start.
                session.cut_back().await;
                return Err(broken);
            }
            Err(refusal) => return Err(self.discard_if_unwritten(session, refusal).await),
        }
        let verified = self.verify(session, digest).await?;
        loop {
            let winner = self.find_winner(&verified).await?;
            if winner.is_none() {
                self.publish(&verified).await?;
            }
            let finish = FinishUpload {
                upload: verified.upload,
                epoch: verified.epoch,
                digest,
                size: verified.size,
                winner,
                grace: self.grace(),
            };
            match self.change(&verified.repository, finish).await? {
                Finished::Live => {
                    self.count_pushed(&verified);
                    return Ok(());
                }
                Finished::Discarded => {
                    self.count_pushed(&verified);
                    self.wake_discards();
                    return Ok(());
                }
                Finished::Superseded => return Err(Error::Superseded { received: verified.size }),
                Finished::WinnerGone => {}
            }
        }
    }

    fn count_pushed(&self, verified: &Verified) {
        self.0.metrics.blobs_pushed.increment();
        self.0.metrics.blob_bytes_pushed.add(verified.size);
    }

    /// Syncs what was received and compares the digest over all of it with the one that the client named.
    async fn verify(&self, mut session: Session, named: Digest) -> Result<Verified, Error> {
        let synced = match session.writer.sync_to_publish().await {
            Ok(synced) => synced,
            Err(error) => return Err(self.discard_if_unwritten(session, error.into()).await),
        };
        let Session { repository, upload, epoch, .. } = session;
        let computed = if synced.hash.algorithm() == named.algorithm() {
            synced.hash.finish()
        } else {
            self.0.stores.disk().reader().digest_of(&Key::staging(upload), named.algorithm()).await?
        };
        if computed != named {
            self.abandon(&repository, upload).await;
            return Err(Error::DigestMismatch { named, computed });
        }
        let claim = session.writer.into_claim();
        Ok(Verified { repository, upload, epoch, digest: named, size: synced.received, claim })
    }

    /// The live object of the digest, if there is one and its bytes are there: then ours are not needed.
    async fn find_winner(&self, verified: &Verified) -> Result<Option<ObjectId>, Error> {
        let Some(live) = self.0.metadata.live_object(&verified.digest).await? else { return Ok(None) };
        let (disk, key) = self.locate(live.store, &live.key)?;
        if live.size == verified.size && disk.holds(&key, live.size).await? {
            return Ok(Some(live.object));
        }
        tracing::error!(digest = %verified.digest, key = live.key, "the bytes of a live object are not there: replacing it");
        self.0.metadata.run(MarkMissing { object: live.object }).await?;
        Ok(None)
    }

    /// Moves the bytes to their place, which the upload's row names before they are there.
    ///
    /// If the disk fails at that the upload ends in nothing: a sync may be what failed, and the same sync could succeed for the
    /// next who tries without anything being on the disk.
    async fn publish(&self, verified: &Verified) -> Result<(), Error> {
        let beside = Key::blob_beside(&verified.digest, verified.upload);
        let mut keys = vec![Key::blob(&verified.digest), beside];
        while !keys.is_empty() {
            let claim = ClaimKey {
                upload: verified.upload,
                epoch: verified.epoch,
                keys: keys.iter().map(|key| key.as_str().to_owned()).collect(),
            };
            let Some(ClaimedKey(place)) = self.0.metadata.run(claim).await? else {
                return Err(Error::Superseded { received: verified.size });
            };
            match self.0.stores.disk().publish(&verified.claim, &keys[place]).await {
                // A file that no row names is in the way: leave it alone and take the next place.
                Err(cargohold_blobs::Error::Occupied { .. }) => keys.drain(..=place).for_each(drop),
                // Whoever took over goes on with the file where it is.
                Err(stopped @ cargohold_blobs::Error::Stopped) => return Err(stopped.into()),
                Err(failed) => {
                    self.abandon(&verified.repository, verified.upload).await;
                    return Err(failed.into());
                }
                Ok(()) => return Ok(()),
            }
        }
        Err(Error::Broken)
    }

    /// Discards an upload that came to nothing. If even that fails, the session expires.
    pub(super) async fn abandon(&self, repository: &RepositoryName, upload: UploadId) {
        let cancel = CancelUpload { repository: repository.clone(), upload, now: self.0.environment.now() };
        match self.0.metadata.run(cancel).await {
            Ok(_) => self.wake_discards(),
            Err(error) => {
                tracing::error!(%upload, %error, "a failed upload could not be discarded and is left to expire");
            }
        }
    }
}
