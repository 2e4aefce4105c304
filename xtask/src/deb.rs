//! `cargo xtask deb`: a package for Debian and what descends from it.
//!
//! Made with dpkg-deb alone, from `deploy/debian` and `deploy/systemd`: the program brings its own completions and manual pages, and a
//! static one depends on no library, so there is nothing that a packaging framework would find out.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::documents::root;
use crate::e2e::command::{Tool, find};
use crate::{dist, elf};

pub(crate) const EXAMPLES: &str = "\
Examples:
  cargo xtask deb                                            builds the program, and a package of it
  cargo xtask deb --program cargohold --output /srv/packages one of a program that is there";

const MAINTAINER: &str = "The Cargohold authors <cargohold@users.noreply.github.com>";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The program to package [default: `cargo xtask dist`]
    #[arg(long, value_name = "PROGRAM")]
    program: Option<PathBuf>,

    /// The folder for the package
    #[arg(long, value_name = "FOLDER", default_value = "target/debian")]
    output: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let program = dist::program(options.program.as_deref())?;
    println!("{}", package(&program, &options.output)?.display());
    Ok(ExitCode::SUCCESS)
}

/// Packages a program; tells where the package is.
pub(crate) fn package(program: &Path, output: &Path) -> Result<PathBuf> {
    let tree = Tree::new(&output.join("cargohold"))?;
    let deploy = root().join("deploy");
    tree.put(program, "usr/bin/cargohold", 0o755)?;
    tool("strip")?.run(&[tree.path("usr/bin/cargohold")])?;
    tree.put(&deploy.join("systemd/cargohold.service"), "usr/lib/systemd/system/cargohold.service", 0o644)?;
    tree.put(&deploy.join("debian/cargohold.yml"), "etc/cargohold/cargohold.yml", 0o644)?;
    tree.put(&deploy.join("debian/copyright"), "usr/share/doc/cargohold/copyright", 0o644)?;
    for (page, name) in [("CHANGELOG.md", "NEWS.md"), ("docs/configuration.md", "configuration.md")] {
        tree.put(&root().join(page), &format!("usr/share/doc/cargohold/{name}"), 0o644)?;
        tree.compress(&format!("usr/share/doc/cargohold/{name}"))?;
    }
    tree.write("usr/share/doc/cargohold/changelog", &changelog()?, 0o644)?;
    tree.compress("usr/share/doc/cargohold/changelog")?;
    let program = Tool::new(program);
    for (shell, file) in [
        ("bash", "usr/share/bash-completion/completions/cargohold"),
        ("fish", "usr/share/fish/vendor_completions.d/cargohold.fish"),
        ("zsh", "usr/share/zsh/vendor-completions/_cargohold"),
    ] {
        tree.write(file, &format!("{}\n", program.read(&["completions", shell])?), 0o644)?;
    }
    let manual = "usr/share/man/man1";
    program.run(&["man".as_ref(), tree.path(manual).as_os_str()])?;
    for page in fs::read_dir(tree.path(manual))? {
        let name = page?.file_name();
        tree.compress(&format!("{manual}/{}", name.display()))?;
    }
    // Linked without a library on purpose: it is what makes the package fit every release.
    let overrides = "cargohold: statically-linked-binary [usr/bin/cargohold]\n";
    tree.write("usr/share/lintian/overrides/cargohold", overrides, 0o644)?;

    for script in ["postinst", "prerm", "postrm"] {
        tree.put(&deploy.join("debian").join(script), &format!("DEBIAN/{script}"), 0o755)?;
    }
    tree.write("DEBIAN/conffiles", "/etc/cargohold/cargohold.yml\n", 0o644)?;
    let sums = Tool::new("sh").read(&["-c", "cd \"$0\" && find usr -type f -exec md5sum {} +", &tree.text()])?;
    tree.write("DEBIAN/md5sums", &format!("{sums}\n"), 0o644)?;
    let architecture = tool("dpkg")?.read(&["--print-architecture"])?;
    let control = control(&architecture, elf::is_static(&tree.path("usr/bin/cargohold"))?, tree.kibibytes()?);
    tree.write("DEBIAN/control", &control, 0o644)?;

    let package = output.join(format!("cargohold_{}_{architecture}.deb", env!("CARGO_PKG_VERSION")));
    // Folders that were made on the way have whatever umask there was.
    Tool::new("chmod").run(&["-R", "u=rwX,go=rX", &tree.text()])?;
    tool("dpkg-deb")?.run(&[
        "--root-owner-group".as_ref(),
        "-Zxz".as_ref(),
        "--build".as_ref(),
        tree.folder.as_os_str(),
        package.as_os_str(),
    ])?;
    Ok(package)
}

