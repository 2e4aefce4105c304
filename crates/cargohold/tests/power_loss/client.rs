//! Requests that do what they are told and nothing more.

use std::{net::SocketAddr, time::Duration};

use ureq::{Agent, http::Request as Head};

/// Far more than any answer takes on a busy machine.
const DEADLINE: Duration = Duration::from_mins(2);

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) media_type: &'static str,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) location: String,
    pub(crate) range: String,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), media_type: "application/octet-stream", body: Vec::new() }
    }

    pub(crate) fn with(self, body: &[u8]) -> Self {
        Self { body: body.to_vec(), ..self }
    }

    pub(crate) fn of_type(self, media_type: &'static str) -> Self {
        Self { media_type, ..self }
    }

    pub(crate) fn send(&self, addr: SocketAddr) -> Result<Answer, ureq::Error> {
        let config = Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None);
        let agent = config.max_idle_connections(0).timeout_global(Some(DEADLINE)).build().new_agent();
        let head = Head::builder().method(self.method).uri(format!("http://{addr}{}", self.path));
        let answer = if matches!(self.method, "GET" | "HEAD" | "DELETE") {
            agent.run(head.body(())?)?
        } else {
            agent.run(head.header("Content-Type", self.media_type).body(self.body.as_slice())?)?
        };
        let (head, mut body) = answer.into_parts();
        let header = |name: &str| head.headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        Ok(Answer {
            status: head.status.as_u16(),
            location: header("Location"),
            range: header("Range"),
            body: body.with_config().limit(u64::MAX).read_to_vec()?,
        })
    }
}

impl Answer {
    /// How many bytes an upload has received, as far as its answer can say: `0-0` is one byte or none.
    pub(crate) fn received(&self) -> usize {
        let last = self.range.strip_prefix("0-").and_then(|last| last.parse::<usize>().ok());
        match last.unwrap_or_else(|| panic!("no Range in {self:?}")) {
            0 => 0,
            last => last + 1,
        }
    }
}
