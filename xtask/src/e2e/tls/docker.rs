//! docker through our TLS. Its engine verifies nobody on 127.0.0.0/8, so the server gets an address of its own for the while, and the
//! engine is told whom to trust where it looks for that: in `/etc/docker/certs.d`, in a folder that is called by this address.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::super::authority::Authority;
use super::super::command::Tool;
use super::super::docker;
use super::super::flows::Setting;
use super::super::images::Images;
use super::super::registry::Registry;
use super::super::report::Report;
use super::super::scratch::Scratch;
use super::super::server::Installation;
use super::super::sign_in::{self, Client, PASSWORD};
use super::super::tools::locate_or_say;
use super::with_pair;

/// Where docker's engine looks for certificates, a folder for each registry.
const CERTIFICATES: &str = "/etc/docker/certs.d";

/// Signs in, pushes and pulls; nothing of it while nobody vouches for the server.
pub(super) fn flow(program: &Path, scratch: &Scratch, images: &Images, report: &Report) -> Result<()> {
    let scratch = scratch.within("tls-docker")?;
    let nowhere = Registry::at("127.0.0.1:1");
    let client = docker::client(&Setting { registry: &nowhere, doors: None, images, scratch: &scratch, report })?;
    let address = Address::add()?;
    let authority = Authority::new(scratch.folder("authority")?)?;
    let installation = Installation::new(program, scratch.folder("server")?).without_auth();
    let (mut service, host) = with_pair(installation, &authority.issue_for("server", address.0)?)
        .with_variable("CARGOHOLD__HTTP__ADDR", &format!("{}:0", address.0))
        .with_variable("CARGOHOLD__AUTH__HTPASSWD__PATH", &sign_in::users(&scratch)?.display().to_string())
        .start_with_tls()?;
    let registry = Registry::at(&host);

    let refused = client.sign_in(&host, PASSWORD).err().context("docker signed in where it cannot know who listens")?;
    ensure!(format!("{refused:#}").contains("certificate"), "docker did not sign in for another reason: {refused:#}");
    let refused = client.pull(&registry.image("some/app", "one")).err().context("docker pulled from a stranger")?;
    ensure!(format!("{refused:#}").contains("certificate"), "docker did not pull for another reason: {refused:#}");

    let _trust = Trust::put(&host, &authority)?;
    sign_in::signs_in("docker", &client, &registry, false)?;
    let status = service.stop()?;
    ensure!(status.success(), "the server ended with {status}");
    Ok(())
}

/// An address of this machine that nobody else has (RFC 5737), as long as this lives.
struct Address(Ipv4Addr);

impl Address {
    fn add() -> Result<Self> {
        let last = u8::try_from(std::process::id() % 254)? + 1;
        let address = Self(Ipv4Addr::new(198, 51, 100, last));
        address.ip("replace")?;
        Ok(address)
    }

    fn ip(&self, verb: &str) -> Result<()> {
        let ip = Tool::new(locate_or_say("ip")?);
        ip.run(&["address", verb, &format!("{}/32", self.0), "dev", "lo"])?;
        Ok(())
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        if let Err(error) = self.ip("delete") {
            eprintln!("warning: the address {} stays: {error:#}", self.0);
        }
    }
}

/// docker's engine trusts an authority for one registry, as long as this lives.
struct Trust(PathBuf);

impl Trust {
    fn put(host: &str, authority: &Authority) -> Result<Self> {
        let folder = Path::new(CERTIFICATES).join(host);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let trust = Self(folder);
        fs::copy(authority.certificate(), trust.0.join("ca.crt"))?;
        Ok(trust)
    }
}

impl Drop for Trust {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("warning: {} stays: {error}", self.0.display());
        }
        // What was made for it goes too, if nothing else is there.
        for folder in self.0.ancestors().skip(1).take(2) {
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
    }
}
