//! Building the programs: with the counters that libFuzzer steers by, which the stable compiler can put into the code too.
//!
//! They lie in a folder of their own below the target folder, where they do not displace what is built without counters.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::target::Target;
use crate::e2e::command::{Tool, find, search_path};

/// What cargo-fuzz sets without a sanitizer, which would need a nightly toolchain; the parsers are code without `unsafe`.
const FLAGS: [&str; 9] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-sanitizer-coverage-stack-depth",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    // The counters stand in the way of inlining between units.
    "-Ccodegen-units=1",
];

/// The built programs.
#[derive(Debug)]
pub(crate) struct Built {
    folder: PathBuf,
    programs: PathBuf,
}

impl Built {
    pub(crate) fn program(&self, target: &Target) -> PathBuf {
        self.programs.join(target.name())
    }

    /// Where inputs are kept that break something.
    pub(crate) fn findings(&self) -> PathBuf {
        self.folder.join("findings")
    }
}

/// Builds the programs of the targets.
pub(crate) fn run(root: &Path, targets: &[Target], locked: bool) -> Result<Built> {
    let compiler = std::env::var("CXX").unwrap_or("c++".to_owned());
    let missing = || format!("libFuzzer is built with a C++ compiler, and there is no {compiler}: apt-get install g++");
    find(&compiler).with_context(missing)?;
    // Named, so that build scripts and macros, which run in the compiler, are built without counters.
    let host =
        Tool::new("rustc").read(&["--print", "host-tuple"]).context("cannot ask rustc for this machine's name")?;
    let folder = target_folder(root)?.join("fuzz");
    // Dies with xtask, as every program that it starts.
    let mut cargo = Command::new("setpriv");
    cargo.args(["--pdeathsig", "TERM"]).arg(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(["build", "--release", "--target", &host, "--manifest-path"]).arg(root.join("fuzz/Cargo.toml"));
    cargo.args(locked.then_some("--locked"));
    cargo.args(targets.iter().flat_map(|target| ["--bin", target.name()]));
    cargo.current_dir(root).env("PATH", search_path()).env("CARGO_TARGET_DIR", &folder);
    cargo.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"));
    let status = cargo.status().context("cargo does not start")?;
    ensure!(
        status.success(),
        "the fuzz targets cannot be built. If cargo says that fuzz/Cargo.lock must be updated: \
         cargo update --workspace --manifest-path fuzz/Cargo.toml"
    );
    Ok(Built { programs: folder.join(host).join("release"), folder })
}

/// Where cargo puts what it builds.
fn target_folder(root: &Path) -> Result<PathBuf> {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => std::path::absolute(folder).context("CARGO_TARGET_DIR is no path"),
        None => Ok(root.join("target")),
    }
}
