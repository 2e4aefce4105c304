//! The whole command line, whatever commands it has: help, examples, and `docs/command-line.md`, which is made from it.

use std::{fmt::Write as _, fs, path::Path};

use clap::{Arg, Command, CommandFactory, error::ErrorKind};

use crate::{CommandLine, configuration, exit_status::ExitStatus};

/// Commands that have no `--json`, each with the reason.
const WITHOUT_JSON: &[(&str, &str)] = &[
    ("cargohold serve", "runs until it is stopped; its log is a setting"),
    ("cargohold config check", "tells people what is wrong; programs have its exit status, and `config show --json`"),
    ("cargohold config example", "writes a configuration file"),
    ("cargohold completions", "writes what a shell reads"),
    ("cargohold man", "writes files"),
];

/// Where the part of the page begins that is made from the command line.
const COMMANDS: &str = "\n## Commands\n";

/// All commands, each below the one that it belongs to, with their whole names (`cargohold sweep status`).
fn commands() -> Vec<(String, Command)> {
    fn walk(name: &str, command: &Command, all: &mut Vec<(String, Command)>) {
        all.push((name.to_owned(), command.clone()));
        for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
            walk(&format!("{name} {}", below.get_name()), below, all);
        }
    }
    let mut program = CommandLine::command().disable_help_subcommand(true);
    program.build();
    let mut all = Vec::new();
    walk("cargohold", &program, &mut all);
    all
}

/// What stands below the options in a command's help.
fn below_the_options(command: &Command) -> String {
    let text = command.get_after_long_help().or(command.get_after_help());
    text.map(ToString::to_string).unwrap_or_default()
}

/// The lines of a command's help that show how it is used, without what belongs to the shell.
fn examples(command: &Command) -> Vec<String> {
    let text = below_the_options(command);
    let (_, examples) = text.split_once("Examples:\n").unwrap_or_default();
    let examples = examples.split("\n\nExit status").next().unwrap_or_default();
    let examples = examples.lines().filter_map(|line| line.find("cargohold ").map(|start| &line[start..]));
    examples.map(|line| line.split([';', '|', '>', '#']).next().unwrap_or_default().trim().to_owned()).collect()
}

#[test]
fn the_command_line_is_consistent() {
    CommandLine::command().debug_assert();
}

#[test]
fn every_command_has_examples_that_are_right() {
    for (name, command) in commands() {
        let examples = examples(&command);
        assert!(!examples.is_empty(), "{name}: its help needs `Examples:` (after_help), each on a line of its own");
        assert!(examples.iter().any(|example| example.starts_with(&name)), "{name} has examples of others only");
        for example in examples {
            let Err(error) = CommandLine::command().try_get_matches_from(example.split_whitespace()) else { continue };
            // Digests and the like are shortened.
            let fine = [ErrorKind::ValueValidation, ErrorKind::DisplayHelp, ErrorKind::DisplayVersion];
            assert!(fine.contains(&error.kind()), "{name}: `{example}` does not work: {error}");
        }
    }
}

#[test]
fn help_fits_a_narrow_terminal_where_it_is_not_wrapped() {
    for (name, command) in commands() {
        let text = below_the_options(&command);
        for line in text.lines() {
            assert!(line.chars().count() <= 79, "{name}: {line}");
        }
    }
}

#[test]
fn every_command_and_option_says_what_it_is() {
    for (name, command) in commands() {
        assert!(command.get_about().is_some(), "{name} says nothing about itself");
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{name}: {} is not explained", argument.get_id());
        }
    }
}

#[test]
fn what_is_shown_can_be_had_in_json() {
    for (name, command) in commands() {
        let excused = WITHOUT_JSON.iter().any(|(without, _)| *without == name);
        let has = command.get_arguments().any(|argument| argument.get_long() == Some("json"));
        assert!(
            command.has_subcommands() || has != excused,
            "{name}: it needs --json, or a line in WITHOUT_JSON that says why not"
        );
    }
}

