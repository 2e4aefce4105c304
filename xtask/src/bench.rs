//! `cargo xtask bench`: what the server costs, side by side with others in one run.
//!
//! Machines differ and are noisy, so what is told is CPU time of the server per byte or per request, each beside the same of the
//! others. nginx with sendfile is the limit for pulls, a plain loop that receives, hashes, writes and syncs the one for pushes.
//! While blobs move, client and server are held on one core: on a virtual machine wake-ups across cores cost more than the bytes.

mod contender;
mod plain_receiver;
mod report;
mod usage;
mod wire;
mod work;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use self::contender::{Contender, Kind};
use self::report::Table;
use crate::e2e::scratch::Scratch;

pub(crate) const EXAMPLES: &str = "\
Measures release builds, which it makes first. Peers that are not installed are named as missing.

Examples:
  cargo xtask bench                                  everything that is installed
  cargo xtask bench --olareg ~/bin/olareg            with a peer that no package brings
  cargo xtask bench --page docs/benchmarks.md        and write down what came out
  cargo xtask bench --smoke --server target/debug/cargohold
                                                     only whether it works: small, and without peers";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The built server [default: cargo builds it for release]
    #[arg(long, value_name = "PROGRAM")]
    server: Option<PathBuf>,

    /// distribution v3, built from its source
    #[arg(long, value_name = "PROGRAM")]
    distribution: Option<PathBuf>,

    /// zot, built from its source
    #[arg(long, value_name = "PROGRAM")]
    zot: Option<PathBuf>,

    /// olareg, built from its source
    #[arg(long, value_name = "PROGRAM")]
    olareg: Option<PathBuf>,

    /// Write the page with what came out
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,

    /// How often each figure is taken; the median counts
    #[arg(long, value_name = "N", default_value_t = 3)]
    runs: usize,

    /// Small and without peers: whether it works, not what it costs
    #[arg(long)]
    smoke: bool,

    /// Be the plain loop that pushes are compared with
    #[arg(long, hide = true)]
    receive: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if options.receive {
        return plain_receiver::run();
    }
    if cfg!(debug_assertions) && !options.smoke {
        return run_for_release();
    }
    let server = options.server.as_ref().context("name the server with --server")?;
    let server = server.canonicalize().with_context(|| format!("there is no {}", server.display()))?;
    let scratch = Scratch::new(false)?;
    let sizes = if options.smoke { work::Sizes::SMOKE } else { work::Sizes::FULL };
    let mut table = Table::default();
    for kind in options.contenders(server) {
        match Contender::start(&kind, &scratch)? {
            Some(mut contender) => {
                println!("{}", contender.name());
                work::all(&mut contender, sizes, options.runs, &mut table)?;
                contender.stop()?;
            }
            None => table.missing(kind.name()),
        }
    }
    ensure!(!table.is_empty(), "nothing was measured");
    println!("\n{}", table.text());
    if let Some(page) = &options.page {
        std::fs::write(page, table.page()).with_context(|| page.display().to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Options {
    fn contenders(&self, server: PathBuf) -> Vec<Kind> {
        let ours = Kind::Ours(server);
        if self.smoke {
            return vec![ours, Kind::Receiver];
        }
        vec![
            ours,
            Kind::Nginx,
            Kind::Receiver,
            Kind::DockerRegistry,
            Kind::Distribution(self.distribution.clone()),
            Kind::Zot(self.zot.clone()),
            Kind::Olareg(self.olareg.clone()),
        ]
    }
}

/// Builds the server and this program for release, and has that one measure.
fn run_for_release() -> Result<ExitCode> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--locked", "--release", "--package", "cargohold", "--package", "xtask"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status()
        .context("cargo does not start")?;
    ensure!(built.success(), "the release does not build");
    let debug = std::env::current_exe()?;
    let release =
        debug.parent().and_then(|folder| folder.parent()).context("this program lies nowhere")?.join("release");
    let status = Command::new(release.join("xtask"))
        .args(std::env::args_os().skip(1))
        .arg("--server")
        .arg(release.join("cargohold"))
        .status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
