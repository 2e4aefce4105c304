//! The clients and servers that the suite needs: which they are, where they come from, and installing what is missing.
//!
//! Debian's packages are installed with apt-get; crane is built by Go at a pinned version and kept by name and version in the cache
//! folder. What cannot be had is an error that says what to install: nothing is skipped.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::Group;
use super::command::{Tool, find};

/// Newest on the day it was pinned; its build needs the Go version that its own go.mod names.
const CRANE_VERSION: &str = "v0.22.1";
const CRANE_MODULE: &str = "github.com/google/go-containerregistry/cmd/crane";
const PEBBLE_VERSION: &str = "v2.10.1";
const PEBBLE_MODULE: &str = "github.com/letsencrypt/pebble/v2/cmd/";

/// Where Debian puts programs of PostgreSQL that it keeps out of `PATH`.
const POSTGRES_VERSIONS: &str = "/usr/lib/postgresql";

/// A program, and the Debian package that brings it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Needed {
    program: &'static str,
    package: &'static str,
}

const fn needed(program: &'static str, package: &'static str) -> Needed {
    Needed { program, package }
}

const DOCKER: &[Needed] = &[needed("dockerd", "docker.io"), needed("docker", "docker.io"), needed("runc", "runc")];
const CURL: &[Needed] = &[needed("curl", "curl")];
const TLS: &[Needed] = &[
    needed("curl", "curl"),
    needed("ip", "iproute2"),
    needed("skopeo", "skopeo"),
    needed("podman", "podman"),
    needed("sha256sum", "coreutils"),
];
const SKOPEO: &[Needed] = &[needed("skopeo", "skopeo")];
const PODMAN: &[Needed] = &[needed("podman", "podman"), needed("runc", "runc"), needed("crun", "crun")];
const POSTGRES: &[Needed] = &[needed("initdb", "postgresql"), needed("postgres", "postgresql")];
const PROMETHEUS: &[Needed] = &[needed("prometheus", "prometheus"), needed("promtool", "prometheus")];
/// What readers of the pages have.
const DOCS: &[Needed] = &[
    needed("curl", "curl"),
    needed("htpasswd", "apache2-utils"),
    needed("rsync", "rsync"),
    needed("ip", "iproute2"),
    needed("dockerd", "docker.io"),
    needed("docker", "docker.io"),
    needed("runc", "runc"),
    needed("skopeo", "skopeo"),
    needed("podman", "podman"),
    needed("crun", "crun"),
    needed("docker-registry", "docker-registry"),
];
/// What packages are made of and tried with.
const PACKAGING: &[Needed] = &[
    needed("systemd-analyze", "systemd"),
    needed("dpkg-deb", "dpkg"),
    needed("strip", "binutils"),
    needed("gzip", "gzip"),
    needed("curl", "curl"),
    needed("ip", "iproute2"),
    needed("adduser", "adduser"),
    needed("deb-systemd-helper", "init-system-helpers"),
    needed("dockerd", "docker.io"),
    needed("docker", "docker.io"),
    needed("runc", "runc"),
    needed("docker-registry", "docker-registry"),
];
const DURABILITY: &[Needed] = &[needed("strace", "strace")];
/// What is put in front of a server, and what its certificates are made and its answers looked at with.
const PROXIES: &[Needed] = &[
    needed("nginx", "nginx"),
    needed("haproxy", "haproxy"),
    needed("caddy", "caddy"),
    needed("openssl", "openssl"),
    needed("curl", "curl"),
    needed("sha256sum", "coreutils"),
];
/// What the server is measured with.
const BENCH: &[Needed] = &[
    needed("valgrind", "valgrind"),
    needed("vgdb", "valgrind"),
    needed("strace", "strace"),
    needed("curl", "curl"),
    needed("setpriv", "util-linux"),
    needed("taskset", "util-linux"),
];
/// What the images are made with; the linker that Rust needs is this compiler.
const IMAGES: &[Needed] = &[needed("cc", "gcc"), needed("tar", "tar"), needed("gzip", "gzip")];

/// The registry that the conformance suite is tried on, and its Debian package.
pub(crate) const PEER_PROGRAM: &str = "docker-registry";
const PEER: &[Needed] = &[needed(PEER_PROGRAM, "docker-registry")];

