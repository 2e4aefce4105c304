//! Settings: what the configuration file and the environment say, resolved into what the program needs, or refused before
//! anything starts.
//!
//! The file becomes a tree that knows its lines ([`document`]); its keys are looked up in the one table of settings
//! ([`settings`]) and the environment is laid over them ([`layers`]): a setting `a.b` is `CARGOHOLD__A__B` there, and wins.
//! Each value is read by its form ([`form`]) into the field that it is for. What is wrong is told with its place and what to
//! do ([`problem`]), all at once. The help and the reference page are made of the same table ([`reference`]).
//!
//! Variables with one underscore, such as the `CARGOHOLD_PORT` that Kubernetes injects, are not settings. An unknown setting
//! in the environment warns, since others write there too; in the file it is a mistake.

mod document;
mod form;
mod layers;
mod problem;
mod reference;
mod settings;

use std::{
    ffi::OsString,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use cargohold_http::{Limits, ServerOptions};
use cargohold_registry::{Lifetimes, Scrub, Validation};

use layers::Layers;
pub(crate) use problem::ConfigurationError;
use problem::{Fault, Origin, Problem};
pub(crate) use reference::help;
use settings::SETTINGS;

const PREFIX: &str = "CARGOHOLD__";

/// What the program runs with.
#[derive(Debug)]
pub(crate) struct Configuration {
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    /// How callers are told apart.
    pub(crate) auth: Auth,
    /// The data folder.
    pub(crate) root_directory: PathBuf,
    /// How much of its disk is kept free, in bytes.
    pub(crate) reserve: usize,
    /// What may be pushed.
    pub(crate) validation: Validation,
    /// How long things are left alone.
    pub(crate) lifetimes: Lifetimes,
    /// How often all bytes are read.
    pub(crate) scrub: Scrub,
    /// What one client may have of the server.
    pub(crate) limits: Limits,
    /// How connections are treated.
    pub(crate) server: ServerOptions,
    /// What was set and has no effect, for the log.
    pub(crate) warnings: Vec<String>,
}

/// How callers are told apart, as it was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Auth {
    /// Everybody who reaches the registry may do everything.
    pub(crate) open: bool,
    /// The file with those who may.
    pub(crate) htpasswd: Option<PathBuf>,
    /// What people are told that a password is for.
    pub(crate) realm: String,
    /// Whether those who show no password may read everything.
    pub(crate) anonymous_pull: bool,
}

impl Default for Auth {
    fn default() -> Self {
        Self { open: false, htpasswd: None, realm: "Registry".to_owned(), anonymous_pull: false }
    }
}

impl Default for Configuration {
    /// A registry for this machine alone.
    fn default() -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 5000)),
            auth: Auth::default(),
            root_directory: PathBuf::from("./cargohold-data"),
            // Enough for the facts about many deletions, which is what gives space back.
            reserve: 64 << 20,
            validation: Validation::default(),
            lifetimes: Lifetimes::default(),
            scrub: Scrub::default(),
            limits: Limits::default(),
            server: ServerOptions::default(),
            warnings: Vec::new(),
        }
    }
}

/// Reads a duration as settings have it.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    form::duration(text).ok_or_else(|| "write numbers with units, as in 90s, 12h or 7d".to_owned())
}

impl Configuration {
    /// Reads the settings: defaults, over them the file if one is named, over that the environment.
    pub(crate) fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigurationError> {
        let mut layers = Layers::default();
        if let Some(path) = file {
            layers.file(path);
        }
        layers.environment(environment);
        Self::resolve(layers)
    }

    /// Reads what was said, value by value.
    fn resolve(mut layers: Layers) -> Result<Self, ConfigurationError> {
        let mut problems = std::mem::take(&mut layers.problems);
        let mut configuration = Self { warnings: std::mem::take(&mut layers.warnings), ..Self::default() };
        for setting in SETTINGS {
            let Some((origin, value)) = layers.said(setting.key) else { continue };
            if setting.put(value, &mut configuration).is_none() {
                let (key, value, rule, advice) = (setting.key, value.clone(), setting.rule(), setting.advice());
                problems.push(Problem { origin: origin.clone(), fault: Fault::Value { key, value, rule, advice } });
            }
        }
        if problems.is_empty() {
            problems.extend(configuration.exposed(&layers).or_else(|| configuration.contradicts(&layers)));
        }
        if problems.is_empty() { Ok(configuration) } else { Err(ConfigurationError::new(problems)) }
    }

    /// An address that others reach needs a word about who may do what.
    fn exposed(&self, layers: &Layers) -> Option<Problem> {
        if self.auth.open || self.auth.htpasswd.is_some() || self.addr.ip().to_canonical().is_loopback() {
            return None;
        }
        let origin = layers.said("http.addr").map_or(Origin::Default, |(origin, _)| origin.clone());
        Some(Problem { origin, fault: Fault::Exposed { addr: self.addr } })
    }

    /// Either everybody may do everything, or those with a password; what is said about the others needs some with one.
    fn contradicts(&self, layers: &Layers) -> Option<Problem> {
        let said = |key| layers.said(key).map_or(Origin::Default, |(origin, _)| origin.clone());
        let Auth { open, htpasswd, anonymous_pull, .. } = &self.auth;
        match (open, htpasswd.is_some(), anonymous_pull) {
            (true, true, _) => Some(Problem { origin: said("auth"), fault: Fault::OpenWithPasswords }),
            (_, false, true) => Some(Problem { origin: said("auth.anonymous"), fault: Fault::AnonymousAlone }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
