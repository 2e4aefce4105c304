//! `cargo xtask dist`: the program as it is shipped: small, fast, and static, so that it runs on any Linux of its architecture and
//! in an empty container.
//!
//! It is linked with the C library in it (`+crt-static` on the gnu target, whose allocator and resolver are those that tests run
//! with, unlike musl's).

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail, ensure};

use crate::documents::root;
use crate::elf;

pub(crate) const EXAMPLES: &str = "\
Examples:
  cargo xtask dist        prints where the program is; takes some minutes";

pub(crate) fn run() -> Result<ExitCode> {
    println!("{}", build()?.display());
    Ok(ExitCode::SUCCESS)
}

/// The program that a packaging chore was given, or a new one.
pub(crate) fn program(given: Option<&Path>) -> Result<PathBuf> {
    match given {
        Some(program) => program.canonicalize().with_context(|| format!("there is no {}", program.display())),
        None => build(),
    }
}

/// Builds it and tells where it is.
fn build() -> Result<PathBuf> {
    let host = host()?;
    let metadata = output(cargo().args(["metadata", "--format-version=1", "--no-deps", "--locked"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let target = metadata["target_directory"].as_str().context("cargo names no target folder")?;
    // With a target named, programs that run during the build are not linked so.
    let mut build = cargo();
    build.args(["build", "--package", "cargohold", "--profile", "dist", "--locked", "--target", &host]);
    let status = build.env("RUSTFLAGS", "-C target-feature=+crt-static").status().context("cargo does not start")?;
    ensure!(status.success(), "the program does not build");
    let program = Path::new(target).join(host).join("dist/cargohold");
    ensure!(elf::is_static(&program)?, "{} is not static", program.display());
    Ok(program)
}

fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// The machine's own target, as `x86_64-unknown-linux-gnu`.
fn host() -> Result<String> {
    let told = output(Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("-vV"))?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc does not tell its host")?;
    Ok(host.to_owned())
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{} does not start", command.get_program().display()))?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}
