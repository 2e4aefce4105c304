//! Manifests, by tag and by digest.

use super::{Model, References, Repository, blobs::is_named};
use crate::{
    digest::{is_digest, is_of},
    manifest::{Manifest, Role},
    promise::{Body, Detail, Expected, Promise},
};

/// Tags that one PUT may name.
const MOST_TAGS: usize = 100;

impl Model {
    pub(super) fn put_manifest(
        &mut self,
        repository: &str,
        reference: &str,
        tags: &[String],
        kind: Option<&str>,
        manifest: &Manifest,
    ) -> Expected {
        let refusals = self.manifest_refusals(repository, reference, tags, kind, manifest);
        if !refusals.is_empty() {
            return Expected(refusals);
        }
        let by_digest = reference.contains(':');
        let digest = if by_digest { reference.to_owned() } else { manifest.sha256() };
        let here = self.repository_mut(repository);
        here.published = true;
        here.manifests.insert(digest.clone(), manifest.clone());
        let tags = if by_digest { tags } else { &[reference.to_owned()] };
        here.tags.extend(tags.iter().map(|tag| (tag.clone(), digest.clone())));
        let promise = Promise::empty(201).is("Location", format!("/v2/{repository}/manifests/{digest}"));
        let promise = promise.is("Docker-Content-Digest", &digest).is("Content-Length", "0");
        let promise = promise.lists("OCI-Subject", manifest.subject.clone());
        Expected::one(promise.lists("OCI-Tag", tags.iter().filter(|_| by_digest)))
    }

    pub(super) fn manifest(&self, repository: &str, reference: &str, unless: Option<&str>) -> Expected {
        if let Some(refusal) = reference_refusal(reference) {
            return Expected::one(refusal);
        }
        let here = self.repository(repository);
        let digest =
            if reference.contains(':') { Some(reference) } else { here.tags.get(reference).map(String::as_str) };
        let Some((digest, manifest)) = digest.and_then(|digest| here.manifests.get_key_value(digest)) else {
            return Expected::one(Promise::refusal(404, "MANIFEST_UNKNOWN"));
        };
        let promise = if unless.is_some_and(|tags| is_named(tags, digest)) {
            Promise::empty(304)
        } else {
            let length = manifest.bytes.len().to_string();
            let whole = Promise::new(200, Body::Bytes(manifest.bytes.clone())).is("Content-Length", length);
            whole.is("Content-Type", manifest.media_type)
        };
        Expected::one(promise.is("Docker-Content-Digest", digest).is("ETag", format!("\"{digest}\"")))
    }

    /// All that is wrong with a manifest that is put.
    fn manifest_refusals(
        &self,
        repository: &str,
        reference: &str,
        tags: &[String],
        kind: Option<&str>,
        manifest: &Manifest,
    ) -> Vec<Promise> {
        let mut refusals = Vec::from_iter(reference_refusal(reference));
        if tags.iter().any(|tag| !is_tag(tag)) {
            refusals.push(Promise::refusal(400, "TAG_INVALID"));
        }
        if tags.len() > MOST_TAGS {
            refusals.push(Promise::refusal(414, "TAG_INVALID"));
        }
        if manifest.broken || !names_type(kind, manifest) {
            refusals.push(Promise::refusal(400, "MANIFEST_INVALID"));
        }
        if is_digest(reference) && !is_of(reference, &manifest.bytes) {
            refusals.push(Promise::refusal(400, "DIGEST_INVALID"));
        }
        let missing = self.repository(repository).missing(manifest);
        if self.references == References::All && !missing.is_empty() {
            refusals.push(Promise::refusal_with(400, "MANIFEST_BLOB_UNKNOWN", Detail::Missing(missing)));
        }
        refusals
    }
}

impl Repository {
    /// What a manifest refers to in vain, each once, in its order.
    pub(crate) fn missing(&self, manifest: &Manifest) -> Vec<String> {
        let mut missing = Vec::new();
        for reference in &manifest.references {
            let blob = self.blobs.contains(&reference.digest);
            let there = match reference.role {
                Role::Foreign => true,
                Role::Blob => blob,
                Role::Child => blob || self.manifests.contains_key(&reference.digest),
            };
            if !there && !missing.contains(&reference.digest) {
                missing.push(reference.digest.clone());
            }
        }
        missing
    }
}

/// Whether that content type may name this manifest's: the same, or none in particular. Parameters say nothing.
fn names_type(kind: Option<&str>, manifest: &Manifest) -> bool {
    let kind = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim());
    kind.is_none_or(|kind| {
        ["application/json", "application/octet-stream"].contains(&kind)
            || kind.eq_ignore_ascii_case(manifest.media_type)
    })
}

/// What is wrong with a reference as such.
pub(super) fn reference_refusal(reference: &str) -> Option<Promise> {
    if reference.contains(':') {
        (!is_digest(reference)).then(|| Promise::refusal(400, "DIGEST_INVALID"))
    } else {
        (!is_tag(reference)).then(|| Promise::refusal(400, "TAG_INVALID"))
    }
}

fn is_tag(text: &str) -> bool {
    let begins = text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric() || first == b'_');
    begins && text.len() <= 128 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}
