//! The program: its command line, and nothing else.

#![forbid(unsafe_code)]

mod banner;
mod configuration;
mod data_folder;
mod logging;
mod management;
mod management_socket;
mod open;
mod repository;
mod serve;
mod show;
mod sweep;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use repository::RepositoryCommand;
use sweep::SweepCommand;

/// A container registry in one program.
#[derive(Debug, Parser)]
#[command(name = "cargohold", version, arg_required_else_help = true, propagate_version = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the registry
    ///
    /// Without any settings it listens on 127.0.0.1:5000, where only this machine reaches it, and keeps its data in
    /// ./cargohold-data. Ctrl-C or SIGTERM stop it once running requests are done; a second one stops it at once.
    #[command(after_long_help = format!("{}{SERVE_HELP}", configuration::help()))]
    Serve {
        /// The configuration, in YAML. Without it there is only what the environment says
        file: Option<PathBuf>,
    },
    /// Delete repositories, and bring back what was deleted
    #[command(subcommand)]
    Repository(RepositoryCommand),
    /// See what waits to be deleted
    #[command(subcommand)]
    Sweep(SweepCommand),
}

const SERVE_HELP: &str = "
In the environment only:
  RUST_LOG
      What is logged to standard error: error, warn, info, debug or trace
      [default: info]

Examples:
  A registry for this machine
    cargohold serve

  On another port
    CARGOHOLD__HTTP__ADDR=127.0.0.1:5001 cargohold serve

  As a file says
    cargohold serve /etc/cargohold.yml

  With its data elsewhere
    export CARGOHOLD__STORAGE__FILESYSTEM__ROOTDIRECTORY=/srv/images
    cargohold serve

  For a trusted network, without passwords
    export CARGOHOLD__AUTH=open
    CARGOHOLD__HTTP__ADDR=0.0.0.0:5000 cargohold serve

Exit status: 0 after a stop that was asked for, 1 if it could not start or go
on, 2 if the command line is wrong, 130 after being told twice to stop.";

fn main() -> ExitCode {
    let ended = match CommandLine::parse().command {
        Command::Serve { file } => serve::run(file.as_deref(), std::env::vars_os()),
        Command::Repository(command) => repository::run(&command),
        Command::Sweep(command) => sweep::run(&command),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargohold: {error:#}");
            ExitCode::FAILURE
        }
    }
}
