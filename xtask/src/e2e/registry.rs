//! A registry as the suite sees it: names for the clients' command lines, and raw requests to check what they did.
//!
//! The requests do what they are told and nothing more: no retries, no redirects, no decoding. An answer that never came
//! ([`RequestError::Broken`]) is told apart from one that was not expected, since the kill loop causes the first and accepts no second.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ureq::http::request::Builder;
use ureq::http::{Method, Request, Response, Uri};
use ureq::{Agent, SendBody};

use super::digest;
use super::images::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};

/// Longer than any honest answer takes; a request that hits it counts as broken.
const ANSWER_LIMIT: Duration = Duration::from_mins(2);

/// A registry on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Registry {
    address: String,
    /// Stands before the name of every repository.
    prefix: String,
    agent: Agent,
    witness: Option<Arc<dyn Witness>>,
}

/// Sees what is asked of a registry and what it answers.
pub(crate) trait Witness: fmt::Debug + Send + Sync {
    /// Something is about to be asked. What is answered is handed over with its answer.
    fn asks(&self) -> u64;

    /// A whole answer came to what was asked then.
    fn is_answered(&self, asked: u64, request: (&Method, &str), answer: &Answer);
}

/// Why a request was not answered as it should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("{request}: no whole answer: {source}")]
    Broken { request: String, source: ureq::Error },
    #[error("{request}: answered {status}, not {expected}: {body}")]
    Unexpected { request: String, status: u16, expected: &'static str, body: String },
    #[error("{request}: {what}")]
    Wrong { request: String, what: String },
}

/// An answer that came whole.
#[derive(Debug)]
pub(crate) struct Answer {
    request: String,
    response: Response<()>,
    pub(crate) body: Vec<u8>,
}

/// How the bytes of a request are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Payload<'a> {
    /// With their length.
    Sized(&'a [u8]),
    /// In chunks, as a client does that does not know the length.
    Chunked(&'a [u8]),
}

/// A manifest as it was served; its digest was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServedManifest {
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: String,
    pub(crate) media_type: String,
}

