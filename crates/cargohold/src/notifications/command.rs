//! `cargohold notifications`: how the endpoints are doing, what they could not be told, and another try.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use crate::{
    management::{self, Operator},
    show,
};

/// What is asked.
#[derive(Debug, Subcommand)]
pub(crate) enum NotificationsCommand {
    /// Show the endpoints, and what waits for each
    #[command(after_help = "Examples:
  cargohold notifications status
  cargohold notifications status --json")]
    Status(How),
    /// Show the events that could not be delivered, and why
    ///
    /// One that waits is tried again by itself. One that was given up (notifications.endpoints.maxattempts) is tried again when
    /// it is asked for: cargohold notifications redeliver.
    #[command(after_help = "Examples:
  cargohold notifications failures
  cargohold notifications failures --endpoint hook --json")]
    Failures(Failures),
    /// Try now what could not be delivered
    ///
    /// The endpoints do not wait for their next try, one that answered that it is gone (410) is tried again, and so is what was
    /// given up. If no server runs, the next one that starts does so.
    #[command(after_help = "Examples:
  cargohold notifications redeliver
  cargohold notifications redeliver --endpoint hook
  cargohold notifications redeliver --endpoint hook 1234")]
    Redeliver(Again),
}

/// How it is shown.
#[derive(Debug, Args)]
pub(crate) struct How {
    /// The configuration of the registry, as for `cargohold serve`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Which failures are shown.
#[derive(Debug, Args)]
pub(crate) struct Failures {
    /// Only those of this endpoint
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,
    /// How many of each endpoint, at most 1000
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    #[command(flatten)]
    how: How,
}

/// What is tried again.
#[derive(Debug, Args)]
pub(crate) struct Again {
    /// Only for this endpoint
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,
    /// Only this event, by the number that `failures` shows
    #[arg(value_name = "EVENT")]
    event: Option<i64>,
    #[command(flatten)]
    how: How,
}

pub(crate) fn run(command: &NotificationsCommand) -> anyhow::Result<()> {
    let (how, method, path, body) = match command {
        NotificationsCommand::Status(how) => (how, Method::GET, "/v1/notifications".to_owned(), None),
        NotificationsCommand::Failures(failures) => {
            let mut query =
                form_urlencoded::Serializer::new(format!("/v1/notifications/failures?n={}", failures.limit));
            if let Some(endpoint) = &failures.endpoint {
                query.append_pair("endpoint", endpoint);
            }
            (&failures.how, Method::GET, query.finish(), None)
        }
        NotificationsCommand::Redeliver(again) => {
            let body = json!({ "endpoint": again.endpoint, "event": again.event });
            (&again.how, Method::POST, "/v1/notifications/redeliver".to_owned(), Some(body))
        }
    };
    let configuration = management::configuration(how.config.as_deref())?;
    let ask = async {
        let operator = Operator::reach(&configuration).await?;
        let when = if operator.is_served() { "now" } else { "when the server starts" };
        Ok((operator.ask(method, &path, body.as_ref()).await?, when))
    };
    let (answer, when) = management::run(ask)?;
    show::line(&if how.json { serde_json::to_string_pretty(&answer)? } else { told(command, &answer, when) });
    Ok(())
}

fn told(command: &NotificationsCommand, answer: &Value, when: &str) -> String {
    let text = match command {
        NotificationsCommand::Status(_) => endpoints(answer),
        NotificationsCommand::Failures(_) => failures(answer),
        NotificationsCommand::Redeliver(_) => {
            let again = answer["tried_again"].as_u64().unwrap_or_default();
            let events = if again == 1 { "event" } else { "events" };
            format!("what waits is tried {when}, and {again} {events} that had been given up")
        }
    };
    text.trim_end().to_owned()
}

fn endpoints(answer: &Value) -> String {
    let endpoints = list(&answer["endpoints"]);
    if endpoints.is_empty() {
        return "no endpoint is told of anything: notifications.endpoints names none".to_owned();
    }
    let heads = ["ENDPOINT", "STATE", "PENDING", "OLDEST", "GIVEN UP", "DROPPED", "LAST SUCCESS", "LAST FAILURE"];
    let row = |endpoint: &Value| {
        let when = |key: &str| endpoint[key].as_str().map_or("-".to_owned(), show::when);
        let failure = endpoint["error"].as_str().map(|error| format!("{}: {error}", when("last_failure")));
        let state = match endpoint["next_try"].as_str() {
            Some(next) => format!("{}, next try {}", text(endpoint, "state"), show::when(next)),
            None => text(endpoint, "state"),
        };
        [
            text(endpoint, "name"),
            state,
            count(&endpoint["pending"]),
            when("oldest"),
            count(&endpoint["given_up"]),
            endpoint["dropped"].to_string(),
            when("last_success"),
            failure.unwrap_or_else(|| "-".to_owned()),
        ]
    };
    let rows = endpoints.iter().map(row);
    show::table(std::iter::once(heads.map(str::to_owned)).chain(rows), &[2, 4, 5])
}

fn failures(answer: &Value) -> String {
    let failures = list(&answer["failures"]);
    if failures.is_empty() {
        return "nothing has failed".to_owned();
    }
    let heads = ["ENDPOINT", "EVENT", "HAPPENED", "WHAT", "TRIED", "STATE", "WHY"].map(str::to_owned);
    let row = |failure: &Value| {
        let body = &failure["body"];
        let what = format!("{} {}", text(body, "action"), target(&body["target"]));
        let tried = failure["attempts"].as_u64().unwrap_or_default();
        let tried = match failure["attempted_at"].as_str() {
            Some(at) => format!("{tried} times, {}", show::when(at)),
            None => format!("{tried} times"),
        };
        [
            text(failure, "endpoint"),
            failure["event"].to_string(),
            failure["happened_at"].as_str().map_or("-".to_owned(), show::when),
            what,
            tried,
            if failure["given_up"] == true { "given up" } else { "waits" }.to_owned(),
            text(failure, "error"),
        ]
    };
    show::table(std::iter::once(heads).chain(failures.iter().map(row)), &[1])
}

/// What it happened to, as people write it.
fn target(target: &Value) -> String {
    let repository = text(target, "repository");
    match (target["tag"].as_str(), target["digest"].as_str()) {
        (Some(tag), _) => format!("{repository}:{tag}"),
        (None, Some(digest)) => format!("{repository}@{}", show::digest(digest)),
        (None, None) => repository,
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or("-").to_owned()
}

fn count(count: &Value) -> String {
    let or_more = if count["or_more"] == true { " or more" } else { "" };
    format!("{}{or_more}", count["count"].as_u64().unwrap_or_default())
}
