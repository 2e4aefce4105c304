//! Flows with what Cargohold is shipped in: the systemd unit, the Debian package, the container image. They take the program as it is tested, not one that
//! was linked for shipping, which takes too long to build here: `cargo xtask dist` checks that one itself.

use std::path::Path;

use anyhow::{Result, ensure};

use super::command::Tool;
use super::report::Report;
use super::scratch::Scratch;
use super::tools::{self, locate_or_say};
use super::{docs, sandbox};
use crate::documents::root;
use crate::{deb, image};

/// Tenths of what `systemd-analyze security` gives at the worst, which is 10.
const EXPOSURE: &str = "20";

/// What is done with the package, in a copy of this machine.
const INSTALLATION: &str = include_str!("packaging/installation.sh");
/// What is done with the image there.
const CONTAINER: &str = include_str!("packaging/container.sh");

pub(crate) fn flows(program: &Path, scratch: &Scratch, report: &Report) {
    report.flow("packaging", "the unit shuts the server in", unit_is_shut_in);
    report.flow("packaging", "the Debian package: installed, served by, upgraded, removed, purged", || {
        package(program, scratch)
    });
    report.flow(
        "packaging",
        "the image: pushed, pulled, run in the place of registry:2, on its data, and back",
        || container(program, scratch),
    );
}

fn unit_is_shut_in() -> Result<()> {
    let unit = root().join("deploy/systemd/cargohold.service");
    let analyze = Tool::new(locate_or_say("systemd-analyze")?).variable("SYSTEMD_PAGER", "");
    analyze
        .argument("security")
        .argument("--offline=yes")
        .argument(format!("--threshold={EXPOSURE}"))
        .argument("--no-pager")
        .run(&[unit])?;
    Ok(())
}

fn package(program: &Path, scratch: &Scratch) -> Result<()> {
    let package = deb::package(program, &scratch.folder("deb")?)?;
    let said = sandbox::run("package", INSTALLATION, &[(&package, "cargohold.deb")], scratch)?;
    came_to_its_end(&said)
}

fn container(program: &Path, scratch: &Scratch) -> Result<()> {
    image::prepare(program, &scratch.folder("image")?.join("context"))?;
    let (script, crane) = (format!("{}\n{CONTAINER}", docs::PRELUDE), tools::crane()?);
    let said = sandbox::run("image", &script, &[(program, "cargohold"), (&crane, "crane")], scratch)?;
    came_to_its_end(&said)
}

fn came_to_its_end(said: &str) -> Result<()> {
    ensure!(said.trim_end().ends_with("all is well"), "the script did not come to its end:\n{said}");
    Ok(())
}
