//! `cargo xtask conformance`: whether a registry does what the OCI distribution specification says.
//!
//! The suite is our own: tables of tests, and a plain HTTP client that knocks at the front door. It has the grain of the official one, so
//! that their counts can be compared, and the official program can be run in its place. How far our own is to be trusted is
//! shown by a registry whose shortcomings are known.

mod attempt;
mod basics;
mod blobs;
mod client;
mod content;
mod data_sets;
mod expectation;
mod official;
mod outcome;
mod own;
mod peer;
mod plan;
mod report;
mod rules;
mod run;
mod steps;
mod target;
mod tree;
mod uploads;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::Args;

use self::attempt::Setting;
use self::client::Client;
use self::outcome::Outcome;
use self::own::Servers;
use self::rules::{Deletes, Rules, Version};
use self::tree::Group;
use crate::e2e::random::{self, Random};
use crate::e2e::scratch::Scratch;
use crate::e2e::{server, tools};

pub(crate) const EXAMPLES: &str = "\
Without --against, --peer or --suite: six runs against our own server, the three versions with the default configuration and with
one that takes sparse manifests. A skip counts as a failure there.

Examples:
  cargo xtask conformance                                           our server, all six runs
  cargo xtask conformance --against http://127.0.0.1:5000 --sparse  any registry that asks for no credentials
  cargo xtask conformance --peer                                    whether the suite finds what is known of docker-registry
  cargo xtask conformance --suite ./conformance.test                the official suite's program in place of ours";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The built server to test [default: cargo builds it]
    #[arg(long, value_name = "PROGRAM", conflicts_with_all = ["against", "peer"])]
    server: Option<PathBuf>,

    #[command(flatten)]
    elsewhere: Elsewhere,

    /// Test Debian's docker-registry and compare what is found with what is known
    #[arg(long, conflicts_with = "suite")]
    peer: bool,

    /// Run the official suite's program against our server, six times
    #[arg(long, value_name = "PROGRAM")]
    suite: Option<PathBuf>,

    /// Repeats the content of the run that printed it
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    #[command(flatten)]
    output: Output,

    /// Leave the temporary folder behind
    #[arg(long)]
    keep: bool,

    /// Install what --peer needs, and stop
    #[arg(long)]
    prepare: bool,
}

/// A registry that runs already.
#[derive(Debug, Args)]
struct Elsewhere {
    /// Test this registry instead of a server started here. Everything is pushed below `conformance/`
    #[arg(long, value_name = "URL", value_parser = plain_address, conflicts_with_all = ["peer", "suite"])]
    against: Option<String>,

    /// The version of the specification, with --against
    #[arg(long, value_enum, default_value_t = Version::Dev, requires = "against")]
    version: Version,

    /// Demand that manifests are taken whose layers or children are missing, with --against
    #[arg(long, requires = "against")]
    sparse: bool,

    /// Whether a refusal to delete is a failure, a skip, or not asked for, with --against
    #[arg(long, value_enum, default_value_t = Deletes::Supported, requires = "against")]
    deletes: Deletes,
}

/// What is told beside the table and the failures.
#[derive(Debug, Args)]
struct Output {
    /// Show every test
    #[arg(long, conflicts_with = "suite")]
    tree: bool,

    /// Write the trees of tests to this file
    #[arg(long, value_name = "FILE", conflicts_with = "suite")]
    json: Option<PathBuf>,
}

