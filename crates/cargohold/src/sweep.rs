//! `cargohold sweep`: what waits to be deleted, and why it is still there.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;

use crate::{
    management::{self, Operator},
    show,
};

/// What is asked.
#[derive(Debug, Subcommand)]
pub(crate) enum SweepCommand {
    /// Show what waits to be deleted, and why it is still there
    #[command(after_help = "Examples:
  cargohold sweep status
  cargohold sweep status --limit 1000 --json")]
    Status(Status),
}

/// How it is shown.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// How many candidates to list, at most 1000
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(0..=1000))]
    limit: u16,
    /// The configuration of the registry, as for `cargohold serve`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &SweepCommand) -> anyhow::Result<()> {
    let SweepCommand::Status(status) = command;
    let configuration = management::configuration(status.config.as_deref())?;
    let path = format!("/v1/sweep?n={}", status.limit);
    let answer = management::run(async { Operator::reach(&configuration).await?.ask(Method::GET, &path, None).await })?;
    show::line(&if status.json { serde_json::to_string_pretty(&answer)? } else { told(&answer) });
    Ok(())
}

fn told(answer: &Value) -> String {
    let mut text = format!("{}\n{}\n", candidates(answer), discarded(answer));
    let next = answer["next"].as_array().map_or(&[][..], Vec::as_slice);
    if !next.is_empty() {
        let heads = ["DUE", "WHAT", "REPOSITORY", "DIGEST", "SIZE", "WHY"].map(str::to_owned);
        let rows = next.iter().map(row);
        text.push('\n');
        text.push_str(&show::table(std::iter::once(heads).chain(rows), &[4]));
    }
    text.trim_end().to_owned()
}

fn candidates(answer: &Value) -> String {
    let due = answer["first_review"].as_str().map(|due| format!(", the first is looked at {}", show::when(due)));
    format!("{} to look at{}", count(&answer["candidates"], "candidate", "candidates"), due.unwrap_or_default())
}

fn discarded(answer: &Value) -> String {
    let size = show::size(answer["discarded_bytes"].as_u64().unwrap_or_default());
    let due = answer["first_deletion"].as_str().map(|due| format!(", {size}, the first goes {}", show::when(due)));
    format!("{} to delete{}", count(&answer["discarded"], "object", "objects"), due.unwrap_or_default())
}

fn count(count: &Value, one: &str, many: &str) -> String {
    let number = count["count"].as_u64().unwrap_or_default();
    let or_more = if count["or_more"] == true { " or more" } else { "" };
    format!("{number}{or_more} {}", if number == 1 { one } else { many })
}

fn row(candidate: &Value) -> [String; 6] {
    let text = |key: &str| candidate[key].as_str().unwrap_or("-").to_owned();
    let purged = if candidate["purged"] == true { "purged; " } else { "" };
    let kind = match candidate["kind"].as_str() {
        Some("link") => "blob in".to_owned(),
        _ => text("kind"),
    };
    [
        show::when(&text("review_after")),
        kind,
        text("repository"),
        show::digest(&text("digest")),
        candidate["bytes"].as_u64().map_or("-".to_owned(), show::size),
        format!("{purged}{}", text("reason")),
    ]
}
