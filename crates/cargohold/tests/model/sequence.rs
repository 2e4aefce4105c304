//! Steps taken against a server of their own, each answer compared with the model's.

use std::{collections::BTreeMap, fmt};

use crate::{
    client::{Answer, Client, Request},
    model::{Model, References},
    pool::Pool,
    promise::{Expected, Promise},
    server::{Server, Settings},
    step::{Session, Step},
};

/// How a server is set up, and what the model has to know of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Configuration {
    pub(crate) settings: Settings,
    pub(crate) references: References,
}

#[derive(Debug)]
pub(crate) struct Sequence<'p> {
    pool: &'p Pool,
    pub(crate) model: Model,
    server: Server,
    client: Client,
    /// Where the server says that sessions are.
    locations: BTreeMap<Session, String>,
    /// What was sent and answered, for people.
    told: Vec<String>,
}

/// The step whose answer is not what it must be.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// Its number in its sequence, from 0.
    pub(crate) step: usize,
    /// The request, what was expected, and what came.
    text: String,
    log: String,
    /// All steps to here, as they were sent and answered.
    told: Vec<String>,
}

impl<'p> Sequence<'p> {
    pub(crate) fn start(pool: &'p Pool, configuration: Configuration) -> Self {
        let server = Server::start(configuration.settings);
        let client = Client::new(server.addr());
        let model = Model::new(configuration.references, pool);
        Self { pool, model, server, client, locations: BTreeMap::new(), told: Vec::new() }
    }

    /// Takes one step.
    pub(crate) fn take(&mut self, step: &Step) -> Result<(), Failure> {
        let expected = self.model.answer(step, self.pool);
        let request = step.request(self.pool, |repository, session| self.location(repository, session));
        let Some(request) = request else {
            self.restart(step);
            return Ok(());
        };
        let answer = match self.client.send(&request) {
            Ok(answer) => answer,
            Err(error) => return Err(self.failure(&request, &expected, &error.to_string(), "no answer")),
        };
        self.told.push(format!("{request}\n    -> {}", answer.status));
        let kept = expected.check(&answer).and_then(|promise| self.follow(step, promise, &answer));
        kept.map_err(|wrong| self.failure(&request, &expected, &wrong, &answer.to_string()))
    }

    fn restart(&mut self, step: &Step) {
        if let Step::Restart(signal) = step {
            self.server.restart(*signal);
            self.client = Client::new(self.server.addr());
            self.told.push(format!("restart by {signal:?}"));
        }
    }

    /// Where a session is to be found through a repository; where none ever was, if there is no such session.
    fn location(&self, repository: &str, session: Session) -> String {
        let nowhere = format!("/v2/{repository}/blobs/uploads/018f3c1e-7b9a-7cc0-8a51-{session:012x}");
        let Some(location) = self.locations.get(&session) else { return nowhere };
        let own = location.starts_with(&format!("/v2/{repository}/blobs/uploads/"));
        if own { location.clone() } else { format!("/v2/{repository}/blobs/uploads/{}", id(location)) }
    }

    /// Remembers where a session is, if the answer tells of one.
    fn follow(&mut self, step: &Step, promise: &Promise, answer: &Answer) -> Result<(), String> {
        let (Some(session), Some(repository)) = (promise.session, step.repository()) else { return Ok(()) };
        let location = answer.header("location").ok_or("no Location tells where the session is")?;
        if !location.starts_with(&format!("/v2/{repository}/blobs/uploads/")) {
            return Err(format!("{location} is no session of {repository}"));
        }
        if answer.header("docker-upload-uuid") != Some(id(location)) {
            return Err("Docker-Upload-UUID is not the session's id".to_owned());
        }
        let begins = matches!(step, Step::Post { .. });
        let same = |other: &String| id(other) == id(location);
        let right =
            if begins { !self.locations.values().any(same) } else { self.locations.get(&session).is_some_and(same) };
        self.locations.insert(session, location.to_owned());
        right.then_some(()).ok_or_else(|| format!("{location} is another session's"))
    }

    fn failure(&self, request: &Request, expected: &Expected, wrong: &str, came: &str) -> Failure {
        let text = format!("{wrong}\n  request:  {request}\n  expected: {expected}\n  came:     {came}");
        let step = self.told.len().saturating_sub(1);
        Failure { step, text, log: self.server.log(), told: self.told.clone() }
    }
}

impl Failure {
    /// The last so many steps to the one that failed, as they were sent and answered.
    pub(crate) fn last_steps(&self, most: usize) -> String {
        let skipped = self.told.len().saturating_sub(most);
        let steps = self.told.iter().enumerate().skip(skipped).map(|(number, step)| format!("{number:>4} {step}\n"));
        format!("the steps to it:\n{}", steps.collect::<String>())
    }
}

/// The last part of a location's path.
fn id(location: &str) -> &str {
    let path = location.split('?').next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "step {}: {}", self.step, self.text)?;
        if !self.log.is_empty() {
            writeln!(f, "the end of the server's log:\n{}", self.log)?;
        }
        Ok(())
    }
}