impl Registry {
    /// The registry at `host:port`.
    pub(crate) fn at(address: &str) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(ANSWER_LIMIT))
            .user_agent("cargohold-xtask")
            .build()
            .new_agent();
        Self { address: address.to_owned(), prefix: String::new(), agent, witness: None }
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The same registry, with all repositories below this path: a run's own, whatever others have left.
    pub(crate) fn below(&self, path: &str) -> Self {
        Self { prefix: format!("{}{path}/", self.prefix), ..self.clone() }
    }

    /// The same registry, with somebody who sees all that it is asked from here on.
    pub(crate) fn seen_by(&self, witness: Arc<dyn Witness>) -> Self {
        Self { witness: Some(witness), ..self.clone() }
    }

    /// How clients name an image here.
    pub(crate) fn image(&self, repository: &str, tag: &str) -> String {
        format!("{}:{tag}", self.repository(repository))
    }

    /// How clients name an image by its digest.
    pub(crate) fn image_by_digest(&self, repository: &str, digest: &str) -> String {
        format!("{}@{digest}", self.repository(repository))
    }

    /// How clients name a repository here.
    pub(crate) fn repository(&self, repository: &str) -> String {
        format!("{}/{}{repository}", self.address, self.prefix)
    }

    /// The path of something in a repository: `rest` starts after the name.
    pub(crate) fn path(&self, repository: &str, rest: &str) -> String {
        format!("/v2/{}{repository}/{rest}", self.prefix)
    }

    /// Whether it answers `GET /v2/` with 200, or asks for a password, or says that it is below another path.
    pub(crate) fn answers(&self) -> bool {
        self.send(&Method::GET, "/v2/", &[], None).is_ok_and(|answer| matches!(answer.status(), 200 | 401 | 404))
    }

    /// A manifest by tag or digest; `None` if there is none.
    pub(crate) fn manifest(&self, repository: &str, reference: &str) -> Result<Option<ServedManifest>, RequestError> {
        // Some registries convert what they serve for clients that do not say that they know the newer types.
        let known = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST].join(", ");
        let accept = [("Accept", known.as_str())];
        let answer =
            self.send(&Method::GET, &self.path(repository, &format!("manifests/{reference}")), &accept, None)?;
        if answer.status() == 404 {
            return Ok(None);
        }
        let answer = answer.expect(200, "200 or 404")?;
        let digest = answer.required("docker-content-digest")?;
        let computed = digest::same_algorithm(&digest, &answer.body);
        if computed != digest {
            return Err(answer.wrong(format!("is said to be {digest}, but its bytes are {computed}")));
        }
        if reference.contains(':') && reference != digest {
            return Err(answer.wrong(format!("is {digest}")));
        }
        Ok(Some(ServedManifest { digest, media_type: answer.required("content-type")?, bytes: answer.body }))
    }

    /// A blob's bytes; `None` if there is none. What is served under a digest that it does not have is an error.
    pub(crate) fn blob(&self, repository: &str, digest: &str) -> Result<Option<Vec<u8>>, RequestError> {
        let path = self.path(repository, &format!("blobs/{digest}"));
        let head = self.send(&Method::HEAD, &path, &[], None)?;
        let answer = self.send(&Method::GET, &path, &[], None)?;
        if head.status() != answer.status() {
            return Err(answer.wrong(format!("is {} to GET, but {} to HEAD", answer.status(), head.status())));
        }
        if answer.status() == 404 {
            return Ok(None);
        }
        let answer = answer.expect(200, "200 or 404")?;
        let computed = digest::same_algorithm(digest, &answer.body);
        if computed != digest {
            return Err(answer.wrong(format!("{} bytes were served whose digest is {computed}", answer.body.len())));
        }
        if head.required("content-length")? != answer.body.len().to_string() {
            return Err(
                head.wrong(format!("names another length than the {} bytes that GET served", answer.body.len()))
            );
        }
        Ok(Some(answer.body))
    }

    /// The names in a repository's tag list, in order; none for a repository that is not there.
    pub(crate) fn tags(&self, repository: &str) -> Result<Vec<String>, RequestError> {
        let answer = self.send(&Method::GET, &self.path(repository, "tags/list"), &[], None)?;
        if answer.status() == 404 {
            return Ok(Vec::new());
        }
        let answer = answer.expect(200, "200 or 404")?;
        let list: serde_json::Value =
            serde_json::from_slice(&answer.body).map_err(|error| answer.wrong(format!("is not JSON: {error}")))?;
        let tags = list["tags"].as_array().into_iter().flatten();
        let mut tags: Vec<String> = tags.filter_map(|tag| tag.as_str().map(str::to_owned)).collect();
        tags.sort();
        Ok(tags)
    }

    /// Sends one request and reads the answer to its end.
    pub(crate) fn send(
        &self,
        method: &Method,
        path: &str,
        headers: &[(&str, &str)],
        payload: Option<Payload<'_>>,
    ) -> Result<Answer, RequestError> {
        let request = format!("{method} {path}");
        let broken = |source| RequestError::Broken { request: request.clone(), source };
        let mut builder = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let asked = self.witness.as_ref().map(|witness| witness.asks());
        let (response, body) = exchange(&self.agent, builder, payload).map_err(broken)?;
        let answer = Answer { request, response, body };
        if let (Some(witness), Some(asked)) = (&self.witness, asked) {
            witness.is_answered(asked, (method, path), &answer);
        }
        Ok(answer)
    }
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The answer itself if it has this status; `expected` is for people.
    pub(crate) fn expect(self, status: u16, expected: &'static str) -> Result<Self, RequestError> {
        if self.status() == status {
            return Ok(self);
        }
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(1000)]).into_owned();
        Err(RequestError::Unexpected { request: self.request, status: self.response.status().as_u16(), expected, body })
    }

    /// A header that has to be there.
    pub(crate) fn required(&self, name: &str) -> Result<String, RequestError> {
        self.header(name).map(str::to_owned).ok_or_else(|| self.wrong(format!("has no {name}")))
    }

    /// The path and query that `Location` names, whichever host stands before them.
    pub(crate) fn location(&self) -> Result<String, RequestError> {
        let location = self.required("location")?;
        let uri: Uri = location.parse().map_err(|_| self.wrong(format!("has no usable Location: {location}")))?;
        uri.path_and_query()
            .map(ToString::to_string)
            .ok_or_else(|| self.wrong(format!("has no path in its Location: {location}")))
    }

    /// An error about this answer.
    pub(crate) fn wrong(&self, what: String) -> RequestError {
        RequestError::Wrong { request: self.request.clone(), what }
    }
}

