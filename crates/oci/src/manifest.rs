//! Manifests: what a registry must understand of the documents that it stores.
//!
//! A [`Manifest`] is a view of bytes that were pushed. It holds what the registry acts upon (what kind it is, what it refers to,
//! what it is attached to) and nothing else; the bytes themselves are stored and served as they came, never written anew from
//! this. What the formats leave open is accepted: any type of artifact, configuration, layer and child, unknown keys, empty
//! lists. Whether the content referred to exists is for the registry to find out.
//!
//! Source: OCI image specification (manifest.md, image-index.md), Docker image manifest version 2 schema 2, OCI distribution
//! specification ("Pushing Manifests").

mod document;

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;

use crate::descriptor::MAX_SIZE;
use crate::media_type::{is_generic, is_schema_1, without_parameters};
use crate::{Descriptor, Excerpt, ManifestType, is_foreign_layer};

use document::{CONFIG, Document, FS_LAYERS, LAYERS, MANIFESTS, MAX_NESTING, MEDIA_TYPE};

/// How much an error tells of what the JSON reader said.
const MAX_REASON_BYTES: usize = 300;

/// A manifest that may be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    kind: ManifestType,
    media_type: String,
    artifact_type: Option<String>,
    content: Content,
    subject: Option<Descriptor>,
    annotations: BTreeMap<String, String>,
    total_size: u64,
}

/// What a manifest holds, by its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    Image { config: Box<Descriptor>, layers: Vec<Descriptor> },
    Index { children: Vec<Descriptor> },
}

/// One piece of content that a manifest refers to, and that has to be there for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ManifestReference<'a> {
    /// What the content is to the manifest.
    pub role: Role,
    /// The content.
    pub descriptor: &'a Descriptor,
}

/// What referenced content is to a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The configuration of an image: a blob.
    Config,
    /// A layer of an image: a blob.
    Layer,
    /// An entry of an index: a manifest, but a blob in the indexes that BuildKit keeps its caches in.
    Child,
}

/// Why bytes are not a manifest that may be stored. All are a `MANIFEST_INVALID` to a client.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ManifestError {
    /// The formats that Docker wrote before 2016.
    #[error(
        "schema 1 not supported: manifest schema version 1 is not supported here, push the image again with a client \
         that writes Docker schema 2 or OCI manifests"
    )]
    SchemaOne,
    /// A media type, in the Content-Type or in the body, that is no manifest's.
    #[error(
        "manifest media type {media_type} is not supported: it must be an OCI image manifest or index, or a Docker \
         schema 2 manifest or manifest list"
    )]
    UnsupportedMediaType {
        /// The type that was given.
        media_type: Excerpt,
    },
    /// The Content-Type says one thing, the body another.
    #[error(
        "manifest media type mismatch: the Content-Type is {content_type}, but mediaType in the body is {media_type}"
    )]
    MediaTypeMismatch {
        /// The type in the request's header.
        content_type: Excerpt,
        /// The type in the body.
        media_type: Excerpt,
    },
    /// Neither the Content-Type nor the body tells what it is.
    #[error(
        "manifest type unknown: name it in the Content-Type or in mediaType, or give it config and layers (an image) or \
         manifests (an index)"
    )]
    Untyped,
    /// A document that one reader could take for an image and another for an index (CVE-2021-41190).
    #[error("manifest is ambiguous: {kind} must not have the key {key}")]
    Ambiguous {
        /// What it says it is.
        kind: ManifestType,
        /// The key that belongs to another type.
        key: &'static str,
    },
    /// A required key is not there, or `null`.
    #[error("manifest is incomplete: {kind} must have the key {key}")]
    Incomplete {
        /// What it is.
        kind: ManifestType,
        /// The key that is missing.
        key: &'static str,
    },
    /// Not version 2, the only one there is.
    #[error("manifest schemaVersion must be 2{}", found.map_or(String::new(), |found| format!(", not {found}")))]
    SchemaVersion {
        /// What it says, if anything.
        found: Option<u64>,
    },
    /// JSON, but a value is not what it must be.
    #[error("manifest is invalid: {reason}")]
    Content {
        /// Where, and what is wrong.
        reason: String,
    },
    /// Not JSON.
    #[error("manifest is not valid JSON: {reason}")]
    NotJson {
        /// Where, and what is wrong.
        reason: String,
    },
    /// Nested so deep that readers would fail on it.
    #[error("manifest is invalid: arrays and objects nest deeper than {MAX_NESTING} levels")]
    TooDeep,
}

