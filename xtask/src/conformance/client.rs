//! The suite's HTTP client: sends a request as it is told and hands back the whole answer.
//!
//! It follows redirects, as registries with object storage need it, and does nothing else by itself: no retries, no decoding, no
//! credentials. Each request has a connection of its own, so that what one test leaves behind cannot spoil the next.

use std::time::Duration;

use ureq::Agent;
use ureq::http::{Method, Request as HttpRequest, Response};

use super::target::{Target, TargetError};
use crate::e2e::registry::{Payload, exchange};

/// Longer than any honest answer takes.
const ANSWER_LIMIT: Duration = Duration::from_mins(1);

/// A registry, and how to ask it.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    authority: String,
    agent: Agent,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<Payload<'a>>,
}

/// What came back, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    head: Response<()>,
    pub(crate) body: Vec<u8>,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The registry is not there: nothing can be said about it.
    #[error("the registry cannot be reached: {0}")]
    Unreachable(ureq::Error),
    #[error("no whole answer: {0}")]
    Broken(ureq::Error),
}

impl Client {
    /// Asks the registry at `host:port`.
    pub(crate) fn new(authority: &str) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(10)
            .proxy(None)
            .max_idle_connections(0)
            .timeout_global(Some(ANSWER_LIMIT))
            .user_agent("cargohold-conformance")
            .build()
            .new_agent();
        Self { authority: authority.to_owned(), agent }
    }

    /// A path of this registry.
    pub(crate) fn target(&self, path: &str) -> Target {
        Target::new(&self.authority, path)
    }

    pub(crate) fn send(&self, request: &Request<'_>) -> Result<Answer, ClientError> {
        let mut builder = HttpRequest::builder().method(&request.method).uri(request.target.url());
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        let (head, body) = exchange(&self.agent, builder, request.body)?;
        Ok(Answer { head, body })
    }
}

impl From<ureq::Error> for ClientError {
    fn from(error: ureq::Error) -> Self {
        use std::io::ErrorKind;
        let unreachable = match &error {
            ureq::Error::Io(error) => matches!(error.kind(), ErrorKind::ConnectionRefused),
            ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => true,
            _ => false,
        };
        if unreachable { Self::Unreachable(error) } else { Self::Broken(error) }
    }
}

impl<'a> Request<'a> {
    pub(crate) fn new(method: Method, target: Target) -> Self {
        Self { method, target, headers: Vec::new(), body: None }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body(mut self, body: Payload<'a>) -> Self {
        self.body = Some(body);
        self
    }

    /// A body of bytes that mean nothing to the registry.
    pub(crate) fn octets(self, body: Payload<'a>) -> Self {
        self.header("Content-Type", "application/octet-stream").body(body)
    }
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.head.status().as_u16()
    }

    /// The first line of that name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.header_lines(name).next()
    }

    /// Every line of that name that is text.
    pub(crate) fn header_lines(&self, name: &str) -> impl Iterator<Item = &str> {
        self.head.headers().get_all(name).iter().filter_map(|value| value.to_str().ok())
    }

    pub(crate) fn all_headers(&self) -> impl Iterator<Item = (&str, String)> {
        let headers = self.head.headers().iter();
        headers.map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
    }

    /// The items of a header that is a list with commas, over all its lines (RFC 9110, section 5.6.1).
    pub(crate) fn header_items(&self, name: &str) -> impl Iterator<Item = &str> {
        self.header_lines(name).flat_map(|line| line.split(',')).map(str::trim)
    }

    /// Where `Location` leads, in an answer to a request that went to `asked`; `None` without one.
    pub(crate) fn location(&self, asked: &Target) -> Option<Result<Target, TargetError>> {
        self.header("location").filter(|location| !location.is_empty()).map(|location| asked.resolve(location))
    }

    #[cfg(test)]
    pub(crate) fn made(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let mut builder = Response::builder().status(status);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        Self { head: builder.body(()).unwrap(), body: body.to_vec() }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::{Answer, Client, ClientError, Method, Payload, Request};

    /// What one request looks like on the wire.
    fn on_the_wire(make: impl FnOnce(&Client) -> Request<'static>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = Client::new(&listener.local_addr().unwrap().to_string());
        let thread = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut seen, mut part) = (Vec::new(), [0; 1024]);
            loop {
                let size = stream.read(&mut part).unwrap();
                seen.extend_from_slice(&part[..size]);
                let text = String::from_utf8_lossy(&seen).to_lowercase();
                // Every request of these tests ends with its head, or with the last chunk of an empty body.
                let end = if text.contains("chunked\r\n") { "\r\n\r\n0\r\n\r\n" } else { "\r\n\r\n" };
                if text.ends_with(end) {
                    stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
                    return text;
                }
            }
        });
        client.send(&make(&client)).unwrap();
        thread.join().unwrap()
    }

    #[test]
    fn an_empty_body_of_unknown_length_is_sent_in_chunks() {
        let seen = on_the_wire(|client| {
            Request::new(Method::PUT, client.target("/v2/").with("digest", "x")).octets(Payload::Chunked(b""))
        });
        assert!(seen.starts_with("put /v2/?digest=x http/1.1\r\n"), "{seen}");
        assert!(seen.contains("transfer-encoding: chunked") && !seen.contains("content-length"), "{seen}");
        assert!(seen.ends_with("\r\n\r\n0\r\n\r\n"), "{seen}");
    }

    #[test]
    fn an_empty_body_of_known_length_says_so() {
        let seen = on_the_wire(|client| Request::new(Method::POST, client.target("/")).body(Payload::Sized(b"")));
        assert!(seen.contains("content-length: 0\r\n") && !seen.contains("chunked"), "{seen}");
    }

    #[test]
    fn a_header_can_have_two_lines() {
        let seen = on_the_wire(|client| {
            Request::new(Method::GET, client.target("/")).header("Accept", "a/b").header("Accept", "c/d")
        });
        assert!(seen.contains("accept: a/b\r\n") && seen.contains("accept: c/d\r\n"), "{seen}");
    }

    #[test]
    fn a_registry_that_is_not_there_is_told_from_one_that_hangs_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = Client::new(&listener.local_addr().unwrap().to_string());
        let request = Request::new(Method::GET, client.target("/"));
        let thread = thread::spawn(move || drop(listener.accept()));
        assert!(matches!(client.send(&request), Err(ClientError::Broken(_))));
        thread.join().unwrap();
        assert!(matches!(client.send(&request), Err(ClientError::Unreachable(_))));
    }

    #[test]
    fn a_list_may_be_spread_over_lines_and_commas() {
        let answer = Answer::made(201, &[("OCI-Tag", "a, b"), ("OCI-Tag", "c")], b"");
        assert_eq!(answer.header_items("oci-tag").collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}
