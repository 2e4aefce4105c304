//! `cargohold backup`: a copy of the facts, while the server runs.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use clap::Args;
use http::Method;
use serde_json::json;

use crate::{
    configuration,
    management::{self, Operator},
    open, show,
};

/// What is copied, and for how long it is good.
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// Where the copy goes; nothing may be there yet
    file: PathBuf,
    /// How long the registry keeps the bytes that the backup names, even if they are deleted
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = configuration::duration)]
    keep: Duration,
    /// The configuration of the registry, as for `cargohold serve`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(backup: &Backup) -> anyhow::Result<()> {
    let configuration = management::configuration(backup.config.as_deref())?;
    let file = &backup.file;
    if file.exists() {
        bail!("{} is there already; name another file, or remove it", file.display());
    }
    let answer = management::run(async {
        // Said first: what is deleted from now on is kept, so all that the copy names is there.
        let keep = json!({ "keep_seconds": backup.keep.as_secs() });
        let answer = Operator::reach(&configuration).await?.ask(Method::POST, "/v1/backups", Some(&keep)).await?;
        let registry = open::open_beside(&configuration.root_directory, &configuration).await?;
        let operator = management::operator()?;
        write(file, |copy| Ok(registry.copy_facts_to(&operator, copy)?))?;
        anyhow::Ok(answer)
    })?;
    let size = file.metadata()?.len();
    let text = if backup.json {
        json!({ "file": file, "bytes": size, "keep_until": answer["keep_until"] }).to_string()
    } else {
        let until = answer["keep_until"].as_str().unwrap_or("it ends");
        format!(
            "{} has the facts, {}\nthe bytes that it names are kept until {until}",
            file.display(),
            show::size(size)
        )
    };
    show::line(&text);
    Ok(())
}

/// Has a file appear whole and durable, or not at all. What is in it is its owner's alone.
fn write(file: &Path, fill: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = file.file_name().with_context(|| format!("{} is not the name of a file", file.display()))?;
    let mut partial = name.to_owned();
    partial.push(".partial");
    let partial = folder.join(partial);
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| partial.display().to_string());
        }
        _ => {}
    }
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial);
    made.with_context(|| format!("cannot write {}", partial.display()))?;
    let filled = fill(&partial).and_then(|()| {
        fs::rename(&partial, file)?;
        Ok(File::open(folder)?.sync_all()?)
    });
    if filled.is_err() {
        fs::remove_file(&partial).ok();
    }
    filled.with_context(|| format!("cannot write {}", file.display()))
}
