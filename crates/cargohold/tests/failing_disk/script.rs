//! What clients do in which a disk takes part: push in every way, begin what comes to nothing, delete, pull.

use std::sync::Arc;

use cargohold_oci::{Algorithm, Digest};
use serde_json::json;

use crate::{
    client::{Answer, Request},
    random::Random,
    registry::Registry,
};

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
/// More than is written at once.
const LAYER: usize = 700_000;

/// An image of its own and what is done with it.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    number: u64,
    config: Arc<[u8]>,
    layer: Arc<[u8]>,
    doomed: Arc<[u8]>,
}

impl Script {
    pub(crate) fn new(number: u64) -> Self {
        let mut random = Random::part(7, number);
        let mut content = |length| Arc::from(random.bytes(length));
        Self { number, config: content(300), layer: content(LAYER), doomed: content(3000) }
    }

    /// All of it, up to the first answer that is not the one for a disk in a good mood.
    pub(crate) fn run(&self, registry: &Registry) -> Result<(), Answer> {
        self.push_in_chunks(registry)?;
        push(registry, "a", &self.config)?;
        let manifest = self.manifest();
        let put = Request::new("PUT", self.path_of_manifest()).with(&manifest);
        is(201, registry.send(put))?;
        self.pull(registry)?;

        let cancelled = start(registry, "a")?;
        is(202, registry.send(Request::new("PATCH", &cancelled).with(&self.layer[..1000])))?;
        is(204, registry.send(Request::new("DELETE", &cancelled)))?;
        let wrong = start(registry, "a")?;
        is(400, registry.send(Request::new("PUT", closing(&wrong, &self.config)).with(&self.doomed)))?;
        push(registry, "a", &self.doomed)?;
        is(202, registry.send(Request::new("DELETE", path("a", &self.doomed))))?;
        // The bytes are there already, so these are not needed.
        push(registry, "b", &self.layer)
    }

    /// What was acknowledged comes, byte for byte.
    pub(crate) fn pull(&self, registry: &Registry) -> Result<(), Answer> {
        for (path, content) in [
            (path("a", &self.layer), &self.layer[..]),
            (path("a", &self.config), &self.config[..]),
            (self.path_of_manifest(), &self.manifest()[..]),
        ] {
            let answer = is(200, registry.get(&path))?;
            assert!(answer.body == content, "other bytes in the answer {answer}");
        }
        Ok(())
    }

    /// The blobs of the image.
    pub(crate) fn blobs(&self) -> [String; 2] {
        [digest(&self.config), digest(&self.layer)]
    }

    /// Where the layer is pulled.
    pub(crate) fn layer(&self) -> String {
        path("a", &self.layer)
    }

    fn push_in_chunks(&self, registry: &Registry) -> Result<(), Answer> {
        let session = start(registry, "a")?;
        is(202, registry.send(Request::new("PATCH", &session).with(&self.layer[..200_000])))?;
        is(202, registry.send(Request::new("PATCH", &session).with(&self.layer[200_000..600_000])))?;
        let end = Request::new("PUT", closing(&session, &self.layer)).with(&self.layer[600_000..]);
        is(201, registry.send(end)).map(drop)
    }

    fn manifest(&self) -> Vec<u8> {
        let describe = |media_type: &str, content: &[u8]| json!({ "mediaType": media_type, "digest": digest(content), "size": content.len() });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "config": describe("application/vnd.oci.image.config.v1+json", &self.config),
            "layers": [describe("application/vnd.oci.image.layer.v1.tar+gzip", &self.layer)],
        });
        manifest.to_string().into_bytes()
    }

    fn path_of_manifest(&self) -> String {
        format!("/v2/a/manifests/t{}", self.number)
    }
}

/// Begins an upload; answers its path.
pub(crate) fn start(registry: &Registry, repository: &str) -> Result<String, Answer> {
    let answer = is(202, registry.send(Request::new("POST", format!("/v2/{repository}/blobs/uploads/"))))?;
    Ok(answer.header("Location").to_owned())
}

/// A blob in one request.
pub(crate) fn push(registry: &Registry, repository: &str, content: &[u8]) -> Result<(), Answer> {
    let path = format!("/v2/{repository}/blobs/uploads/?digest={}", digest(content));
    is(201, registry.send(Request::new("POST", path).with(content))).map(drop)
}

/// Where an upload of that content ends.
pub(crate) fn closing(session: &str, content: &[u8]) -> String {
    format!("{session}?digest={}", digest(content))
}

pub(crate) fn path(repository: &str, content: &[u8]) -> String {
    format!("/v2/{repository}/blobs/{}", digest(content))
}

pub(crate) fn digest(content: &[u8]) -> String {
    Digest::of(Algorithm::Sha256, content).to_string()
}

fn is(status: u16, answer: Answer) -> Result<Answer, Answer> {
    if answer.status == status { Ok(answer) } else { Err(answer) }
}
