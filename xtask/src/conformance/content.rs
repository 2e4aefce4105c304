//! What the suite stores: blobs, manifests over them, and the tags and referrers that have to follow from pushing these.
//!
//! Everything is made from random bytes, so that no two runs, groups or algorithms share content, but for what has to be shared: the
//! empty JSON object and the configuration of a platform.

mod images;

use serde_json::{Value, json};

pub(crate) use self::images::{Layers, Picture};
use crate::e2e::digest;
use crate::e2e::random::Random;

pub(crate) const IMAGE_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const IMAGE_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A hash function that digests are made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Sha256,
    Sha512,
}

impl Algorithm {
    pub(crate) const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    pub(crate) fn digest(self, bytes: &[u8]) -> String {
        match self {
            Self::Sha256 => digest::sha256(bytes),
            Self::Sha512 => digest::sha512(bytes),
        }
    }
}

/// Bytes, and the digest under which they are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blob {
    pub(crate) digest: String,
    pub(crate) bytes: Vec<u8>,
    /// Whether the digest is that of the bytes.
    pub(crate) honest: bool,
}

/// A manifest, the digest under which it is sent, and what a registry has to make of it.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) digest: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) media_type: &'static str,
    pub(crate) subject: Option<String>,
    /// Whether the digest is that of the bytes.
    pub(crate) honest: bool,
}

/// What the referrers of `subject` have to list.
#[derive(Clone, Debug)]
pub(crate) struct Referrer {
    pub(crate) subject: String,
    pub(crate) artifact_type: Option<String>,
    pub(crate) descriptor: Value,
}

/// What one data set pushes, in this order.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) algorithm: Algorithm,
    pub(crate) blobs: Vec<Blob>,
    pub(crate) manifests: Vec<Manifest>,
    /// Names, and the places of their manifests.
    pub(crate) tags: Vec<(String, usize)>,
    /// Whether tags travel with the manifest's PUT by digest.
    pub(crate) tag_parameters: bool,
    pub(crate) referrers: Vec<Referrer>,
    random: Random,
}

impl Blob {
    pub(crate) fn new(algorithm: Algorithm, bytes: Vec<u8>) -> Self {
        Self { digest: algorithm.digest(&bytes), bytes, honest: true }
    }

    /// The same with bytes at its end that its digest knows nothing of.
    pub(crate) fn with_a_tail(mut self) -> Self {
        self.bytes.extend_from_slice(b"tail\n");
        self.honest = false;
        self
    }
}

impl Content {
    pub(crate) fn new(algorithm: Algorithm, random: Random) -> Self {
        Self {
            algorithm,
            blobs: Vec::new(),
            manifests: Vec::new(),
            tags: Vec::new(),
            tag_parameters: false,
            referrers: Vec::new(),
            random,
        }
    }

    pub(crate) fn tag(&mut self, name: impl Into<String>, manifest: usize) {
        self.tags.push((name.into(), manifest));
    }

    /// The names of a manifest.
    pub(crate) fn tags_of(&self, manifest: usize) -> impl Iterator<Item = &str> {
        self.tags.iter().filter(move |(_, tagged)| *tagged == manifest).map(|(name, _)| name.as_str())
    }

    /// Sends the manifest with bytes at its end that its digest knows nothing of, and that change nothing in its JSON.
    pub(crate) fn falsify(&mut self, manifest: usize) {
        self.manifests[manifest].bytes.extend_from_slice(b"\n\n");
        self.manifests[manifest].honest = false;
    }

    /// How something else refers to the manifest.
    pub(crate) fn descriptor(&self, manifest: usize) -> Value {
        let manifest = &self.manifests[manifest];
        json!({ "mediaType": manifest.media_type, "digest": manifest.digest, "size": manifest.bytes.len() })
    }

    /// Random bytes, as a blob if they are to be sent.
    pub(crate) fn random_bytes(&mut self, size: usize) -> Vec<u8> {
        self.random.bytes(size)
    }

    /// A word that no other content has.
    fn random_word(&mut self) -> String {
        format!("{:016x}", self.random.next())
    }

