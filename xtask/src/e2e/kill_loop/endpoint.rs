//! An endpoint that is told of events while the server is killed again and again, and that fails at times itself.
//!
//! Each change that was acknowledged has to be told, at least once, in the words of the request: an event names the id that the
//! answer had. Of two changes of which one was asked for after the other was acknowledged, it is told later. An event that was taken
//! is told again only if the server was killed before it could know: that is one of the last two.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use ureq::http::Method;

use crate::e2e::endpoint::{self, Answer};
use crate::e2e::random::Random;
use crate::e2e::registry::{self, Witness};
use crate::e2e::server::Installation;

/// How many events that were taken may come again after a kill.
const AGAIN: usize = 2;

/// Told of all that happens in one data folder.
#[derive(Debug)]
pub(super) struct Endpoint {
    url: String,
    known: Arc<Known>,
}

/// How it is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// It takes most of what it is told.
    Shaky,
    /// It takes nothing.
    Down,
}

#[derive(Debug)]
struct Known {
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Debug)]
struct State {
    health: Health,
    random: Random,
    /// Goes on with each request and each answer.
    clock: u64,
    acknowledged: Vec<Acknowledged>,
    /// As many of these, from the front, are known to have been told.
    told: usize,
    /// The events that were taken, each where it was taken first.
    taken: Vec<Event>,
    /// Where they are, by their ids.
    places: HashMap<String, usize>,
    /// And by the requests that they tell of.
    places_of_requests: HashMap<String, Vec<usize>>,
    repeated: usize,
    /// What should not have come.
    wrong: Option<String>,
}

/// A change that was asked for and acknowledged.
#[derive(Clone, Debug)]
struct Acknowledged {
    request: String,
    change: Event,
    asked: u64,
    answered: u64,
}

/// What is told of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Event {
    /// The id of the request.
    request: String,
    action: String,
    repository: String,
    /// The tag, or the digest where there is none.
    name: String,
    /// The digest, where it is told beside the tag.
    digest: Option<String>,
}

impl Endpoint {
    pub(super) fn start(seed: u64) -> Result<Self> {
        let state = State {
            health: Health::Shaky,
            random: Random::fork(seed, 2),
            clock: 0,
            acknowledged: Vec::new(),
            told: 0,
            taken: Vec::new(),
            places: HashMap::new(),
            places_of_requests: HashMap::new(),
            repeated: 0,
            wrong: None,
        };
        let known = Arc::new(Known { state: Mutex::new(state), more: Condvar::new() });
        let url = endpoint::listen({
            let known = known.clone();
            move |body| known.receive(body)
        })?;
        Ok(Self { url, known })
    }

    /// The installation, which tells it of everything, and tries again at once.
    pub(super) fn told_by(&self, installation: Installation) -> Installation {
        let setting = |key: &str| format!("CARGOHOLD__NOTIFICATIONS__ENDPOINTS__0__{key}");
        let installation =
            installation.with_variable(&setting("NAME"), "hook").with_variable(&setting("URL"), &self.url);
        installation.with_variable(&setting("BACKOFF"), "10ms").with_variable(&setting("THRESHOLD"), "1000000")
    }

    /// Sees what is acknowledged.
    pub(super) fn witness(&self) -> Arc<dyn Witness> {
        self.known.clone()
    }

    /// From now on.
    pub(super) fn is(&self, health: Health) {
        self.known.state().health = health;
    }

    /// Waits until everything has been told that was acknowledged, and looks at the order.
    pub(super) fn has_been_told(&self, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        let mut state = self.known.state();
        loop {
            if let Some(wrong) = &state.wrong {
                bail!("the endpoint was told something wrong: {wrong}");
            }
            let Some(missing) = state.missing() else { break };
            let left = deadline.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "LOST: the endpoint was never told of {missing:?}");
            state = self.known.more.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.is_in_order()
    }

    /// For the closing line.
    pub(super) fn done(&self) -> String {
        let state = self.known.state();
        format!("{} events told, {} of them twice", state.taken.len(), state.repeated)
    }
}

