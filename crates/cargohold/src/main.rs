//! The program: its command line, and nothing else.

#![forbid(unsafe_code)]

mod acme;
mod adopt;
mod backup;
mod banner;
#[cfg(test)]
mod command_line_tests;
mod completions;
mod config;
mod configuration;
mod data_folder;
mod debug_listener;
mod doors;
mod exit_status;
mod export;
mod fsck;
mod health;
mod inherited_arguments;
mod inherited_data;
mod listening;
mod logging;
mod man;
mod management;
mod management_socket;
mod metrics;
mod notifications;
mod open;
mod outgoing;
mod probe;
mod reload;
mod repository;
mod restore;
mod serve;
mod service_manager;
mod show;
mod status;
mod sweep;
mod traces;

use std::{path::PathBuf, process::ExitCode};

use adopt::Adopt;
use backup::Backup;
use clap::{Parser, Subcommand};
use completions::Completions;
use config::ConfigCommand;
use exit_status::ExitStatus;
use export::Export;
use fsck::Fsck;
use inherited_arguments::GarbageCollect;
use man::ManPages;
use notifications::command::NotificationsCommand;
use probe::Probe;
use repository::RepositoryCommand;
use restore::Restore;
use status::Status;
use sweep::SweepCommand;

/// A container registry in one program.
#[derive(Debug, Parser)]
#[command(
    name = "cargohold",
    version,
    arg_required_else_help = true,
    propagate_version = true,
    after_help = "Examples:
  cargohold serve
  cargohold serve --help
  cargohold repository undelete team/app:v1

https://github.com/cargohold/cargohold/tree/main/docs tells more."
)]
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
    /// Check a configuration, show what it comes to, or write an example of one
    #[command(
        subcommand,
        after_help = "Examples:
  cargohold config check config.yml
  cargohold config show --resolved config.yml"
    )]
    Config(ConfigCommand),
    /// Serve what another registry has, from where it lies
    ///
    /// Reads the data folder of the CNCF registry (registry:2, registry:3, Debian's docker-registry) and writes down what is in
    /// it: no byte is copied or moved, nothing is written to that folder, and the other registry can serve it again at any time.
    /// What is pushed from then on goes to our own data folder, the one that `serve` would open. Our server must be stopped; the
    /// other may run while a first adoption takes the bulk. Cut off, or run again later, this takes what is new; a tag that was
    /// changed here since stays.
    #[command(after_help = "Examples:
  cargohold adopt /var/lib/registry
  cargohold adopt --verify --json /var/lib/registry
  cargohold adopt --moved-from /var/lib/registry /mnt/registry

Exit status: 0 if all was adopted that the other registry served, 1 if it could
not be done, 3 if something was left out or is incomplete, which is told with
its path and what it means.")]
    Adopt(Adopt),
    /// Write all that the registry has in the layout of the CNCF registry
    ///
    /// Beside a running server if there is one: it is the registry of the moment when this begins. Blobs are linked where the file
    /// system allows it, so they take no space, and copied elsewhere. The folder must be empty, or one that an earlier export
    /// wrote: then what is new is added, nothing is taken away, and a tag that was set there later stays.
    ///
    /// The other registry has no list of referrers: signatures and the like are exported as manifests, and the tags that some
    /// clients find them by are exported where clients have set them, and not made.
    #[command(after_help = "Examples:
  cargohold export /srv/registry
  cargohold export --copy /mnt/disk/registry
  export REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=/srv/registry
  registry serve config.yml

