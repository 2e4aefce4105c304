//! What the sweep has before it, for whoever runs the registry.

use cargohold_access::OperatorPermit;
use cargohold_metadata::SweepStatus;

use crate::{Error, Registry};

impl Registry {
    /// The candidates of the sweep with their reasons, at most `limit`, soonest first; and what waits for its bytes' deletion.
    pub async fn sweep_status(&self, _permit: &OperatorPermit, limit: u16) -> Result<SweepStatus, Error> {
        Ok(self.0.metadata.sweep_status(limit).await?)
    }
}
