//! What the client flows have in common: the registry, the images, and the checks that every client's work has to stand.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use super::images::Images;
use super::registry::{Registry, ServedManifest};
use super::report::Report;
use super::scratch::Scratch;
use super::sign_in::Doors;

/// What a client's flows are given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting<'a> {
    pub(crate) registry: &'a Registry,
    /// Servers that ask for a password, where the server is started here.
    pub(crate) doors: Option<&'a Doors>,
    pub(crate) images: &'a Images,
    pub(crate) scratch: &'a Scratch,
    pub(crate) report: &'a Report,
}

impl Setting<'_> {
    /// The manifest that has to be under this tag or digest.
    pub(crate) fn manifest(&self, repository: &str, reference: &str) -> Result<ServedManifest> {
        let manifest = self.registry.manifest(repository, reference)?;
        manifest.with_context(|| format!("the registry has no manifest {repository}:{reference}"))
    }

    /// A file with nobody's credentials, so that the user's own play no part.
    pub(crate) fn no_credentials(&self) -> Result<PathBuf> {
        let file = self.scratch.path("no-credentials.json");
        fs::write(&file, "{}")?;
        Ok(file)
    }

    /// The tag list has to be exactly this.
    pub(crate) fn tags_are(&self, repository: &str, expected: &[&str]) -> Result<()> {
        let tags = self.registry.tags(repository)?;
        ensure!(tags == expected, "{repository} lists the tags {tags:?}, not {expected:?}");
        Ok(())
    }
}

/// Compares what a client told with what it should have told.
pub(crate) fn same(what: &str, told: &str, expected: &str) -> Result<()> {
    ensure!(told.trim_end() == expected.trim_end(), "{what} is\n    {told}\n  but should be\n    {expected}");
    Ok(())
}
