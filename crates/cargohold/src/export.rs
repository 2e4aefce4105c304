//! `cargohold export`: a folder that the CNCF registry serves, with all that this registry has.
//!
//! What is exported is a copy of the facts, of one moment, whose bytes are kept on the disk meanwhile: a server may run beside it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Seek as _, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use cargohold_registry::{ExportFolder, Exported, Exporting};
use clap::Args;
use http::Method;
use serde_json::{Value, json};

use crate::{
    configuration::Configuration,
    data_folder,
    exit_status::ExitStatus,
    management::{self, Operator},
    open,
    show::{self, Bar},
};

/// How long bytes that are deleted meanwhile stay.
const KEEP_SECONDS: u32 = 24 * 60 * 60;
/// The file beside the tree that says how far the export is.
const STATE: &str = "cargohold-export";
/// Where files are until they are whole, and the copy of the facts.
const UNFINISHED: &str = "cargohold-export.unfinished";

/// Where everything goes.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The folder that becomes the other registry's data folder
    folder: PathBuf,
    /// Copy all bytes, even where they could be linked
    #[arg(long)]
    copy: bool,
    /// The configuration of the registry, as for `cargohold serve`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Answer in JSON: a line for each thing that is odd, and one for the whole
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(export: &Export) -> anyhow::Result<ExitCode> {
    let configuration = management::configuration(export.config.as_deref())?;
    let root = &configuration.root_directory;
    data_folder::require(root)?;
    let progress = Progress { bar: Bar::of("repositories"), json: export.json };
    let (exported, target) = management::run(async {
        let target = Target::claim(&export.folder, &configuration).await?;
        // Said first: what is deleted from now on is kept, so all that the copy names is there.
        let keep = json!({ "keep_seconds": KEEP_SECONDS });
        Operator::reach(&configuration).await?.ask(Method::POST, "/v1/backups", Some(&keep)).await?;
        let operator = management::operator()?;
        let facts = target.unfinished().join("facts.db");
        open::open_beside(root, &configuration).await?.copy_facts_to(&operator, &facts)?;
        let registry = open::open_copy(&facts, root, &configuration).await?;
        let to = ExportFolder { root: target.folder.clone(), unfinished: target.unfinished(), copy: export.copy };
        let exported = registry.export(&operator, to, &|exporting| progress.tell(exporting)).await?;
        registry.close().await;
        anyhow::Ok((exported, target))
    })?;
    let folder = target.finish()?;
    progress.bar.end();
    show::line(&if export.json { in_json(&exported, &folder).to_string() } else { told(&exported, &folder) });
    let status = if exported.lost == 0 { ExitStatus::Done } else { ExitStatus::LookAtIt };
    Ok(status.into())
}

/// The folder that is written to, which is this process's own until it is dropped.
struct Target {
    folder: PathBuf,
    state: File,
}

impl Target {
    /// Takes a folder that is empty or that an earlier export wrote, and makes it if it is not there.
    async fn claim(folder: &Path, configuration: &Configuration) -> anyhow::Result<Self> {
        let named = || folder.display().to_string();
        let place = data_folder::place_of(folder).with_context(named)?;
        let ours = data_folder::place_of(&configuration.root_directory)?;
        if place.starts_with(&ours) {
            bail!("{} is, or lies in, the data folder {}; name another one", place.display(), ours.display());
        }
        for adopted in open::adopted_folders(&configuration.root_directory).await? {
            if place.starts_with(&adopted) {
                bail!("{} is, or lies in, a folder that was adopted, which is never written to", place.display());
            }
        }
        fs::create_dir_all(&place).with_context(named)?;
        if !place.join(STATE).exists() && !is_empty(&place).with_context(named)? {
            bail!("{} is not empty, and no export wrote it; name an empty folder, or a new one", place.display());
        }
        let state = Self::state(&place).with_context(named)?;
        let mut target = Self { folder: place, state };
        target.say("under way")?;
        remove_all(&target.unfinished()).with_context(named)?;
        // The facts are in it for a while.
        DirBuilder::new().mode(0o700).create(target.unfinished()).with_context(named)?;
        Ok(target)
    }