#[test]
fn a_command_that_is_nearly_right_is_told_the_right_one() {
    for (name, _) in commands().iter().skip(1) {
        let mut words: Vec<&str> = name.split(' ').collect();
        let right = words.pop().unwrap();
        let wrong = format!("{right}s");
        words.push(&wrong);
        let error = CommandLine::command().try_get_matches_from(words).unwrap_err().to_string();
        assert!(error.contains("similar") && error.contains(&format!("'{right}'")), "{name}: {error}");
    }
}

#[test]
fn exit_statuses_are_different_and_in_order() {
    assert!(ExitStatus::ALL.map(ExitStatus::code).is_sorted_by(|one, next| one < next));
}

/// `WRITE_DOCS=1 cargo test -p cargohold --bins` writes it.
#[test]
fn the_page_says_what_the_command_line_is() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/command-line.md");
    let page = fs::read_to_string(&path).unwrap();
    let (prose, _) = page.split_once("\n| status | meaning |\n").expect("the page has the table of exit statuses");
    let expected = format!("{prose}{}{COMMANDS}{}", statuses(), commands().iter().map(section).collect::<String>());
    if std::env::var_os("WRITE_DOCS").is_some() {
        fs::write(&path, &expected).unwrap();
    } else {
        assert!(page == expected, "docs/command-line.md is behind: WRITE_DOCS=1 cargo test -p cargohold brings it up");
    }
}

fn statuses() -> String {
    let rows = ExitStatus::ALL.map(|status| format!("| {} | {} |\n", status.code(), status.meaning()));
    format!("\n| status | meaning |\n|---|---|\n{}", rows.concat())
}

/// What the page says about a command.
fn section((name, command): &(String, Command)) -> String {
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let mut text = format!("\n### `{name}`\n\n{}\n\n```text\n{usage}\n```\n", wrapped(&about));
    let rows: String = command.get_arguments().filter(|argument| !argument.is_hide_set()).filter_map(row).collect();
    if !rows.is_empty() {
        let _ = write!(text, "\n| | |\n|---|---|\n{rows}");
    }
    // The settings have a page of their own.
    let below = below_the_options(command);
    let below = below.strip_prefix(&configuration::help()).unwrap_or(&below).trim();
    let _ = write!(text, "\n```text\n{below}\n```\n");
    text
}

/// A line of the table of options; none for what every command has.
fn row(argument: &Arg) -> Option<String> {
    if ["help", "version"].contains(&argument.get_id().as_str()) {
        return None;
    }
    let value = || argument.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    let form = match argument.get_long() {
        Some(long) if argument.get_action().takes_values() => format!("--{long} <{}>", value()?),
        Some(long) => format!("--{long}"),
        None => value()?,
    };
    let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
    let values = argument.get_possible_values();
    let values: Vec<&str> = values.iter().map(clap::builder::PossibleValue::get_name).collect();
    let values = if values.is_empty() || !argument.get_action().takes_values() {
        String::new()
    } else {
        format!(": {}", values.join(", "))
    };
    let default: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let default = if default.is_empty() || !argument.get_action().takes_values() {
        String::new()
    } else {
        format!(" (default: {})", default.concat())
    };
    Some(format!("| `{form}` | {}{values}{default} |\n", help.replace("\n\n", ". ").replace(['\n', '|'], " ")))
}

/// Paragraphs in lines of the page's width.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    for paragraph in text.split("\n\n") {
        let mut width = 0;
        for word in paragraph.split_whitespace() {
            let length = word.chars().count();
            if width > 0 && width + 1 + length > 120 {
                lines.push('\n');
                width = 0;
            } else if width > 0 {
                lines.push(' ');
                width += 1;
            }
            lines.push_str(word);
            width += length;
        }
        lines.push_str("\n\n");
    }
    lines.trim_end().to_owned()
}
