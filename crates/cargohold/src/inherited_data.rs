//! Taking the place of the CNCF registry on its own data folder, as its configuration names it.
//!
//! An inherited configuration names a folder where another registry's tree may lie. That tree is adopted from there, as `cargohold adopt`
//! does, by the first start: it is read and never written to, so the other registry can be started on it again at any time. Our own
//! data goes into a folder beside the tree, below the same root, where the other registry never looks.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::Context;
use cargohold_registry::Adopting;

use crate::{
    configuration::{Configuration, Kind},
    data_folder::{self, DataFolder},
    management, open,
};

/// Our own data, below the root of the other registry's.
const OURS: &str = "cargohold";
/// Says, in our own data, that the tree was adopted as a whole.
const ADOPTED: &str = "cargohold-adopted";

/// Has an inherited configuration name a folder of our own, if the one that it names is another registry's; answers which that is.
pub(crate) fn make_way(configuration: &mut Configuration) -> Option<PathBuf> {
    let root = &configuration.root_directory;
    if configuration.kind != Kind::Inherited || !data_folder::is_anothers(root) {
        return None;
    }
    let ours = root.join(OURS);
    Some(std::mem::replace(&mut configuration.root_directory, ours))
}

/// Adopts the other registry's tree, unless an earlier start has done so to its end.
pub(crate) async fn adopt_once(other: &Path, folder: &DataFolder, configuration: &Configuration) -> anyhow::Result<()> {
    let done = folder.path().join(ADOPTED);
    let other = other.canonicalize().with_context(|| other.display().to_string())?;
    if done.exists() {
        tracing::info!(
            folder = %other.display(),
            "another registry's data is served from where it lies, as it was adopted; what came there since: cargohold adopt"
        );
        return Ok(());
    }
    tracing::info!(folder = %other.display(), "another registry's data lies there: it is adopted, and nothing is written to it");
    let (registry, store) = open::open_to_adopt(folder, configuration, &other, None).await?;
    let operator = management::operator()?;
    let odd = |adopting| {
        if let Adopting::Odd(oddity) = adopting {
            tracing::warn!(path = %oddity.path, meaning = oddity.what.meaning(), "{}", oddity.what);
        }
    };
    let adopted = registry.adopt(&operator, store, false, &odd).await?;
    registry.close().await;
    let (repositories, tags, blobs) = (adopted.repositories.all, adopted.tags.all, adopted.blobs.all);
    tracing::info!(repositories, tags, blobs, left_out = adopted.left_out, "adopted");
    fs::write(&done, format!("{}\n", other.display()))
        .and_then(|()| File::open(&done)?.sync_all())
        .with_context(|| done.display().to_string())?;
    folder.sync()
}
