//! `cargohold fsck`: checks that everything stored is there and whole, and puts right what can be.

use std::{path::PathBuf, process::ExitCode};

use cargohold_registry::{Checked, Checking, HowToCheck, Problem};
use clap::Args;
use serde_json::{Value, json};

use crate::{
    data_folder::{self, DataFolder},
    exit_status::ExitStatus,
    management, open,
    show::{self, Bar},
};

/// How the check goes about it.
#[derive(Debug, Args)]
pub(crate) struct Fsck {
    /// Put right what can be; the server must be stopped
    ///
    /// Blobs whose bytes are lost or damaged are marked as missing: clients get 404 and the next push puts them right. Files
    /// that nothing names are deleted once the time of sweep.keep is over, as soon as a server runs again.
    #[arg(long)]
    repair: bool,
    /// Look at the files' lengths only, and read none
    #[arg(long)]
    quick: bool,
    /// The configuration of the registry, as for `cargohold serve`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Answer in JSON: a line for each problem, and one for the whole
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(fsck: &Fsck) -> anyhow::Result<ExitCode> {
    let configuration = management::configuration(fsck.config.as_deref())?;
    let root = &configuration.root_directory;
    data_folder::require(root)?;
    let progress = Progress { bar: Bar::of_bytes(), json: fsck.json };
    let checked = management::run(async {
        // Held for as long as it takes: nobody else writes meanwhile.
        let owned = fsck.repair.then(|| DataFolder::claim(root)).transpose()?;
        let registry = match &owned {
            Some(folder) => open::open(folder, &configuration).await?,
            None => open::open_beside(root, &configuration).await?,
        };
        let operator = management::operator()?;
        let how = HowToCheck { read: !fsck.quick, repair: fsck.repair };
        let checked = registry.check(&operator, how, &|checking| progress.tell(checking)).await?;
        registry.close().await;
        anyhow::Ok(checked)
    })?;
    progress.bar.end();
    show::line(&if fsck.json { in_json(&checked).to_string() } else { told(&checked, fsck) });
    let left = if fsck.repair { checked.lasting } else { checked.problems };
    let status = if left == 0 { ExitStatus::Done } else { ExitStatus::LookAtIt };
    Ok(status.into())
}

/// What is seen while it runs: problems as they are found, and a bar where somebody looks.
struct Progress {
    bar: Bar,
    json: bool,
}

impl Progress {
    fn tell(&self, checking: Checking) {
        match checking {
            Checking::Objects { bytes, .. } => self.bar.begin(bytes),
            Checking::Object(bytes) => self.bar.go_on(bytes),
            Checking::Problem(problem) if self.json => self.bar.say(&problem_in_json(&problem).to_string()),
            Checking::Problem(problem) => self.bar.say(&problem.to_string()),
        }
    }
}

fn told(checked: &Checked, fsck: &Fsck) -> String {
    let Checked { objects, bytes, payloads, sessions, files, missing, problems, lasting } = *checked;
    let bytes = show::size(bytes);
    let counted = |count: u64, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    let what = format!(
        "{} with {bytes}, {}, {} under way and {} were checked",
        counted(objects, "blob"),
        counted(payloads, "manifest"),
        counted(sessions, "upload"),
        counted(files, "file")
    );
    let lost = match missing {
        0 => String::new(),
        1 => "\n1 blob is marked as missing: clients get 404 until it is pushed again".to_owned(),
        _ => format!("\n{missing} blobs are marked as missing: clients get 404 until they are pushed again"),
    };
    let them = if problems == 1 { "it" } else { "them" };
    let next = match (problems, fsck.repair) {
        (0, _) if missing == 0 => return format!("{what}: all is well"),
        (0, _) => return format!("{what}: nothing new{lost}"),
        _ if lasting == problems => format!("\nno repair puts {them} right"),
        (_, true) if lasting == 0 => "\nput right as far as it can be; once more to see".to_owned(),
        (_, true) => format!("\nput right as far as it can be, but for {lasting} that no repair puts right"),
        (_, false) => format!("\nstop the server and put {them} right: cargohold fsck --repair"),
    };
    format!("{what}: {}{next}{lost}", counted(problems, "problem"))
}

fn in_json(checked: &Checked) -> Value {
    let Checked { objects, bytes, payloads, sessions, files, missing, problems, lasting } = *checked;
    json!({
        "blobs": objects,
        "bytes": bytes,
        "manifests": payloads,
        "uploads": sessions,
        "files": files,
        "missing": missing,
        "problems": problems,
        "lasting": lasting,
    })
}

fn problem_in_json(problem: &Problem) -> Value {
    let (kind, key, digest) = match problem {
        Problem::Database(_) => ("database", None, None),
        Problem::Payload(digest) => ("manifest damaged", None, Some(digest)),
        Problem::Missing { digest, key } => ("blob missing", Some(key), Some(digest)),
        Problem::Damaged { digest, key, .. } => ("blob damaged", Some(key), Some(digest)),
        Problem::Unreadable { digest, key, .. } => ("blob unreadable", Some(key), Some(digest)),
        Problem::Found { digest, key } => ("blob found", Some(key), Some(digest)),
        Problem::StoreAway(_) => ("store away", None, None),
        Problem::Session { .. } => ("upload truncated", None, None),
        Problem::Unnamed(key) => ("file unnamed", Some(key), None),
    };
    let digest = digest.map(ToString::to_string);
    json!({ "problem": kind, "key": key, "digest": digest, "message": problem.to_string() })
}
