//! What is read and what is deleted.

use std::collections::BTreeSet;

use super::Generator;
use crate::{
    model::Model,
    pool::ARTIFACT_TYPES,
    ranges::{Asked, Range},
    step::{Page, Step},
};

const NONSENSE: [&str; 5] = ["items=0-5", "bytes=", "bytes=a-b", "bytes 0-5", "0-5"];

impl Generator<'_> {
    pub(super) fn read_blob(&mut self, model: &Model, repository: &'static str) -> Step {
        let digest = self.any_blob(model, repository);
        let unless = self.random.chance(15).then(|| self.tag_of_entity(&digest));
        let size = self.pool.content_of(&digest).map_or(10, |content| self.pool.contents[content].len());
        let range = self.random.chance(50).then(|| self.range(size));
        Step::Blob { repository, digest, head: self.random.chance(25), unless, range }
    }

    fn range(&mut self, size: usize) -> Asked {
        let one = |random: &mut crate::random::Random| {
            let (first, length) = (random.below(size + 2), random.below(size + 2));
            match random.below(3) {
                0 => Range::Between(first, first + length),
                1 => Range::From(first),
                _ => Range::Last(length),
            }
        };
        match self.random.below(10) {
            0 => Asked::Nonsense(self.random.pick(&NONSENSE)),
            1 => Asked::Of(vec![Range::Between(size + 1, size)]),
            2..5 => Asked::Of((0..2 + self.random.below(3)).map(|_| one(&mut self.random)).collect()),
            _ => Asked::Of(vec![one(&mut self.random)]),
        }
    }

    pub(super) fn read_manifest(&mut self, model: &Model, repository: &'static str) -> Step {
        let reference = self.any_reference(model, repository);
        let here = model.repository(repository);
        let named = here.tags.get(&reference).unwrap_or(&reference).clone();
        let unless = self.random.chance(20).then(|| self.tag_of_entity(&named));
        Step::Manifest { repository, reference, head: self.random.chance(40), unless }
    }

    pub(super) fn list(&mut self, model: &Model, repository: &'static str) -> Step {
        match self.random.below(10) {
            0..4 => {
                let last = self.random.pick(&self.pool.tags);
                Step::Tags { repository, page: self.page(last), head: self.random.chance(10) }
            }
            4..6 => {
                let last = self.random.pick(&self.pool.repositories).to_owned();
                Step::Catalog { page: self.page(last) }
            }
            6 => Step::Discover { repository: self.random.chance(60).then_some(repository) },
            _ => {
                let subjects = model.repository(repository).manifests.values();
                let mut subjects: Vec<_> = subjects.filter_map(|manifest| manifest.subject.clone()).collect();
                subjects.extend([self.pool.nowhere.clone(), "sha256:bad".to_owned()]);
                let kind = self.random.chance(40).then(|| self.random.pick(&ARTIFACT_TYPES).to_owned());
                Step::Referrers { repository, digest: self.random.pick(&subjects), kind }
            }
        }
    }

    fn page(&mut self, last: String) -> Page {
        let n = self.random.pick(&["0", "1", "1", "2", "3", "100", "-1", "abc", ""]);
        let last = if self.random.chance(5) { "m%/\0".to_owned() } else { last };
        Page { n: self.random.chance(60).then_some(n), last: self.random.chance(50).then_some(last) }
    }

    /// A manifest or a tag goes, and what is left is looked at.
    pub(super) fn plan_deletion(&mut self, model: &Model, repository: &'static str) -> Option<Step> {
        let here = model.repository(repository);
        let is_subject = |digest: &String| here.manifests.values().any(|other| other.subject.as_ref() == Some(digest));
        // Those that others may go with.
        let rich =
            here.manifests.iter().filter(|(digest, manifest)| !manifest.references.is_empty() || is_subject(digest));
        let there: Vec<_> = match self.random.below(10) {
            0..2 => here.tags.keys().collect(),
            2..4 => here.manifests.keys().collect(),
            _ => rich.map(|(digest, _)| digest).collect(),
        };
        let reference = match there.as_slice() {
            there if !there.is_empty() && self.random.chance(95) => self.random.pick(there).clone(),
            _ => self.any_reference(model, repository),
        };
        self.planned.push_back(Step::DeleteManifest { repository, reference });
        if self.random.chance(70) {
            self.plan_look(model, repository);
        }
        None
    }

    pub(super) fn delete_blob(&mut self, model: &Model, repository: &'static str) -> Step {
        let here = model.repository(repository);
        let free: Vec<_> = here.blobs.iter().filter(|blob| here.needing(blob).is_empty()).collect();
        let digest = if !free.is_empty() && self.random.chance(40) {
            self.random.pick(&free).clone()
        } else {
            self.any_blob(model, repository)
        };
        Step::DeleteBlob { repository, digest }
    }

    /// Looks at all that may be in a repository.
    pub(super) fn plan_look(&mut self, model: &Model, repository: &'static str) -> Option<Step> {
        let head = |reference: String| Step::Manifest { repository, reference, head: true, unless: None };
        if self.random.chance(60) {
            self.planned.push_back(Step::Tags { repository, page: Page::default(), head: false });
        }
        let here = model.repository(repository);
        self.planned.extend(here.manifests.keys().filter(|_| self.random.chance(80)).cloned().map(head));
        let any = self.pool.manifests.iter().map(|manifest| head(manifest.sha256()));
        self.planned.extend(any.filter(|_| self.random.chance(10)));
        self.planned.extend(here.tags.keys().filter(|_| self.random.chance(30)).cloned().map(head));
        for digest in here.blobs.iter().filter(|_| self.random.chance(20)).cloned() {
            self.planned.push_back(Step::Blob { repository, digest, head: true, unless: None, range: None });
        }
        let subjects: BTreeSet<_> = here.manifests.values().filter_map(|manifest| manifest.subject.clone()).collect();
        for digest in subjects.into_iter().filter(|_| self.random.chance(25)) {
            self.planned.push_back(Step::Referrers { repository, digest, kind: None });
        }
        let open = model.sessions().iter().filter(|(_, upload)| upload.repository == repository);
        let open = open.filter(|_| self.random.chance(20));
        self.planned.extend(open.map(|(session, _)| Step::Status { repository, session: *session, head: false }));
        None
    }

    fn any_blob(&mut self, model: &Model, repository: &str) -> String {
        let there: Vec<_> = model.repository(repository).blobs.iter().collect();
        match self.random.below(20) {
            0 => self.random.pick(&["sha256:bad", "md5:00", "sha256:"]).to_owned(),
            1 => self.random.pick(&self.pool.manifests).sha256(),
            2..16 if !there.is_empty() => self.random.pick(&there).clone(),
            _ => self.pool.blob(&mut self.random),
        }
    }

    fn any_reference(&mut self, model: &Model, repository: &str) -> String {
        let here = model.repository(repository);
        let there: Vec<_> = here.manifests.keys().chain(here.tags.keys()).collect();
        match self.random.below(20) {
            0 => self.random.pick(&["sha256:bad", "-tag", "a+b"]).to_owned(),
            1..4 => self.random.pick(&self.pool.tags),
            4 => self.random.pick(&self.pool.manifests).sha512(),
            5..15 if !there.is_empty() => self.random.pick(&there).clone(),
            _ => self.random.pick(&self.pool.manifests).sha256(),
        }
    }

    /// What a client sends that has this, or something else, already.
    fn tag_of_entity(&mut self, digest: &str) -> String {
        match self.random.below(6) {
            0 => "\"something else\"".to_owned(),
            1 => digest.to_owned(),
            2 => format!("W/\"{digest}\""),
            3 => format!("\"x\", \"{digest}\""),
            _ => format!("\"{digest}\""),
        }
    }
}
