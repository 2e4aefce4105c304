//! `cargohold repository`: deleting a repository, bringing back what was deleted, and ending its window.

use std::path::PathBuf;

use anyhow::Context;
use cargohold_oci::{Digest, RepositoryName, Tag};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use crate::{
    management::{self, Operator},
    show,
};

/// What is done, and to what.
#[derive(Debug, Subcommand)]
pub(crate) enum RepositoryCommand {
    /// Delete a repository, a manifest or a tag
    ///
    /// It is gone for clients at once, and can come back until its window ends (the setting sweep.window, 7 days if it is not
    /// set). Its space is free after that. A manifest takes its tags with it, and what only it kept: children of an index,
    /// signatures and other referrers.
    #[command(after_help = "Examples:
  cargohold repository delete team/app
  cargohold repository delete team/app:v1
  cargohold repository delete team/app@sha256:1a2b...")]
    Delete(What),
    /// Bring back what was deleted, as long as its window has not ended
    ///
    /// What was deleted together comes back together. A tag that was set again since stays where it is.
    #[command(after_help = "Examples:
  cargohold repository undelete team/app
  cargohold repository undelete team/app:v1
  cargohold repository undelete team/app@sha256:1a2b...")]
    Undelete(What),
    /// End the window of what was deleted: it is gone for good
    ///
    /// Bytes that nothing else needs are deleted within moments: for what must not be there any more, as a secret in a layer.
    /// Delete it first. Backups that you keep elsewhere still have it.
    #[command(after_help = "Examples:
  cargohold repository delete team/app@sha256:1a2b...
  cargohold repository purge team/app@sha256:1a2b...")]
    Purge(What),
}

/// A repository, or a part of it.
#[derive(Debug, Args)]
pub(crate) struct What {
    /// A repository, as team/app; a tag of it, as team/app:v1; or a manifest, as team/app@sha256:...
    #[arg(value_name = "NAME[:TAG|@DIGEST]", value_parser = Named::parse)]
    named: Named,
    /// The configuration of the registry, as for `cargohold serve`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// What a text on the command line names.
#[derive(Clone, Debug)]
struct Named {
    text: String,
    repository: RepositoryName,
    reference: Option<String>,
}

impl Named {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let (name, reference) = if let Some((name, digest)) = text.split_once('@') {
            (name, Some(Digest::parse(digest)?.to_string()))
        } else if let Some((name, tag)) = text.split_once(':') {
            (name, Some(Tag::parse(tag)?.to_string()))
        } else {
            (text, None)
        };
        Ok(Self { text: text.to_owned(), repository: RepositoryName::parse(name)?, reference })
    }
}

pub(crate) fn run(command: &RepositoryCommand) -> anyhow::Result<()> {
    let (what, path) = match command {
        RepositoryCommand::Delete(what) => (what, "/v1/repositories/delete"),
        RepositoryCommand::Undelete(what) => (what, "/v1/repositories/undelete"),
        RepositoryCommand::Purge(what) => (what, "/v1/repositories/purge"),
    };
    let configuration = management::configuration(what.config.as_deref())?;
    let body = json!({ "repository": what.named.repository.as_str(), "reference": what.named.reference });
    let answer =
        management::run(async { Operator::reach(&configuration).await?.ask(Method::POST, path, Some(&body)).await })?;
    let text = if what.json { serde_json::to_string_pretty(&answer)? } else { told(command, &what.named, &answer)? };
    show::line(&text);
    Ok(())
}

/// What happened, in a sentence or two.
fn told(command: &RepositoryCommand, named: &Named, answer: &Value) -> anyhow::Result<String> {
    let name = &named.text;
    let number = |key: &str| answer[key].as_u64().with_context(|| format!("the answer has no {key}"));
    Ok(match command {
        RepositoryCommand::Delete(_) => {
            let along = show::list(&[
                (number("manifests_with_it")?, "manifest", "manifests"),
                (number("tags_with_it")?, "tag", "tags"),
            ]);
            let until = answer["restorable_until"].as_str().unwrap_or("its window ends");
            let along = along.map_or(String::new(), |along| format!(", with {along}"));
            format!("deleted {name}{along}\nuntil {until}: cargohold repository undelete {name}")
        }
        RepositoryCommand::Undelete(_) => {
            let back = [(number("manifests")?, "manifest", "manifests"), (number("tags")?, "tag", "tags")];
            let back = show::list(&back).map_or(String::new(), |back| format!(": {back}"));
            format!("{name} is back{back}")
        }
        RepositoryCommand::Purge(_) => {
            format!("{name} is gone for good; what nothing else needs is deleted now: cargohold sweep status")
        }
    })
}
