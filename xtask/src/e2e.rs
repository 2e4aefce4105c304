//! `cargo xtask e2e`: the server as its users see it.
//!
//! Real clients push to it and pull from it, the facts are tested on PostgreSQL, and the kill loop ends it at random moments and looks for
//! what was lost. Each client's flows are a file; flows of different clients run side by side, against one server.
//! Everything that is started is stopped, and nothing is left on the machine but installed packages and the cache folder.

mod acme;
mod adopt;
pub(crate) mod authority;
pub(crate) mod command;
mod crane;
pub(crate) mod digest;
mod docker;
pub(crate) mod docker_registry;
mod docs;
mod durability;
mod endpoint;
mod failing_database;
mod flows;
mod full_disk;
pub(crate) mod images;
mod kill_loop;
mod metadata;
mod notifications;
mod observability;
mod operator;
mod packaging;
mod podman;
pub(crate) mod ports;
mod postgres;
mod proxies;
pub(crate) mod random;
pub(crate) mod registry;
mod report;
mod sandbox;
pub(crate) mod scratch;
pub(crate) mod server;
pub(crate) mod service;
mod sign_in;
mod skopeo;
mod tls;
pub(crate) mod tools;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::{self, Scope};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, ValueEnum};

use self::flows::Setting;
use self::images::Images;
use self::random::Random;
use self::registry::{Registry, loopback_address};
use self::report::Report;
use self::scratch::Scratch;
use self::server::Installation;
use self::sign_in::Doors;

pub(crate) const EXAMPLES: &str = "\
Installs what is missing (Debian's packages, so as root; crane with Go into $CARGOHOLD_CACHE or ~/.cache/cargohold).

Examples:
  cargo xtask e2e                                   everything
  cargo xtask e2e docker podman                     only these clients
  cargo xtask e2e kill-loop --rounds 2000 --seed 7  a long kill loop with the choices of an earlier one
  cargo xtask e2e --against http://127.0.0.1:5000   the clients against a registry that runs already
  cargo xtask e2e --prepare                         only install what is needed";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What to run; everything if nothing is named
    #[arg(value_enum, value_name = "GROUP")]
    groups: Vec<Group>,

    /// Run the clients against this registry, an address of this machine, instead of a server started here
    #[arg(long, value_name = "URL", value_parser = loopback_address)]
    against: Option<String>,

    /// The built server to test [default: cargo builds it]
    #[arg(long, value_name = "PROGRAM")]
    server: Option<PathBuf>,

    /// Of the pages for users, only those whose names have this in them
    #[arg(long, value_name = "TEXT")]
    page: Option<String>,

    /// How often the kill loop kills
    #[arg(long, value_name = "N", default_value_t = 50)]
    rounds: u32,

    /// Repeats the random choices of the run that printed it
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// How long one flow may take before it counts as hanging
    #[arg(long, value_name = "MINUTES", default_value_t = 20)]
    flow_minutes: u64,

    /// Install what the groups need, and stop
    #[arg(long)]
    prepare: bool,

    /// Leave the temporary folder behind
    #[arg(long)]
    keep: bool,
}

/// Flows that need the same client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Group {
    /// Start, answer, stop
    Server,
    Docker,
    Skopeo,
    Podman,
    Crane,
    /// What is synced before what, as strace sees it
    Durability,
    /// Debian's docker-registry, adopted and exported again
    Adopt,
    /// What endpoints are told, beside Debian's docker-registry
    Notifications,
    /// The commands on the pages for users
    Docs,
    /// Real clients through TLS, with certificates from files
    Tls,
    /// Certificates from Pebble, by ACME
    Acme,
    /// The configurations of docs/proxies.md, with all clients
    Proxies,
    /// A small disk, until nothing fits any more
    FullDisk,
    /// Prometheus scrapes the server, and its tools look at our metrics and rules
    Observability,
    /// The systemd unit, the Debian package, the container image
    Packaging,
    /// The tests of the crate `metadata` on PostgreSQL
    Metadata,
    /// Kill the server again and again, and look for what was lost
    KillLoop,
}