impl Known {
    fn receive(&self, body: &[u8]) -> Answer {
        let mut state = self.state();
        let down = state.health == Health::Down;
        let answer = match state.random.below(24) {
            0 => Answer::Unavailable,
            1 => Answer::Hangup,
            2 if down => Answer::Hangup,
            _ if down => Answer::Unavailable,
            _ => Answer::Taken,
        };
        if answer == Answer::Taken {
            // Whether the answer reaches the server is another matter.
            if let Err(error) = state.take(body) {
                state.wrong.get_or_insert(format!("{error:#}: {}", String::from_utf8_lossy(body)));
            }
            self.more.notify_all();
        }
        answer
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A thread that panicked fails the run by itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Witness for Known {
    fn asks(&self) -> u64 {
        self.state().tick()
    }

    fn is_answered(&self, asked: u64, (method, path): (&Method, &str), answer: &registry::Answer) {
        let Some(change) = change(method, path, answer.status()) else { return };
        let request = answer.header("x-request-id").unwrap_or_default().to_owned();
        let mut state = self.state();
        let answered = state.tick();
        let change = Event { request: request.clone(), ..change };
        state.acknowledged.push(Acknowledged { request, change, asked, answered });
    }
}

impl State {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn take(&mut self, body: &[u8]) -> Result<()> {
        let envelope: Value = serde_json::from_slice(body)?;
        let told = &envelope["events"][0];
        let id = told["id"].as_str().context("it has no id")?.to_owned();
        if let Some(place) = self.places.get(&id) {
            self.repeated += 1;
            let ago = self.taken.len() - place;
            ensure!(ago <= AGAIN, "it was taken before, {ago} events ago");
            return Ok(());
        }
        let (place, event) = (self.taken.len(), Event::read(told));
        self.places.insert(id, place);
        self.places_of_requests.entry(event.request.clone()).or_default().push(place);
        self.taken.push(event);
        Ok(())
    }

    /// The first of what was acknowledged that was never told.
    fn missing(&mut self) -> Option<&Acknowledged> {
        while let Some(Acknowledged { request, change, .. }) = self.acknowledged.get(self.told) {
            let mut places = self.places_of_requests.get(request).into_iter().flatten();
            if !places.any(|place| self.taken[*place].tells_of(change)) {
                break;
            }
            self.told += 1;
        }
        self.acknowledged.get(self.told)
    }

    /// Of two changes of which one was asked for after the other was answered, it was told later.
    fn is_in_order(&self) -> Result<()> {
        let place = |acknowledged: &Acknowledged| self.places_of_requests.get(&acknowledged.request)?.first().copied();
        let mut changes: Vec<_> =
            self.acknowledged.iter().filter_map(|change| Some((place(change)?, change))).collect();
        changes.sort_by_key(|(place, _)| std::cmp::Reverse(*place));
        let mut earliest: Option<&Acknowledged> = None;
        for (_, change) in changes {
            if let Some(later) = earliest.filter(|later| later.answered < change.asked) {
                bail!("OUT OF ORDER: {later:?} was told behind {change:?}");
            }
            if earliest.is_none_or(|earliest| change.answered < earliest.answered) {
                earliest = Some(change);
            }
        }
        Ok(())
    }
}

impl Event {
    fn read(told: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let target = &told["target"];
        let digest = target["digest"].as_str().map(str::to_owned);
        Self {
            request: text(&told["request"]["id"]),
            action: text(&told["action"]),
            repository: text(&target["repository"]),
            name: target["tag"].as_str().map_or_else(|| digest.clone().unwrap_or_default(), str::to_owned),
            digest,
        }
    }

    /// Whether it tells of what was asked for.
    fn tells_of(&self, change: &Self) -> bool {
        let names = self.name == change.name || self.digest.as_ref() == Some(&change.name);
        self.request == change.request && self.action == change.action && self.repository == change.repository && names
    }
}

/// What an answer acknowledges, if it is a change.
fn change(method: &Method, path: &str, status: u16) -> Option<Event> {
    let (path, query) = path.strip_prefix("/v2/")?.split_once('?').unwrap_or((path.strip_prefix("/v2/")?, ""));
    let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let event = |action: &str, repository: &str, name: &str| {
        let [action, repository, name] = [action, repository, name].map(str::to_owned);
        Some(Event { request: String::new(), action, repository, name, digest: None })
    };
    if let Some((repository, _)) = path.split_once("/blobs/uploads/") {
        return match (status, parameter("mount")) {
            (201, Some(digest)) => event("mount", repository, digest),
            (201, None) => event("push", repository, parameter("digest")?),
            _ => None,
        };
    }
    let (repository, name) = path.split_once("/manifests/").or_else(|| path.split_once("/blobs/"))?;
    match (method.as_str(), status) {
        ("PUT", 201) => event("push", repository, name),
        ("DELETE", 202) => event("delete", repository, name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(request: &str, action: &str, name: &str) -> Event {
        let [request, action, name] = [request, action, name].map(str::to_owned);
        Event { request, action, repository: "c".to_owned(), name, digest: None }
    }

    /// Changes as (request, asked, answered), and the requests whose events were taken, in that order; whether all is well.
    fn is_well(changes: &[(&str, u64, u64)], taken: &[&str]) -> Result<(), String> {
        let endpoint = Endpoint::start(1).unwrap();
        let mut state = endpoint.known.state();
        for (request, asked, answered) in changes {
            let change = event(request, "push", request);
            let acknowledged =
                Acknowledged { request: (*request).to_owned(), change, asked: *asked, answered: *answered };
            state.acknowledged.push(acknowledged);
        }
        for request in taken {
            let target = serde_json::json!({ "repository": "c", "tag": request });
            let told = serde_json::json!({
                "id": request, "action": "push", "target": target, "request": { "id": request } });
            let body = serde_json::json!({ "events": [told] }).to_string();
            state.take(body.as_bytes()).map_err(|error| error.to_string())?;
        }
        drop(state);
        endpoint.has_been_told(Duration::ZERO).map_err(|error| error.to_string())
    }

    #[test]
    fn all_that_was_acknowledged_has_to_be_told() {
        assert_eq!(is_well(&[("a", 1, 2)], &["a", "never-acknowledged"]), Ok(()));
        assert!(is_well(&[("a", 1, 2), ("b", 3, 4)], &["a"]).unwrap_err().starts_with("LOST"));
    }

    #[test]
    fn what_came_after_an_answer_is_told_later() {
        let overlapping = [("a", 1, 3), ("b", 2, 4)];
        assert_eq!(is_well(&overlapping, &["a", "b"]), Ok(()));
        assert_eq!(is_well(&overlapping, &["b", "a"]), Ok(()));
        let one_after_the_other = [("a", 1, 2), ("b", 3, 4), ("c", 1, 9)];
        assert_eq!(is_well(&one_after_the_other, &["a", "c", "b"]), Ok(()));
        assert!(is_well(&one_after_the_other, &["b", "c", "a"]).unwrap_err().starts_with("OUT OF ORDER"));
    }

    #[test]
    fn only_the_last_two_may_come_again() {
        assert_eq!(is_well(&[], &["a", "b", "c", "b", "c", "b", "c", "d"]), Ok(()));
        assert!(is_well(&[], &["a", "b", "c", "a"]).unwrap_err().contains("3 events ago"));
    }

    #[test]
    fn an_answer_tells_what_it_acknowledges() {
        let told = |method: Method, path: &str, status| {
            change(&method, path, status).map(|event| format!("{} {} {}", event.action, event.repository, event.name))
        };
        let told = |method, path, status| told(method, path, status).unwrap_or_default();
        assert_eq!(told(Method::PUT, "/v2/a/b/manifests/v1", 201), "push a/b v1");
        assert_eq!(told(Method::DELETE, "/v2/c/blobs/sha256:0", 202), "delete c sha256:0");
        assert_eq!(told(Method::POST, "/v2/c/blobs/uploads/?mount=sha256:0&from=d", 201), "mount c sha256:0");
        assert_eq!(told(Method::PUT, "/v2/c/blobs/uploads/7?s=x&digest=sha256:0", 201), "push c sha256:0");
        for nothing in [(Method::POST, "/v2/c/blobs/uploads/", 202), (Method::GET, "/v2/c/manifests/v1", 200)] {
            assert_eq!(told(nothing.0, nothing.1, nothing.2), "");
        }
    }
}
