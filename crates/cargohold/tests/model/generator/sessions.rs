//! What is done to upload sessions, in order and out of it.

use super::Generator;
use crate::{
    digest::{sha256, sha512},
    model::Model,
    step::{Body, PostQuery, Session, Step},
};

/// Headers that are no range of a chunk.
const NO_RANGES: [&str; 6] = ["abc", "3-1", "0-", "-3", "bytes 0-2,4-6", "items 0-2/3"];

impl Generator<'_> {
    pub(super) fn session(&mut self, model: &Model, repository: &'static str) -> Step {
        let open: Vec<_> = model.sessions().iter().rev().take(6).collect();
        if open.len() < 4 && self.random.chance(30) {
            let session = self.new_session();
            return Step::Post { repository, session, query: PostQuery::default(), body: Body::NONE };
        }
        if open.is_empty() || self.random.chance(8) {
            let session = 1 + self.random.below(self.next_session + 1);
            return self.at_any(repository, session, Body::NONE);
        }
        let (session, upload) = self.random.pick(&open);
        let repository = if self.random.chance(5) { repository } else { upload.repository };
        let received = upload.received.len();
        // A content that goes on behind what was received.
        let fitting = |content: &Vec<u8>| content.len() > received && content.starts_with(&upload.received);
        let fitting: Vec<_> = (0..self.pool.contents.len()).filter(|at| fitting(&self.pool.contents[*at])).collect();
        if fitting.is_empty() {
            let whole = self.pool.contents.iter().find(|content| **content == upload.received);
            let digest = sha256(whole.unwrap_or(&upload.received));
            // Only what is in the pool can be pulled again.
            let digest = if whole.is_some() { digest } else { self.pool.nowhere.clone() };
            return Step::Put { repository, session: *session, digest: Some(digest), range: None, body: Body::NONE };
        }
        let content = self.random.pick(&fitting);
        let end = received + 1 + self.random.below(self.pool.contents[content].len() - received);
        let body = Body { content, first: received, end, chunked: self.random.chance(40) };
        if self.random.chance(30) {
            self.at_any(repository, *session, body)
        } else {
            self.in_order(repository, *session, body)
        }
    }

    /// A chunk that fits, or the end.
    fn in_order(&mut self, repository: &'static str, session: Session, mut body: Body) -> Step {
        let range = |body: Body| format!("{}-{}", body.first, body.end - 1);
        let says = self.random.chance(60);
        if self.random.chance(60) {
            let bytes = format!("bytes {}/*", range(body));
            let text = if self.random.chance(10) { bytes } else { range(body) };
            return Step::Patch { repository, session, range: says.then_some(text), body };
        }
        body.end = self.pool.contents[body.content].len();
        let digest = self.digest(body.content);
        Step::Put { repository, session, digest: Some(digest), range: says.then(|| range(body)), body }
    }

    fn digest(&mut self, content: usize) -> String {
        let content = &self.pool.contents[content];
        if self.random.chance(25) { sha512(content) } else { sha256(content) }
    }

    /// Something out of order, or nothing but a question.
    fn at_any(&mut self, repository: &'static str, session: Session, body: Body) -> Step {
        let wrong = |first: usize, length: usize| Some(format!("{first}-{}", first + length.max(1) - 1));
        let length = body.end - body.first;
        let range = match self.random.below(5) {
            0 => wrong(body.first + 1, length),
            1 => wrong(body.first.saturating_sub(1), length),
            2 => wrong(0, length),
            3 => wrong(body.first, length + 1),
            _ => Some(self.random.pick(&NO_RANGES).to_owned()),
        };
        let digest = self.pool.blob(&mut self.random);
        match self.random.below(9) {
            0..3 => Step::Patch { repository, session, range, body },
            3 => Step::Put { repository, session, digest: Some(digest), range, body },
            // Another content than that of the digest, mostly.
            4 => Step::Put { repository, session, digest: Some(digest), range: None, body },
            5 => {
                let bad = self.random.pick(&["", "sha256:abc", "md5:00"]);
                let digest = self.random.chance(70).then(|| (*bad).to_owned());
                Step::Put { repository, session, digest, range: None, body }
            }
            6 => Step::Cancel { repository, session },
            _ => Step::Status { repository, session, head: self.random.chance(30) },
        }
    }
}
