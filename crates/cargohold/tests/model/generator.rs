//! Which step comes next. It looks at the model, so that requests often mean something; what they bring about is for the model
//! and the server to say.

mod pushes;
mod reads;
mod sessions;

use std::collections::VecDeque;

use rustix::process::Signal;

use crate::{
    model::Model,
    pool::Pool,
    random::Random,
    step::{Amiss, Session, Step},
};

#[derive(Debug)]
pub(crate) struct Generator<'p> {
    pool: &'p Pool,
    random: Random,
    /// What was begun and goes on, such as a manifest after its blobs.
    planned: VecDeque<Step>,
    next_session: Session,
}

impl<'p> Generator<'p> {
    pub(crate) fn new(pool: &'p Pool, random: Random) -> Self {
        Self { pool, random, planned: VecDeque::new(), next_session: 0 }
    }

    pub(crate) fn next(&mut self, model: &Model) -> Step {
        loop {
            // Now and then something comes in between.
            let interrupted = self.random.chance(15);
            if let Some(step) = self.planned.pop_front_if(|_| !interrupted) {
                return step;
            }
            if let Some(step) = self.single(model) {
                return step;
            }
        }
    }

    /// Plans several steps, or answers one.
    fn single(&mut self, model: &Model) -> Option<Step> {
        let repository = self.repository();
        Some(match self.random.below(100) {
            0..16 => return self.plan_image(model, repository),
            16..19 => return self.plan_blob(repository),
            19..25 => self.put_any_manifest(model, repository),
            25..29 => self.post_any(repository),
            29..49 => self.session(model, repository),
            49..59 => self.read_blob(model, repository),
            59..67 => self.read_manifest(model, repository),
            67..79 => self.list(model, repository),
            79..89 => return self.plan_deletion(model, repository),
            89..93 => self.delete_blob(model, repository),
            93..97 => Step::Amiss(self.amiss(repository)),
            97..99 => return self.plan_look(model, repository),
            _ => return self.plan_restart(model),
        })
    }

    fn repository(&mut self) -> &'static str {
        // The first is used more than the others, so that more meets there.
        if self.random.chance(50) { self.pool.repositories[0] } else { self.random.pick(&self.pool.repositories) }
    }

    /// What was there before is there afterwards.
    fn plan_restart(&mut self, model: &Model) -> Option<Step> {
        if self.random.chance(50) {
            return None;
        }
        self.planned.push_back(Step::Restart(self.random.pick(&[Signal::TERM, Signal::KILL])));
        for repository in self.pool.repositories.clone() {
            self.plan_look(model, repository);
        }
        None
    }

    fn new_session(&mut self) -> Session {
        self.next_session += 1;
        self.next_session
    }

    /// Something that means nothing.
    fn amiss(&mut self, repository: &str) -> Amiss {
        let blob = self.pool.blob(&mut self.random);
        if self.random.chance(50) {
            let name = self.random.pick(&["A", "a//b", "-a", "a..b", "a___b", "a/_b", "a%20b"]);
            let path = [
                format!("blobs/{blob}"),
                "manifests/latest".to_owned(),
                "tags/list".to_owned(),
                format!("referrers/{blob}"),
            ];
            let path = self.random.pick(&path);
            let method = self.random.pick(&["GET", "HEAD"]);
            return Amiss {
                method,
                target: format!("/v2/{name}/{path}"),
                status: 400,
                code: "NAME_INVALID",
                allow: None,
            };
        }
        let kinds = [
            (format!("/v2/{repository}/blobs/{blob}"), "GET, HEAD, DELETE"),
            (format!("/v2/{repository}/manifests/latest"), "GET, HEAD, PUT, DELETE"),
            (format!("/v2/{repository}/blobs/uploads/"), "POST"),
            (format!("/v2/{repository}/tags/list"), "GET, HEAD"),
            (format!("/v2/{repository}/referrers/{blob}"), "GET, HEAD"),
            ("/v2/_catalog".to_owned(), "GET, HEAD"),
            ("/v2/".to_owned(), "GET, HEAD"),
            ("/v2/_oci/ext/discover".to_owned(), "GET, HEAD"),
        ];
        let (target, allow) = self.random.pick(&kinds);
        let methods = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"];
        let methods: Vec<_> =
            methods.into_iter().filter(|method| !allow.split(", ").any(|one| one == *method)).collect();
        Amiss { method: self.random.pick(&methods), target, status: 405, code: "UNSUPPORTED", allow: Some(allow) }
    }
}
