//! A run while it grows: opens and closes groups, runs tests in them, and remembers which ways of uploading have held so far.

use std::collections::BTreeMap;

use super::attempt::{Attempt, Setting, Trouble};
use super::content::Blob;
use super::outcome::Outcome;
use super::tree::{Group, Node, Test};
use super::uploads::{self, Way};
use crate::e2e::random::Random;

/// One pass over all tests, against one registry with one set of rules.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    pub(crate) setting: &'a Setting,
    pub(crate) random: Random,
    /// The groups that are open, the innermost last. The run's own is the first and stays.
    open: Vec<Group>,
    /// The worst that each way of uploading has met.
    ways: BTreeMap<Way, Outcome>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(name: &str, setting: &'a Setting, random: Random) -> Self {
        Self { setting, random, open: vec![Group::new(name)], ways: BTreeMap::new() }
    }

    /// Everything that was run.
    pub(crate) fn finish(mut self) -> Group {
        while self.open.len() > 1 {
            self.close();
        }
        self.open.pop().unwrap_or_default()
    }

    /// Runs what belongs together.
    pub(crate) fn group(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        self.open.push(Group::new(name));
        inside(self);
        self.close();
    }

    /// Runs one test; what it found out comes back if it passed.
    pub(crate) fn test<T>(
        &mut self,
        name: &str,
        run: impl FnOnce(&mut Attempt<'a>) -> Result<T, Trouble>,
    ) -> Result<T, Outcome> {
        let mut attempt = Attempt::new(self.setting);
        match run(&mut attempt) {
            Ok(found) => {
                self.record(name, Outcome::Pass, String::new());
                Ok(found)
            }
            Err(trouble) => {
                self.record(name, trouble.outcome(), attempt.story(&trouble));
                Err(trouble.outcome())
            }
        }
    }

    /// Notes how a test ended that needs no request, or no other one.
    pub(crate) fn record(&mut self, name: &str, outcome: Outcome, story: impl Into<String>) {
        let test = Test { name: name.to_owned(), outcome, story: story.into() };
        if let Some(group) = self.open.last_mut() {
            group.children.push(Node::Test(test));
        }
    }

    /// Uploads a blob in one way; whether that worked.
    pub(crate) fn upload(&mut self, way: Way, repository: &str, blob: &Blob) -> bool {
        let end = self.test(way.test_name(), |attempt| uploads::upload(attempt, way, repository, blob));
        let outcome = end.err().unwrap_or(Outcome::Pass);
        let worst = self.ways.entry(way.plain()).or_insert(outcome);
        *worst = outcome.max(*worst);
        outcome == Outcome::Pass
    }

    /// Gets a blob there in whichever way works; whether one did. Ways that never failed are tried first.
    pub(crate) fn upload_somehow(&mut self, repository: &str, blob: &Blob) -> bool {
        let (good, other): (Vec<Way>, Vec<Way>) =
            Way::PREFERENCE.into_iter().partition(|way| self.ways.get(way) == Some(&Outcome::Pass));
        good.into_iter().chain(other).any(|way| self.upload(way, repository, blob))
    }

    fn close(&mut self) {
        if let Some(group) = self.open.pop()
            && let Some(parent) = self.open.last_mut()
        {
            parent.children.push(Node::Group(group));
        }
    }
}
