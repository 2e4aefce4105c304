//! `cargo xtask bench`: what the server costs, side by side with others in one run.
//!
//! Machines differ and are noisy, so what is told is CPU time of the server per byte or per request, each beside the same of the
//! others. nginx with sendfile is the limit for pulls, a plain loop that receives, hashes, writes and syncs the one for pushes.
//! One client and the server are held on one core: on a virtual machine wake-ups across cores cost more than the bytes.

mod contender;
mod crowd;
mod curl;
mod far;
mod instructions;
mod load;
mod material;
mod page;
mod plain_receiver;
mod plot;
mod report;
mod rows;
mod syncs;
mod usage;
mod wire;
mod work;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use clap::{Args, ValueEnum};

use self::contender::{Contender, Kind, Role};
use self::material::{Material, Sizes};
use self::report::Table;
use self::work::Bench;
use crate::e2e::authority::Authority;
use crate::e2e::scratch::Scratch;
use crate::e2e::tools;

pub(crate) const EXAMPLES: &str = "\
Measures release builds, which it makes first. Peers that are not installed are named as missing.

Examples:
  cargo xtask bench                                  everything that is installed
  cargo xtask bench --olareg ~/bin/olareg            with a peer that no package brings
  cargo xtask bench costs tls                        only what one client costs
  cargo xtask bench --page docs/benchmarks.md        and write down what came out
  cargo xtask bench --smoke --server target/debug/cargohold
                                                     only whether it works, and whether a request takes more instructions
  WRITE_COUNTS=1 cargo xtask bench instructions --smoke --server target/debug/cargohold
                                                     have them taken for what it takes now";

