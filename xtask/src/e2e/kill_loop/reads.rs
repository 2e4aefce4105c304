//! What is there, read whole: everything that is served has the digest under which it is served, or it is an error.

use anyhow::{Context as _, Result, ensure};
use ureq::http::Method;

use super::content::{Blob, Manifest};
use super::facts::{Name, Place};
use super::pushes::Client;
use super::register::Value;
use crate::e2e::digest;

impl Client<'_> {
    /// Pulls a manifest that must be there, and all that it refers to.
    pub(super) fn pull(&self, repository: &str, manifest: &Manifest) -> Result<()> {
        self.manifest_is_there(repository, manifest)?;
        for blob in &manifest.blobs {
            self.blob_is_there(repository, blob)
                .with_context(|| format!("the manifest {} of {repository} refers to it", manifest.digest))?;
        }
        Ok(())
    }

    pub(super) fn blob_is_there(&self, repository: &str, blob: &Blob) -> Result<()> {
        let bytes = self.registry.blob(repository, &blob.digest)?;
        let bytes = bytes.with_context(|| {
            format!("LOST: the acknowledged blob {} ({} bytes) of {repository}", blob.digest, blob.size)
        })?;
        ensure!(
            bytes.len() == blob.size,
            "the blob {} of {repository} has {} bytes, not {}",
            blob.digest,
            bytes.len(),
            blob.size
        );
        Ok(())
    }

    pub(super) fn manifest_is_there(&self, repository: &str, manifest: &Manifest) -> Result<()> {
        let served = self.registry.manifest(repository, &manifest.digest)?;
        let served =
            served.with_context(|| format!("LOST: the acknowledged manifest {} of {repository}", manifest.digest))?;
        ensure!(served.bytes == manifest.bytes, "the manifest {} of {repository} has other bytes", manifest.digest);
        ensure!(
            served.media_type == manifest.media_type,
            "the manifest {} of {repository} is served as {}, not {}",
            manifest.digest,
            served.media_type,
            manifest.media_type
        );
        Ok(())
    }

    /// What is in a place, whole.
    pub(super) fn observe(&self, place: &Place) -> Result<Value> {
        Ok(match &place.name {
            Name::Manifest(name) | Name::Tag(name) => {
                self.registry.manifest(place.repository, name)?.map(|manifest| manifest.digest)
            }
            Name::Blob(name) => self.is_served(place.repository, name)?.then(|| name.clone()),
        })
    }

    /// Whether a blob can be read. It may be swept meanwhile, and HEAD would be a promise, so GET is asked alone.
    fn is_served(&self, repository: &str, name: &str) -> Result<bool> {
        let path = self.registry.path(repository, &format!("blobs/{name}"));
        let answer = self.registry.send(&Method::GET, &path, &[], None)?;
        if answer.status() == 404 {
            return Ok(false);
        }
        let answer = answer.expect(200, "200 or 404")?;
        let computed = digest::same_algorithm(name, &answer.body);
        ensure!(computed == name, "{} bytes were served as {name} whose digest is {computed}", answer.body.len());
        Ok(true)
    }
}
