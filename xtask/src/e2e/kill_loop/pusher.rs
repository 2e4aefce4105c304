//! One pusher: pushes, moves, mounts, pulls and deletes, one after the other, until the server is killed under it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::content::{Blob, Manifest, Pool};
use super::facts::{Expected, Place};
use super::ledger::{OWN, SHARED};
use super::pushes::{Client, some_cuts};
use crate::e2e::random::Random;
use crate::e2e::registry::RequestError;

/// Tags that pushers move; in the shared repository against each other.
const TAGS: [&str; 4] = ["latest", "stable", "1.0", "edge"];

/// What clients append to a tag about a manifest: nothing for its referrers, the others for cosign.
const SUFFIXES: [&str; 4] = ["", ".sig", ".att", ".sbom"];

pub(super) struct Pusher<'a> {
    client: Client<'a>,
    pool: &'a Pool,
    /// Of its own in the shared repository.
    images: &'a [Manifest],
    own: &'static str,
    killed: &'a AtomicBool,
    random: Random,
}

impl<'a> Pusher<'a> {
    /// The pusher of that number; `images` are those that it alone puts into the shared repository.
    pub(super) fn new(
        client: Client<'a>,
        pool: &'a Pool,
        images: &'a [Manifest],
        number: usize,
        killed: &'a AtomicBool,
        random: Random,
    ) -> Self {
        Self { client, pool, images, own: OWN[number % OWN.len()], killed, random }
    }

    /// Goes on until the server is killed; everything else that ends it is an error.
    pub(super) fn push_until_killed(mut self) -> Result<()> {
        while !self.killed.load(Ordering::SeqCst) {
            if let Err(error) = self.do_something() {
                let broken = matches!(error.downcast_ref(), Some(RequestError::Broken { .. }));
                return if broken && self.killed.load(Ordering::SeqCst) { Ok(()) } else { Err(error) };
            }
        }
        Ok(())
    }

    fn do_something(&mut self) -> Result<()> {
        if self.random.one_in(4) { self.do_something_shared() } else { self.do_something_own() }
    }

    fn do_something_own(&mut self) -> Result<()> {
        let own = self.own;
        match self.random.below(20) {
            0..=2 => self.push_manifest(own, |pool| &pool.images),
            3 => {
                let image = self.pool.new_image(&mut self.random);
                self.push(own, &image)
            }
            4..=5 => self.push_manifest(own, |pool| &pool.indexes),
            6 => self.push_manifest(own, |pool| &pool.referrers),
            7 => self.keep_about_another(),
            8 => self.move_tag(own),
            9 => self.delete_tag(own),
            10..=13 => self.delete_manifest(own),
            14 => self.delete_blob(own),
            15 => self.pull(own),
            16..=17 => self.push_blob(own),
            _ => self.push_and_delete(own, &self.pool.restless),
        }
    }

    fn do_something_shared(&mut self) -> Result<()> {
        match self.random.below(12) {
            0..=1 => {
                let Some(image) = self.random.pick(self.images) else { return Ok(()) };
                self.push(SHARED, image)
            }
            2..=3 => self.push_and_delete(SHARED, self.images),
            4 => self.move_tag(SHARED),
            5 => self.delete_tag(SHARED),
            6..=7 => self.delete_manifest(SHARED),
            8..=9 => self.delete_blob(SHARED),
            10 => self.pull(SHARED),
            _ => self.push_blob(SHARED),
        }
    }

    fn push_manifest(&mut self, repository: &'static str, from: impl Fn(&Pool) -> &[Manifest]) -> Result<()> {
        let Some(manifest) = self.random.pick(from(self.pool)) else { return Ok(()) };
        self.push(repository, manifest)
    }

    /// Pushes a manifest with a tag, or without.
    fn push(&mut self, repository: &'static str, manifest: &Manifest) -> Result<()> {
        let tag = if self.random.one_in(3) { None } else { self.random.pick(&TAGS).copied() };
        self.client.push_image(repository, manifest, tag, &mut self.random).map(drop)
    }

