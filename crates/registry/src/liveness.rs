//! Whether what the registry stands on answers: asked again and again, by whoever watches over it.

use crate::{Error, Registry};

impl Registry {
    /// Asks the database for something, and has it commit a transaction that changes nothing.
    pub async fn ask_database(&self) -> Result<(), Error> {
        Ok(self.0.metadata.answers().await?)
    }

    /// Looks whether the registry's own store is there: its folder, and the marker in it.
    pub async fn ask_store(&self) -> Result<(), Error> {
        let disk = self.0.stores.disk().clone();
        let asked = tokio::task::spawn_blocking(move || disk.reader().is_there()).await;
        Ok(asked.map_err(|_| Error::Broken)??)
    }
}
