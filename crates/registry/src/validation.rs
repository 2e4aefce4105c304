//! What a push may bring: the bounds and the strictness that operators choose.

use std::{fmt, str::FromStr};

use cargohold_oci::{Manifest, ManifestReference, RepositoryName, Role};
use regex::Regex;

use crate::Error;

/// What is asked of what is pushed. Content that is stored already is served whatever this says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validation {
    /// Whether what a manifest refers to must be there.
    pub references: References,
    /// Which children of an index must be there, where references must be.
    pub platforms: Platforms,
    /// The platforms of [`Platforms::List`].
    pub platform_list: Vec<Platform>,
    /// Which addresses layers may name in `urls`.
    pub urls: Urls,
    /// The largest manifest, in bytes.
    pub manifest_bytes: usize,
    /// The most that one manifest refers to: its configuration and layers, or its children.
    pub manifest_references: usize,
    /// The longest `artifactType` of a manifest, or media type of a configuration that stands for it, in bytes.
    pub artifact_type_bytes: usize,
    /// The longest name of a repository, in bytes.
    pub name_bytes: usize,
}

/// Whether what a manifest refers to must be in the repository before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum References {
    /// All of it, but for layers that say where else they are.
    All,
    /// Nothing: an image may come without its layers, an index without some of its children (sparse content).
    None,
}

/// Which children of an index must be in the repository before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platforms {
    /// All.
    All,
    /// Those for the platforms that are listed.
    List,
    /// None.
    None,
}

/// What an image runs on, as an index names it (OCI image specification, "image index", `platform`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Platform {
    /// Such as `amd64`.
    pub architecture: String,
    /// Such as `linux`.
    pub os: String,
}

/// Which addresses layers may name in `urls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Urls {
    /// Every one.
    Any,
    /// Those of http and https, without a fragment, that something allows and nothing denies. If nothing is said of either, none.
    Matching {
        /// One of them has to match, if there is any.
        allow: Vec<UrlPattern>,
        /// None of them may.
        deny: Vec<UrlPattern>,
    },
}

/// A regular expression for addresses, in the syntax of RE2.
#[derive(Clone, Debug)]
pub struct UrlPattern(Regex);

impl PartialEq for UrlPattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for UrlPattern {}

impl FromStr for UrlPattern {
    type Err = regex::Error;

    fn from_str(text: &str) -> Result<Self, regex::Error> {
        Regex::new(text).map(Self)
    }
}

impl fmt::Display for UrlPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl Urls {
    /// Whether a layer may name it.
    fn permit(&self, url: &str) -> bool {
        let Self::Matching { allow, deny } = self else { return true };
        let any = |patterns: &[UrlPattern]| patterns.iter().any(|pattern| pattern.0.is_match(url));
        let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        let of_web = matches!(scheme.as_deref(), Some("http" | "https")) && !url.contains('#');
        let allowed = if allow.is_empty() { !deny.is_empty() } else { any(allow) };
        of_web && allowed && !any(deny)
    }
}

impl Default for Validation {
    fn default() -> Self {
        Self {
            references: References::All,
            platforms: Platforms::All,
            platform_list: Vec::new(),
            urls: Urls::Any,
            // What every registry must take and most clients stop at (OCI distribution specification, "Pushing Manifests").
            manifest_bytes: 4 * 1024 * 1024,
            manifest_references: 10_000,
            // A type and a subtype have 127 characters at the most (RFC 6838 §4.2).
            artifact_type_bytes: 255,
            name_bytes: RepositoryName::MAX_BYTES,
        }
    }
}

impl Validation {
    /// Whether a repository that is pushed to may be called this.
    pub(crate) fn check_name(&self, name: &RepositoryName) -> Result<(), Error> {
        match (name.as_str().len(), self.name_bytes) {
            (bytes, most) if bytes > most => Err(Error::NameTooLong { repository: name.clone(), bytes, most }),
            _ => Ok(()),
        }
    }

    /// Whether a manifest of that size may be read at all.
    pub(crate) fn check_size(&self, bytes: usize) -> Result<(), Error> {
        match self.manifest_bytes {
            most if bytes > most => Err(Error::ManifestTooLarge { bytes, most }),
            _ => Ok(()),
        }
    }

    /// Whether a manifest keeps to the bounds.
    pub(crate) fn check_manifest(&self, manifest: &Manifest) -> Result<(), Error> {
        let references = manifest.references().count();
        if references > self.manifest_references {
            return Err(Error::TooManyReferences { references, most: self.manifest_references });
        }
        self.check_urls(manifest)?;
        match manifest.artifact_type() {
            Some(kind) if kind.len() > self.artifact_type_bytes => {
                Err(Error::ArtifactTypeTooLong { bytes: kind.len(), most: self.artifact_type_bytes })
            }
            _ => Ok(()),
        }
    }

    fn check_urls(&self, manifest: &Manifest) -> Result<(), Error> {
        let denied = |reference: ManifestReference<'_>| {
            reference.descriptor.urls.iter().find(|url| !self.urls.permit(url)).cloned()
        };
        match manifest.references().find_map(denied) {
            Some(url) => Err(Error::UrlDenied { url }),
            None => Ok(()),
        }
    }

    /// Whether what a manifest refers to may be absent.
    pub(crate) fn may_be_absent(&self, reference: &ManifestReference<'_>) -> bool {
        let child_of_no_matter = || match self.platforms {
            Platforms::All => false,
            Platforms::None => true,
            Platforms::List => !self.platform_list.iter().any(|listed| is_for(reference, listed)),
        };
        self.references == References::None
            || reference.may_be_absent()
            || (reference.role == Role::Child && child_of_no_matter())
    }
}

fn is_for(reference: &ManifestReference<'_>, listed: &Platform) -> bool {
    let platform = reference.descriptor.platform.as_ref();
    platform.is_some_and(|named| named.architecture == listed.architecture && named.os == listed.os)
}
