//! Requests, each on a connection of its own, and their answers.

use std::{fmt, net::SocketAddr};

use ureq::{
    Agent,
    http::{HeaderMap, Request as Head},
};

use crate::PATIENCE;

#[derive(Clone, Debug)]
pub(crate) struct Request {
    asked: String,
    method: &'static str,
    path: String,
    body: Vec<u8>,
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    asked: String,
    pub(crate) status: u16,
    headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &'static str, path: impl Into<String>) -> Self {
        let path = path.into();
        Self { asked: format!("{method} {path}"), method, path, body: Vec::new() }
    }

    pub(crate) fn with(self, body: &[u8]) -> Self {
        Self { body: body.to_vec(), ..self }
    }

    pub(crate) fn send(self, addr: SocketAddr) -> Answer {
        let config = Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None);
        let agent = config.max_idle_connections(0).timeout_global(Some(PATIENCE)).build().new_agent();
        let head = Head::builder().method(self.method).uri(format!("http://{addr}{}", self.path));
        let sent = if matches!(self.method, "GET" | "HEAD" | "DELETE") {
            agent.run(head.body(()).unwrap())
        } else {
            agent.run(head.body(self.body.as_slice()).unwrap())
        };
        let (head, mut body) = sent.unwrap_or_else(|error| panic!("{}: {error}", self.asked)).into_parts();
        let body = body.with_config().limit(u64::MAX).read_to_vec();
        let body = body.unwrap_or_else(|error| panic!("{}: {error}", self.asked));
        Answer { asked: self.asked, status: head.status.as_u16(), headers: head.headers, body }
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body[..self.body.len().min(500)]).into_owned()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} to {}: {}", self.status, self.asked, self.text())
    }
}