    /// Adds a blob, once, and tells how to refer to it.
    fn blob(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let blob = Blob::new(self.algorithm, bytes);
        let descriptor = json!({ "mediaType": media_type, "digest": blob.digest, "size": blob.bytes.len() });
        if !self.blobs.contains(&blob) {
            self.blobs.push(blob);
        }
        descriptor
    }

    /// Adds a manifest and tells its place.
    fn manifest(&mut self, media_type: &'static str, manifest: &Value) -> usize {
        let bytes = manifest.to_string().into_bytes();
        let digest = self.algorithm.digest(&bytes);
        let subject = manifest["subject"]["digest"].as_str().map(str::to_owned);
        if let Some(subject) = &subject {
            self.referrers.push(referrer(subject, media_type, manifest, &digest, bytes.len()));
        }
        self.manifests.push(Manifest { digest, bytes, media_type, subject, honest: true });
        self.manifests.len() - 1
    }
}

/// The entry of a manifest in its subject's referrers (distribution specification, Listing Referrers).
fn referrer(subject: &str, media_type: &str, manifest: &Value, digest: &str, size: usize) -> Referrer {
    let own = manifest["artifactType"].as_str();
    let artifact_type = own.or_else(|| manifest["config"]["mediaType"].as_str()).map(str::to_owned);
    let mut descriptor = json!({ "mediaType": media_type, "digest": digest, "size": size });
    if let Some(artifact_type) = &artifact_type {
        descriptor["artifactType"] = artifact_type.as_str().into();
    }
    if let Some(annotations) = manifest.get("annotations") {
        descriptor["annotations"] = annotations.clone();
    }
    Referrer { subject: subject.to_owned(), artifact_type, descriptor }
}

#[cfg(test)]
mod tests {
    use super::{Algorithm, Blob, Content, Layers, Picture};
    use crate::e2e::random::Random;

    fn content() -> Content {
        Content::new(Algorithm::Sha256, Random::new(1))
    }

    #[test]
    fn what_is_not_honest_has_other_bytes_than_its_digest_says() {
        let blob = Blob::new(Algorithm::Sha512, b"abc".to_vec());
        assert_eq!(Algorithm::Sha512.digest(&blob.bytes), blob.digest);
        let false_blob = blob.clone().with_a_tail();
        assert_eq!(false_blob.digest, blob.digest);
        assert_ne!(Algorithm::Sha512.digest(&false_blob.bytes), blob.digest);
        let mut content = content();
        let image = content.image(&Picture::default(), "amd64");
        content.falsify(image);
        let manifest = &content.manifests[image];
        assert!(!manifest.honest && Algorithm::Sha256.digest(&manifest.bytes) != manifest.digest);
        assert!(serde_json::from_slice::<serde_json::Value>(&manifest.bytes).is_ok());
    }

    #[test]
    fn images_of_one_platform_share_their_configuration_and_no_layer() {
        let mut content = content();
        content.image(&Picture::default(), "amd64");
        content.image(&Picture::default(), "amd64");
        assert_eq!(content.blobs.len(), 5);
        content.image(&Picture::default(), "arm64");
        assert_eq!(content.blobs.len(), 8);
    }

    #[test]
    fn a_referrer_is_listed_with_its_artifact_type_or_that_of_its_configuration() {
        let mut content = content();
        let subject = content.image(&Picture::default(), "amd64");
        let of_subject = Picture { subject: Some(content.descriptor(subject)), ..Picture::default() };
        content.image(&of_subject, "amd64");
        content.image(&Picture { artifact_type: Some("a/b"), layers: Layers::EmptyJson, ..of_subject.clone() }, "");
        content.index(&of_subject, &[]);
        let types: Vec<Option<&str>> =
            content.referrers.iter().map(|referrer| referrer.artifact_type.as_deref()).collect();
        assert_eq!(types, [Some("application/vnd.oci.image.config.v1+json"), Some("a/b"), None]);
        assert!(content.referrers.iter().all(|referrer| referrer.subject == content.manifests[subject].digest));
    }
}
