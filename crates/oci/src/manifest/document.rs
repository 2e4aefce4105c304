//! The JSON of a manifest, read but not yet judged: which keys are there, and their values where a registry needs them.
//!
//! One pass over the text, linear in its length, in which nothing is kept that is not needed.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess};
use serde::{Deserialize, Deserializer};

use crate::Descriptor;
use crate::descriptor::MediaType;
use crate::exact_keys::{ExactKeys, value};

use super::{ManifestError, reason};

/// How deep arrays and objects may nest. Real manifests reach 6; common JSON readers give up at 128.
pub(super) const MAX_NESTING: usize = 100;

pub(super) const SCHEMA_VERSION: &str = "schemaVersion";
pub(super) const MEDIA_TYPE: &str = "mediaType";
pub(super) const ARTIFACT_TYPE: &str = "artifactType";
pub(super) const CONFIG: &str = "config";
pub(super) const LAYERS: &str = "layers";
pub(super) const MANIFESTS: &str = "manifests";
pub(super) const SUBJECT: &str = "subject";
pub(super) const ANNOTATIONS: &str = "annotations";
/// The layers of schema 1.
pub(super) const FS_LAYERS: &str = "fsLayers";

const KEYS: [&str; 9] =
    [SCHEMA_VERSION, MEDIA_TYPE, ARTIFACT_TYPE, CONFIG, LAYERS, MANIFESTS, SUBJECT, ANNOTATIONS, FS_LAYERS];

/// The top level of a manifest. A key with `null` counts as left out, except that [`Document::has`] knows of it.
pub(super) struct Document {
    keys: ExactKeys,
    pub(super) schema_version: Option<u64>,
    pub(super) media_type: Option<String>,
    pub(super) artifact_type: Option<String>,
    pub(super) config: Option<Descriptor>,
    pub(super) layers: Vec<Descriptor>,
    pub(super) manifests: Vec<Descriptor>,
    pub(super) subject: Option<Descriptor>,
    pub(super) annotations: BTreeMap<String, String>,
}

impl Document {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let text = std::str::from_utf8(bytes).map_err(|error| ManifestError::NotJson { reason: error.to_string() })?;
        if nesting(text) > MAX_NESTING {
            return Err(ManifestError::TooDeep);
        }
        // An error that names its place no longer tells wrong syntax from a wrong value, so the syntax is asked for alone.
        serde_json::from_str(text).map_err(|error| match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => ManifestError::Content { reason: reason(&error) },
            Err(error) => ManifestError::NotJson { reason: reason(&error) },
        })
    }

    /// Whether the key is there, be it with `null`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.has(key)
    }

    fn empty() -> Self {
        Self {
            keys: ExactKeys::of(&KEYS),
            schema_version: None,
            media_type: None,
            artifact_type: None,
            config: None,
            layers: Vec::new(),
            manifests: Vec::new(),
            subject: None,
            annotations: BTreeMap::new(),
        }
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(DocumentVisitor)
    }
}

struct DocumentVisitor;

impl<'de> de::Visitor<'de> for DocumentVisitor {
    type Value = Document;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
        let mut document = Document::empty();
        while let Some(key) = document.keys.next(&mut map)? {
            match key {
                SCHEMA_VERSION => document.schema_version = value(&mut map, key)?,
                MEDIA_TYPE => document.media_type = optional_media_type(&mut map, key)?,
                ARTIFACT_TYPE => document.artifact_type = optional_media_type(&mut map, key)?,
                CONFIG => document.config = value(&mut map, key)?,
                LAYERS => document.layers = map.next_value_seed(DescriptorList { key })?,
                MANIFESTS => document.manifests = map.next_value_seed(DescriptorList { key })?,
                SUBJECT => document.subject = value(&mut map, key)?,
                ANNOTATIONS => document.annotations = value::<_, Option<_>>(&mut map, key)?.unwrap_or_default(),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(document)
    }
}

/// The entries of a list of descriptors; an error says in which of them it is.
struct DescriptorList {
    key: &'static str,
}

impl<'de> DeserializeSeed<'de> for DescriptorList {
    type Value = Vec<Descriptor>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Descriptor>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> de::Visitor<'de> for DescriptorList {
    type Value = Vec<Descriptor>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} to be a list of descriptors", self.key)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Descriptor>, A::Error> {
        let mut descriptors = Vec::new();
        let named = |error, index| A::Error::custom(format_args!("{}[{index}]: {error}", self.key));
        while let Some(descriptor) = list.next_element().map_err(|error: A::Error| named(error, descriptors.len()))? {
            descriptors.push(descriptor);
        }
        Ok(descriptors)
    }

    /// Go writes `null` for an empty list.
    fn visit_unit<E: de::Error>(self) -> Result<Vec<Descriptor>, E> {
        Ok(Vec::new())
    }
}

fn optional_media_type<'de, A: MapAccess<'de>>(map: &mut A, key: &str) -> Result<Option<String>, A::Error> {
    Ok(value::<_, Option<MediaType>>(map, key)?.and_then(MediaType::if_not_empty))
}

/// How deep arrays and objects nest. The text need not be JSON yet; what this finds in it is then of no interest.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
