//! A manifest as its author knows it: the bytes, and what they mean without reading them again.

use serde_json::{Map, Value, json};

use crate::digest;

pub(crate) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) bytes: Vec<u8>,
    pub(crate) media_type: &'static str,
    /// Config and layers of an image, children of an index, in their order.
    pub(crate) references: Vec<Reference>,
    pub(crate) subject: Option<String>,
    /// As the list of referrers tells it: that of the config, if the manifest has none.
    pub(crate) artifact_type: Option<String>,
    pub(crate) annotations: Map<String, Value>,
    /// No registry may take it.
    pub(crate) broken: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub(crate) digest: String,
    pub(crate) role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Config, or a layer.
    Blob,
    /// A layer that is to be had elsewhere.
    Foreign,
    /// Of an index; a manifest, or a blob of a build cache.
    Child,
}

/// A manifest that is being written.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    media_type: &'static str,
    fields: Map<String, Value>,
    references: Vec<Reference>,
    broken: bool,
}

impl Draft {
    /// An image, of either family.
    pub(crate) fn image(media_type: &'static str, config: Value) -> Self {
        let mut draft = Self::new(media_type);
        draft.refer(&config, Role::Blob);
        draft.fields.insert("config".to_owned(), config);
        draft.fields.insert("layers".to_owned(), json!([]));
        draft
    }

    /// An index, of either family.
    pub(crate) fn index(media_type: &'static str) -> Self {
        let mut draft = Self::new(media_type);
        draft.fields.insert("manifests".to_owned(), json!([]));
        draft
    }

    fn new(media_type: &'static str) -> Self {
        let mut fields = Map::new();
        fields.insert("schemaVersion".to_owned(), json!(2));
        fields.insert("mediaType".to_owned(), json!(media_type));
        Self { media_type, fields, references: Vec::new(), broken: false }
    }

    pub(crate) fn layer(&mut self, layer: Value, role: Role) {
        self.refer(&layer, role);
        self.push("layers", layer);
    }

    pub(crate) fn child(&mut self, child: Value) {
        self.refer(&child, Role::Child);
        self.push("manifests", child);
    }

    pub(crate) fn set(&mut self, key: &str, value: Value) {
        self.fields.insert(key.to_owned(), value);
    }

    pub(crate) fn remove(&mut self, key: &str) {
        self.fields.remove(key);
    }

    /// Has it break a rule.
    pub(crate) fn spoil(&mut self, key: &str, value: Value) {
        self.set(key, value);
        self.broken = true;
    }

    pub(crate) fn finish(self) -> Manifest {
        let text = |key| self.fields.get(key).and_then(Value::as_str).map(str::to_owned);
        let within = |key: &str, part: &str| self.fields.get(key).and_then(|it| it[part].as_str()).map(str::to_owned);
        Manifest {
            subject: within("subject", "digest"),
            artifact_type: text("artifactType").or_else(|| within("config", "mediaType")),
            annotations: self.fields.get("annotations").and_then(Value::as_object).cloned().unwrap_or_default(),
            bytes: Value::Object(self.fields).to_string().into_bytes(),
            media_type: self.media_type,
            references: self.references,
            broken: self.broken,
        }
    }

    fn refer(&mut self, descriptor: &Value, role: Role) {
        let digest = descriptor["digest"].as_str().expect("a descriptor has a digest").to_owned();
        self.references.push(Reference { digest, role });
    }

    fn push(&mut self, key: &str, descriptor: Value) {
        self.fields.get_mut(key).and_then(Value::as_array_mut).expect("the draft has that list").push(descriptor);
    }
}

impl Manifest {
    pub(crate) fn sha256(&self) -> String {
        digest::sha256(&self.bytes)
    }

    pub(crate) fn sha512(&self) -> String {
        digest::sha512(&self.bytes)
    }

    pub(crate) fn refers_to(&self, digest: &str) -> bool {
        self.references.iter().any(|reference| reference.digest == digest)
    }

    pub(crate) fn has_child(&self, digest: &str) -> bool {
        self.references.iter().any(|reference| reference.role == Role::Child && reference.digest == digest)
    }
}

pub(crate) fn descriptor(media_type: &str, digest: &str, size: usize) -> Value {
    json!({ "mediaType": media_type, "digest": digest, "size": size })
}
