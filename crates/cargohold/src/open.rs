//! Opens the registry that lies in a data folder: its facts and its bytes.

use std::time::SystemTime;

use anyhow::Context;
use cargohold_blobs::LocalDisk;
use cargohold_metadata::{EnsureStore, Metadata, Timestamp};
use cargohold_oci::UploadId;
use cargohold_registry::{Environment, Registry};
use uuid::Uuid;

use crate::{configuration::Configuration, data_folder::DataFolder};

/// Opens the facts and the bytes of a data folder, which this process owns.
pub(crate) async fn open(folder: &DataFolder, configuration: &Configuration) -> anyhow::Result<Registry> {
    let metadata =
        Metadata::open(&folder.database(), now()).with_context(|| folder.database().display().to_string())?;
    // The folder itself is the store, wherever it is moved to.
    let store = metadata.run(EnsureStore { kind: "filesystem", location: ".".to_owned() }).await?;
    let open = if store.in_use { LocalDisk::reopen } else { LocalDisk::open };
    let disk = open(folder.path(), store.id.number()).with_context(|| {
        format!("storage.filesystem.rootdirectory: cannot open the store in {}", folder.path().display())
    })?;
    folder.sync()?;
    let environment = Environment::new(now, || UploadId::from_uuid(Uuid::now_v7()));
    let validation = configuration.validation.clone();
    Ok(Registry::new(metadata, store.id, disk, configuration.lifetimes, validation, environment))
}

fn now() -> Timestamp {
    SystemTime::now().into()
}