impl Manifest {
    /// Reads the body of a manifest's push, whose size is for the caller to bound. `content_type` is the request's header as it came, if it had one.
    pub fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Self, ManifestError> {
        let content_type = ContentType::parse(content_type.unwrap_or_default())?;
        let document = Document::parse(bytes)?;
        check_schema_version(&document)?;
        let (kind, media_type) = resolve_type(&content_type, &document)?;
        check_keys(kind, &document)?;

        let Document { artifact_type, config, layers, manifests, subject, annotations, .. } = document;
        let content = if kind.is_index() {
            Content::Index { children: manifests }
        } else {
            let config = config.ok_or(ManifestError::Incomplete { kind, key: CONFIG })?;
            Content::Image { config: Box::new(config), layers }
        };
        let total_size = content.total_size(bytes.len());
        Ok(Self { kind, media_type, artifact_type, content, subject, annotations, total_size })
    }

    /// The annotations of a manifest that was parsed when it came; none if it cannot be read any more. The rest is not looked at.
    pub fn annotations_of(bytes: &[u8]) -> Option<BTreeMap<String, String>> {
        #[derive(Deserialize)]
        struct Annotated {
            annotations: Option<BTreeMap<String, String>>,
        }
        let Annotated { annotations } = serde_json::from_slice(bytes).ok()?;
        Some(annotations.unwrap_or_default())
    }

    /// Which kind of manifest it is.
    pub fn manifest_type(&self) -> ManifestType {
        self.kind
    }

    /// The media type to store and to serve as Content-Type: as it was pushed, without parameters.
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// What artifact this is: its `artifactType`, else, for an image, the type of its configuration. This is what the referrers
    /// API lists and filters by. At most 1,024 bytes, not empty.
    pub fn artifact_type(&self) -> Option<&str> {
        let of_config = || self.config().map(|config| config.media_type.as_str()).filter(|kind| !kind.is_empty());
        self.artifact_type.as_deref().or_else(of_config)
    }

    /// The configuration; an index has none.
    pub fn config(&self) -> Option<&Descriptor> {
        match &self.content {
            Content::Image { config, .. } => Some(config.as_ref()),
            Content::Index { .. } => None,
        }
    }

    /// The manifest that this one is attached to. It need not exist.
    pub fn subject(&self) -> Option<&Descriptor> {
        self.subject.as_ref()
    }

    /// Whatever the author wrote beside it.
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }

    /// What it refers to, in the order of the document: the configuration and the layers of an image, the children of an index.
    /// The same content may come more than once. The subject is not among them.
    pub fn references(&self) -> impl Iterator<Item = ManifestReference<'_>> {
        self.content.references()
    }

    /// The bytes of the manifest and of all that it refers to, as it says; at most `i64::MAX`, where it saturates.
    pub fn total_size(&self) -> u64 {
        self.total_size
    }
}

impl Content {
    fn references(&self) -> impl Iterator<Item = ManifestReference<'_>> {
        let (config, layers, children): (_, &[Descriptor], &[Descriptor]) = match self {
            Self::Image { config, layers } => (Some(config.as_ref()), layers, &[]),
            Self::Index { children } => (None, &[], children),
        };
        let with_role = |role| move |descriptor| ManifestReference { role, descriptor };
        let config = config.into_iter().map(with_role(Role::Config));
        config.chain(layers.iter().map(with_role(Role::Layer))).chain(children.iter().map(with_role(Role::Child)))
    }

    fn total_size(&self, own_bytes: usize) -> u64 {
        let own_bytes = u64::try_from(own_bytes).unwrap_or(MAX_SIZE);
        let sizes = self.references().map(|reference| reference.descriptor.size);
        sizes.fold(own_bytes, u64::saturating_add).min(MAX_SIZE)
    }
}

