//! Mounting a blob of one repository into another.

use cargohold_access::{Permit, Pull, PullAnywhere, Push};
use cargohold_metadata::Mount;
use cargohold_oci::{Digest, RepositoryName};

use crate::{Error, Registry};

impl Registry {
    /// Gives `target` the blob that `source` has. False if it has not: then the client uploads it.
    pub async fn mount(&self, source: &Permit<Pull>, target: &Permit<Push>, digest: Digest) -> Result<bool, Error> {
        self.link(Some(source.repository().clone()), target, digest).await
    }

    /// Gives `target` a blob that any repository has. False if none has.
    pub async fn mount_from_anywhere(
        &self,
        _: &PullAnywhere,
        target: &Permit<Push>,
        digest: Digest,
    ) -> Result<bool, Error> {
        self.link(None, target, digest).await
    }

    async fn link(&self, source: Option<RepositoryName>, target: &Permit<Push>, digest: Digest) -> Result<bool, Error> {
        self.0.validation.check_name(target.repository())?;
        let mount = Mount { source, target: target.repository().clone(), digest, grace: self.grace() };
        let mounted = self.change(target.repository(), mount).await?;
        if mounted {
            self.0.metrics.blobs_mounted.increment();
        }
        Ok(mounted)
    }
}
