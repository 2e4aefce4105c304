//! Descriptors: how a manifest points at content, with its type, digest and size.
//!
//! What clients depend on is read strictly; fields that are not known here are skipped, since the manifest's bytes are kept
//! anyway. Source: OCI image specification, descriptor.md.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Error as _, MapAccess};
use serde::{Deserialize, Deserializer};

use crate::exact_keys::{ExactKeys, value};
use crate::{Digest, Excerpt};

/// The largest size that the formats know: the specification's `int64`.
pub(crate) const MAX_SIZE: u64 = i64::MAX as u64;

/// No registered media type is longer than 255 bytes (RFC 6838 section 4.2); parameters get as much again, and more.
const MAX_MEDIA_TYPE_BYTES: usize = 1024;

/// A pointer at content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// What the content is; any text of at most 1,024 bytes without control characters, since new types come up every day.
    pub media_type: String,
    /// Which content.
    pub digest: Digest,
    /// How many bytes the content has, at most `i64::MAX`. Old manifest lists name wrong sizes; nothing here compares it.
    pub size: u64,
    /// The artifact type of the manifest that is pointed at, in the entries of an index. Never empty.
    pub artifact_type: Option<String>,
    /// Where else the content can be had.
    pub urls: Vec<String>,
    /// What an image is for, in the entries of an index, as far as it is said in texts.
    pub platform: Option<Platform>,
    /// Whatever the author wrote beside it.
    pub annotations: BTreeMap<String, String>,
}

/// What an image is for (OCI image specification, image-index.md).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// Such as `amd64`.
    pub architecture: String,
    /// Such as `linux`.
    pub os: String,
}

const MEDIA_TYPE: &str = "mediaType";
const DIGEST: &str = "digest";
const SIZE: &str = "size";
const ARTIFACT_TYPE: &str = "artifactType";
const URLS: &str = "urls";
const PLATFORM: &str = "platform";
const ANNOTATIONS: &str = "annotations";

impl<'de> Deserialize<'de> for Descriptor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(DescriptorVisitor)
    }
}

struct DescriptorVisitor;

impl<'de> de::Visitor<'de> for DescriptorVisitor {
    type Value = Descriptor;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a descriptor: an object with mediaType, digest and size")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Descriptor, A::Error> {
        let (mut media_type, mut digest, mut size) = (None, None, None);
        let (mut artifact_type, mut urls, mut platform, mut annotations) = (None, None, None, None);
        let mut keys = ExactKeys::of(&[MEDIA_TYPE, DIGEST, SIZE, ARTIFACT_TYPE, URLS, PLATFORM, ANNOTATIONS]);
        while let Some(key) = keys.next(&mut map)? {
            match key {
                MEDIA_TYPE => media_type = Some(value::<_, MediaType>(&mut map, key)?),
                // Its errors say themselves that they are about a digest.
                DIGEST => digest = Some(map.next_value()?),
                SIZE => size = Some(value::<_, Size>(&mut map, key)?),
                ARTIFACT_TYPE => artifact_type = value::<_, Option<MediaType>>(&mut map, key)?,
                URLS => urls = value(&mut map, key)?,
                PLATFORM => platform = Platform::of(&value(&mut map, key)?),
                _ => annotations = value(&mut map, key)?,
            }
        }
        let missing = |key| A::Error::custom(format_args!("{key} is missing"));
        Ok(Descriptor {
            media_type: media_type.ok_or_else(|| missing(MEDIA_TYPE))?.0,
            digest: digest.ok_or_else(|| missing(DIGEST))?,
            size: size.ok_or_else(|| missing(SIZE))?.0,
            artifact_type: artifact_type.and_then(MediaType::if_not_empty),
            // Go writes `null` for an empty list or map.
            urls: urls.unwrap_or_default(),
            platform,
            annotations: annotations.unwrap_or_default(),
        })
    }
}

impl Platform {
    /// Whatever else an author wrote there is nobody's business here.
    fn of(written: &serde_json::Value) -> Option<Self> {
        let text = |key: &str| Some(written.get(key)?.as_str()?.to_owned());
        Some(Self { architecture: text("architecture")?, os: text("os")? })
    }
}

/// A media type that is stored and compared, not understood: bounded, and without what a header or a column cannot hold.
pub(crate) struct MediaType(String);

impl MediaType {
    /// The type; some writers put the empty text for "none".
    pub(crate) fn if_not_empty(self) -> Option<String> {
        Some(self.0).filter(|text| !text.is_empty())
    }
}

impl<'de> Deserialize<'de> for MediaType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() > MAX_MEDIA_TYPE_BYTES || text.contains(char::is_control) {
            let excerpt = Excerpt::of(&text);
            return Err(D::Error::custom(format_args!(
                "{excerpt} is no media type: at most {MAX_MEDIA_TYPE_BYTES} bytes without control characters are allowed"
            )));
        }
        Ok(Self(text))
    }
}

/// A size in bytes: a whole number that an `int64` holds.
struct Size(u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u64(SizeVisitor)
    }
}

struct SizeVisitor;

impl de::Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a whole number of bytes from 0 to {MAX_SIZE}")
    }

    fn visit_u64<E: de::Error>(self, size: u64) -> Result<Size, E> {
        let too_large = || E::invalid_value(de::Unexpected::Unsigned(size), &self);
        (size <= MAX_SIZE).then_some(Size(size)).ok_or_else(too_large)
    }

    /// The JSON reader hands over negative numbers this way, and no others.
    fn visit_i64<E: de::Error>(self, size: i64) -> Result<Size, E> {
        Err(E::invalid_value(de::Unexpected::Signed(size), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Algorithm;

    fn read(more: &str) -> Descriptor {
        let digest = Digest::of(Algorithm::Sha256, b"{}");
        serde_json::from_str(&format!(r#"{{"mediaType":"text/x","digest":"{digest}","size":2{more}}}"#)).unwrap()
    }

    #[test]
    fn three_fields_are_enough() {
        let expected = Descriptor {
            media_type: "text/x".to_owned(),
            digest: Digest::of(Algorithm::Sha256, b"{}"),
            size: 2,
            artifact_type: None,
            urls: Vec::new(),
            platform: None,
            annotations: BTreeMap::new(),
        };
        assert_eq!(read(""), expected);
        assert_eq!(read(r#","artifactType":"","urls":[],"annotations":{}"#), expected);
        assert_eq!(read(r#","artifactType":null,"urls":null,"annotations":null"#), expected);
        for platform in [r#"{"os":"linux"}"#, "\"moon\"", "null", "[{}]", r#"{"os":7,"architecture":"arm"}"#] {
            assert_eq!(read(&format!(r#","data":"e30=","platform":{platform}"#)), expected, "{platform}");
        }
    }

    #[test]
    fn the_others_are_kept() {
        let descriptor = read(r#","artifactType":"text/y","urls":["https://a/","https://b/"],"annotations":{"a":"b"}"#);
        assert_eq!(descriptor.artifact_type.as_deref(), Some("text/y"));
        assert_eq!(descriptor.urls, ["https://a/", "https://b/"]);
        assert_eq!(descriptor.annotations["a"], "b");
        let platform = read(r#","platform":{"architecture":"arm64","os":"linux","variant":"v8"}"#).platform.unwrap();
        assert_eq!((platform.architecture.as_str(), platform.os.as_str()), ("arm64", "linux"));
    }
}
