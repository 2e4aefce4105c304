//! Opens the registry that lies in a data folder: its facts and its bytes, and those that it adopted from other registries.

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context, bail};
use cargohold_blobs::{LocalDisk, MarkerError, ReadOnlyDisk};
use cargohold_metadata::{AdoptStore, EnsureStore, Metadata, MoveAdoptedStore, StoreId, Timestamp};
use cargohold_oci::UploadId;
use cargohold_registry::{Environment, Registry, Stores};
use uuid::Uuid;

use crate::{
    configuration::Configuration,
    data_folder::{self, DataFolder},
};

const STORE: &str = "filesystem";
/// The data folder itself is the store, wherever it is moved to.
const HERE: &str = ".";

/// Opens the facts and the bytes of a data folder, which this process owns.
pub(crate) async fn open(folder: &DataFolder, configuration: &Configuration) -> anyhow::Result<Registry> {
    open_with(&folder.database(), folder, configuration).await
}

/// As [`open`], and the facts for those parts of the program that keep something there themselves.
pub(crate) async fn open_to_serve(
    folder: &DataFolder,
    configuration: &Configuration,
) -> anyhow::Result<(Registry, Metadata)> {
    open_all(&folder.database(), folder, configuration).await
}

/// As [`open`], with the store `other` of another registry, which is made known if it is not; it may have been moved from where
/// it was.
pub(crate) async fn open_to_adopt(
    folder: &DataFolder,
    configuration: &Configuration,
    other: &Path,
    moved_from: Option<&Path>,
) -> anyhow::Result<(Registry, StoreId)> {
    let metadata =
        Metadata::open(&folder.database(), now()).with_context(|| folder.database().display().to_string())?;
    let location = other.display().to_string();
    if let Some(from) = moved_from {
        // It is not there any more, so nothing can be said about its links.
        let from = std::path::absolute(from)?.display().to_string();
        let moved = MoveAdoptedStore { kind: STORE, from: from.clone(), to: location.clone() };
        if !metadata.run(moved).await? && metadata.adopted_store(STORE, &location).await?.is_none() {
            bail!("nothing was adopted from {from}");
        }
    }
    let store = metadata.run(AdoptStore { kind: STORE, location }).await?;
    metadata.close().await;
    Ok((open(folder, configuration).await?, store))
}

/// As [`open`], with facts that lie elsewhere.
pub(crate) async fn open_with(
    database: &Path,
    folder: &DataFolder,
    configuration: &Configuration,
) -> anyhow::Result<Registry> {
    Ok(open_all(database, folder, configuration).await?.0)
}

async fn open_all(
    database: &Path,
    folder: &DataFolder,
    configuration: &Configuration,
) -> anyhow::Result<(Registry, Metadata)> {
    let metadata = Metadata::open(database, now()).with_context(|| database.display().to_string())?;
    let random = getrandom::u64().context("this machine has no random numbers")?;
    let store = metadata.run(EnsureStore { kind: STORE, location: HERE.to_owned(), random }).await?;
    let open = if store.in_use { LocalDisk::reopen } else { LocalDisk::open };
    let disk = open(folder.path(), store.id.number()).map_err(|error| cannot_open(folder.path(), error))?;
    folder.sync()?;
    disk.keep_free(configuration.reserve as u64);
    Ok((registry(metadata.clone(), Stores::new(store.id, disk), configuration).await?, metadata))
}

/// Says what is wrong with the store in a data folder, and what to do.
fn cannot_open(folder: &Path, error: cargohold_blobs::Error) -> anyhow::Error {
    let strangers = matches!(&error, cargohold_blobs::Error::StoreAway { source: MarkerError::Other { .. }, .. });
    let (folder, why) = (folder.display(), format!("{:#}", anyhow::Error::new(error)));
    let advice = if strangers {
        "\n  The facts in cargohold.db are not those of the bytes beside it: `cargohold restore` a backup of them, or name \
         another folder"
    } else {
        ""
    };
    anyhow::anyhow!("storage.filesystem.rootdirectory: cannot open the store in {folder}: {why}{advice}")
}

/// Opens the facts and the bytes of a data folder for reading, beside the server that owns it, if one runs.
pub(crate) async fn open_beside(folder: &Path, configuration: &Configuration) -> anyhow::Result<Registry> {
    let metadata = Metadata::open_beside(&data_folder::database(folder))
        .with_context(|| data_folder::database(folder).display().to_string())?;
    beside(metadata, folder, configuration).await
}

/// As [`open_beside`], with a copy of the facts, which lies elsewhere and is this process's own.
pub(crate) async fn open_copy(copy: &Path, folder: &Path, configuration: &Configuration) -> anyhow::Result<Registry> {
    let metadata = Metadata::open(copy, now()).with_context(|| copy.display().to_string())?;
    beside(metadata, folder, configuration).await
}

async fn beside(metadata: Metadata, folder: &Path, configuration: &Configuration) -> anyhow::Result<Registry> {
    let store = metadata.store(STORE, HERE).await?.context("the registry was never started on this folder")?;
    let disk = LocalDisk::reopen(folder, store.id.number())
        .with_context(|| format!("cannot open the store in {}", folder.display()))?;
    registry(metadata, Stores::new(store.id, disk), configuration).await
}

/// The folders of other registries that the one in this data folder adopted.
pub(crate) async fn adopted_folders(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let metadata = Metadata::open_beside(&data_folder::database(folder))
        .with_context(|| data_folder::database(folder).display().to_string())?;
    Ok(metadata.adopted_stores(STORE).await?.into_iter().map(|store| store.location.into()).collect())
}

/// Puts the registry together, with the stores that it adopted; one of these may be away.
async fn registry(metadata: Metadata, own: Stores, configuration: &Configuration) -> anyhow::Result<Registry> {
    let adopted = metadata.adopted_stores(STORE).await?;
    let stores = adopted
        .into_iter()
        .fold(own, |stores, store| stores.and(store.id, ReadOnlyDisk::adopted(store.location.into())));
    let environment = Environment::new(now, || UploadId::from_uuid(Uuid::now_v7()));
    let Configuration { lifetimes, scrub, validation, .. } = configuration;
    Ok(Registry::new(metadata, stores, *lifetimes, *scrub, validation.clone(), environment))
}

pub(crate) fn now() -> Timestamp {
    SystemTime::now().into()
}
