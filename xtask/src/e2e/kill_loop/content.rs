//! What the kill loop pushes: blobs that are remembered by seed and size, and manifests that refer to them.
//!
//! Most of it comes from a small [`Pool`], so that the same content is pushed, deleted and pushed again by several pushers at a time.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Value, json};

use crate::e2e::digest;
use crate::e2e::images::{DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};
use crate::e2e::random::Random;

const BLOBS: usize = 20;
const IMAGES: usize = 14;
const INDEXES: usize = 5;
const REFERRERS: usize = 8;
const RESTLESS: usize = 3;

/// A blob. Its bytes are made again from the seed whenever they are needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blob {
    seed: u64,
    pub(super) size: usize,
    pub(super) digest: String,
}

/// A manifest, whole.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) bytes: Vec<u8>,
    pub(super) digest: String,
    pub(super) media_type: &'static str,
    /// The blobs that it refers to, each once.
    pub(super) blobs: Vec<Blob>,
    /// The manifests that it refers to.
    pub(super) children: Vec<Manifest>,
    /// The digest of what it is about.
    pub(super) subject: Option<String>,
}

/// Content that is pushed again and again.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) blobs: Vec<Blob>,
    pub(super) images: Vec<Manifest>,
    pub(super) indexes: Vec<Manifest>,
    /// Manifests with a subject, an image or an index of the pool.
    pub(super) referrers: Vec<Manifest>,
    /// Images of few blobs, which nothing else refers to: only while one of them is there are their blobs needed.
    pub(super) restless: Vec<Manifest>,
}

impl Blob {
    /// A blob of a size that is mostly small; never under two bytes, since `Range: 0-0` tells none and one byte alike.
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let size = match random.below(16) {
            0..=2 => random.between(2, 100),
            3..=12 => random.between(1_000, 60_000),
            13..=14 => random.between(100_000, 400_000),
            _ => random.between(600_000, 3_000_000),
        };
        let sha512 = random.one_in(8);
        let blob = Self { seed, size, digest: String::new() };
        let bytes = blob.bytes();
        Self { digest: if sha512 { digest::sha512(&bytes) } else { digest::sha256(&bytes) }, ..blob }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        Random::fork(self.seed, 1).bytes(self.size)
    }

    fn descriptor(&self, media_type: &str) -> Value {
        json!({ "mediaType": media_type, "digest": self.digest, "size": self.size })
    }
}

impl fmt::Debug for Manifest {
    /// Its bytes would hide everything else in a message.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Manifest({})", self.digest)
    }
}

impl Manifest {
    /// An image of these blobs, the first one its config; `nonce` makes it different from others of the same blobs.
    pub(super) fn image(blobs: &[Blob], docker: bool, nonce: u64) -> Self {
        let (media_type, content) = image_content(blobs, docker);
        Self { blobs: each_once(blobs), ..Self::new(media_type, content, nonce) }
    }

    /// An index of these manifests.
    pub(super) fn index(children: &[Manifest], nonce: u64) -> Self {
        let content = json!({ "manifests": children.iter().map(Manifest::descriptor).collect::<Vec<_>>() });
        Self { children: children.to_vec(), ..Self::new(OCI_INDEX, content, nonce) }
    }

    /// An artifact of these blobs, the first one its config, about `subject`.
    pub(super) fn about(subject: &Manifest, blobs: &[Blob], nonce: u64) -> Self {
        let (media_type, mut content) = image_content(blobs, false);
        content["subject"] = subject.descriptor();
        let subject = Some(subject.digest.clone());
        Self { blobs: each_once(blobs), subject, ..Self::new(media_type, content, nonce) }
    }

    /// What clients call what they keep about a manifest: its referrers, where there is no suffix, or a signature.
    pub(super) fn tag_about(digest: &str, suffix: &str) -> String {
        format!("{}{suffix}", digest.replace(':', "-"))
    }

    fn descriptor(&self) -> Value {
        json!({
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": self.bytes.len(),
            "platform": { "os": "linux", "architecture": "amd64" },
        })
    }

    fn new(media_type: &'static str, mut content: Value, nonce: u64) -> Self {
        content["schemaVersion"] = json!(2);
        content["mediaType"] = json!(media_type);
        content["annotations"] = json!({ "nonce": nonce.to_string() });
        let bytes = content.to_string().into_bytes();
        let digest = digest::sha256(&bytes);
        Self { bytes, digest, media_type, blobs: Vec::new(), children: Vec::new(), subject: None }
    }
}

