//! `cargohold config`: what the configuration comes to, before anything is started.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Subcommand};
use serde_json::json;

use crate::{
    configuration::{self, Configuration, Kind, Origin, Sections, Told},
    inherited_data,
};

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say what is wrong with a configuration, or what each part of the registry will do
    ///
    /// Reads the file, if one is named, and the environment, as `serve` does, and starts nothing.
    #[command(after_help = "Examples:
  cargohold config check
  cargohold config check /etc/cargohold/cargohold.yml
  cargohold config check /etc/docker/registry/config.yml

Exit status: 0 if the registry could start with it, 1 if not.")]
    Check(Source),
    /// Show the settings, and who said each
    ///
    /// Secrets are hidden. What is shown can be read as a configuration again.
    #[command(after_help = "Examples:
  cargohold config show cargohold.yml
  cargohold config show --resolved
  cargohold config show --resolved --json config.yml")]
    Show(Show),
    /// Write a configuration file with every setting, explained
    #[command(after_help = "Examples:
  cargohold config example > cargohold.yml")]
    Example,
}

#[derive(Debug, Args)]
pub(crate) struct Source {
    /// The configuration, in YAML. Without it there is only what the environment says
    file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    source: Source,

    /// Show those that nobody set too, with their defaults
    #[arg(long)]
    resolved: bool,

    /// As JSON, by key
    #[arg(long)]
    json: bool,
}

/// A setting, told.
type Setting = (&'static str, Told, Option<Origin>);

pub(crate) fn run(command: &ConfigCommand) -> anyhow::Result<ExitCode> {
    let text = match command {
        ConfigCommand::Check(source) => check(source.load()?),
        ConfigCommand::Show(show) => show.text()?,
        ConfigCommand::Example => configuration::example(),
    };
    // Whoever reads it may have seen enough.
    let _ = io::stdout().lock().write_all(text.as_bytes());
    Ok(ExitCode::SUCCESS)
}

impl Source {
    fn load(&self) -> anyhow::Result<Configuration> {
        Ok(Configuration::load(self.file.as_deref(), std::env::vars_os())?)
    }
}

impl Show {
    fn text(&self) -> anyhow::Result<String> {
        let mut configuration = self.source.load()?;
        let settings = configuration.told().into_iter().filter(|(_, _, origin)| self.resolved || origin.is_some());
        Ok(if self.json { json_of(settings) } else { yaml_of(configuration.kind, settings) })
    }
}

fn yaml_of(kind: Kind, settings: impl Iterator<Item = Setting>) -> String {
    let mut sections = Sections::default();
    let mut word = None;
    for (key, told, origin) in settings {
        // A default that only leaving the key out can mean.
        let Some(value) = told.line() else { continue };
        // `auth: open` leaves no room for what is below it.
        if word.is_some_and(|word| key.strip_prefix(word).is_some_and(|below| below.starts_with('.'))) {
            continue;
        }
        word = Some(key);
        let origin = origin.unwrap_or(Origin::Default);
        sections.setting(key, |name| format!("{name}: {value}  # {origin}"));
    }
    let version = if kind == Kind::Inherited { "version: 0.1\n" } else { "" };
    format!("{version}{}", sections.into_text())
}

fn json_of(settings: impl Iterator<Item = Setting>) -> String {
    let setting = |(key, told, origin): Setting| {
        let origin = origin.unwrap_or(Origin::Default).to_string();
        (key.to_owned(), json!({ "value": told.json(), "from": origin }))
    };
    let settings: serde_json::Map<_, _> = settings.map(setting).collect();
    format!("{:#}\n", serde_json::Value::from(settings))
}

/// What each part will do, a line for each.
fn check(mut configuration: Configuration) -> String {
    let other = inherited_data::make_way(&mut configuration);
    let parts = configuration.in_words(other.as_deref());
    let width = parts.iter().map(|(part, _)| part.len()).max().unwrap_or_default();
    let parts = parts.iter().map(|(part, does)| format!("  {part:width$}  {does}\n"));
    let warnings = configuration.warnings.iter().map(|warning| format!("warning: {warning}\n"));
    warnings.chain(["The registry can start with this configuration:\n\n".to_owned()]).chain(parts).collect()
}
