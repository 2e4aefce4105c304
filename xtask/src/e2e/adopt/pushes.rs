//! Real pushes: to the other registry before it is adopted, and to ours after that.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use ureq::http::Method;

use super::answers::Content;
use crate::e2e::digest;
use crate::e2e::images::{DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};
use crate::e2e::random::Random;
use crate::e2e::registry::{Payload, Registry};

const OCTETS: (&str, &str) = ("Content-Type", "application/octet-stream");

/// Somebody who pushes, and remembers what.
pub(super) struct Pusher<'p> {
    pub(super) registry: &'p Registry,
    pub(super) content: &'p mut Content,
}

impl Pusher<'_> {
    /// Pushes images of both families, one of them with content by sha512, and an index of them; answers the digest of the first.
    pub(super) fn push(&mut self, name: &str, random: &mut Random) -> Result<String> {
        let large = random.bytes(3_000_000);
        let (config, layer) = (self.blob(name, b"{}", digest::sha256)?, self.blob(name, &large, digest::sha256)?);
        let by_512 = self.blob(name, &random.bytes(1000), digest::sha512)?;
        let image = |media_type: &str, kind: &str, layers: &[&Value]| {
            json!({
                "schemaVersion": 2, "mediaType": media_type, "layers": layers,
                "config": { "mediaType": kind, "digest": config["digest"], "size": config["size"] },
            })
        };
        let oci = image(OCI_MANIFEST, "application/vnd.oci.image.config.v1+json", &[&layer, &by_512]);
        let docker = image(DOCKER_MANIFEST, "application/vnd.docker.container.image.v1+json", &[&layer]);
        let first = self.manifest(name, "oci", OCI_MANIFEST, &oci)?;
        let children = [first.clone(), self.manifest(name, "docker", DOCKER_MANIFEST, &docker)?];
        let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children });
        self.manifest(name, "both", OCI_INDEX, &index)?;
        // A tag that was moved.
        self.manifest(name, "oci", DOCKER_MANIFEST, &docker)?;
        Ok(first["digest"].as_str().unwrap_or_default().to_owned())
    }

    /// Pushes a blob as clients do, and answers its descriptor.
    fn blob(&mut self, name: &str, bytes: &[u8], hash: fn(&[u8]) -> String) -> Result<Value> {
        let (digest, path) = (hash(bytes), self.registry.path(name, "blobs/uploads/"));
        let begun = self.registry.send(&Method::POST, &path, &[], None)?.expect(202, "202")?;
        let location = begun.location()?;
        let separator = if location.contains('?') { '&' } else { '?' };
        let closing = format!("{location}{separator}digest={digest}");
        self.registry.send(&Method::PUT, &closing, &[OCTETS], Some(Payload::Sized(bytes)))?.expect(201, "201")?;
        self.content.blob(name, &digest);
        Ok(json!({
            "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest, "size": bytes.len(),
        }))
    }

    fn manifest(&mut self, name: &str, tag: &str, media_type: &str, manifest: &Value) -> Result<Value> {
        let bytes = manifest.to_string().into_bytes();
        let path = self.registry.path(name, &format!("manifests/{tag}"));
        let put =
            self.registry.send(&Method::PUT, &path, &[("Content-Type", media_type)], Some(Payload::Sized(&bytes)))?;
        let digest = put.expect(201, "201")?.required("docker-content-digest")?;
        ensure!(digest == digest::sha256(&bytes), "a manifest got the digest {digest}");
        self.content.manifest(name, &digest, Some(tag));
        Ok(json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() }))
    }

    /// Deletes something.
    pub(super) fn delete(&self, name: &str, what: &str) -> Result<()> {
        self.registry.send(&Method::DELETE, &self.registry.path(name, what), &[], None)?.expect(202, "202")?;
        Ok(())
    }
}