/// Runs what the options ask for; the exit code tells whether all is well.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if options.prepare || options.peer {
        tools::prepare_peer()?;
    }
    if options.prepare {
        return Ok(ExitCode::SUCCESS);
    }
    let started = Instant::now();
    let seed = options.seed.unwrap_or_else(random::fresh_seed);
    let scratch = Scratch::new(options.keep)?;
    let good = if let Some(address) = &options.elsewhere.against {
        options.test_address(address, seed)?
    } else if options.peer {
        options.test_peer(&scratch, seed)?
    } else if let Some(suite) = &options.suite {
        official::run(&canonical(suite)?, &options.program()?, &scratch)?
    } else {
        options.test_own(&scratch, seed)?
    };
    println!("{} ({:.1} s)", if good { "passed" } else { "FAILED" }, started.elapsed().as_secs_f64());
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Options {
    fn test_own(&self, scratch: &Scratch, seed: u64) -> Result<bool> {
        let servers = Servers::start(&self.program()?, scratch)?;
        let (runs, sizes): (Vec<Group>, Vec<usize>) = own::runs(&servers, seed).into_iter().unzip();
        self.show(&runs, seed, &[Outcome::Fail, Outcome::Error, Outcome::Skip])?;
        let mut good = true;
        for (run, size) in runs.iter().zip(sizes) {
            let counts = run.counts();
            if counts.total() != size {
                println!("{}: expected {size} tests, ran {}", run.name, counts.total());
            }
            good &= counts.total() == size && counts.are_good() && counts.of(Outcome::Skip) == 0;
        }
        if !good {
            print!("{}", servers.logs());
        }
        servers.stop()?;
        Ok(good)
    }

    fn test_address(&self, address: &str, seed: u64) -> Result<bool> {
        let Elsewhere { version, sparse, deletes, .. } = self.elsewhere;
        let setting = Setting {
            client: Client::new(address),
            rules: Rules { version, sparse, deletes },
            repository: format!("conformance/run-{seed}/target"),
            source: format!("conformance/run-{seed}/source"),
        };
        let run = plan::carry_out(version.as_str(), &setting, Random::new(seed));
        let good = run.counts().are_good();
        self.show(&[run], seed, &[Outcome::Fail, Outcome::Error])?;
        Ok(good)
    }

    fn test_peer(&self, scratch: &Scratch, seed: u64) -> Result<bool> {
        let run = peer::run(scratch, seed)?;
        let differences = peer::differences(&run);
        // Its failures are known; their stories help only where they are not.
        let shown: &[Outcome] = if differences.is_empty() { &[] } else { &[Outcome::Fail, Outcome::Error] };
        self.show(&[run], seed, shown)?;
        for difference in &differences {
            println!("the suite is not to be trusted: {difference}");
        }
        Ok(differences.is_empty())
    }

    /// Prints the stories of tests that ended in these ways, and the table; writes the trees where they are wanted.
    fn show(&self, runs: &[Group], seed: u64, outcomes: &[Outcome]) -> Result<()> {
        for run in runs {
            if self.output.tree {
                print!("{}", report::tree(run));
            }
            print!("{}", report::stories(run, outcomes));
        }
        print!("{}", report::table(runs));
        println!("seed {seed} (--seed {seed} makes the same content)");
        if let Some(file) = &self.output.json {
            let trees: Vec<serde_json::Value> = runs.iter().map(Group::to_json).collect();
            let text = serde_json::to_string_pretty(&trees)?;
            fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(())
    }

    fn program(&self) -> Result<PathBuf> {
        self.server.as_deref().map_or_else(server::build, canonical)
    }
}

fn canonical(program: &Path) -> Result<PathBuf> {
    program.canonicalize().with_context(|| format!("there is no {}", program.display()))
}

/// `host:port` of a registry, from what a person wrote.
fn plain_address(url: &str) -> Result<String, String> {
    let address = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
    if address.is_empty() || address.contains('/') {
        return Err(format!("{url} is not http://<host>:<port>; the suite speaks no TLS"));
    }
    Ok(address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::plain_address;

    #[test]
    fn a_registry_is_named_by_its_host_and_port() {
        assert_eq!(plain_address("http://registry.example:5000/").unwrap(), "registry.example:5000");
        assert_eq!(plain_address("127.0.0.1:5000").unwrap(), "127.0.0.1:5000");
        assert!(plain_address("https://registry.example").is_err());
        assert!(plain_address("http://registry.example/v2").is_err());
    }
}