/// Runs what the options ask for; the exit code tells whether all of it passed.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let groups = options.selected();
    ensure!(!groups.is_empty(), "a registry that runs already can be tested by clients only");
    tools::prepare(&groups)?;
    if options.prepare {
        return Ok(ExitCode::SUCCESS);
    }
    let seed = options.seed.unwrap_or_else(random::fresh_seed);
    println!("seed {seed} (--seed {seed} repeats this run's random choices)");
    let target = options.target(&groups)?;
    let report = Report::default();
    report.end_what_hangs(Duration::from_mins(options.flow_minutes));
    let scratch = Scratch::new(options.keep)?;
    // One round after the other: all of it at once is more than a small machine does within anybody's patience.
    let all = Round { options, groups: &groups, scratch: &scratch, seed, report: &report };
    thread::scope(|threads| {
        if groups.contains(&Group::Metadata) {
            threads.spawn(|| metadata::flow(&scratch, &report));
        }
        if let Target::Program(program) = &target {
            all.of_data(program, threads);
        }
        if groups.iter().any(|group| group.talks_to_the_server()) {
            run_clients(&target, &groups, &scratch, seed, &report);
        }
    });
    if let Target::Program(program) = &target {
        thread::scope(|threads| all.of_operators(program, threads));
    }
    drop(scratch);
    Ok(if report.close() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What flows of a server of their own are given.
#[derive(Clone, Copy)]
struct Round<'r> {
    options: &'r Options,
    groups: &'r BTreeSet<Group>,
    scratch: &'r Scratch,
    seed: u64,
    report: &'r Report,
}

impl<'r> Round<'r> {
    /// Starts those that look for what was lost.
    fn of_data<'t>(self, program: &'t Path, threads: &'t Scope<'t, '_>)
    where
        'r: 't,
    {
        let Self { options, groups, scratch, seed, report } = self;
        if groups.contains(&Group::Durability) {
            threads.spawn(move || durability::flow(program, scratch, report));
            threads.spawn(move || failing_database::flow(program, scratch, report));
        }
        if groups.contains(&Group::Adopt) {
            threads.spawn(move || adopt::flow(program, scratch, seed, report));
        }
        if groups.contains(&Group::FullDisk) {
            threads.spawn(move || full_disk::flow(program, scratch, seed, report));
        }
        if groups.contains(&Group::KillLoop) {
            threads.spawn(move || kill_loop::flow(program, scratch, options.rounds, seed, report));
        }
    }

    /// Starts those that set it up as operators do.
    fn of_operators<'t>(self, program: &'t Path, threads: &'t Scope<'t, '_>)
    where
        'r: 't,
    {
        let Self { options, groups, scratch, seed, report } = self;
        if groups.contains(&Group::Docs) {
            threads.spawn(move || docs::flow(program, scratch, options.page.as_deref(), report));
        }
        if groups.contains(&Group::Packaging) {
            threads.spawn(move || packaging::flows(program, scratch, report));
        }
        if groups.contains(&Group::Tls) {
            threads.spawn(move || tls::flow(program, scratch, seed, report));
        }
        if groups.contains(&Group::Acme) {
            threads.spawn(move || acme::flow(program, scratch, report));
        }
        if groups.contains(&Group::Proxies) {
            threads.spawn(move || proxies::flows(program, scratch, seed, report));
        }
        if groups.contains(&Group::Notifications) {
            threads.spawn(move || notifications::flow(program, scratch, report));
        }
        if groups.contains(&Group::Observability) {
            threads.spawn(move || observability::flow(program, scratch, report));
        }
    }
}

/// What the flows are run against.
enum Target {
    Program(PathBuf),
    Running(Registry),
    /// The groups need neither.
    Nothing,
}

impl Options {
    fn selected(&self) -> BTreeSet<Group> {
        let named = if self.groups.is_empty() { Group::value_variants() } else { &self.groups };
        named.iter().copied().filter(|group| self.against.is_none() || group.is_client()).collect()
    }

    fn target(&self, groups: &BTreeSet<Group>) -> Result<Target> {
        Ok(match (&self.against, &self.server) {
            (Some(address), _) => Target::Running(Registry::at(address)),
            (None, Some(program)) => {
                Target::Program(program.canonicalize().with_context(|| format!("there is no {}", program.display()))?)
            }
            (None, None) if groups.iter().all(|group| *group == Group::Metadata) => Target::Nothing,
            (None, None) => Target::Program(server::build()?),
        })
    }
}

impl Group {
    fn is_client(self) -> bool {
        matches!(self, Self::Docker | Self::Skopeo | Self::Podman | Self::Crane)
    }

