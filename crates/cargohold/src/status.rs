//! `cargohold status`: how a running server is.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use http::Method;
use serde_json::Value;

use crate::{
    exit_status::ExitStatus,
    management::{self, Operator},
    show,
};

/// How it is shown.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// The configuration of the registry, as for `cargohold serve`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(status: &Status) -> anyhow::Result<ExitCode> {
    let configuration = management::configuration(status.config.as_deref())?;
    let answer = management::run(async {
        let Some(server) = Operator::reach_server(&configuration).await? else { return Ok(None) };
        server.ask(Method::GET, "/v1/status", None).await.map(Some)
    })?;
    let Some(answer) = answer else {
        let root = configuration.root_directory.display();
        eprintln!(
            "cargohold: no server runs on the data folder {root}\n  Start one with `cargohold serve`, or name the configuration of \
             the one you mean with --config"
        );
        return Ok(ExitStatus::LookAtIt.into());
    };
    show::line(&if status.json { serde_json::to_string_pretty(&answer)? } else { told(&answer) });
    Ok(ExitCode::SUCCESS)
}

fn told(answer: &Value) -> String {
    let rows = [
        ("Version", text(&answer["version"])),
        ("Runs", since(answer)),
        ("Listens on", text(&answer["address"])),
        ("Has", data(&answer["data"])),
        ("Traffic", traffic(&answer["traffic"])),
        ("Right now", now(answer)),
        ("Sweep", sweep(&answer["sweep"])),
        ("Scrub", scrub(&answer["scrub"])),
        ("Disk", disk(&answer["disk"])),
        ("Stores away", count(&answer["stores_away"])),
    ];
    // What is not there is no news.
    let rows = rows.into_iter().filter(|(name, text)| *name != "Stores away" || text != "0");
    show::table(rows.map(|(name, text)| [name.to_owned(), text]), &[]).trim_end().to_owned()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("?").to_owned()
}

fn count(value: &Value) -> String {
    let many = if value["or_more"] == true { " or more" } else { "" };
    let number = value.as_u64().or_else(|| value["count"].as_u64()).unwrap_or_default();
    format!("{number}{many}")
}

fn counted(value: &Value, one: &str, many: &str) -> String {
    let count = count(value);
    format!("{count} {}", if count == "1" { one } else { many })
}

fn size(value: &Value) -> String {
    show::size(value.as_u64().unwrap_or_default())
}

fn since(answer: &Value) -> String {
    let since = text(&answer["started_at"]);
    format!("since {since}, process {}, started {}", count(&answer["process"]), show::when(&since))
}

fn data(data: &Value) -> String {
    if data.is_null() {
        return "more than can be counted at once: it is being counted, ask again in a while".to_owned();
    }
    let parts = [
        counted(&data["repositories"], "repository", "repositories"),
        counted(&data["manifests"], "manifest", "manifests"),
        counted(&data["blobs"], "blob", "blobs"),
    ];
    format!("{}, {}, counted {}", parts.join(", "), size(&data["bytes"]), show::when(&text(&data["counted_at"])))
}

fn traffic(traffic: &Value) -> String {
    format!(
        "{} since the start ({} with 4xx, {} with 5xx), {} received, {} sent",
        counted(&traffic["requests"], "request", "requests"),
        count(&traffic["client_errors"]),
        count(&traffic["server_errors"]),
        size(&traffic["received_bytes"]),
        size(&traffic["sent_bytes"]),
    )
}

fn now(answer: &Value) -> String {
    let traffic = &answer["traffic"];
    format!(
        "{} in flight, {}, {} that can be resumed",
        counted(&traffic["in_flight"], "request", "requests"),
        counted(&traffic["connections"], "connection", "connections"),
        counted(&answer["uploads"], "upload", "uploads"),
    )
}

fn sweep(sweep: &Value) -> String {
    let overdue = |time: &Value| match time.as_str() {
        Some(time) => format!(" (the first {})", show::when(time)),
        None => String::new(),
    };
    format!(
        "{} to look at{}, {} to delete{}, {}; {} given back since the start",
        counted(&sweep["candidates"], "candidate", "candidates"),
        overdue(&sweep["first_review"]),
        counted(&sweep["discarded"], "object", "objects"),
        overdue(&sweep["first_deletion"]),
        size(&sweep["discarded_bytes"]),
        size(&sweep["given_back_bytes"]),
    )
}

fn scrub(scrub: &Value) -> String {
    if scrub["every_seconds"] == 0 {
        return "switched off (scrub.every)".to_owned();
    }
    let oldest = match scrub["oldest"].as_str() {
        None => "nothing to read".to_owned(),
        Some(time) if time.starts_with("1970-01-01") => "some bytes were never read yet".to_owned(),
        Some(time) => format!("everything was read since {time}"),
    };
    let findings = match scrub["findings"].as_u64() {
        Some(0) => "nothing wrong".to_owned(),
        _ => format!("{} WRONG, see the log", count(&scrub["findings"])),
    };
    format!(
        "{oldest}; since the start {} in {}, {findings}",
        size(&scrub["bytes"]),
        counted(&scrub["objects"], "object", "objects")
    )
}

fn disk(disk: &Value) -> String {
    if disk.is_null() {
        return "cannot be asked".to_owned();
    }
    let (free, reserve) =
        (disk["free_bytes"].as_u64().unwrap_or_default(), disk["reserve_bytes"].as_u64().unwrap_or_default());
    let full = if free <= reserve { ": FULL, pushes are refused" } else { "" };
    format!("{} of {} free, {} of it kept free{full}", show::size(free), size(&disk["size_bytes"]), show::size(reserve))
}
