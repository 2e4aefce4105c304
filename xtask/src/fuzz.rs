//! `cargo xtask fuzz`: libFuzzer looks for inputs that break what `fuzz/` says of the parsers.
//!
//! The programs are built with the toolchain that is there, stable or not, and run for a while from the corpus in the repository,
//! as many side by side as there are cores. Nothing in the repository is written to: what is new lies in a temporary folder, an
//! input that breaks something beside the programs.

mod build;
mod finding;
mod session;
mod target;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use self::session::Session;
use self::target::Target;
use crate::e2e::scratch::Scratch;

pub(crate) const EXAMPLES: &str = "\
Needs a C++ compiler (Debian: g++) and no other tool: neither a nightly toolchain nor cargo-fuzz.

Examples:
  cargo xtask fuzz                           every target for 20 seconds
  cargo xtask fuzz path range --seconds 600  two of them for longer
  cargo xtask fuzz path --input crash-1234   one input again, with all that it prints";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What to fuzz; every target if none is named
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,

    /// How long each target runs
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,

    /// Run this input only, through the one target that is named
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,

    /// Fail if fuzz/Cargo.lock is out of date, instead of updating it
    #[arg(long)]
    locked: bool,
}

/// Builds and runs what the options name; the exit code tells whether everything held.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in no workspace")?;
    let targets = target::select(target::all(&root.join("fuzz"))?, &options.targets)?;
    if let (Some(_), [_, _, ..]) = (&options.input, targets.as_slice()) {
        bail!("one input runs through one target: name it before --input");
    }
    let built = build::run(root, &targets, options.locked)?;
    if let (Some(input), [target]) = (&options.input, targets.as_slice()) {
        return session::repeat(&built.program(target), input);
    }
    let scratch = Scratch::new(false)?;
    let held = run_all(&targets, |target| {
        Session { target, built: &built, scratch: &scratch, seconds: options.seconds }.run()
    });
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs every target, as many at once as there are cores, and tells how each went; whether all of them held.
fn run_all(targets: &[Target], run: impl Fn(&Target) -> Result<String> + Sync) -> bool {
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
            match run(target) {
                Ok(summary) => println!("ok {target}: {summary}"),
                Err(error) => {
                    failed.fetch_add(1, Ordering::Relaxed);
                    println!("FAILED {target}: {error:#}");
                }
            }
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|threads| (0..cores).for_each(|_| drop(threads.spawn(work))));
    let failed = failed.into_inner();
    println!("{} passed, {failed} failed", targets.len() - failed);
    failed == 0
}

#[cfg(test)]
mod tests {
    use anyhow::ensure;

    use super::{run_all, target::Target};

    #[test]
    fn one_target_that_fails_fails_the_run_and_all_are_run() {
        let targets = ["a", "b", "c"].map(Target::of_name);
        assert!(run_all(&targets, |_| Ok(String::new())));
        let run = std::sync::Mutex::new(Vec::new());
        let held = run_all(&targets, |target| {
            run.lock().unwrap().push(target.to_string());
            ensure!(target.to_string() != "a", "found");
            Ok(String::new())
        });
        assert!(!held);
        let mut run = run.into_inner().unwrap();
        run.sort();
        assert_eq!(run, ["a", "b", "c"]);
    }
}
