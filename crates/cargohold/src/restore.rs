//! `cargohold restore`: the facts of a backup take the place of those in the data folder, and are made true.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, bail};
use cargohold_access::{Caller, Gate};
use cargohold_metadata::Metadata;
use cargohold_registry::{Checking, Problem};
use clap::Args;
use serde_json::json;

use crate::{
    configuration::Configuration,
    data_folder::DataFolder,
    management, open,
    show::{self, ByteProgress},
};

/// Which backup.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// What `cargohold backup` wrote
    file: PathBuf,
    /// The configuration of the registry, as for `cargohold serve`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// What came of it.
#[derive(Default)]
struct Outcome {
    blobs: u64,
    missing: u64,
    newer: u64,
}

pub(crate) fn run(restore: &Restore) -> anyhow::Result<()> {
    let configuration = management::configuration(restore.config.as_deref())?;
    let folder = DataFolder::claim(&configuration.root_directory)?;
    let aside = replace(&restore.file, &folder)?;
    let outcome = settle(&folder, &configuration)?;
    let Outcome { blobs, missing, newer } = outcome;
    let text = if restore.json {
        json!({ "blobs": blobs, "missing": missing, "newer_files": newer, "previous": aside }).to_string()
    } else {
        told(&outcome, &restore.file, aside.as_deref())
    };
    show::line(&text);
    Ok(())
}

fn told(outcome: &Outcome, file: &Path, aside: Option<&Path>) -> String {
    let mut text = format!("restored {}: {} blobs", file.display(), outcome.blobs);
    if outcome.missing > 0 {
        let lost = format!("\n{} of them have no bytes any more; a push of each puts it right", outcome.missing);
        text.push_str(&lost);
    }
    if outcome.newer > 0 {
        let newer =
            format!("\n{} files came later; they are deleted once the time of sweep.keep is over", outcome.newer);
        text.push_str(&newer);
    }
    if let Some(aside) = aside {
        let kept = format!("\nthe facts as they were are in {}; remove it when you do not need it", aside.display());
        text.push_str(&kept);
    }
    text
}

/// Puts a copy of the backup in the place of the database; answers where that is now. At any moment one of the two is there whole.
fn replace(backup: &Path, folder: &DataFolder) -> anyhow::Result<Option<PathBuf>> {
    let database = folder.database();
    let incoming = database.with_extension("db.restoring");
    fs::copy(backup, &incoming).with_context(|| format!("cannot copy {}", backup.display()))?;
    File::open(&incoming)?.sync_all()?;
    examine(&incoming).inspect_err(|_| drop(fs::remove_file(&incoming)))?;
    let aside = database.exists().then(|| set_aside(&database)).transpose()?;
    fs::rename(&incoming, &database)?;
    folder.sync()?;
    Ok(aside)
}

/// Refuses what is not a whole database that this program can use.
fn examine(file: &Path) -> anyhow::Result<()> {
    let metadata = Metadata::open(file, open::now()).context("the backup cannot be used")?;
    let damage = metadata.damage()?;
    management::run(async {
        metadata.close().await;
        Ok(())
    })?;
    remove_log(file)?;
    match damage.first() {
        Some(damage) => bail!("the backup is damaged: {damage}"),
        None => Ok(()),
    }
}

/// Gives the database a second name, with all that its log has.
fn set_aside(database: &Path) -> anyhow::Result<PathBuf> {
    match Metadata::open(database, open::now()) {
        Ok(metadata) => management::run(async {
            metadata.close().await;
            Ok(())
        })?,
        // Then its log stays beside it: damaged facts may be why somebody restores.
        Err(error) => tracing::warn!(%error, "the present facts cannot be read"),
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let aside = database.with_extension(format!("db.before-restore-{now}"));
    fs::hard_link(database, &aside).with_context(|| aside.display().to_string())?;
    remove_log(database)?;
    Ok(aside)
}

/// A log that belongs to another database would be taken for its own.
fn remove_log(database: &Path) -> anyhow::Result<()> {
    for suffix in ["db-wal", "db-shm"] {
        let name = format!("{}{}", database.display(), &suffix["db".len()..]);
        match fs::remove_file(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).context(name),
            _ => {}
        }
    }
    Ok(())
}

fn settle(folder: &DataFolder, configuration: &Configuration) -> anyhow::Result<Outcome> {
    let progress = ByteProgress::new();
    let (missing, newer) = (AtomicU64::new(0), AtomicU64::new(0));
    let tell = |checking: Checking| match checking {
        Checking::Objects { bytes, .. } => progress.begin(bytes),
        Checking::Object(bytes) => progress.go_on(bytes),
        Checking::Problem(Problem::Unnamed(_)) => drop(newer.fetch_add(1, Ordering::Relaxed)),
        Checking::Problem(problem) => {
            missing.fetch_add(1, Ordering::Relaxed);
            progress.say(&problem.to_string());
        }
    };
    let checked = tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let registry = open::open(folder, configuration).await?;
        let operator = Gate::new(configuration.auth).operator(Caller::Operator).context("not the operator")?;
        let checked = registry.settle_restored(&operator, &tell).await?;
        registry.close().await;
        anyhow::Ok(checked)
    })?;
    progress.end();
    Ok(Outcome { blobs: checked.objects, missing: missing.into_inner(), newer: newer.into_inner() })
}
