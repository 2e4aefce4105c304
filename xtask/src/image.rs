//! `cargo xtask image`: a container image with the program and nothing else, made by `docker build` or any other builder.
//!
//! This writes what the builder needs into a folder, beside `deploy/container/Dockerfile`: the image starts from scratch, so all that
//! it has is put together here. It stands in the place of `registry:2`: the same arguments, configuration, port and volume.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::documents::root;
use crate::e2e::command::Tool;
use crate::{dist, elf};

pub(crate) const EXAMPLES: &str = "\
Examples:
  cargo xtask image && docker build --tag cargohold target/image";

/// Whose certificates the image trusts.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Where the CNCF registry's images look for their configuration, those of version 2 and of version 3.
const CONFIGURATIONS: [&str; 2] = ["etc/docker/registry/config.yml", "etc/distribution/config.yml"];

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The program for the image [default: `cargo xtask dist`]
    #[arg(long, value_name = "PROGRAM")]
    program: Option<PathBuf>,

    /// The folder for the builder
    #[arg(long, value_name = "FOLDER", default_value = "target/image")]
    output: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let program = dist::program(options.program.as_deref())?;
    prepare(&program, &options.output)?;
    println!("docker build --tag cargohold {}", options.output.display());
    Ok(ExitCode::SUCCESS)
}

/// Puts together what the builder needs.
pub(crate) fn prepare(program: &Path, output: &Path) -> Result<()> {
    if output.exists() {
        fs::remove_dir_all(output)?;
    }
    let image = output.join("root");
    let deploy = root().join("deploy/container");
    put(program, &image.join("bin/cargohold"))?;
    // What people run in the other registry's containers: registry serve, registry garbage-collect.
    symlink("cargohold", image.join("bin/registry"))?;
    for file in CONFIGURATIONS {
        put(&deploy.join("config.yml"), &image.join(file))?;
    }
    for file in ["passwd", "group"] {
        put(&deploy.join(file), &image.join("etc").join(file))?;
    }
    let certificates = Path::new(CERTIFICATES);
    if !certificates.exists() {
        bail!("there is no {CERTIFICATES}: apt-get install ca-certificates");
    }
    put(certificates, &image.join(CERTIFICATES.trim_start_matches('/')))?;
    fs::create_dir_all(output.join("registry"))?;
    fs::create_dir_all(image.join("tmp"))?;
    fs::set_permissions(image.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    put(&deploy.join("Dockerfile"), &output.join("Dockerfile"))?;
    if !elf::is_static(program)? {
        // A program of the development profile, which is not linked for shipping.
        for library in libraries(program)? {
            put(&library, &image.join(library.strip_prefix("/")?))?;
        }
    }
    Ok(())
}

/// The files that the dynamic loader opens for a program, itself included.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let told = Tool::new("ldd").read(&[program])?;
    Ok(told.lines().flat_map(str::split_whitespace).filter(|word| word.starts_with('/')).map(PathBuf::from).collect())
}

fn put(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().context("a file lies in a folder")?)?;
    fs::copy(from, to).with_context(|| from.display().to_string())?;
    Ok(())
}
