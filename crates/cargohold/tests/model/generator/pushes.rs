//! Blobs and manifests that are pushed, whole and in order, or anyhow.

use super::Generator;
use crate::{
    model::Model,
    step::{Body, PostQuery, Step},
};

impl Generator<'_> {
    /// A manifest, and before it all that it refers to and that is not there.
    pub(super) fn plan_image(&mut self, model: &Model, repository: &'static str) -> Option<Step> {
        let manifest = self.random.below(self.pool.manifests.len());
        let mut digests = Vec::new();
        self.plan_parts(model, repository, manifest, &mut digests);
        let step = self.put(repository, manifest);
        self.planned.push_back(step);
        if self.random.chance(15) {
            self.plan_look(model, repository);
        }
        None
    }

    fn plan_parts(&mut self, model: &Model, repository: &'static str, manifest: usize, planned: &mut Vec<String>) {
        for digest in model.repository(repository).missing(&self.pool.manifests[manifest]) {
            if planned.contains(&digest) {
                continue;
            }
            planned.push(digest.clone());
            if let Some(content) = self.pool.content_of(&digest) {
                self.plan_push(repository, content, &digest);
            } else if let Some(child) = self.pool.manifest_of(&digest) {
                self.plan_parts(model, repository, child, planned);
                // Children are not tagged by those who push them.
                self.planned.push_back(self.by_digest(repository, child, digest));
            }
        }
    }

    pub(super) fn plan_blob(&mut self, repository: &'static str) -> Option<Step> {
        let digest = self.pool.blob(&mut self.random);
        let content = self.pool.content_of(&digest).expect("the digest of one of the contents");
        self.plan_push(repository, content, &digest);
        None
    }

    /// A blob, in one of the ways that clients have.
    fn plan_push(&mut self, repository: &'static str, content: usize, digest: &str) {
        let (length, chunked) = (self.pool.contents[content].len(), self.random.chance(30));
        let part = |first, end| Body { content, first, end, chunked };
        let session = self.new_session();
        let post = |query, body| Step::Post { repository, session, query, body };
        let patch = |range, body| Step::Patch { repository, session, range, body };
        let put = |range, body| Step::Put { repository, session, digest: Some(digest.to_owned()), range, body };
        let cut = self.random.below(length + 1);
        let range = |first: usize, end: usize| (end > first).then(|| format!("{first}-{}", end - 1));
        let algorithm = self.random.pick(&[None, None, Some("sha256"), Some("sha512")]);
        let begin = || post(PostQuery { algorithm, ..PostQuery::default() }, Body::NONE);
        let steps = match self.random.below(6) {
            0 => vec![post(PostQuery { digest: Some(digest.to_owned()), ..PostQuery::default() }, part(0, length))],
            1 => vec![begin(), put(None, part(0, length))],
            2 => vec![begin(), patch(None, part(0, length)), put(None, Body::NONE)],
            3 => vec![begin(), patch(range(0, cut), part(0, cut)), put(range(cut, length), part(cut, length))],
            4 => vec![
                begin(),
                patch(range(0, cut), part(0, cut)),
                patch(range(cut, length), part(cut, length)),
                put(None, Body::NONE),
            ],
            _ => {
                let from = self.random.chance(70).then(|| self.random.pick(&self.pool.repositories).to_owned());
                let mount = Some(digest.to_owned());
                // The session of a mount that cannot be done is used.
                vec![post(PostQuery { mount, from, ..PostQuery::default() }, Body::NONE), put(None, part(0, length))]
            }
        };
        self.planned.extend(steps);
    }

    /// A POST of any kind, sound or not.
    pub(super) fn post_any(&mut self, repository: &'static str) -> Step {
        let session = self.new_session();
        let digest = self.pool.blob(&mut self.random);
        let content = self.pool.content_of(&digest).expect("the digest of one of the contents");
        let other = self.random.below(self.pool.contents.len());
        let whole = |content: usize| Body { content, first: 0, end: self.pool.contents[content].len(), chunked: false };
        let mut body = if self.random.chance(60) { whole(content) } else { Body::NONE };
        let mut query = PostQuery::default();
        match self.random.below(100) {
            0..25 => {
                query.mount = Some(digest.clone());
                let sources = ["no/such", "Not/A/Name", "", self.pool.repositories[1], self.pool.repositories[2]];
                query.from = self.random.chance(70).then(|| self.random.pick(&sources).to_owned());
                query.digest = self.random.chance(30).then_some(digest);
            }
            25..45 => query.digest = Some(digest),
            45..60 => (query.digest, body) = (Some(digest), whole(other)),
            60..70 => query.digest = Some(self.random.pick(&["", "sha256:abc", "md5:00", "sha256:"]).to_owned()),
            70..75 => query.mount = Some("sha256:abc".to_owned()),
            75..90 => query.algorithm = Some(self.random.pick(&["sha256", "sha512", "md5", "", "SHA256"])),
            _ => {}
        }
        body.chunked = self.random.chance(30);
        Step::Post { repository, session, query, body }
    }

    /// PUT of a manifest as clients do it: by a tag, or by its digest, with tags or without.
    fn put(&mut self, repository: &'static str, manifest: usize) -> Step {
        let pushed = &self.pool.manifests[manifest];
        if self.random.chance(40) {
            let tag = self.random.pick(&self.pool.tags);
            return Step::PutManifest {
                repository,
                reference: tag,
                tags: Vec::new(),
                kind: self.kind(manifest),
                manifest,
                chunked: self.random.chance(30),
            };
        }
        let digest = if self.random.chance(15) { pushed.sha512() } else { pushed.sha256() };
        let mut step = self.by_digest(repository, manifest, digest);
        if let Step::PutManifest { tags, .. } = &mut step
            && self.random.chance(30)
        {
            tags.extend((0..=self.random.below(3)).map(|_| self.random.pick(&self.pool.tags)));
        }
        step
    }

    fn by_digest(&self, repository: &'static str, manifest: usize, digest: String) -> Step {
        let kind = Some(self.pool.manifests[manifest].media_type.to_owned());
        Step::PutManifest { repository, reference: digest, tags: Vec::new(), kind, manifest, chunked: false }
    }

    /// A content type that fits, mostly.
    fn kind(&mut self, manifest: usize) -> Option<String> {
        let kind = self.pool.manifests[manifest].media_type;
        match self.random.below(20) {
            0 => None,
            1 => Some("application/json; charset=utf-8".to_owned()),
            2 => Some("application/octet-stream".to_owned()),
            3 => Some(format!("{kind}; charset=utf-8")),
            _ => Some(kind.to_owned()),
        }
    }

    /// A manifest whose content may be there or not, in a request that may be sound or not.
    pub(super) fn put_any_manifest(&mut self, model: &Model, repository: &'static str) -> Step {
        let manifest = self.random.below(self.pool.manifests.len());
        let mut step = self.put(repository, manifest);
        let Step::PutManifest { reference, tags, kind, .. } = &mut step else { return step };
        match self.random.below(100) {
            0..6 => *kind = Some(self.random.pick(&["text/plain", "application/vnd.example.manifest+json"]).to_owned()),
            6..12 => *kind = Some(self.random.pick(&self.pool.manifests).media_type.to_owned()),
            12..18 => *reference = self.random.pick(&self.pool.manifests).sha256(),
            18..24 => self.random.pick(&["sha256:bad", "-tag", ".tag", "a+b", "md5:00"]).clone_into(reference),
            24..28 => tags.push("-bad".to_owned()),
            28..30 => tags.extend((0..101).map(|n| format!("t{n}"))),
            30..50 => return self.put_again(model, repository).unwrap_or(step),
            _ => {}
        }
        // A tag that is put has no further tags.
        if !reference.contains(':') {
            tags.clear();
        }
        step
    }

    /// One that is there, once more, perhaps under another tag.
    fn put_again(&mut self, model: &Model, repository: &'static str) -> Option<Step> {
        let there: Vec<_> = model.repository(repository).manifests.keys().collect();
        if there.is_empty() {
            return None;
        }
        let digest = self.random.pick(&there).clone();
        let manifest = self.pool.manifest_of(&digest)?;
        Some(if self.random.chance(50) {
            self.put(repository, manifest)
        } else {
            self.by_digest(repository, manifest, digest)
        })
    }
}
