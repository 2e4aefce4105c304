//! A connection, byte by byte: for what a proper client hides or does not do.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use rustix::net::sockopt::set_socket_linger;
use ureq::http::{HeaderMap, HeaderName, HeaderValue};

use crate::{client::Response, registry::Registry, waiting::DEADLINE};

#[derive(Debug)]
pub(crate) struct Wire<S = TcpStream> {
    stream: BufReader<S>,
    asked: String,
    /// A shared registry ends with its last handle, and somebody who is connected is one who uses it.
    _registry: Arc<Registry>,
}

impl Wire {
    pub(crate) fn connect(registry: Arc<Registry>) -> Self {
        Self::of(connect(&registry), registry)
    }

    /// Has the kernel end the connection at once, as a client that crashed does.
    pub(crate) fn reset(self) {
        set_socket_linger(self.stream.get_ref(), Some(Duration::ZERO)).unwrap();
    }
}

impl<S: Read + Write> Wire<S> {
    /// A connection to a registry.
    pub(crate) fn of(stream: S, registry: Arc<Registry>) -> Self {
        Self { stream: BufReader::new(stream), asked: String::new(), _registry: registry }
    }

    /// Sends the head of a request and nothing of its body.
    pub(crate) fn begin(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) {
        self.asked = format!("{method} {path}");
        let headers: String = headers.iter().map(|(name, value)| [name, ": ", value, "\r\n"].concat()).collect();
        self.send(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"));
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    #[track_caller]
    pub(crate) fn get(&mut self, path: &str) -> Response {
        self.begin("GET", path, &[]);
        self.answer()
    }

    /// One chunk of a body in chunked transfer encoding; an empty one ends it.
    pub(crate) fn send_chunk(&mut self, bytes: &[u8]) {
        self.send([format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat());
    }

    /// An answer with a body, which must have a `Content-Length` if it has one at all.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Response {
        let (status, headers) = self.head();
        let length = headers.get("content-length").map_or(0, |length| length.to_str().unwrap().parse().unwrap());
        assert!(headers.get("transfer-encoding").is_none(), "{} has no length", self.asked);
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        Response::new(self.asked.clone(), status, headers, body)
    }

    /// The head of an answer; its body, if any, is left to be read.
    #[track_caller]
    pub(crate) fn answer_head(&mut self) -> Response {
        let (status, headers) = self.head();
        Response::new(self.asked.clone(), status, headers, Vec::new())
    }

    /// Status and headers, also of an interim answer.
    #[track_caller]
    pub(crate) fn head(&mut self) -> (u16, HeaderMap) {
        let first = self.line();
        let status = first.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|code| code.parse().ok());
        let status = status.unwrap_or_else(|| panic!("{first:?} came as the answer to {}", self.asked));
        let mut headers = HeaderMap::new();
        loop {
            let line = self.line();
            if line.is_empty() {
                return (status, headers);
            }
            let (name, value) = line.split_once(':').unwrap();
            headers.append(name.parse::<HeaderName>().unwrap(), value.trim().parse::<HeaderValue>().unwrap());
        }
    }

    #[track_caller]
    pub(crate) fn read_exact(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// All that comes until the server closes the connection.
    #[track_caller]
    pub(crate) fn rest(mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// Closes the connection, whatever was promised.
    pub(crate) fn hang_up(self) {
        drop(self);
    }

    /// The connection itself, for what is no request.
    pub(crate) fn stream(&mut self) -> &mut S {
        self.stream.get_mut()
    }

    #[track_caller]
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the connection ended in the answer to {}", self.asked);
        line.trim_end().to_owned()
    }
}

/// A connection on which nothing was said yet.
pub(crate) fn connect(registry: &Registry) -> TcpStream {
    let stream = TcpStream::connect(registry.addr()).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream
}
