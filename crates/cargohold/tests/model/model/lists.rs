//! Lists of tags, repositories, referrers and extensions.

use serde_json::{Map, Value, json};

use super::Model;
use crate::{
    digest::is_digest,
    manifest::{INDEX, Manifest},
    promise::{Body, Expected, Promise},
    step::Page,
};

impl Model {
    pub(super) fn tags(&self, repository: &str, page: &Page) -> Expected {
        let here = self.repository(repository);
        let names = here.tags.keys().map(String::as_str).collect();
        let path = format!("/v2/{repository}/tags/list");
        let list = paged(names, page, path, |tags| json!({ "name": repository, "tags": tags }));
        if here.published {
            return Expected::one(list);
        }
        let unknown = Promise::refusal(404, "NAME_UNKNOWN");
        Expected(if list.status == 200 { vec![unknown] } else { vec![unknown, list] })
    }

    pub(super) fn catalog(&self, page: &Page) -> Expected {
        let published = self.repositories.iter().filter(|(_, repository)| repository.published);
        let names = published.map(|(name, _)| *name).collect();
        Expected::one(paged(names, page, "/v2/_catalog".to_owned(), |names| json!({ "repositories": names })))
    }

    /// Never unknown: nothing refers to what is not there, and that is a list too.
    pub(super) fn referrers(&self, repository: &str, digest: &str, kind: Option<&str>) -> Expected {
        if !is_digest(digest) {
            return Expected::one(Promise::refusal(400, "DIGEST_INVALID"));
        }
        let here = self.repository(repository).manifests.iter();
        let about = here.filter(|(_, manifest)| manifest.subject.as_deref() == Some(digest));
        let listed = about.filter(|(_, manifest)| kind.is_none() || manifest.artifact_type.as_deref() == kind);
        // By digest, as the map is.
        let listed = listed.map(|(digest, manifest)| referrer(digest, manifest)).collect();
        let promise = Promise::new(200, Body::Referrers(listed)).is("Content-Type", INDEX).absent("Link");
        Expected::one(promise.lists("OCI-Filters-Applied", kind.map(|_| "artifactType")))
    }

    pub(super) fn discover(&self, repository: Option<&str>) -> Expected {
        let extensions = |names| Promise::new(200, Body::Extensions(names)).is("Content-Type", "application/json");
        Expected::one(match repository {
            None => extensions(vec!["_oci", "_catalog"]),
            Some(name) if self.repository(name).published => extensions(vec!["_oci"]),
            Some(_) => Promise::refusal(404, "NAME_UNKNOWN"),
        })
    }
}

/// A page of names that are in byte order.
fn paged(names: Vec<&str>, page: &Page, path: String, body: impl Fn(&[&str]) -> Value) -> Promise {
    let n = page.n.filter(|n| !n.is_empty());
    if n.is_some_and(|n| !n.bytes().all(|digit| digit.is_ascii_digit())) {
        return Promise::refusal(400, "PAGINATION_NUMBER_INVALID");
    }
    let last = page.last.as_deref().unwrap_or_default();
    let rest: Vec<_> = names.into_iter().filter(|name| *name > last).collect();
    let most = n.map_or(usize::MAX, |n| n.parse().unwrap_or(usize::MAX));
    let listed = &rest[..rest.len().min(most)];
    let promise = Promise::json(body(listed));
    match (listed.last(), n) {
        (Some(last), Some(n)) if listed.len() < rest.len() => promise.next(path, n, last),
        _ => promise.absent("Link"),
    }
}

fn referrer(digest: &str, manifest: &Manifest) -> Value {
    let mut descriptor = Map::new();
    descriptor.insert("mediaType".to_owned(), json!(manifest.media_type));
    descriptor.insert("digest".to_owned(), json!(digest));
    descriptor.insert("size".to_owned(), json!(manifest.bytes.len()));
    descriptor.extend(manifest.artifact_type.iter().map(|kind| ("artifactType".to_owned(), json!(kind))));
    if !manifest.annotations.is_empty() {
        descriptor.insert("annotations".to_owned(), Value::Object(manifest.annotations.clone()));
    }
    Value::Object(descriptor)
}
