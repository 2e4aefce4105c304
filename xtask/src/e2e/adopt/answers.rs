//! What a registry has, as a list of what to ask it for, and what it answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Result, bail, ensure};
use serde_json::Value;
use ureq::http::Method;

use crate::e2e::digest;
use crate::e2e::images::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};
use crate::e2e::registry::Registry;

/// Requests that are under way at a time.
const CLIENTS: usize = 4;
/// Differences that one failure tells.
const MOST_TOLD: usize = 10;

/// What was put into a registry.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    repositories: BTreeMap<String, Repository>,
}

#[derive(Clone, Debug, Default)]
struct Repository {
    manifests: BTreeSet<String>,
    tags: BTreeSet<String>,
    blobs: BTreeSet<String>,
}

/// An answer, without what may differ between two registries that have the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    status: u16,
    /// Of a manifest.
    media_type: Option<String>,
    /// Of the body, if it is content; of a list, the names in it.
    body: String,
}

pub(super) type Answers = BTreeMap<String, Answer>;

impl Content {
    pub(super) fn manifest(&mut self, repository: &str, digest: &str, tag: Option<&str>) {
        let repository = self.repositories.entry(repository.to_owned()).or_default();
        repository.manifests.insert(digest.to_owned());
        repository.tags.extend(tag.map(str::to_owned));
    }

    pub(super) fn blob(&mut self, repository: &str, digest: &str) {
        self.repositories.entry(repository.to_owned()).or_default().blobs.insert(digest.to_owned());
    }

    pub(super) fn manifests(&self) -> usize {
        self.repositories.values().map(|repository| repository.manifests.len()).sum()
    }

    pub(super) fn tags(&self) -> usize {
        self.repositories.values().map(|repository| repository.tags.len()).sum()
    }

    pub(super) fn repositories(&self) -> usize {
        self.repositories.len()
    }

    /// Asks for all of it: the catalog, and of each repository the tags, the manifests by tag and by digest, and the blobs.
    pub(super) fn ask(&self, registry: &Registry) -> Result<Answers> {
        let mut paths = vec!["/v2/_catalog?n=1000".to_owned()];
        for (name, Repository { manifests, tags, blobs }) in &self.repositories {
            paths.push(format!("/v2/{name}/tags/list"));
            paths.extend(manifests.iter().chain(tags).map(|reference| format!("/v2/{name}/manifests/{reference}")));
            paths.extend(blobs.iter().map(|blob| format!("/v2/{name}/blobs/{blob}")));
        }
        let (next, answers) = (AtomicUsize::new(0), Mutex::new(Answers::new()));
        let work = || -> Result<()> {
            while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                let answer = ask(registry, path)?;
                answers.lock().expect("no client panics").insert(path.clone(), answer);
            }
            Ok(())
        };
        thread::scope(|threads| {
            let clients: Vec<_> = (0..CLIENTS).map(|_| threads.spawn(work)).collect();
            clients.into_iter().try_for_each(|client| client.join().expect("no client panics"))
        })?;
        Ok(answers.into_inner().expect("no client panics"))
    }
}

fn ask(registry: &Registry, path: &str) -> Result<Answer> {
    let known = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST].join(", ");
    let answer = registry.send(&Method::GET, path, &[("Accept", &known)], None)?;
    let (status, is_manifest) = (answer.status(), path.contains("/manifests/"));
    ensure!(status == 200 || status == 404, "{path}: {status}: {}", String::from_utf8_lossy(&answer.body));
    let media_type = answer.header("content-type").filter(|_| is_manifest && status == 200).map(str::to_owned);
    let body = match status {
        // What is wrong is said in words of one's own.
        404 => String::new(),
        _ if path.ends_with("/tags/list") || path.contains("/_catalog") => names(&answer.body)?,
        _ => digest::sha256(&answer.body),
    };
    Ok(Answer { status, media_type, body })
}

/// A list as it was sent, but for the order and for white space: the CNCF registry orders repositories by the parts of their names.
fn names(list: &[u8]) -> Result<String> {
    let mut list: Value = serde_json::from_slice(list)?;
    for names in ["repositories", "tags"] {
        if let Some(names) = list[names].as_array_mut() {
            names.sort_by_key(ToString::to_string);
        }
    }
    Ok(list.to_string())
}

/// Fails with the first of what two registries answer differently.
pub(super) fn compare(expected: &Answers, received: &Answers) -> Result<()> {
    let other = |(path, answer): &(&String, &Answer)| received.get(*path) != Some(*answer);
    let differences: Vec<String> = expected
        .iter()
        .filter(other)
        .map(|(path, answer)| format!("{path}\n    expected {answer:?}\n    received {:?}", received.get(path)))
        .collect();
    if differences.is_empty() && expected.len() == received.len() {
        return Ok(());
    }
    let told = differences[..differences.len().min(MOST_TOLD)].join("\n  ");
    bail!("{} of {} answers differ:\n  {told}", differences.len(), expected.len())
}