    /// Whether it starts engines or mounts folders.
    fn needs_root(self) -> bool {
        matches!(self, Self::Docker | Self::Podman | Self::Docs | Self::Packaging | Self::Tls | Self::Proxies)
    }

    fn talks_to_the_server(self) -> bool {
        self.is_client() || self == Self::Server
    }
}

impl fmt::Display for Group {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}

/// The clients' flows, and the start and stop of the server that they share.
fn run_clients(target: &Target, groups: &BTreeSet<Group>, scratch: &Scratch, seed: u64, report: &Report) {
    let images = if groups.iter().any(|group| group.is_client()) {
        Images::make(scratch, &mut Random::fork(seed, 1)).map(Some)
    } else {
        Ok(None)
    };
    let images = match images {
        Ok(images) => images,
        Err(error) => return report.flow("images", "are made", || Err(error)),
    };
    let side_by_side = |registry: &Registry, doors: Option<&Doors>, report: &Report| {
        if let Some(images) = &images {
            let registry = &registry.below(&format!("run-{seed}"));
            run_side_by_side(groups, Setting { registry, doors, images, scratch, report });
        }
    };
    match target {
        Target::Running(registry) => side_by_side(registry, None, report),
        Target::Program(program) => with_server(program, scratch, report, |registry, report| {
            let doors = match Doors::open(program, scratch) {
                Ok(doors) => doors,
                Err(error) => return report.flow("server", "starts with passwords", || Err(error)),
            };
            side_by_side(registry, Some(&doors), report);
            report.flow("server", "stops where it asked for passwords", || doors.close());
        }),
        Target::Nothing => {}
    }
}

/// Starts the server, does `what` with it, and stops it.
fn with_server(program: &Path, scratch: &Scratch, report: &Report, what: impl FnOnce(&Registry, &Report)) {
    let mut started = None;
    let installation = scratch.folder("server").map(|folder| Installation::new(program, folder));
    let report = match &installation {
        Ok(installation) => report.with_server_log(installation.log()),
        Err(_) => report.clone(),
    };
    report.flow("server", "starts with an empty data folder and answers", || {
        started = Some(installation?.start()?);
        Ok(())
    });
    let Some(mut server) = started else { return };
    what(&server.registry, &report);
    report.flow("server", "stops at SIGTERM with exit status 0", || {
        let status = server.stop()?;
        ensure!(status.success(), "the server ended with {status}");
        Ok(())
    });
}

fn run_side_by_side(groups: &BTreeSet<Group>, setting: Setting<'_>) {
    thread::scope(|threads| {
        for group in groups {
            match group {
                Group::Docker => drop(threads.spawn(move || docker::flows(setting))),
                Group::Skopeo => drop(threads.spawn(move || skopeo::flows(setting))),
                Group::Podman => drop(threads.spawn(move || podman::flows(setting))),
                Group::Crane => drop(threads.spawn(move || crane::flows(setting))),
                Group::Server
                | Group::Durability
                | Group::Adopt
                | Group::Notifications
                | Group::Docs
                | Group::Tls
                | Group::Acme
                | Group::Proxies
                | Group::FullDisk
                | Group::Observability
                | Group::Packaging
                | Group::Metadata
                | Group::KillLoop => {}
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use clap::{Parser, ValueEnum as _};

    use super::{Group, Options};

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        options: Options,
    }

    fn selected(arguments: &[&str]) -> Vec<Group> {
        let line = CommandLine::parse_from(["e2e"].iter().chain(arguments));
        line.options.selected().into_iter().collect()
    }

    #[test]
    fn everything_runs_unless_groups_are_named() {
        assert_eq!(selected(&[]), Group::value_variants());
        assert_eq!(selected(&["kill-loop", "docker"]), [Group::Docker, Group::KillLoop]);
    }

    #[test]
    fn only_clients_run_against_a_registry_that_runs_already() {
        let clients = [Group::Docker, Group::Skopeo, Group::Podman, Group::Crane];
        assert_eq!(selected(&["--against", "http://127.0.0.1:5000"]), clients);
        assert_eq!(selected(&["--against", "127.0.0.1:5000", "kill-loop"]), []);
    }

    #[test]
    fn a_group_is_called_as_on_the_command_line() {
        assert_eq!(Group::KillLoop.to_string(), "kill-loop");
    }
}
