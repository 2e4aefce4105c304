//! What the kill loop pushes: blobs that are remembered by seed and size, and manifests that refer to them.

use serde_json::{Value, json};

use crate::e2e::digest;
use crate::e2e::images::{DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};
use crate::e2e::random::Random;

/// A blob. Its bytes are made again from the seed whenever they are needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blob {
    seed: u64,
    pub(super) size: usize,
    pub(super) digest: String,
}

/// A manifest, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) bytes: Vec<u8>,
    pub(super) digest: String,
    pub(super) media_type: &'static str,
}

impl Blob {
    /// A blob of a size that is mostly small; never under two bytes, since `Range: 0-0` tells none and one byte alike.
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let size = match random.below(8) {
            0 => random.between(2, 100),
            1..=5 => random.between(1_000, 200_000),
            _ => random.between(500_000, 4_000_000),
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

impl Manifest {
    /// An image of these blobs, the first one its config; `nonce` makes it different from others of the same blobs.
    pub(super) fn image(config: &Blob, layers: &[Blob], docker: bool, nonce: u64) -> Self {
        let (media_type, config_type, layer_type) = if docker {
            (
                DOCKER_MANIFEST,
                "application/vnd.docker.container.image.v1+json",
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
            )
        } else {
            (OCI_MANIFEST, "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip")
        };
        let layers: Vec<Value> = layers.iter().map(|layer| layer.descriptor(layer_type)).collect();
        Self::new(media_type, &json!({ "config": config.descriptor(config_type), "layers": layers }), nonce)
    }

    /// An index of these manifests.
    pub(super) fn index(children: &[Manifest], nonce: u64) -> Self {
        let children: Vec<Value> = children
            .iter()
            .map(|child| {
                json!({
                    "mediaType": child.media_type,
                    "digest": child.digest,
                    "size": child.bytes.len(),
                    "platform": { "os": "linux", "architecture": "amd64" },
                })
            })
            .collect();
        Self::new(OCI_INDEX, &json!({ "manifests": children }), nonce)
    }

    fn new(media_type: &'static str, content: &Value, nonce: u64) -> Self {
        let mut content = content.clone();
        content["schemaVersion"] = json!(2);
        content["mediaType"] = json!(media_type);
        content["annotations"] = json!({ "nonce": nonce.to_string() });
        let bytes = content.to_string().into_bytes();
        Self { digest: digest::sha256(&bytes), bytes, media_type }
    }
}

#[cfg(test)]
mod tests {
    use super::{Blob, Manifest};
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
        let blob = Blob::new(1);
        let image = |nonce| Manifest::image(&blob, std::slice::from_ref(&blob), true, nonce);
        assert_eq!(image(1), image(1));
        assert_ne!(image(1).digest, image(2).digest);
        let index: serde_json::Value = serde_json::from_slice(&Manifest::index(&[image(1)], 1).bytes).unwrap();
        assert_eq!(index["manifests"][0]["digest"], image(1).digest);
    }
}
