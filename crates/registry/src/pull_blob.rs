//! Blobs for readers.

use cargohold_access::{Permit, Pull, Push};
use cargohold_blobs::OpenBlob;
use cargohold_metadata::{BlobCopy, MarkMissing, RenewLink};
use cargohold_oci::{Digest, RepositoryName};

use crate::{Error, Registry};

/// A promise is renewed once this part of its time is over: a push that asks for the same blob twice writes once at the most.
const FRESH: u32 = 24;

/// What is known of a blob without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobHead {
    /// Length in bytes.
    pub size: u64,
}

impl Registry {
    /// Whether the repository has the blob. Told to somebody who may push, this is a promise: the blob is there when the
    /// manifest comes, so its grace is counted anew, unless that was done a moment ago.
    pub async fn stat_blob(
        &self,
        permit: &Permit<Pull>,
        push: Option<&Permit<Push>>,
        digest: &Digest,
    ) -> Result<BlobHead, Error> {
        let repository = permit.repository();
        let copy = self.find_copy(repository, digest).await?;
        let grace = self.grace();
        let fresh = self.0.lifetimes.unreferenced_blob / FRESH;
        if copy.unreferenced_since.is_some_and(|since| since.plus(fresh) < grace.now)
            && push.is_some_and(|push| push.repository() == repository)
        {
            let renew = RenewLink { repository: copy.repository, blob: copy.blob, grace };
            if !self.0.metadata.run(renew).await? {
                return Err(unknown(repository, digest));
            }
        }
        Ok(BlobHead { size: copy.size })
    }

    /// Answers if the repository has the blob, to somebody who has its bytes already.
    pub async fn require_blob(&self, permit: &Permit<Pull>, digest: &Digest) -> Result<(), Error> {
        self.find_copy(permit.repository(), digest).await.map(|_copy| ())
    }

    /// Opens a blob that the repository has.
    pub async fn pull_blob(&self, permit: &Permit<Pull>, digest: &Digest) -> Result<OpenBlob, Error> {
        let copy = self.find_copy(permit.repository(), digest).await?;
        match self.open_copy(&copy).await {
            Err(Error::Store(cargohold_blobs::Error::NotFound { .. })) => {
                self.look_once_more(permit.repository(), digest).await
            }
            opened => opened,
        }
    }

    async fn find_copy(&self, repository: &RepositoryName, digest: &Digest) -> Result<BlobCopy, Error> {
        self.0.metadata.blob(repository, digest).await?.ok_or_else(|| unknown(repository, digest))
    }

    async fn open_copy(&self, copy: &BlobCopy) -> Result<OpenBlob, Error> {
        let (disk, key) = self.locate(copy.store, &copy.key)?;
        let blob = disk.open_blob(&key).await?;
        if blob.size == copy.size {
            return Ok(blob);
        }
        // Bytes of another length are not the blob: as good as gone.
        Err(cargohold_blobs::Error::NotFound { key }.into())
    }

    /// The row says live and the bytes are not there. It may have been deleted or replaced since the row was read; if the row
    /// still says so, the object is missing, readers get 404 from now on, and the next push replaces it.
    async fn look_once_more(&self, repository: &RepositoryName, digest: &Digest) -> Result<OpenBlob, Error> {
        let copy = self.find_copy(repository, digest).await?;
        match self.open_copy(&copy).await {
            Err(error @ Error::Store(cargohold_blobs::Error::NotFound { .. })) => {
                tracing::error!(%digest, key = copy.key, %error, "the bytes of a live object are not there: marking it missing");
                self.0.metadata.run(MarkMissing { object: copy.object }).await?;
                Err(unknown(repository, digest))
            }
            opened => opened,
        }
    }
}

fn unknown(repository: &RepositoryName, digest: &Digest) -> Error {
    Error::BlobUnknown { repository: repository.clone(), digest: *digest }
}
