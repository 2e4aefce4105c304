//! `cargohold man`: the manual pages, one for each command.
//!
//! A command of the program itself, so that whoever packages it needs nothing but the program.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;

use crate::CommandLine;

/// Where they go.
#[derive(Debug, Args)]
pub(crate) struct ManPages {
    /// The folder; made if it is not there
    folder: PathBuf,
}

pub(crate) fn run(pages: &ManPages) -> anyhow::Result<()> {
    fs::create_dir_all(&pages.folder).with_context(|| pages.folder.display().to_string())?;
    let mut program = CommandLine::command().disable_help_subcommand(true);
    program.build();
    write(&program, &pages.folder)
}

/// Writes the page of a command, and those of the commands below it.
fn write(command: &Command, folder: &Path) -> anyhow::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let file = folder.join(format!("{name}.1"));
    let mut page = Vec::new();
    let man = Man::new(command.clone()).title(name.to_uppercase()).manual("Cargohold");
    man.source(concat!("cargohold ", env!("CARGO_PKG_VERSION"))).render(&mut page)?;
    fs::write(&file, page).with_context(|| format!("cannot write {}", file.display()))?;
    command.get_subcommands().filter(|below| !below.is_hide_set()).try_for_each(|below| write(below, folder))
}
