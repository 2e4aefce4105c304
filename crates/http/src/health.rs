//! Whether the registry is well: what its checks last found, and the answers about it.
//!
//! Checks run elsewhere, in the background, and report here; no request waits for one. `/healthz` says that the process
//! lives, `/readyz` whether it should be sent requests. What exactly is wrong is for this machine and for those who have
//! signed in: strangers learn no more than that.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header};
use serde::Serialize;

use crate::{Body, error::ApiError, headers, query::Query};

/// How the registry is that should be sent requests.
const READY: &str = "ready";
/// How a check is that fails.
const DOWN: &str = "down";

/// What is known of how the registry is. Cheap to clone; all clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    checks: Mutex<Vec<Arc<Check>>>,
    /// Checks that are down, and without which nothing is served.
    needed_and_down: AtomicUsize,
    stopping: AtomicBool,
}

/// One thing that is looked at again and again. It counts as well until it was found otherwise.
#[derive(Debug)]
pub struct HealthCheck {
    all: Health,
    check: Arc<Check>,
}

#[derive(Debug)]
struct Check {
    name: String,
    /// Failures in a row from which on it is down, at least 1.
    threshold: usize,
    /// Whether requests are refused while it is down.
    is_needed: bool,
    found: Mutex<Found>,
}

/// What was found last.
#[derive(Debug, Default)]
struct Found {
    failures: usize,
    why: String,
}

/// What is asked about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// `/healthz`
    Alive,
    /// `/readyz`
    Ready,
}

#[derive(Serialize)]
struct Report {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parts: Option<Vec<Part>>,
}

#[derive(Serialize)]
struct Part {
    name: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl Health {
    /// Adds something to look at. It is down after `threshold` failures in a row; if it `is_needed`, requests are refused while it is.
    pub fn check(&self, name: impl Into<String>, threshold: usize, is_needed: bool) -> HealthCheck {
        let check = Check { name: name.into(), threshold: threshold.max(1), is_needed, found: Mutex::default() };
        let check = Arc::new(check);
        lock(&self.0.checks).push(check.clone());
        HealthCheck { all: self.clone(), check }
    }

    /// Has it be said that no requests should come any more, since the process is about to end.
    pub fn stop(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether requests should be sent here.
    pub fn is_ready(&self) -> bool {
        !self.0.stopping.load(Ordering::Relaxed) && lock(&self.0.checks).iter().all(|check| !check.is_down())
    }

    /// Refuses a request while something is down without which nothing is served.
    pub(crate) fn require(&self) -> Result<(), ApiError> {
        match self.0.needed_and_down.load(Ordering::Relaxed) {
            0 => Ok(()),
            _ => Err(ApiError::unhealthy()),
        }
    }

    /// Answers a probe; what exactly is wrong is said if `with_parts`.
    pub(crate) fn answer(&self, probe: Probe, as_json: bool, with_parts: bool) -> Response<Body> {
        let is_ready = probe == Probe::Alive || self.is_ready();
        let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let word = if probe == Probe::Alive { "alive" } else { self.word() };
        let (body, form) = if as_json {
            let parts = (with_parts && probe == Probe::Ready).then(|| self.parts());
            let report = Report { status: word, parts };
            (serde_json::to_string(&report).expect("texts are JSON") + "\n", headers::JSON)
        } else {
            (format!("{word}\n"), HeaderValue::from_static("text/plain; charset=utf-8"))
        };
        let mut response = Response::new(Body::full(body));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, form);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    /// How it is, with all that is looked at.
    pub(crate) fn report(&self) -> impl Serialize + use<> {
        Report { status: self.word(), parts: Some(self.parts()) }
    }

    fn word(&self) -> &'static str {
        match (self.is_ready(), self.0.stopping.load(Ordering::Relaxed)) {
            (true, _) => READY,
            (false, true) => "stopping",
            (false, false) => "not ready",
        }
    }

    /// The checks that are down, by their names, and why.
    pub(crate) fn failing(&self) -> BTreeMap<String, String> {
        let down = self.parts().into_iter().filter(|part| part.status == DOWN);
        down.map(|part| (part.name, part.why.unwrap_or_default())).collect()
    }

    fn parts(&self) -> Vec<Part> {
        let checks = lock(&self.0.checks);
        let parts = checks.iter().map(|check| {
            let found = lock(&check.found);
            let is_down = found.failures >= check.threshold;
            let why = (found.failures > 0).then(|| found.why.clone());
            Part { name: check.name.clone(), status: if is_down { DOWN } else { "ok" }, why }
        });
        parts.collect()
    }
}

impl HealthCheck {
    /// It was found to be well.
    pub fn succeeded(&self) {
        let was_down = {
            let mut found = lock(&self.check.found);
            std::mem::take(&mut *found).failures >= self.check.threshold
        };
        if was_down {
            self.count_down(AtomicUsize::fetch_sub);
            tracing::info!(check = self.check.name, "a health check succeeds again");
        }
    }

