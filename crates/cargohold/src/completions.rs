//! `cargohold completions`: what a shell needs to complete commands and options.

use std::io::{self, Write};

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::CommandLine;

/// For which shell.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(completions: &Completions) -> anyhow::Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(completions.shell, &mut CommandLine::command(), "cargohold", &mut text);
    Ok(io::stdout().lock().write_all(&text)?)
}