    /// Pushes an image and deletes it, its blobs too, and pushes it again while the sweep is at it.
    fn push_and_delete(&mut self, repository: &'static str, images: &[Manifest]) -> Result<()> {
        let Some(image) = self.random.pick(images) else { return Ok(()) };
        for _ in 0..self.random.between(1, 4) {
            self.push(repository, image)?;
            self.client.delete_manifest(repository, &image.digest)?;
            for blob in &image.blobs {
                self.client.delete_blob(repository, &blob.digest)?;
            }
            if self.random.one_in(2) {
                // So that the sweep comes to each of its steps: the link, the blob, the bytes.
                thread::sleep(Duration::from_micros(self.random.next() % 60_000));
            }
        }
        Ok(())
    }

    /// What old clients do for signatures and lists of referrers: a tag that names the manifest that it is about.
    fn keep_about_another(&mut self) -> Result<()> {
        let (Some(about), Some(manifest)) = (self.some_manifest(self.own), self.random.pick(&self.pool.images)) else {
            return Ok(());
        };
        let tag = Manifest::tag_about(&about.digest, SUFFIXES[self.random.below(SUFFIXES.len())]);
        self.client.push_image(self.own, manifest, Some(&tag), &mut self.random).map(drop)
    }

    fn move_tag(&mut self, repository: &'static str) -> Result<()> {
        let (Some(manifest), Some(tag)) = (self.some_manifest(repository), self.random.pick(&TAGS)) else {
            return Ok(());
        };
        self.client.put_manifest(repository, &manifest, Some(tag)).map(drop)
    }

    fn delete_tag(&mut self, repository: &'static str) -> Result<()> {
        let Some(tag) = self.random.pick(&TAGS) else { return Ok(()) };
        self.client.delete_tag(repository, tag)
    }

    fn delete_manifest(&mut self, repository: &'static str) -> Result<()> {
        let absent = if repository == SHARED { self.images } else { &self.pool.images };
        let digest = match self.some_manifest(repository) {
            Some(manifest) if !self.random.one_in(8) => manifest.digest,
            _ => self.random.pick(absent).map(|manifest| manifest.digest.clone()).unwrap_or_default(),
        };
        self.client.delete_manifest(repository, &digest)
    }

    fn delete_blob(&mut self, repository: &'static str) -> Result<()> {
        let Some(blob) = self.random.pick(&self.pool.blobs) else { return Ok(()) };
        self.client.delete_blob(repository, &blob.digest)
    }

    fn pull(&mut self, repository: &'static str) -> Result<()> {
        let Some(manifest) = self.some_manifest(repository) else { return Ok(()) };
        self.client.pull(repository, &manifest)
    }

    /// A blob alone: a new one, or one that others push too; some sessions are left open.
    fn push_blob(&mut self, repository: &'static str) -> Result<()> {
        let new = self.random.one_in(3);
        let seed = self.random.next();
        let Some(blob) = (if new { Some(Blob::new(seed)) } else { self.random.pick(&self.pool.blobs).cloned() }) else {
            return Ok(());
        };
        if self.random.one_in(12) {
            let cuts = some_cuts(blob.size, &mut self.random);
            return self.client.leave_open(repository, &blob, &cuts);
        }
        self.client.push_blob(repository, &blob, &mut self.random)
    }

    /// One that must be there and that is our own.
    fn some_manifest(&mut self, repository: &'static str) -> Option<Manifest> {
        if repository == SHARED {
            let there = |image: &&Manifest| {
                self.client.ledger.expected(&Place::manifest(SHARED, &image.digest)) == Expected::There
            };
            let ours: Vec<&Manifest> = self.images.iter().filter(there).collect();
            return self.random.pick(&ours).map(|manifest| (*manifest).clone());
        }
        self.random.pick(&self.client.ledger.manifests_of(repository)).cloned()
    }
}