    /// It was found otherwise.
    pub fn failed(&self, why: impl fmt::Display) {
        let why = why.to_string();
        let is_down_now = {
            let mut found = lock(&self.check.found);
            found.failures = found.failures.saturating_add(1);
            found.why.clone_from(&why);
            found.failures == self.check.threshold
        };
        if is_down_now {
            self.count_down(AtomicUsize::fetch_add);
            tracing::error!(check = self.check.name, why, "a health check fails");
        }
    }

    fn count_down(&self, how: fn(&AtomicUsize, usize, Ordering) -> usize) {
        if self.check.is_needed {
            how(&self.all.0.needed_and_down, 1, Ordering::Relaxed);
        }
    }
}

impl Check {
    fn is_down(&self) -> bool {
        lock(&self.found).failures >= self.threshold
    }
}

impl Probe {
    /// What a path asks, if it is about this.
    pub(crate) fn of(path: &str) -> Option<Self> {
        match path {
            "/healthz" => Some(Self::Alive),
            "/readyz" => Some(Self::Ready),
            _ => None,
        }
    }

    /// Whether the answer is to be read by a program.
    pub(crate) fn wants_json(uri: &Uri, request: &HeaderMap) -> bool {
        let accept = headers::text(request, header::ACCEPT).unwrap_or_default();
        accept.contains("application/json") || Query::of(uri).first("verbose").is_some()
    }

    /// Refuses what is no question.
    pub(crate) fn require_read(method: &Method) -> Result<(), ApiError> {
        if matches!(*method, Method::GET | Method::HEAD) {
            Ok(())
        } else {
            Err(ApiError::method_not_allowed(method, "GET, HEAD"))
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use http_body_util::BodyExt;

    use super::*;

    fn told(health: &Health, as_json: bool, with_parts: bool) -> (u16, String) {
        let answer = health.answer(Probe::Ready, as_json, with_parts);
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().now_or_never().unwrap().unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn a_check_is_down_after_as_many_failures_in_a_row_as_are_said() {
        let health = Health::default();
        let check = health.check("store", 3, true);
        for _ in 0..2 {
            check.failed("no disk");
            check.failed("no disk");
            assert!(health.is_ready() && health.require().is_ok());
            check.succeeded();
        }
        (0..3).for_each(|_| check.failed("no disk"));
        assert!(!health.is_ready() && health.require().is_err());
        check.failed("no disk");
        check.succeeded();
        assert!(health.is_ready() && health.require().is_ok());
    }

    #[test]
    fn what_is_not_needed_refuses_nothing() {
        let health = Health::default();
        let check = health.check("database", 1, false);
        check.failed("no answer");
        assert!(!health.is_ready() && health.require().is_ok());
    }

    #[test]
    fn strangers_learn_only_whether_all_is_well() {
        let health = Health::default();
        let (database, _store) = (health.check("database", 1, false), health.check("store", 1, false));
        assert_eq!(told(&health, false, false), (200, "ready\n".to_owned()));
        database.failed("no answer from /secret");
        assert_eq!(told(&health, false, true), (503, "not ready\n".to_owned()));
        assert_eq!(told(&health, true, false), (503, "{\"status\":\"not ready\"}\n".to_owned()));
        assert_eq!(
            told(&health, true, true).1,
            "{\"status\":\"not ready\",\"parts\":[{\"name\":\"database\",\"status\":\"down\",\"why\":\"no answer from \
             /secret\"},{\"name\":\"store\",\"status\":\"ok\"}]}\n"
        );
    }

    #[test]
    fn who_stops_is_not_ready() {
        let health = Health::default();
        health.stop();
        assert_eq!(told(&health, false, false), (503, "stopping\n".to_owned()));
        assert_eq!(health.answer(Probe::Alive, false, false).status(), 200);
    }
}