/// Debian's list of packages that there were, which names what changed in them.
fn changelog() -> Result<String> {
    let (version, file) = (env!("CARGO_PKG_VERSION"), root().join("CHANGELOG.md"));
    let date =
        Tool::new("date").variable("LC_ALL", "C").argument("--rfc-email").argument("--reference").read(&[file])?;
    Ok(format!(
        "cargohold ({version}) unstable; urgency=medium\n\n  * What changed is in NEWS.md.gz.\n\n -- {MAINTAINER}  {date}\n"
    ))
}

/// The package's description of itself (deb-control(5)).
fn control(architecture: &str, is_static: bool, kibibytes: u64) -> String {
    let libraries = if is_static { "" } else { ", libc6, libgcc-s1" };
    format!(
        "Package: cargohold\n\
         Version: {}\n\
         Architecture: {architecture}\n\
         Maintainer: {MAINTAINER}\n\
         Installed-Size: {kibibytes}\n\
         Depends: adduser, init-system-helpers (>= 1.54){libraries}\n\
         Recommends: ca-certificates\n\
         Suggests: apache2-utils\n\
         Section: net\n\
         Priority: optional\n\
         Homepage: https://github.com/cargohold/cargohold\n\
         Description: container registry in one program\n \
         Stores and serves container images and other OCI artifacts: docker, podman\n \
         and all other clients push to it and pull from it. It takes over what the\n \
         CNCF registry (docker-registry) has, from where it lies.\n",
        env!("CARGO_PKG_VERSION")
    )
}

fn tool(name: &'static str) -> Result<Tool> {
    Ok(Tool::new(find(name).with_context(|| format!("{name} is not installed: apt-get install dpkg binutils"))?))
}

/// What becomes the package.
struct Tree {
    folder: PathBuf,
}

impl Tree {
    fn new(folder: &Path) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        Ok(Self { folder: folder.canonicalize()? })
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    fn text(&self) -> String {
        self.folder.display().to_string()
    }

    fn write(&self, file: &str, text: &str, mode: u32) -> Result<()> {
        let path = self.path(file);
        fs::create_dir_all(path.parent().context("a file lies in a folder")?)?;
        fs::write(&path, text)?;
        Ok(fs::set_permissions(&path, fs::Permissions::from_mode(mode))?)
    }

    fn put(&self, from: &Path, file: &str, mode: u32) -> Result<()> {
        let path = self.path(file);
        fs::create_dir_all(path.parent().context("a file lies in a folder")?)?;
        fs::copy(from, &path).with_context(|| from.display().to_string())?;
        Ok(fs::set_permissions(&path, fs::Permissions::from_mode(mode))?)
    }

    /// As Debian has its documents: without a time in it, so that the same text gives the same file.
    fn compress(&self, file: &str) -> Result<()> {
        tool("gzip")?.run(&["-9n".as_ref(), self.path(file).as_os_str()])?;
        Ok(())
    }

    fn kibibytes(&self) -> Result<u64> {
        let told = Tool::new("du").read(&["--summarize", "--apparent-size", "--block-size=1K", &self.text()])?;
        Ok(told.split_whitespace().next().context("du tells nothing")?.parse()?)
    }
}