/// Sends a request with what it carries, and reads the answer to its end.
pub(crate) fn exchange(
    agent: &Agent,
    request: Builder,
    payload: Option<Payload<'_>>,
) -> Result<(Response<()>, Vec<u8>), ureq::Error> {
    let answer = match payload {
        None => agent.run(request.body(())?)?,
        Some(Payload::Sized(bytes)) => agent.run(request.body(bytes)?)?,
        Some(Payload::Chunked(mut bytes)) => agent.run(request.body(SendBody::from_reader(&mut bytes))?)?,
    };
    let (head, mut body) = answer.into_parts();
    let body = body.with_config().limit(u64::MAX).read_to_vec()?;
    Ok((Response::from_parts(head, ()), body))
}

/// `host:port` of a registry on this machine, from what a person wrote. Other machines are refused: the suite is a load test.
pub(crate) fn loopback_address(url: &str) -> Result<String, String> {
    let address = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let loopback = host == "localhost"
        || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if loopback { Ok(address.to_owned()) } else { Err(format!("{url} is not http:// and an address of this machine")) }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::{Method, Payload, Registry, RequestError, loopback_address};
    use crate::e2e::digest;

    /// Answers one connection's first request with `answer` and hangs up; hands back what it was sent.
    fn server(answer: &'static str) -> (Registry, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let registry = Registry::at(&listener.local_addr().unwrap().to_string());
        let thread = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = vec![0; 4096];
            let size = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..size]).into_owned()
        });
        (registry, thread)
    }

    #[test]
    fn an_answer_cut_short_is_broken() {
        let (registry, _thread) = server("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        assert!(matches!(registry.send(&Method::GET, "/v2/", &[], None), Err(RequestError::Broken { .. })));
    }

    #[test]
    fn another_status_is_unexpected_and_told_with_its_body() {
        let (registry, _thread) = server("HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\noops");
        let answer = registry.send(&Method::GET, "/v2/x", &[], None).unwrap();
        assert_eq!(answer.expect(201, "201").unwrap_err().to_string(), "GET /v2/x: answered 500, not 201: oops");
    }

    #[test]
    fn a_location_is_its_path_and_query_whatever_the_host() {
        let (registry, thread) = server(
            "HTTP/1.1 202 Accepted\r\nLocation: http://other:1/v2/a/blobs/uploads/7?s=x\r\nContent-Length: 0\r\n\r\n",
        );
        let answer =
            registry.send(&Method::PATCH, "/v2/", &[("Content-Range", "0-3")], Some(Payload::Sized(b"four"))).unwrap();
        assert_eq!(answer.location().unwrap(), "/v2/a/blobs/uploads/7?s=x");
        let request = thread.join().unwrap().to_lowercase();
        assert!(request.starts_with("patch /v2/ http/1.1\r\n"), "{request}");
        assert!(request.contains("content-length: 4\r\n") && request.contains("content-range: 0-3\r\n"), "{request}");
    }

    #[test]
    fn a_manifest_whose_bytes_have_another_digest_is_an_error() {
        let (registry, _thread) = server(
            "HTTP/1.1 200 OK\r\nContent-Type: x\r\nDocker-Content-Digest: sha256:00\r\nContent-Length: 2\r\n\r\n{}",
        );
        let error = registry.manifest("a", "latest").unwrap_err().to_string();
        assert!(error.contains(&digest::sha256(b"{}")), "{error}");
    }

    #[test]
    fn only_this_machine_is_a_target() {
        assert_eq!(loopback_address("http://127.0.0.1:5000/").unwrap(), "127.0.0.1:5000");
        assert_eq!(loopback_address("localhost:5000").unwrap(), "localhost:5000");
        assert_eq!(loopback_address("[::1]:5000").unwrap(), "[::1]:5000");
        assert!(loopback_address("http://registry.example:5000").is_err());
        assert!(loopback_address("https://127.0.0.1:5000").is_err());
    }
}