/// Sees to it that everything is there that the groups need.
pub(crate) fn prepare(groups: &BTreeSet<Group>) -> Result<()> {
    if let (false, Some(engine)) = (is_root(), groups.iter().find(|group| group.needs_root())) {
        bail!("the {engine} flows start engines or mount folders, which needs root: run\n  {}", as_root());
    }
    ensure_installed(groups.iter().flat_map(|group| needs(*group)))?;
    let of_crane = [Group::Crane, Group::Docs, Group::Packaging, Group::Tls, Group::Proxies];
    if of_crane.iter().any(|group| groups.contains(group)) {
        crane()?;
    }
    if groups.contains(&Group::Acme) {
        pebble()?;
    }
    Ok(())
}

/// Sees to it that the conformance suite's peer is there.
pub(crate) fn prepare_peer() -> Result<()> {
    ensure_installed(PEER.iter())
}

/// Sees to it that everything is there that the server is measured with; what it is compared with is not.
pub(crate) fn prepare_bench() -> Result<()> {
    ensure_installed(BENCH.iter())
}

/// Where a program lies; an error that names its package if it is not installed.
pub(crate) fn locate_or_say(program: &'static str) -> Result<PathBuf> {
    let all = [DOCKER, SKOPEO, PODMAN, DURABILITY, BENCH, POSTGRES, PROMETHEUS, IMAGES, PACKAGING, PEER, CURL, PROXIES];
    let package = all.into_iter().flatten().find(|needed| needed.program == program);
    let package = package.map_or(program, |needed| needed.package);
    locate(program).with_context(|| format!("{program} is not installed: apt-get install {package}"))
}

/// The pinned crane, built first if the cache does not have it.
pub(crate) fn crane() -> Result<PathBuf> {
    Ok(by_go("crane", CRANE_VERSION, &[CRANE_MODULE])?.join("crane"))
}

/// The folder with the pinned Pebble and its name server, built first if the cache does not have them.
pub(crate) fn pebble() -> Result<PathBuf> {
    by_go("pebble", PEBBLE_VERSION, &["pebble", "pebble-challtestsrv"].map(|program| [PEBBLE_MODULE, program].concat()))
}

/// The folder of the cache with the programs that Go makes of these packages.
fn by_go(name: &str, version: &str, packages: &[impl AsRef<str>]) -> Result<PathBuf> {
    let folder = cache_folder()?.join(format!("{name}-{version}"));
    if folder.exists() {
        return Ok(folder);
    }
    let go = find("go")
        .with_context(|| format!("{name} is built with Go, which is not installed: put Go 1.25 or newer on PATH"))?;
    println!("installing {name} {version} (go install)");
    let unfinished = folder.with_extension(format!("unfinished-{}", std::process::id()));
    for package in packages {
        Tool::new(&go)
            .variable("GOBIN", &unfinished)
            .variable("GOFLAGS", "-buildvcs=false")
            .limit_seconds(1800)
            .run(&["install", &format!("{}@{version}", package.as_ref())])
            .with_context(|| {
                format!("{name} cannot be built: its module has to be reachable, and Go 1.25 or newer installed")
            })?;
    }
    // Another run may have been faster; then its folder stays.
    if fs::rename(&unfinished, &folder).is_err() {
        fs::remove_dir_all(&unfinished)?;
    }
    Ok(folder)
}

/// Kept over runs, outside the clone: `$CARGOHOLD_CACHE`, or `~/.cache/cargohold`.
fn cache_folder() -> Result<PathBuf> {
    let folder = match (std::env::var_os("CARGOHOLD_CACHE"), std::env::var_os("HOME")) {
        (Some(cache), _) => PathBuf::from(cache),
        (None, Some(home)) => Path::new(&home).join(".cache/cargohold"),
        (None, None) => bail!("neither CARGOHOLD_CACHE nor HOME is set: tools have no place to be kept"),
    };
    fs::create_dir_all(&folder).with_context(|| format!("cannot make the cache folder {}", folder.display()))?;
    Ok(folder)
}

