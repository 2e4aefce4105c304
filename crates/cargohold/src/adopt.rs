//! `cargohold adopt`: serves what another registry of the family has, from where it lies.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use cargohold_blobs::LAYOUT;
use cargohold_registry::{Adopted, Adopting, Found, Oddity};
use clap::Args;
use serde_json::{Value, json};

use crate::{
    configuration::Configuration,
    data_folder::{self, DataFolder},
    exit_status::ExitStatus,
    management, open,
    show::{self, Bar},
};

/// What is adopted.
#[derive(Debug, Args)]
pub(crate) struct Adopt {
    /// The data folder of the other registry: the one that has docker/registry/v2 in it
    folder: PathBuf,
    /// Read all blobs at once, instead of slowly while the server runs
    #[arg(long)]
    verify: bool,
    /// Where the folder was when it was adopted, if it was moved since
    #[arg(long, value_name = "FOLDER")]
    moved_from: Option<PathBuf>,
    /// The configuration of the registry, as for `cargohold serve`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Answer in JSON: a line for each thing that is odd, and one for the whole
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(adopt: &Adopt) -> anyhow::Result<ExitCode> {
    let configuration = management::configuration(adopt.config.as_deref())?;
    let other = canonical(&adopt.folder)?;
    refuse_our_own(&other, &configuration)?;
    let folder = DataFolder::claim(&configuration.root_directory)?;
    let progress = Progress { bar: Bar::of("repositories"), json: adopt.json };
    let adopted = management::run(async {
        let (registry, store) =
            open::open_to_adopt(&folder, &configuration, &other, adopt.moved_from.as_deref()).await?;
        let operator = management::operator()?;
        let adopted = registry.adopt(&operator, store, adopt.verify, &|adopting| progress.tell(adopting)).await?;
        registry.close().await;
        anyhow::Ok(adopted)
    })?;
    progress.bar.end();
    show::line(&if adopt.json { in_json(&adopted, &other).to_string() } else { told(&adopted, &other, adopt.verify) });
    let left = if adopted.left_out == 0 { ExitStatus::Done } else { ExitStatus::LookAtIt };
    Ok(left.into())
}

/// The folder as the facts name it, which must be another registry's.
fn canonical(folder: &Path) -> anyhow::Result<PathBuf> {
    let other = folder.canonicalize().with_context(|| folder.display().to_string())?;
    if !other.join(LAYOUT).join("repositories").is_dir() {
        let above = other.ancestors().find(|above| above.join(LAYOUT).is_dir());
        let hint = match above {
            Some(above) => format!("name the folder above it: cargohold adopt {}", above.display()),
            None => "it is what storage.filesystem.rootdirectory names in the other registry's config.yml, by default \
                     /var/lib/registry"
                .to_owned(),
        };
        bail!("there is no {LAYOUT}/repositories in {}\n  {hint}", other.display());
    }
    if other.to_str().is_none() {
        bail!("{} is not UTF-8, so it cannot be written down", other.display());
    }
    Ok(other)
}

/// Our own data is ours already, and what lies in one another would be adopted twice or served as a blob's bytes.
fn refuse_our_own(other: &Path, configuration: &Configuration) -> anyhow::Result<()> {
    let ours = data_folder::place_of(&configuration.root_directory)?;
    let how = if ours == other {
        "is the data folder itself"
    } else if other.starts_with(&ours) {
        "lies in the data folder"
    } else if ours.starts_with(data_folder::place_of(&other.join("docker"))?) {
        // Beside the tree there is nothing that belongs to it.
        "has the data folder in its tree"
    } else {
        return Ok(());
    };
    bail!(
        "{} {how}, {}\n  Cargohold keeps its own data elsewhere and reads the other registry's where it is: set \
         storage.filesystem.rootdirectory to another folder, as in\n    \
         export CARGOHOLD__STORAGE__FILESYSTEM__ROOTDIRECTORY=/var/lib/cargohold\n    \
         cargohold adopt {}",
        other.display(),
        ours.display(),
        other.display()
    )
}

/// What is seen while it runs: what is odd as it is found, and a bar where somebody looks.
struct Progress {
    bar: Bar,
    json: bool,
}

impl Progress {
    fn tell(&self, adopting: Adopting) {
        match adopting {
            Adopting::Repositories(count) => self.bar.begin(count),
            Adopting::Repository => self.bar.go_on(1),
            Adopting::ToRead(bytes) => self.bar.begin_bytes(bytes),
            Adopting::Read(bytes) => self.bar.go_on(bytes),
            Adopting::Odd(odd) if self.json => self.bar.say(&odd_in_json(&odd).to_string()),
            Adopting::Odd(Oddity { path, what }) => {
                self.bar.say(&format!("{path}\n  {what}: {}", what.meaning()));
            }
        }
    }
}

fn told(adopted: &Adopted, other: &Path, verify: bool) -> String {
    let Adopted { repositories, manifests, tags, blobs, bytes, uploads, verified, left_out, harmless } = *adopted;
    let row = |what: &str, all: String, new: String| [what.to_owned(), all, new];
    let count = |what, Found { all, new }| row(what, all.to_string(), new.to_string());
    let rows = [
        row("", "ALL".to_owned(), "NEW".to_owned()),
        count("repositories", repositories),
        count("manifests", manifests),
        count("tags", tags),
        count("blobs", blobs),
        row("bytes", show::size(bytes.all), show::size(bytes.new)),
    ];
    let mut text = show::table(rows.into_iter(), &[1, 2]);
    let mut say = |line: Option<String>| {
        text.extend(line);
        text.push('\n');
    };
    if left_out > 0 {
        say(Some(format!("{left_out} left out or incomplete, see above")));
    }
    if harmless > 0 {
        let all = show::list(&[(harmless, "left-over", "left-overs")]);
        say(all.map(|all| format!("{all} that the other registry did not serve either, see above")));
    }
    if uploads > 0 {
        let all = show::list(&[(uploads, "upload under way was not taken", "uploads under way were not taken")]);
        say(all.map(|all| format!("{all}: clients start anew")));
    }
    if verify {
        let all = show::list(&[(verified, "blob was read and is whole", "blobs were read and are whole")]);
        say(Some(all.unwrap_or_else(|| "no blob was left to be read".to_owned())));
    }
    say(Some(format!(
        "\nadopted {}: its blobs are read from there, and nothing is ever written to it\nkeep it, and start the server: \
         cargohold serve",
        other.display()
    )));
    text.trim_end().to_owned()
}

fn in_json(adopted: &Adopted, other: &Path) -> Value {
    let Adopted { repositories, manifests, tags, blobs, bytes, uploads, verified, left_out, harmless } = *adopted;
    let found = |Found { all, new }| json!({ "all": all, "new": new });
    json!({
        "folder": other,
        "repositories": found(repositories),
        "manifests": found(manifests),
        "tags": found(tags),
        "blobs": found(blobs),
        "bytes": found(bytes),
        "uploads": uploads,
        "verified": verified,
        "left_out": left_out,
        "harmless": harmless,
    })
}

fn odd_in_json(Oddity { path, what }: &Oddity) -> Value {
    json!({
        "odd": what.kind(),
        "path": path,
        "message": what.to_string(),
        "meaning": what.meaning(),
        "harmless": what.is_harmless(),
    })
}
