//! Mounting a blob of one repository into another.

use cargohold_access::{Permit, Pull, Push};
use cargohold_metadata::Mount;
use cargohold_oci::Digest;

use crate::{Error, Registry};

impl Registry {
    /// Gives `target` the blob that `source` has. False if it has not: then the client uploads it.
    pub async fn mount(&self, source: &Permit<Pull>, target: &Permit<Push>, digest: Digest) -> Result<bool, Error> {
        let mount = Mount {
            source: source.repository().clone(),
            target: target.repository().clone(),
            digest,
            grace: self.grace(),
        };
        Ok(self.0.metadata.run(mount).await?)
    }
}
