//! Whether the database answers.

use crate::{
    Error, Metadata,
    transaction::{Tx, sealed::Run},
};

/// Changes nothing, and commits that.
#[derive(Debug)]
struct Nothing;

impl Run for Nothing {
    type Output = ();

    async fn run(&self, _: &mut Tx<'_>) -> Result<(), Error> {
        Ok(())
    }
}

impl Metadata {
    /// Reads something small, and has a transaction committed that changes nothing: both ways to the database lead somewhere.
    pub async fn answers(&self) -> Result<(), Error> {
        self.adopted_stores("filesystem").await?;
        self.run(Nothing).await
    }
}