    fn state(folder: &Path) -> anyhow::Result<File> {
        let state = OpenOptions::new().create(true).truncate(false).write(true).open(folder.join(STATE))?;
        match state.try_lock() {
            Ok(()) => Ok(state),
            Err(TryLockError::WouldBlock) => bail!("another export writes there"),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    fn unfinished(&self) -> PathBuf {
        self.folder.join(UNFINISHED)
    }

    /// Makes everything durable, and says so.
    fn finish(mut self) -> anyhow::Result<PathBuf> {
        remove_all(&self.unfinished())?;
        rustix::fs::syncfs(File::open(&self.folder)?).context("the export could not be synced")?;
        self.say("finished")?;
        Ok(self.folder)
    }

    fn say(&mut self, what: &str) -> anyhow::Result<()> {
        let text = format!("cargohold export, {what}: {}\n", jiff::Timestamp::now());
        let state = &mut self.state;
        let said = state.set_len(0).and_then(|()| state.rewind()).and_then(|()| state.write_all(text.as_bytes()));
        said.and_then(|()| state.sync_all()).with_context(|| self.folder.join(STATE).display().to_string())
    }
}

/// Whether nothing is in a folder but what an export, or a new file system, has in it.
fn is_empty(folder: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if name != STATE && name != "lost+found" {
            return Ok(false);
        }
    }
    Ok(true)
}

fn remove_all(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What is seen while it runs.
struct Progress {
    bar: Bar,
    json: bool,
}

impl Progress {
    fn tell(&self, exporting: Exporting) {
        let (kind, repository, about, message) = match exporting {
            Exporting::Repositories(count) => return self.bar.begin(count),
            Exporting::Repository => return self.bar.go_on(1),
            Exporting::Lost { repository, digest } => {
                let message =
                    format!("the bytes of {digest} are not there: a pull of it from {repository} fails there too");
                ("blob missing", repository, digest.to_string(), message)
            }
            Exporting::Newer { repository, tag } => {
                let message = format!("{repository}:{tag} was set in that folder later than here, and stays");
                ("tag newer", repository, tag.to_string(), message)
            }
        };
        let line = if self.json {
            json!({ "odd": kind, "repository": repository.as_str(), "what": about, "message": message }).to_string()
        } else {
            message
        };
        self.bar.say(&line);
    }
}

fn told(exported: &Exported, folder: &Path) -> String {
    let Exported { repositories, manifests, tags, blobs, linked, linked_bytes, copied, copied_bytes, lost, newer } =
        *exported;
    let row = |what: &str, count: u64| [what.to_owned(), count.to_string()];
    let rows = [row("repositories", repositories), row("manifests", manifests), row("tags", tags), row("blobs", blobs)];
    let mut text = show::table(rows.into_iter(), &[1]);
    let mut say = |line: Option<String>| {
        text.extend(line);
        text.push('\n');
    };
    if linked > 0 {
        let size = show::size(linked_bytes);
        let files = show::list(&[(linked, "file is the same as ours", "files are the same as ours")]);
        say(files.map(|files| format!("{files} (hard links), {size}: they take no space")));
    }
    if copied > 0 {
        let files = show::list(&[(copied, "file was copied", "files were copied")]);
        say(files.map(|files| format!("{files}, {}", show::size(copied_bytes))));
    }
    if newer > 0 {
        say(show::list(&[(newer, "tag was set there later, and stays", "tags were set there later, and stay")]));
    }
    if lost > 0 {
        let blobs = show::list(&[(lost, "blob has no bytes", "blobs have no bytes")]);
        say(blobs.map(|blobs| format!("{blobs}; `cargohold fsck` tells more")));
    }
    say(Some(format!("\nexported to {}: let the other registry's rootdirectory be that", folder.display())));
    text.trim_end().to_owned()
}

fn in_json(exported: &Exported, folder: &Path) -> Value {
    let Exported { repositories, manifests, tags, blobs, linked, linked_bytes, copied, copied_bytes, lost, newer } =
        *exported;
    json!({
        "folder": folder,
        "repositories": repositories,
        "manifests": manifests,
        "tags": tags,
        "blobs": blobs,
        "linked": { "files": linked, "bytes": linked_bytes },
        "copied": { "files": copied, "bytes": copied_bytes },
        "lost": lost,
        "newer": newer,
    })
}
