//! Requests as a proper client sends them, and answers with what every one of them must have.

use std::{fmt, io::Cursor};

use serde_json::Value;
use ureq::{
    Agent, SendBody,
    http::{HeaderMap, Request as Head, header},
};

use crate::waiting::DEADLINE;

/// A request that was not sent yet.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Payload,
}

#[derive(Clone, Debug)]
enum Payload {
    None,
    /// Announced by its `Content-Length`.
    Sized(Vec<u8>),
    /// Of a length that only its end tells.
    Chunked(Vec<u8>),
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Response {
    asked: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &str, url: String) -> Self {
        Self { method: method.to_owned(), url, headers: Vec::new(), body: Payload::None }
    }

    pub(crate) fn header(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub(crate) fn body(self, content: impl AsRef<[u8]>) -> Self {
        Self { body: Payload::Sized(content.as_ref().to_vec()), ..self }
    }

    pub(crate) fn chunked(self, content: impl AsRef<[u8]>) -> Self {
        Self { body: Payload::Chunked(content.as_ref().to_vec()), ..self }
    }

    #[track_caller]
    pub(crate) fn send(self) -> Response {
        let asked = self.url.clone();
        self.try_send().unwrap_or_else(|error| panic!("{asked}: {error}"))
    }

    /// For when the server may be gone.
    #[track_caller]
    pub(crate) fn try_send(self) -> Result<Response, ureq::Error> {
        let asked = format!("{} {}", self.method, self.url);
        let mut head = Head::builder().method(self.method.as_str()).uri(&self.url);
        for (name, value) in &self.headers {
            head = head.header(name, value);
        }
        // A connection for each request: what one of them leaves behind is the wire's subject, not the client's.
        let config = Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None);
        let agent = config.max_idle_connections(0).timeout_global(Some(DEADLINE)).build().new_agent();
        let sent = match self.body {
            Payload::None => agent.run(head.body(())?)?,
            Payload::Sized(content) => agent.run(head.body(content)?)?,
            Payload::Chunked(content) => agent.run(head.body(SendBody::from_owned_reader(Cursor::new(content)))?)?,
        };
        let (head, mut body) = sent.into_parts();
        let body = body.with_config().limit(u64::MAX).read_to_vec()?;
        Ok(Response::new(asked, head.status.as_u16(), head.headers, body))
    }
}

impl Response {
    /// Every answer names the API and the request's id, whatever it says.
    #[track_caller]
    pub(crate) fn new(asked: String, status: u16, headers: HeaderMap, body: Vec<u8>) -> Self {
        let response = Self { asked, status, headers, body };
        assert_eq!(response.header("Docker-Distribution-Api-Version"), Some("registry/2.0"), "{response}");
        assert!(response.header("X-Request-Id").is_some_and(|id| !id.is_empty()), "{response}");
        response
    }

    /// Every value of a header.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        self.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    #[track_caller]
    pub(crate) fn with(self, name: &str, value: impl AsRef<str>) -> Self {
        assert_eq!(self.header(name), Some(value.as_ref()), "{name} of {self}");
        self
    }

    #[track_caller]
    pub(crate) fn without(self, name: &str) -> Self {
        assert_eq!(self.header(name), None, "{name} of {self}");
        self
    }

    #[track_caller]
    pub(crate) fn brings(self, content: impl AsRef<[u8]>) -> Self {
        // Compared as a truth value: nobody wants to read megabytes of a failure.
        assert!(self.body == content.as_ref(), "the body of {self}");
        self
    }

    #[track_caller]
    pub(crate) fn location(&self) -> &str {
        self.header("Location").unwrap_or_else(|| panic!("no Location in {self}"))
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert!(
            self.header("Content-Type").is_some_and(|it| it == "application/json" || it.ends_with("+json")),
            "{self}"
        );
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self}"))
    }

    /// A refusal in the protocol's form; answers with the message of its first error.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status, status, "{self}");
        let errors = self.json()["errors"].as_array().cloned().unwrap_or_else(|| panic!("no errors in {self}"));
        assert!(!errors.is_empty(), "{self}");
        for error in &errors {
            assert_eq!(error["code"], code, "{self}");
            assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{self}");
        }
        errors[0]["message"].as_str().unwrap_or_default().to_owned()
    }
}

impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the answer {} to {}", self.status, self.asked)?;
        for (name, value) in &self.headers {
            writeln!(f, "  {name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
        }
        let start = &self.body[..self.body.len().min(1000)];
        write!(f, "  {} bytes: {}", self.body.len(), String::from_utf8_lossy(start))
    }
}

/// The address of the next page, from `Link`.
pub(crate) fn next_page(response: &Response) -> Option<String> {
    let link = response.headers.get(header::LINK)?.to_str().unwrap();
    let path = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
    Some(path.unwrap_or_else(|| panic!("{link} is no link to a next page")).to_owned())
}
