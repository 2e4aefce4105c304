//! The end of an upload: its bytes become a blob that the repository has.

use cargohold_access::{Permit, Push};
use cargohold_blobs::{Failed, Key, Synced, UploadClaim};
use cargohold_metadata::{AbandonUpload, ClaimKey, ClaimedKey, FinishUpload, Finished, MarkMissing, ObjectId, Seen};
use cargohold_oci::{Algorithm, Digest, RepositoryName, UploadId};

use super::{Content, Placement, session::Session, to_the_end};
use crate::{Error, Registry};

/// An upload whose bytes are synced and known to be what was named.
struct Verified {
    repository: RepositoryName,
    seen: Seen,
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
            let session = registry.first_writer(&repository, upload, epoch, digest.algorithm()).await;
            let finished = registry.finish(session, digest, placement, content).await;
            // Nobody can go on with it.
            if finished.is_err()
                && let Err(error) = registry.cancel(&repository, upload).await
            {
                tracing::error!(%upload, %error, "a failed upload could not be discarded");
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
        // Not kept as a chunk is if the body breaks off: clients send the same PUT again from its start.
        if let Err(refusal) = self.receive(&mut session, content, placement.length).await {
            return Err(self.turn_away(session, refusal).await);
        }
        let mut verified = self.verify(session, digest).await?;
        loop {
            let winner = self.find_winner(&verified).await?;
            if winner.is_none() {
                self.publish(&mut verified).await?;
            }
            let finish = FinishUpload { seen: verified.seen, digest, size: verified.size, winner, grace: self.grace() };
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
        let (size, computed) = match self.identify(&mut session, named.algorithm()).await {
            Ok(identified) => identified,
            Err(refusal) => return Err(self.turn_away(session, refusal).await),
        };
        if computed != named {
            let is_ours = self.abandon(session.seen).await;
            let superseded = Error::Superseded { received: size };
            return Err(if is_ours { Error::DigestMismatch { named, computed } } else { superseded });
        }
        let Session { repository, seen, writer, .. } = session;
        Ok(Verified { repository, seen, digest: named, size, claim: writer.into_claim() })
    }

    /// How many bytes the upload has, all synced, and their digest. By another algorithm than the one that hashed them as they
    /// arrived, they are read once more.
    async fn identify(&self, session: &mut Session, algorithm: Algorithm) -> Result<(u64, Digest), Error> {
        if !session.writer.is_untouched() {
            self.become_writer(session).await?;
        }
        let Synced { received, hash } = session.writer.sync_to_publish().await?;
        let digest = if hash.algorithm() == algorithm {
            hash.finish()
        } else {
            let staging = Key::staging(session.seen.upload);
            self.0.stores.disk().reader().digest_of(&staging, received, algorithm).await?
        };
        Ok((received, digest))
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
    /// If a sync fails the upload ends in nothing: the same sync could succeed for the next who tries, without anything being on
    /// the disk. After any other failure it can be tried again.
    async fn publish(&self, verified: &mut Verified) -> Result<(), Error> {
        let beside = Key::blob_beside(&verified.digest, verified.seen.upload);
        let mut keys = vec![Key::blob(&verified.digest), beside];
        while !keys.is_empty() {
            let texts = keys.iter().map(|key| key.as_str().to_owned()).collect();
            let claim = ClaimKey { seen: verified.seen, keys: texts, now: self.0.environment.now() };
            let Some(ClaimedKey { epoch, place }) = self.0.metadata.run(claim).await? else {
                return Err(Error::Superseded { received: verified.size });
            };
            verified.seen.epoch = epoch;
            match self.0.stores.disk().publish(&verified.claim, &keys[place]).await {
                Ok(()) => return Ok(()),
                // A file that no row names is in the way: leave it alone and take the next place.
                Err(Failed { error: cargohold_blobs::Error::Occupied { .. }, .. }) => drop(keys.drain(..=place)),
                Err(Failed { error, is_unsure }) => {
                    return Err(self.end_if_lost(verified.seen, is_unsure, error.into()).await);
                }
            }
        }
        Err(Error::Broken)
    }

    /// After a write or a sync that failed nobody knows what is on the disk, and writing or syncing again could answer a lie: the
    /// upload ends in nothing. So does one whose acknowledged bytes are gone. After any other refusal it is as it was.
    pub(super) async fn end_if_lost(&self, seen: Seen, is_unsure: bool, refusal: Error) -> Error {
        if is_unsure || refusal.tells_of_lost_bytes() {
            self.abandon(seen).await;
        }
        refusal
    }

    /// Discards an upload that came to nothing; false if somebody else has gone on with it. If the database fails at it, the
    /// session stays until somebody goes on with it or it expires.
    async fn abandon(&self, seen: Seen) -> bool {
        let abandoned = self.0.metadata.run(AbandonUpload { seen, now: self.0.environment.now() }).await;
        match abandoned {
            Ok(is_abandoned) => {
                self.wake_discards();
                is_abandoned
            }
            Err(error) => {
                tracing::error!(upload = %seen.upload, %error, "a failed upload could not be discarded");
                true
            }
        }
    }
}