impl ManifestReference<'_> {
    /// Whether the registry need not have the content: layers that may not be redistributed, and those that say where else
    /// they are.
    pub fn may_be_absent(&self) -> bool {
        self.role == Role::Layer && (is_foreign_layer(&self.descriptor.media_type) || !self.descriptor.urls.is_empty())
    }
}

/// What the header of a push says.
enum ContentType<'a> {
    Manifest(ManifestType, &'a str),
    /// Nothing, or a type that all kinds of things have.
    Generic,
}

impl<'a> ContentType<'a> {
    fn parse(header: &'a str) -> Result<Self, ManifestError> {
        let text = without_parameters(header);
        if is_generic(text) {
            return Ok(Self::Generic);
        }
        known_type(text).map(|kind| Self::Manifest(kind, text))
    }
}

fn known_type(media_type: &str) -> Result<ManifestType, ManifestError> {
    if is_schema_1(media_type) {
        return Err(ManifestError::SchemaOne);
    }
    let unsupported = || ManifestError::UnsupportedMediaType { media_type: Excerpt::of(media_type) };
    ManifestType::from_media_type(media_type).ok_or_else(unsupported)
}

fn check_schema_version(document: &Document) -> Result<(), ManifestError> {
    match document.schema_version {
        _ if document.has(FS_LAYERS) => Err(ManifestError::SchemaOne),
        Some(1) => Err(ManifestError::SchemaOne),
        Some(2) => Ok(()),
        found => Err(ManifestError::SchemaVersion { found }),
    }
}

/// What the manifest is, and the media type to remember: what the header says, else what the body says, else what it looks like.
fn resolve_type(content_type: &ContentType<'_>, document: &Document) -> Result<(ManifestType, String), ManifestError> {
    let in_body = document.media_type.as_deref().map(without_parameters);
    match (content_type, in_body) {
        (ContentType::Manifest(kind, text), None) => Ok((*kind, (*text).to_owned())),
        (ContentType::Manifest(kind, text), Some(in_body)) if ManifestType::from_media_type(in_body) == Some(*kind) => {
            Ok((*kind, (*text).to_owned()))
        }
        (ContentType::Manifest(_, text), Some(in_body)) => {
            Err(ManifestError::MediaTypeMismatch { content_type: Excerpt::of(text), media_type: Excerpt::of(in_body) })
        }
        (ContentType::Generic, Some(in_body)) => Ok((known_type(in_body)?, in_body.to_owned())),
        (ContentType::Generic, None) => {
            let kind = type_by_shape(document).ok_or(ManifestError::Untyped)?;
            Ok((kind, kind.as_str().to_owned()))
        }
    }
}

/// Only OCI manifests may leave out their type.
fn type_by_shape(document: &Document) -> Option<ManifestType> {
    if document.has(CONFIG) || document.has(LAYERS) {
        Some(ManifestType::OciImage)
    } else {
        document.has(MANIFESTS).then_some(ManifestType::OciIndex)
    }
}

/// Refuses what lacks a key that its type must have, or has one of the other type.
fn check_keys(kind: ManifestType, document: &Document) -> Result<(), ManifestError> {
    let (required, foreign): (&[&'static str], &[&'static str]) =
        if kind.is_index() { (&[MANIFESTS], &[CONFIG, LAYERS]) } else { (&[CONFIG, LAYERS], &[MANIFESTS]) };
    if let Some(key) = foreign.iter().find(|key| document.has(key)) {
        return Err(ManifestError::Ambiguous { kind, key });
    }
    if let Some(key) = required.iter().find(|key| !document.has(key)) {
        return Err(ManifestError::Incomplete { kind, key });
    }
    if kind.is_docker() && document.media_type.is_none() {
        return Err(ManifestError::Incomplete { kind, key: MEDIA_TYPE });
    }
    Ok(())
}

/// What the JSON reader said, bounded, since it quotes the text that it read.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.floor_char_boundary(MAX_REASON_BYTES) {
        end if end == text.len() => text,
        end => format!("{}… at line {} column {}", &text[..end], error.line(), error.column()),
    }
}

#[cfg(test)]
mod tests;
