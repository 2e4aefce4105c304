//! The chores of the project that are more than one cargo command: `cargo xtask <chore>`.
//!
//! Each chore is one module; this file only reads the command line. Nothing here is part of the server.

#![forbid(unsafe_code)]

mod bench;
mod ci;
mod conformance;
mod deb;
mod dist;
mod documents;
mod e2e;
mod elf;
mod fuzz;
mod image;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The chores of Cargohold.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = EXAMPLES)]
struct CommandLine {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Test the server end to end with docker, skopeo, podman and crane, check its SQL on PostgreSQL, and kill it many times
    #[command(after_help = e2e::EXAMPLES)]
    E2e(e2e::Options),
    /// Test a registry against the OCI distribution specification
    #[command(after_help = conformance::EXAMPLES)]
    Conformance(conformance::Options),
    /// Measure what the server costs, side by side with others
    #[command(after_help = bench::EXAMPLES)]
    Bench(bench::Options),
    /// Let libFuzzer look for inputs that break the parsers
    #[command(after_help = fuzz::EXAMPLES)]
    Fuzz(fuzz::Options),
    /// Do what a submission's check does: format, lints, tests, build, end to end, conformance
    Ci,
    /// Build the program as it is shipped: optimised, and without any library that it needs
    #[command(after_help = dist::EXAMPLES)]
    Dist,
    /// Make a package for Debian
    #[command(after_help = deb::EXAMPLES)]
    Deb(deb::Options),
    /// Put together a container image for docker build
    #[command(after_help = image::EXAMPLES)]
    Image(image::Options),
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask e2e                 everything, installing what is missing (Debian, as root)
  cargo xtask e2e kill-loop       one group of flows
  cargo xtask conformance         the server against the distribution specification
  cargo xtask bench               what it costs, beside other registries
  cargo xtask fuzz                the parsers with inputs that nobody thought of
  cargo xtask ci                  what must pass before a change lands
  cargo xtask dist                the program as it is shipped
  cargo xtask deb                 a package for Debian
  cargo xtask image               what docker build needs for an image";

fn main() -> ExitCode {
    let outcome = match CommandLine::parse().chore {
        Chore::E2e(options) => e2e::run(&options),
        Chore::Conformance(options) => conformance::run(&options),
        Chore::Bench(options) => bench::run(&options),
        Chore::Fuzz(options) => fuzz::run(&options),
        Chore::Ci => ci::run(),
        Chore::Dist => dist::run(),
        Chore::Deb(options) => deb::run(&options),
        Chore::Image(options) => image::run(&options),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::CommandLine;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }
}
