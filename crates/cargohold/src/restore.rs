//! `cargohold restore`: the facts of a backup take the place of those in the data folder, and are made true.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, bail};
use cargohold_blobs::LocalDisk;
use cargohold_metadata::{Metadata, Timestamp};
use cargohold_registry::{Checking, Problem};
use clap::Args;
use serde_json::json;

use crate::{
    configuration::Configuration,
    data_folder::DataFolder,
    management, open,
    show::{self, Bar},
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
    let incoming = prepare(&restore.file, &folder)?;
    let keep_until = last_backups_end(&folder.database());
    let outcome = settle(&incoming, keep_until, &folder, &configuration)
        .inspect_err(|_| drop(remove(&incoming)))
        .context("nothing was changed")?;
    let aside = change_places(&incoming, &folder)?;
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
    let blobs = show::list(&[(outcome.blobs, "blob", "blobs")]).unwrap_or_else(|| "no blob".to_owned());
    let mut text = format!("restored {}: {blobs}", file.display());
    if outcome.missing > 0 {
        let lost = format!("\n{} of them have no bytes any more; a push of each puts it right", outcome.missing);
        text.push_str(&lost);
    }
    if outcome.newer > 0 {
        let newer = format!(
            "\n{} files came later; they are deleted once sweep.keep is over and no backup needs them",
            outcome.newer
        );
        text.push_str(&newer);
    }
    if let Some(aside) = aside {
        let kept = format!("\nthe facts as they were are in {}; remove it when you do not need it", aside.display());
        text.push_str(&kept);
    }
    text
}

/// A copy of the backup beside the database, on which all work is done before the two change places.
fn prepare(backup: &Path, folder: &DataFolder) -> anyhow::Result<PathBuf> {
    let incoming = folder.database().with_extension("db.restoring");
    remove(&incoming)?;
    let mut source = File::open(backup).with_context(|| format!("cannot read {}", backup.display()))?;
    let store = Metadata::store_of_copy(backup).with_context(|| format!("{} is no backup", backup.display()))?;
    let store = store.with_context(|| format!("{} is no backup: it knows no store", backup.display()))?;
    LocalDisk::reopen(folder.path(), store.number()).with_context(|| {
        format!(
            "the backup does not belong to the bytes in {}; copy those first, with the file cargohold-store",
            folder.path().display()
        )
    })?;
    let mut copy = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&incoming)?;
    io::copy(&mut source, &mut copy).with_context(|| format!("cannot copy {}", backup.display()))?;
    copy.sync_all()?;
    // Whoever runs the server owns the folder.
    let owner = folder.path().metadata()?;
    std::os::unix::fs::fchown(&copy, Some(owner.uid()), Some(owner.gid())).ok();
    Ok(incoming)
}

/// Makes the facts in `incoming` true.
fn settle(
    incoming: &Path,
    keep_until: Option<Timestamp>,
    folder: &DataFolder,
    configuration: &Configuration,
) -> anyhow::Result<Outcome> {
    let progress = Bar::of_bytes();
    let (missing, newer) = (AtomicU64::new(0), AtomicU64::new(0));
    let tell = |checking: Checking| match checking {
        Checking::Objects { bytes, .. } => progress.begin(bytes),
        Checking::Object(bytes) => progress.go_on(bytes),
        Checking::Problem(Problem::Unnamed(_)) => drop(newer.fetch_add(1, Ordering::Relaxed)),
        Checking::Problem(problem) => {
            missing.fetch_add(
                u64::from(matches!(problem, Problem::Missing { .. } | Problem::Damaged { .. })),
                Ordering::Relaxed,
            );
            progress.say(&problem.to_string());
        }
    };
    let checked = management::run(async {
        let registry = open::open_with(incoming, folder, configuration).await?;
        let operator = management::operator()?;
        let checked = registry.settle_restored(&operator, keep_until, &tell).await?;
        registry.close().await;
        anyhow::Ok(checked)
    })?;
    progress.end();
    Ok(Outcome { blobs: checked.objects, missing: missing.into_inner(), newer: newer.into_inner() })
}

/// When the last backup ends that the present facts know of. They may be damaged: then nothing is known.
fn last_backups_end(database: &Path) -> Option<Timestamp> {
    let metadata = Metadata::open_beside(database).ok()?;
    management::run(async { Ok(metadata.last_backups_end(open::now()).await?) }).ok().flatten()
}

/// Has `incoming` take the place of the database; answers where that is now. At any moment one of the two is there whole.
fn change_places(incoming: &Path, folder: &DataFolder) -> anyhow::Result<Option<PathBuf>> {
    let database = folder.database();
    if is_there(&log_of(incoming)) {
        bail!("the copy of the backup could not be completed; is the disk full?");
    }
    File::open(incoming)?.sync_all()?;
    let aside = database.exists().then(|| set_aside(&database)).transpose()?;
    // A log that belongs to another database would be taken for its own.
    remove_companions(&database)?;
    folder.sync()?;
    fs::rename(incoming, &database)?;
    remove_companions(incoming)?;
    folder.sync()?;
    Ok(aside)
}

/// Gives the database a second name, and that its log, if it has one that could not be folded in.
fn set_aside(database: &Path) -> anyhow::Result<PathBuf> {
    if let Ok(metadata) = Metadata::open(database, open::now()) {
        management::run(async {
            metadata.close().await;
            Ok(())
        })?;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let aside = database.with_extension(format!("db.before-restore-{now}"));
    fs::hard_link(database, &aside).with_context(|| aside.display().to_string())?;
    let log = log_of(database);
    if is_there(&log) {
        fs::rename(&log, log_of(&aside)).with_context(|| log.display().to_string())?;
    }
    Ok(aside)
}

/// Where SQLite writes before it writes to the database.
fn log_of(database: &Path) -> PathBuf {
    companion(database, "-wal")
}

fn companion(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Whether a file has anything in it.
fn is_there(file: &Path) -> bool {
    file.metadata().is_ok_and(|found| found.len() > 0)
}

fn remove(database: &Path) -> anyhow::Result<()> {
    remove_file(database)?;
    remove_companions(database)
}

fn remove_companions(database: &Path) -> anyhow::Result<()> {
    ["-wal", "-shm", "-journal"].iter().try_for_each(|suffix| remove_file(&companion(database, suffix)))
}

fn remove_file(file: &Path) -> anyhow::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).context(file.display().to_string()),
        _ => Ok(()),
    }
}
