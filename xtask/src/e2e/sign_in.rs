//! Signing in, as each client does it: on a registry that opens to passwords alone, and on one that everybody may pull from.
//!
//! Both are servers of their own, in plain HTTP on this machine.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use super::flows::Setting;
use super::registry::Registry;
use super::scratch::Scratch;
use super::server::{Installation, Server};

pub(crate) const USER: &str = "alice";

/// Of the password in [`Client::sign_in`]'s tries that works.
pub(crate) const PASSWORD: &str = "s:cret";

/// By bcrypt with its second least cost.
const HASH: &str = "$2y$05$abcdefghijklmnopqrstuu49bmewiittwnvuj/vFgzYzqzdo5wdXG";

/// Registries that ask for a password.
#[derive(Debug)]
pub(crate) struct Doors {
    for_everything: Server,
    for_pushes: Server,
}

/// What each client does in its own way.
pub(crate) trait Client {
    fn sign_in(&self, host: &str, password: &str) -> Result<()>;
    fn sign_out(&self, host: &str) -> Result<()>;
    /// Pushes some image under this name.
    fn push(&self, image: &str) -> Result<()>;
    /// Asks the registry for this image, whatever is here already.
    fn pull(&self, image: &str) -> Result<()>;
}

impl Doors {
    pub(crate) fn open(program: &Path, scratch: &Scratch) -> Result<Self> {
        let users = users(scratch)?;
        let start = |name: &str, anonymous: &str| {
            // Not open to everybody, as the other servers here are.
            let installation = Installation::new(program, scratch.folder(name)?)
                .without_auth()
                .with_variable("CARGOHOLD__AUTH__HTPASSWD__PATH", &users.display().to_string())
                .with_variable("CARGOHOLD__AUTH__ANONYMOUS", anonymous);
            installation.start()
        };
        Ok(Self { for_everything: start("server-closed", "nothing")?, for_pushes: start("server-reading", "pull")? })
    }

    /// Stops both.
    pub(crate) fn close(mut self) -> Result<()> {
        for server in [&mut self.for_everything, &mut self.for_pushes] {
            let status = server.stop()?;
            ensure!(status.success(), "the server ended with {status}");
        }
        Ok(())
    }
}

/// A file with [`USER`] and the password.
pub(crate) fn users(scratch: &Scratch) -> Result<PathBuf> {
    let users = scratch.path("htpasswd");
    fs::write(&users, format!("{USER}:{HASH}\n"))?;
    Ok(users)
}

/// The flows of one client, if there are servers that ask for a password.
pub(crate) fn flows(name: &str, client: &impl Client, setting: &Setting<'_>) {
    let Some(doors) = setting.doors else { return };
    setting.report.flow(name, "signs in where everything needs a password", || {
        signs_in(name, client, &doors.for_everything.registry, false)
    });
    setting.report.flow(name, "signs in to push where everybody may pull", || {
        signs_in(name, client, &doors.for_pushes.registry, true)
    });
}

/// Signs in at a registry with that user, pushes and pulls, and signs out.
pub(crate) fn signs_in(name: &str, client: &dyn Client, registry: &Registry, anybody_pulls: bool) -> Result<()> {
    let repository = format!("signed/{name}");
    let [one, two] = ["one", "two"].map(|tag| registry.image(&repository, tag));
    let host = registry.address();
    ensure!(client.push(&one).is_err(), "somebody pushed who had not signed in");
    ensure!(client.sign_in(host, "wrong").is_err(), "somebody signed in with a wrong password");
    client.sign_in(host, PASSWORD)?;
    client.push(&one)?;
    client.pull(&one)?;
    client.sign_out(host)?;
    ensure!(client.push(&two).is_err(), "somebody pushed who had signed out");
    if anybody_pulls {
        return client.pull(&one);
    }
    ensure!(client.pull(&one).is_err(), "somebody pulled who had signed out");
    Ok(())
}
