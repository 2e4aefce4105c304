//! The catalog: which repositories there are.

use cargohold_access::CatalogPermit;
use cargohold_oci::RepositoryName;

use crate::{Error, Registry};

impl Registry {
    /// The repositories after `last` in byte order, at most `limit`. One that no manifest was put into is not among them.
    pub async fn list_repositories(
        &self,
        _: &CatalogPermit,
        last: &str,
        limit: u32,
    ) -> Result<Vec<RepositoryName>, Error> {
        Ok(self.0.metadata.repositories(last, limit).await?)
    }
}