impl Pool {
    /// The pool of one data folder. Images share layers, indexes share images.
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::fork(seed, 0xB10B);
        let blobs: Vec<Blob> = (0..BLOBS).map(|_| Blob::new(random.next())).collect();
        let images: Vec<Manifest> = (0..IMAGES).map(|_| Self::some_image(&blobs, &mut random)).collect();
        let index = |random: &mut Random| {
            let children: BTreeSet<usize> = (0..random.between(1, 3)).map(|_| random.below(IMAGES)).collect();
            let children: Vec<Manifest> = children.into_iter().map(|child| images[child].clone()).collect();
            Manifest::index(&children, random.next())
        };
        let indexes: Vec<Manifest> = (0..INDEXES).map(|_| index(&mut random)).collect();
        let subjects: Vec<Manifest> = images.iter().take(4).chain(indexes.iter().take(2)).cloned().collect();
        let mut referrers: Vec<Manifest> = Vec::new();
        for number in 0..REFERRERS {
            // The last one is about another referrer, as the signature of an SBOM is.
            let subject = if number + 1 == REFERRERS { &referrers[0] } else { &subjects[number % subjects.len()] };
            referrers.push(Manifest::about(subject, &some_blobs(&blobs, &mut random), random.next()));
        }
        let few: Vec<Blob> = (0..RESTLESS).map(|_| Blob::new(random.next())).collect();
        let restless = (0..RESTLESS).map(|one| [few[one].clone(), few[(one + 1) % RESTLESS].clone()]);
        let restless = restless.map(|blobs| Manifest::image(&blobs, false, random.next())).collect();
        Self { blobs, images, indexes, referrers, restless }
    }

    /// A new image of blobs of the pool.
    pub(super) fn new_image(&self, random: &mut Random) -> Manifest {
        Self::some_image(&self.blobs, random)
    }

    fn some_image(blobs: &[Blob], random: &mut Random) -> Manifest {
        Manifest::image(&some_blobs(blobs, random), random.one_in(2), random.next())
    }
}

/// A config and up to four layers.
fn some_blobs(blobs: &[Blob], random: &mut Random) -> Vec<Blob> {
    (0..random.between(1, 5)).filter_map(|_| random.pick(blobs).cloned()).collect()
}

fn image_content(blobs: &[Blob], docker: bool) -> (&'static str, Value) {
    let (media_type, config_type, layer_type) = if docker {
        (
            DOCKER_MANIFEST,
            "application/vnd.docker.container.image.v1+json",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
        )
    } else {
        (OCI_MANIFEST, "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip")
    };
    let layers: Vec<Value> = blobs[1..].iter().map(|layer| layer.descriptor(layer_type)).collect();
    (media_type, json!({ "config": blobs[0].descriptor(config_type), "layers": layers }))
}

fn each_once(blobs: &[Blob]) -> Vec<Blob> {
    let mut seen = BTreeSet::new();
    blobs.iter().filter(|blob| seen.insert(&blob.digest)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::{Blob, Manifest, Pool};
    use crate::e2e::digest;

    #[test]
    fn a_blob_is_made_again_from_its_seed() {
        for seed in 0..50 {
            let blob = Blob::new(seed);
            assert_eq!(blob, Blob::new(seed));
            assert_eq!(blob.bytes().len(), blob.size);
            assert_eq!(digest::same_algorithm(&blob.digest, &blob.bytes()), blob.digest);
        }
    }

    #[test]
    fn manifests_of_the_same_blobs_differ_by_their_nonce() {
        let blobs = [Blob::new(1), Blob::new(1)];
        let image = |nonce| Manifest::image(&blobs, true, nonce);
        assert_eq!(image(1), image(1));
        assert_ne!(image(1).digest, image(2).digest);
        assert_eq!(image(1).blobs.len(), 1, "each blob is named once");
        let index: serde_json::Value = serde_json::from_slice(&Manifest::index(&[image(1)], 1).bytes).unwrap();
        assert_eq!(index["manifests"][0]["digest"], image(1).digest);
        let about: serde_json::Value = serde_json::from_slice(&Manifest::about(&image(1), &blobs, 1).bytes).unwrap();
        assert_eq!(about["subject"]["digest"], image(1).digest);
    }

    #[test]
    fn a_pool_is_made_again_from_its_seed_and_its_images_share_layers() {
        let pool = Pool::new(7);
        assert_eq!(pool.images, Pool::new(7).images);
        assert_ne!(pool.images, Pool::new(8).images);
        let named = pool.images.iter().flat_map(|image| &image.blobs).map(|blob| &blob.digest);
        assert!(named.clone().count() > named.collect::<std::collections::BTreeSet<_>>().len());
    }
}
