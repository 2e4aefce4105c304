//! The media types that a registry has to tell apart; every other one passes through it unread.
//!
//! Media types are compared without regard to case and to parameters (RFC 6838 section 4.2, RFC 9110 section 8.3.1). What
//! was pushed is kept and served as it was written.

use std::fmt;

/// OCI image manifest.
pub const OCI_IMAGE_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index.
pub const OCI_IMAGE_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI image configuration.
pub const OCI_IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The two bytes `{}`, which stand for "no content".
pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// Docker image manifest, version 2, schema 2.
pub const DOCKER_IMAGE_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker manifest list.
pub const DOCKER_MANIFEST_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker image configuration.
pub const DOCKER_IMAGE_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// Docker image manifest, version 2, schema 1, unsigned: refused.
pub const DOCKER_SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+json";
/// Docker image manifest, version 2, schema 1, signed: refused.
pub const DOCKER_SCHEMA_1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
/// Bytes of any kind.
pub const OCTET_STREAM: &str = "application/octet-stream";
/// JSON of any kind.
pub const JSON: &str = "application/json";

/// How the types of layers begin that may not be redistributed: they need not be in the registry.
const FOREIGN_LAYER_PREFIXES: [&str; 2] =
    ["application/vnd.oci.image.layer.nondistributable.", "application/vnd.docker.image.rootfs.foreign."];

/// The four kinds of manifest that a registry stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ManifestType {
    /// [`OCI_IMAGE_MANIFEST`]
    OciImage,
    /// [`OCI_IMAGE_INDEX`]
    OciIndex,
    /// [`DOCKER_IMAGE_MANIFEST`]
    DockerImage,
    /// [`DOCKER_MANIFEST_LIST`]
    DockerList,
}

impl ManifestType {
    /// All of them, the OCI types first.
    pub const ALL: [Self; 4] = [Self::OciImage, Self::OciIndex, Self::DockerImage, Self::DockerList];

    /// The media type, as its specification spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OciImage => OCI_IMAGE_MANIFEST,
            Self::OciIndex => OCI_IMAGE_INDEX,
            Self::DockerImage => DOCKER_IMAGE_MANIFEST,
            Self::DockerList => DOCKER_MANIFEST_LIST,
        }
    }

    /// The kind that a media type names; `None` for every other type, those of schema 1 included.
    pub fn from_media_type(media_type: &str) -> Option<Self> {
        let media_type = without_parameters(media_type);
        Self::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(media_type))
    }

    /// Whether it lists other manifests, rather than a configuration and layers.
    pub const fn is_index(self) -> bool {
        matches!(self, Self::OciIndex | Self::DockerList)
    }

    /// Whether it is one of Docker's types, whose body must name its own media type.
    pub const fn is_docker(self) -> bool {
        matches!(self, Self::DockerImage | Self::DockerList)
    }
}

impl fmt::Display for ManifestType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// Whether content of this type may be missing from the registry because its licence forbids to redistribute it (Windows
/// base layers, and OCI's "non-distributable" ones).
pub fn is_foreign_layer(media_type: &str) -> bool {
    let starts_with = |prefix: &str| {
        media_type.as_bytes().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
    };
    FOREIGN_LAYER_PREFIXES.into_iter().any(starts_with)
}

/// The media type itself: what stands before the first `;`.
pub fn without_parameters(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

/// Whether this is one of the two types of schema 1.
pub(crate) fn is_schema_1(media_type: &str) -> bool {
    is_one_of(media_type, &[DOCKER_SCHEMA_1, DOCKER_SCHEMA_1_SIGNED])
}

/// Whether this type says nothing about what the bytes are; clients that do not know better send it.
pub(crate) fn is_generic(media_type: &str) -> bool {
    is_one_of(media_type, &["", OCTET_STREAM, JSON])
}

fn is_one_of(media_type: &str, known: &[&str]) -> bool {
    let media_type = without_parameters(media_type);
    known.iter().any(|known| known.eq_ignore_ascii_case(media_type))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_and_parameters_do_not_matter() {
        for kind in ManifestType::ALL {
            assert_eq!(ManifestType::from_media_type(kind.as_str()), Some(kind));
            assert_eq!(ManifestType::from_media_type(&kind.as_str().to_uppercase()), Some(kind));
            assert_eq!(ManifestType::from_media_type(&format!(" {kind} ; charset=utf-8")), Some(kind));
        }
    }

    #[test]
    fn other_types_are_no_manifests() {
        for other in ["", ";", OCTET_STREAM, JSON, OCI_IMAGE_CONFIG, DOCKER_SCHEMA_1, DOCKER_SCHEMA_1_SIGNED] {
            assert_eq!(ManifestType::from_media_type(other), None, "{other}");
        }
    }

    #[test]
    fn foreign_layers() {
        for foreign in [
            "application/vnd.oci.image.layer.nondistributable.v1.tar",
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            "application/vnd.docker.image.rootfs.foreign.diff.tar",
            "Application/Vnd.Docker.Image.Rootfs.Foreign.Diff.Tar.Gzip",
        ] {
            assert!(is_foreign_layer(foreign), "{foreign}");
        }
        for own in [
            "",
            "é",
            "application/vnd.oci.image.layer.v1.tar+gzip",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
        ] {
            assert!(!is_foreign_layer(own), "{own}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged(text: String) {
            let _ = ManifestType::from_media_type(&text);
            let _ = is_foreign_layer(&text);
        }
    }
}