Exit status: 0 if all was exported, 1 if it could not be done, 3 if bytes of
blobs are missing, which is told.")]
    Export(Export),
    /// Delete repositories, and bring back what was deleted
    #[command(
        subcommand,
        after_help = "Examples:
  cargohold repository delete team/app
  cargohold repository undelete team/app:v1"
    )]
    Repository(RepositoryCommand),
    /// Copy the facts while the server runs: which repositories, tags, manifests and blobs there are
    ///
    /// The bytes of blobs are not in it. They lie in the data folder, and those that the backup names stay there until it ends
    /// (--keep): copy them by any means after this, or rely on the disk.
    #[command(after_help = "Examples:
  cargohold backup /backup/facts-2026-11-21.db
  cargohold backup --keep 30d /backup/facts-2026-11-21.db")]
    Backup(Backup),
    /// Put the facts of a backup in the place of those in the data folder
    ///
    /// The server must be stopped. The facts as they were are kept beside the new ones. Files that came after the backup are
    /// deleted once the time of sweep.keep is over and the last backup has ended.
    #[command(after_help = "Examples:
  cargohold restore /backup/facts-2026-11-21.db")]
    Restore(Restore),
    /// Check that everything stored is there and whole
    ///
    /// Reads all of it, beside a running server if there is one. A server does the same by itself, slowly (the setting
    /// scrub.every).
    #[command(after_help = "Examples:
  cargohold fsck
  cargohold fsck --quick --json
  cargohold fsck --repair

Exit status: 0 if all is well or was put right, 1 if it could not be done,
3 if something is wrong.")]
    Fsck(Fsck),
    /// Show how the running server is: data, traffic, sweep, scrub, disk
    ///
    /// Asks the server that runs on the data folder, by its socket there.
    #[command(after_help = "Examples:
  cargohold status
  cargohold status --config /etc/cargohold.yml
  cargohold status --json

Exit status: 0 if a server answered, 1 if it could not be asked, 3 if none
runs.")]
    Status(Status),
    /// Ask a running registry whether it is ready
    ///
    /// For the health check of a container whose image has no curl. What is wrong is told if the registry runs on this machine.
    #[command(after_help = "Examples:
  cargohold health
  cargohold health --config /etc/cargohold.yml
  cargohold health http://127.0.0.1:5000

Exit status: 0 if it is ready, 1 if it is not or does not answer.")]
    Health(Probe),
    /// See what waits to be deleted
    #[command(
        subcommand,
        after_help = "Examples:
  cargohold sweep status"
    )]
    Sweep(SweepCommand),
    /// See how the endpoints are doing that are told of events
    #[command(
        subcommand,
        after_help = "Examples:
  cargohold notifications status
  cargohold notifications redeliver --endpoint ci"
    )]
    Notifications(NotificationsCommand),
    /// Write what a shell needs to complete commands and options
    #[command(after_help = "Examples:
  cargohold completions bash > /etc/bash_completion.d/cargohold
  cargohold completions fish > ~/.config/fish/completions/cargohold.fish
  cargohold completions zsh > /usr/local/share/zsh/site-functions/_cargohold")]
    Completions(Completions),
    /// Write the manual pages
    ///
    /// One for each command, cargohold.1 and so on.
    #[command(after_help = "Examples:
  cargohold man /usr/local/share/man/man1")]
    Man(ManPages),
    /// Do nothing: the server collects garbage by itself
    #[command(hide = true, disable_help_flag = true)]
    GarbageCollect(GarbageCollect),
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
    let ended = match CommandLine::parse_from(inherited_arguments::translated(std::env::args_os())).command {
        Command::Serve { file } => serve::run(file.as_deref(), std::env::vars_os()).map(done),
        Command::Config(command) => config::run(&command),
        Command::Adopt(adopt) => adopt::run(&adopt),
        Command::Export(export) => export::run(&export),
        Command::Repository(command) => repository::run(&command).map(done),
        Command::Backup(backup) => backup::run(&backup).map(done),
        Command::Restore(restore) => restore::run(&restore).map(done),
        Command::Fsck(fsck) => fsck::run(&fsck),
        Command::Status(status) => status::run(&status),
        Command::Health(probe) => probe::run(&probe),
        Command::Sweep(command) => sweep::run(&command).map(done),
        Command::Notifications(command) => notifications::command::run(&command).map(done),
        Command::Completions(completions) => completions::run(&completions).map(done),
        Command::Man(pages) => man::run(&pages).map(done),
        Command::GarbageCollect(_) => {
            inherited_arguments::garbage_collect();
            Ok(ExitStatus::Done.into())
        }
    };
    match ended {
        Ok(status) => status,
        Err(error) => {
            eprintln!("cargohold: {error:#}");
            ExitStatus::Failed.into()
        }
    }
}

fn done((): ()) -> ExitCode {
    ExitStatus::Done.into()
}
