//! Our own server under our own suite: every version, with the default configuration and with one that takes sparse manifests.

use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context as _, Result, ensure};

use super::attempt::Setting;
use super::client::Client;
use super::plan;
use super::rules::{Deletes, Rules, Version};
use super::tree::Group;
use crate::e2e::command::indented;
use crate::e2e::random::Random;
use crate::e2e::scratch::Scratch;
use crate::e2e::server::{Installation, Server};
use crate::e2e::service::tail;

/// A configuration that is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Configuration {
    Default,
    /// Manifests may refer to what is not there.
    NoReferences,
}

impl Configuration {
    pub(crate) const ALL: [Self; 2] = [Self::Default, Self::NoReferences];

    /// Whether the sparse data set belongs to it.
    pub(crate) fn sparse(self) -> bool {
        self == Self::NoReferences
    }

    pub(crate) fn run_name(self, version: Version) -> String {
        if self.sparse() { format!("{version} sparse") } else { version.to_string() }
    }

    /// How many tests a run has. Fewer would mean that some have got lost, which nothing else shows where nothing fails.
    pub(crate) fn tests(self, version: Version) -> usize {
        let without_sparse = match version {
            Version::V1_0 => 858,
            Version::V1_1 => 862,
            Version::Dev => 986,
        };
        if self.sparse() { without_sparse + 46 } else { without_sparse }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::NoReferences => "no-references",
        }
    }

    fn variables(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Default => &[],
            Self::NoReferences => &[("CARGOHOLD__VALIDATION__MANIFESTS__REFERENCES", "none")],
        }
    }
}

/// A server for each configuration, on a fresh data folder.
pub(crate) struct Servers {
    running: Vec<(Configuration, Server, PathBuf)>,
}

impl Servers {
    pub(crate) fn start(program: &Path, scratch: &Scratch) -> Result<Self> {
        let mut running = Vec::new();
        for configuration in Configuration::ALL {
            let mut installation = Installation::new(program, scratch.folder(configuration.folder())?);
            for (name, value) in configuration.variables() {
                installation = installation.with_variable(name, value);
            }
            let server = installation.start().with_context(|| format!("configuration {}", configuration.folder()))?;
            running.push((configuration, server, installation.log()));
        }
        Ok(Self { running })
    }

    /// Does `what` for each version with each configuration, side by side; the results come in the order of the versions.
    pub(crate) fn side_by_side<T: Send>(&self, what: impl Fn(Configuration, Version, &str) -> T + Sync) -> Vec<T> {
        let what = &what;
        thread::scope(|threads| {
            let handles: Vec<_> = self
                .running
                .iter()
                .flat_map(|(configuration, server, _)| {
                    Version::ALL.map(|version| (*configuration, version, server.registry.address()))
                })
                .map(|(configuration, version, address)| threads.spawn(move || what(configuration, version, address)))
                .collect();
            handles
                .into_iter()
                .map(|handle| handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        })
    }

    /// Stops all of them, which has to go well.
    pub(crate) fn stop(mut self) -> Result<()> {
        for (configuration, server, _) in &mut self.running {
            let status = server.stop()?;
            ensure!(status.success(), "the server ({}) ended with {status}", configuration.folder());
        }
        Ok(())
    }

    /// How the servers' logs end, for people who look for the cause of a failure.
    pub(crate) fn logs(&self) -> String {
        let logs = self.running.iter().map(|(configuration, _, log)| {
            format!("the server's log ({}) ends so:\n{}\n", configuration.folder(), indented(&tail(log, 15)))
        });
        logs.collect()
    }
}

/// The six runs, each with the number of tests that it should have.
pub(crate) fn runs(servers: &Servers, seed: u64) -> Vec<(Group, usize)> {
    servers.side_by_side(|configuration, version, address| {
        let name = configuration.run_name(version);
        let setting = Setting {
            client: Client::new(address),
            rules: Rules { version, sparse: configuration.sparse(), deletes: Deletes::On },
            repository: format!("conformance/{version}/target"),
            source: format!("conformance/{version}/source"),
        };
        let run = plan::carry_out(&name, &setting, Random::fork(seed, version as u64));
        (run, configuration.tests(version))
    })
}