fn needs(group: Group) -> impl Iterator<Item = &'static Needed> {
    let programs: &[&[Needed]] = match group {
        Group::Docker => &[DOCKER, IMAGES],
        Group::Skopeo => &[SKOPEO, IMAGES],
        Group::Podman => &[PODMAN, IMAGES],
        Group::Crane => &[IMAGES],
        Group::Durability => &[DURABILITY],
        Group::Adopt | Group::Notifications => &[PEER],
        Group::Tls => &[TLS, DOCKER, IMAGES],
        Group::Acme => &[CURL],
        Group::Proxies => &[PROXIES, DOCKER, PODMAN, SKOPEO, IMAGES],
        Group::Docs => &[DOCS],
        Group::Packaging => &[PACKAGING],
        Group::Metadata => &[POSTGRES],
        Group::Observability => &[PROMETHEUS],
        Group::Server | Group::FullDisk | Group::KillLoop => &[],
    };
    programs.iter().copied().flatten()
}

fn ensure_installed(needed: impl Iterator<Item = &'static Needed>) -> Result<()> {
    let missing: Vec<&Needed> = needed.filter(|needed| locate(needed.program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> =
        missing.iter().map(|needed| needed.package).collect::<BTreeSet<_>>().into_iter().collect();
    install(&packages, is_root())?;
    if let Some(still) = missing.iter().find(|needed| locate(needed.program).is_none()) {
        bail!("{} is still missing after installing Debian's package {}", still.program, still.package);
    }
    Ok(())
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn locate(program: &str) -> Option<PathBuf> {
    find(program).or_else(|| {
        let mut versions: Vec<PathBuf> = fs::read_dir(POSTGRES_VERSIONS)
            .ok()?
            .flatten()
            .map(|entry| entry.path().join("bin").join(program))
            .collect();
        versions.retain(|file| file.exists());
        versions.sort();
        versions.pop()
    })
}

fn install(packages: &[&str], root: bool) -> Result<()> {
    let list = packages.join(" ");
    if !root {
        bail!(
            "not installed, and only root can: {list}. Run\n  sudo apt-get install --no-install-recommends {list}\nor the suite as root:\n  {}",
            as_root()
        );
    }
    let apt_get =
        Tool::new(find("apt-get").with_context(|| format!("there is no apt-get here; install yourself: {list}"))?)
            .variable("DEBIAN_FRONTEND", "noninteractive")
            .argument("-o")
            .argument("DPkg::Lock::Timeout=300")
            .limit_seconds(1800);
    println!("installing {list} (apt-get)");
    let _quiet = ServicesStayStopped::new();
    // An out-of-date list may still do; if it does not, the installation's own error tells.
    if let Err(error) = apt_get.run(&["update"]) {
        println!("warning: {error}");
    }
    let arguments: Vec<&str> =
        ["install", "-y", "--no-install-recommends"].into_iter().chain(packages.iter().copied()).collect();
    apt_get.run(&arguments).with_context(|| format!("cannot install {list}"))?;
    Ok(())
}

fn as_root() -> String {
    let program = std::env::current_exe().map_or("cargo xtask".to_owned(), |program| program.display().to_string());
    format!("sudo --preserve-env=PATH,CARGOHOLD_CACHE {program} e2e --server <the built cargohold>")
}

/// While it lives, packages that are installed do not start their services: the suite starts its own (invoke-rc.d(8)).
struct ServicesStayStopped {
    ours: bool,
}

impl ServicesStayStopped {
    const POLICY: &str = "/usr/sbin/policy-rc.d";

    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let policy = Path::new(Self::POLICY);
        let ours = !policy.exists()
            && fs::write(policy, "#!/bin/sh\nexit 101\n").is_ok()
            && fs::set_permissions(policy, fs::Permissions::from_mode(0o755)).is_ok();
        Self { ours }
    }
}

impl Drop for ServicesStayStopped {
    fn drop(&mut self) {
        if self.ours {
            let _ = fs::remove_file(Self::POLICY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Group, needs};

    #[test]
    fn each_group_needs_only_its_own_programs() {
        let programs = |group| needs(group).map(|needed| needed.program).collect::<Vec<_>>();
        assert_eq!(programs(Group::Skopeo), ["skopeo", "cc", "tar", "gzip"]);
        assert_eq!(programs(Group::Metadata), ["initdb", "postgres"]);
        assert!(programs(Group::KillLoop).is_empty());
    }
}
