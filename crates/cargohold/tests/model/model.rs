//! The registry as the specification tells of it: plain maps, and an answer for every step.
//!
//! Written from the OCI distribution specification and from what this project documents as its choices, without a look at how
//! the server does it. Everything goes by digest: what a manifest names is there if something of that digest is.

mod blobs;
mod deletions;
mod lists;
mod manifests;
mod uploads;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    manifest::Manifest,
    pool::Pool,
    promise::{Expected, Promise},
    step::{Session, Step},
};

#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// Whether what a manifest refers to has to be there.
    references: References,
    repositories: BTreeMap<&'static str, Repository>,
    sessions: BTreeMap<Session, Upload>,
}

/// `validation.manifests.references`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum References {
    All,
    None,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Repository {
    /// It has had a manifest: readers see it from then on.
    published: bool,
    pub(crate) blobs: BTreeSet<String>,
    pub(crate) manifests: BTreeMap<String, Manifest>,
    pub(crate) tags: BTreeMap<String, String>,
}

/// A session that is open.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pub(crate) repository: &'static str,
    pub(crate) received: Vec<u8>,
}

impl Model {
    pub(crate) fn new(references: References, pool: &Pool) -> Self {
        let repositories = pool.repositories.iter().map(|name| (*name, Repository::default())).collect();
        Self { references, repositories, sessions: BTreeMap::new() }
    }

    pub(crate) fn repository(&self, name: &str) -> &Repository {
        &self.repositories[name]
    }

    pub(crate) fn sessions(&self) -> &BTreeMap<Session, Upload> {
        &self.sessions
    }

    /// What must be answered to a step, which has happened then. Nothing is answered to a restart, and nothing changes by it.
    pub(crate) fn answer(&mut self, step: &Step, pool: &Pool) -> Expected {
        match step {
            Step::Restart(_) => Expected(Vec::new()),
            Step::Post { repository, session, query, body } => self.post(repository, *session, query, body.bytes(pool)),
            Step::Patch { repository, session, range, body } => {
                self.patch(repository, *session, range.as_deref(), body.bytes(pool))
            }
            Step::Put { repository, session, digest, range, body } => {
                self.put(repository, *session, digest.as_deref(), range.as_deref(), body.bytes(pool))
            }
            Step::Status { repository, session, head } => maybe_head(self.status(repository, *session), *head),
            Step::Cancel { repository, session } => self.cancel(repository, *session),
            Step::Blob { repository, digest, head, unless, range } => {
                let range = if *head { None } else { range.as_ref() };
                maybe_head(self.blob(repository, digest, unless.as_deref(), range, pool), *head)
            }
            Step::DeleteBlob { repository, digest } => self.delete_blob(repository, digest),
            Step::PutManifest { repository, reference, tags, kind, manifest, .. } => {
                self.put_manifest(repository, reference, tags, kind.as_deref(), &pool.manifests[*manifest])
            }
            Step::Manifest { repository, reference, head, unless } => {
                maybe_head(self.manifest(repository, reference, unless.as_deref()), *head)
            }
            Step::DeleteManifest { repository, reference } => self.delete_manifest(repository, reference),
            Step::Tags { repository, page, head } => maybe_head(self.tags(repository, page), *head),
            Step::Catalog { page } => self.catalog(page),
            Step::Referrers { repository, digest, kind } => self.referrers(repository, digest, kind.as_deref()),
            Step::Discover { repository } => self.discover(*repository),
            Step::Amiss(amiss) => {
                let promise = Promise::refusal(amiss.status, amiss.code);
                let promise = match amiss.allow {
                    Some(methods) => promise.lists("Allow", methods.split(", ")),
                    None => promise,
                };
                maybe_head(Expected::one(promise), amiss.method == "HEAD")
            }
        }
    }

    fn repository_mut(&mut self, name: &str) -> &mut Repository {
        self.repositories.get_mut(name).expect("the pool's repositories are all there")
    }
}

fn maybe_head(expected: Expected, head: bool) -> Expected {
    if head { Expected(expected.0.into_iter().map(Promise::without_body).collect()) } else { expected }
}
