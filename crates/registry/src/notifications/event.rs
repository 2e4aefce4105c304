//! An event as receivers read it: the CNCF registry's form, version 2.

use std::sync::Arc;

use cargohold_metadata::{Change, Timestamp};
use cargohold_oci::{Digest, Path, Reference, RepositoryName, Tag};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::Origin;

/// The type that blobs have there.
pub(super) const BLOB: &str = "application/octet-stream";

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// A blob or a manifest was pushed.
    Push,
    /// A blob or a manifest was read.
    Pull,
    /// A blob came from another repository.
    Mount,
    /// A blob, a manifest, a tag or a repository was deleted.
    Delete,
}

impl Action {
    /// The action of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Push, Self::Pull, Self::Mount, Self::Delete].into_iter().find(|action| action.name() == name)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Pull => "pull",
            Self::Mount => "mount",
            Self::Delete => "delete",
        }
    }
}

/// The process that tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The machine's name, and the port that it listens on.
    #[serde(rename = "addr")]
    pub address: String,
    /// Another one with every start.
    #[serde(rename = "instanceID")]
    pub instance: String,
}

/// An event.
#[derive(Serialize)]
pub(super) struct Event<'e> {
    pub(super) id: &'e str,
    pub(super) timestamp: String,
    pub(super) action: Action,
    pub(super) target: Target,
    pub(super) request: &'e Origin,
    pub(super) actor: Actor<'e>,
    pub(super) source: &'e Source,
}

#[derive(Serialize)]
pub(super) struct Actor<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'e str>,
}

/// What it happened to.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Target {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) media_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    /// The same, for older receivers.
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<u64>,
    repository: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_repository: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shared")]
    references: Option<Arc<Value>>,
}

/// As what is shared is itself.
#[expect(clippy::ref_option, reason = "serde calls it so")]
fn shared<S: Serializer>(value: &Option<Arc<Value>>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_deref().serialize(serializer)
}

impl<'e> Actor<'e> {
    pub(super) fn of(origin: &'e Origin) -> Self {
        Self { name: origin.actor.as_deref() }
    }
}

impl Target {
    /// Content that is there.
    pub(super) fn content(site: &str, path: &Path, digest: &Digest, media_type: String, size: u64) -> Self {
        Self {
            media_type: Some(media_type),
            digest: Some(digest.to_string()),
            size: Some(size),
            length: Some(size),
            repository: path.name().map(ToString::to_string).unwrap_or_default(),
            url: Some(format!("{site}{path}")),
            ..Self::default()
        }
    }

    pub(super) fn blob(site: &str, repository: &RepositoryName, digest: Digest, size: u64) -> Self {
        let path = Path::Blob { name: repository.clone(), digest };
        Self::content(site, &path, &digest, BLOB.to_owned(), size)
    }

    pub(super) fn manifest(
        site: &str,
        repository: &RepositoryName,
        digest: Digest,
        media_type: String,
        size: u64,
        tag: Option<&Tag>,
        references: Option<Arc<Value>>,
    ) -> Self {
        let path = Path::Manifest { name: repository.clone(), reference: Reference::Digest(digest) };
        let tag = tag.map(ToString::to_string);
        Self { tag, references, ..Self::content(site, &path, &digest, media_type, size) }
    }
}

/// What a change is told as.
pub(super) fn of_change(
    change: Change,
    site: &str,
    repository: &RepositoryName,
    references: Option<Arc<Value>>,
) -> (Action, Target) {
    let gone = || Target { repository: repository.to_string(), ..Target::default() };
    match change {
        Change::BlobPushed { digest, size } => (Action::Push, Target::blob(site, repository, digest, size)),
        Change::BlobMounted { digest, size, source } => {
            let from_repository = Some(source.to_string());
            (Action::Mount, Target { from_repository, ..Target::blob(site, repository, digest, size) })
        }
        Change::ManifestPushed { digest, size, media_type, tag } => {
            let target = Target::manifest(site, repository, digest, media_type, size, tag.as_ref(), references);
            (Action::Push, target)
        }
        Change::TagDeleted(tag) => (Action::Delete, Target { tag: Some(tag.to_string()), ..gone() }),
        Change::ManifestDeleted(digest) | Change::BlobDeleted(digest) => {
            (Action::Delete, Target { digest: Some(digest.to_string()), ..gone() })
        }
        Change::RepositoryDeleted => (Action::Delete, gone()),
    }
}

/// What a manifest refers to, as it says it: descriptors, those that say what it is configured by first.
pub(super) fn references(manifest: &[u8]) -> Option<Arc<Value>> {
    let manifest: Value = serde_json::from_slice(manifest).ok()?;
    let listed = |key: &str| manifest[key].as_array().cloned().unwrap_or_default();
    let mut references: Vec<Value> =
        manifest["config"].is_object().then(|| manifest["config"].clone()).into_iter().collect();
    references.extend(listed("layers"));
    references.extend(listed("manifests"));
    (!references.is_empty()).then(|| Arc::new(Value::Array(references)))
}

/// A time as RFC 3339 has it, in UTC.
pub(super) fn time(time: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(time.micros()).unwrap_or(jiff::Timestamp::MAX).to_string()
}

/// The envelope of one event, which is how the CNCF registry sends them.
pub(super) fn envelope(event: &str) -> String {
    format!(r#"{{"events":[{event}]}}"#)
}