/// Requests whose instructions are counted; more are the same again.
const MOST_COUNTED: u32 = 2000;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Part {
    /// What one client costs that pulls, pushes and asks
    Costs,
    /// Pulls by TLS, with HTTP/1.1 and HTTP/2
    Tls,
    /// Pushes to a server that is far away
    Far,
    /// Many clients at a time
    Load,
    /// How often the disk is waited for
    Syncs,
    /// How many instructions a request takes, as valgrind counts them
    Instructions,
    /// Lists and lookups in tables with many rows
    Rows,
    /// Slow readers, and files that are not in memory
    Crowds,
}

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What to measure; everything if nothing is named
    #[arg(value_name = "PART")]
    parts: Vec<Part>,

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

    /// How often each figure is taken; the least counts, since what else the machine does only adds to it
    #[arg(long, value_name = "N", default_value_t = 3)]
    runs: usize,

    /// Small and without peers: whether it works, and whether a request takes more instructions than it did
    #[arg(long)]
    smoke: bool,

    /// Install what it needs, and stop
    #[arg(long)]
    prepare: bool,

    /// Be the plain loop that pushes are compared with
    #[arg(long, hide = true)]
    receive: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if options.receive {
        return plain_receiver::run();
    }
    if options.prepare {
        tools::prepare_bench()?;
        return Ok(ExitCode::SUCCESS);
    }
    if cfg!(debug_assertions) && !options.smoke {
        return run_for_release();
    }
    let server = options.server.as_ref().context("name the server with --server")?;
    let server = server.canonicalize().with_context(|| format!("there is no {}", server.display()))?;
    let run = Run {
        parts: if options.parts.is_empty() { Part::value_variants() } else { &options.parts }.iter().copied().collect(),
        sizes: if options.smoke { Sizes::SMOKE } else { Sizes::FULL },
        runs: options.runs.max(1),
        scratch: Scratch::new(false)?,
    };
    let mut table = Table { program: server.metadata()?.len(), ..Table::default() };
    let mut material = Material::new(run.sizes.large);
    // Round by round: a machine is faster at one time than at another, and all are to have the same share of that.
    for round in 0..run.runs {
        for kind in options.contenders(server.clone()) {
            run.compare(&kind, round, &mut material, &mut table)?;
        }
    }
    run.ours(&Kind::Ours(server), &material, &mut table)?;
    println!("\n{}", page::text(&table));
    if options.smoke && run.has(Part::Instructions) {
        instructions::compare(&table.instructions)?;
    }
    if let Some(page) = &options.page {
        page::write(&table, page)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is done, how much of it and how often.
struct Run {
    parts: BTreeSet<Part>,
    sizes: Sizes,
    runs: usize,
    scratch: Scratch,
}

impl Run {
    fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    /// What all of them are measured by. What is no figure of one client is measured in the first round only.
    fn compare(&self, kind: &Kind, round: usize, material: &mut Material, table: &mut Table) -> Result<()> {
        let [once, again] = [[Part::Far, Part::Load, Part::Syncs].as_slice(), &[Part::Costs, Part::Tls]];
        let has_any = |parts: &[Part]| parts.iter().any(|part| self.has(*part));
        let is_wanted = has_any(again) || round == 0 && has_any(once);
        if !is_wanted {
            return Ok(());
        }
        let Some(mut contender) = Contender::start(kind, &self.scratch, None)? else {
            if round == 0 {
                table.missing.push(kind.name());
            }
            return Ok(());
        };
        println!("{}, {} of {}", contender.name(), round + 1, self.runs);
        if round == 0 {
            table.contenders.push(contender.name());
            table.versions.extend(kind.version());
        }
        let mut bench = Bench { sizes: self.sizes, round, material: &mut *material, table: &mut *table };
        if self.has(Part::Costs) {
            bench.plain(&contender)?;
        } else if contender.role != Role::Receiver {
            bench.material.bring(&contender)?;
        }
        if round == 0 {
            if self.has(Part::Far) && contender.is_ours() {
                bench.far(&contender, &self.scratch)?;
            }
            self.many_clients(&contender, material, table)?;
        }
        contender.stop()?;
        if self.has(Part::Tls) && contender.role != Role::Receiver {
            let authority = Authority::new(self.scratch.folder("authority")?)?;
            let pair = authority.issue("bench")?;
            let mut contender = Contender::start(kind, &self.scratch, Some(&pair))?.context("it was there before")?;
            let mut bench = Bench { sizes: self.sizes, round, material, table };
            bench.tls(&contender, &authority.certificate())?;
            contender.stop()?;
        }
        Ok(())
    }

    fn many_clients(&self, contender: &Contender, material: &Material, table: &mut Table) -> Result<()> {
        if self.has(Part::Load) && contender.role != Role::Receiver {
            let path = material.paths(contender.role).manifest;
            let level = |clients: &usize| load::level(contender, *clients, self.sizes.requests, &path);
            let levels = self.sizes.clients.iter().map(level).collect::<Result<Vec<_>>>()?;
            table.levels.push((contender.name(), levels));
        }
        if self.has(Part::Syncs) && contender.role == Role::Registry {
            let syncs = syncs::of_an_image(contender, &self.scratch.folder("syncs")?)?;
            println!("  syncs for an image: {}", report::digits(syncs));
            table.syncs.insert(contender.name(), syncs);
        }
        Ok(())
    }

    /// What ours alone is measured by.
    fn ours(&self, kind: &Kind, material: &Material, table: &mut Table) -> Result<()> {
        if self.has(Part::Instructions) {
            println!("instructions");
            table.instructions = instructions::count(kind, &self.scratch, self.sizes.requests.min(MOST_COUNTED))?;
        }
        if self.has(Part::Rows) {
            println!("few rows and many");
            (table.among, table.starts) = rows::all(kind, &self.scratch, material, self.sizes, self.runs)?;
        }
        if self.has(Part::Crowds) {
            println!("crowds");
            let scratch = self.scratch.within("crowds")?;
            let start = |tls| Contender::start(kind, &scratch, tls)?.context("the server is not there");
            let mut contender = start(None)?;
            material.bring(&contender)?;
            table.cold = Some(crowd::cold(&contender, self.sizes)?);
            contender.stop()?;
            contender = start(None)?;
            table.crowds.push(("plain", crowd::slow_readers(&contender, None, material, self.sizes)?));
            contender.stop()?;
            let authority = Authority::new(scratch.folder("authority")?)?;
            contender = start(Some(&authority.issue("crowds")?))?;
            let certificate = authority.certificate();
            table.crowds.push(("by TLS", crowd::slow_readers(&contender, Some(&certificate), material, self.sizes)?));
            contender.stop()?;
        }
        Ok(())
    }
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
