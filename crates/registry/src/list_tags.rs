//! The tags of a repository, a page at a time.

use cargohold_access::{Permit, Pull};
use cargohold_oci::Tag;

use crate::{Error, Registry};

impl Registry {
    /// Answers if readers see the repository: one that no manifest was put into yet is not there for them.
    pub async fn require_repository(&self, permit: &Permit<Pull>) -> Result<(), Error> {
        if self.0.metadata.repository_is_published(permit.repository()).await? {
            return Ok(());
        }
        Err(Error::RepositoryUnknown(permit.repository().clone()))
    }

    /// The tags after `last` in byte order, at most `limit`; none where there are none, or no repository.
    pub async fn list_tags(&self, permit: &Permit<Pull>, last: &str, limit: u32) -> Result<Vec<Tag>, Error> {
        Ok(self.0.metadata.tags(permit.repository(), last, limit).await?)
    }
}
