//! HTTP/1.1 by TLS, byte by byte.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use ureq::http::{HeaderMap, HeaderName, HeaderValue};

use crate::{client::Response, waiting::DEADLINE};

/// A connection.
pub(super) struct Secure {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
    asked: String,
}

impl Secure {
    /// Shakes hands to the end: a server that refuses a client's certificate says so at last by now.
    pub(super) fn connect(addr: SocketAddr, client: ClientConfig) -> io::Result<Self> {
        let tcp = TcpStream::connect(addr)?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(DEADLINE))?;
        tcp.set_write_timeout(Some(DEADLINE))?;
        let session = ClientConnection::new(Arc::new(client), "localhost".try_into().unwrap()).unwrap();
        let mut stream = StreamOwned::new(session, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self { stream: BufReader::new(stream), asked: String::new() })
    }

    /// What the server has shown.
    pub(super) fn certificate(&self) -> Vec<u8> {
        self.stream.get_ref().conn.peer_certificates().unwrap()[0].to_vec()
    }

    /// What both agreed upon, by its name in Go.
    pub(super) fn suite(&self) -> String {
        format!("{:?}", self.stream.get_ref().conn.negotiated_cipher_suite().unwrap().suite())
    }

    pub(super) fn begin(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) {
        self.try_begin(method, path, headers).unwrap();
    }

    fn try_begin(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) -> io::Result<()> {
        self.asked = format!("{method} {path}");
        let headers: String = headers.iter().map(|(name, value)| [name, ": ", value, "\r\n"].concat()).collect();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        self.stream.get_mut().write_all(head.as_bytes())
    }

    pub(super) fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let length = body.len().to_string();
        let headers: Vec<_> = headers.iter().copied().chain([("Content-Length", length.as_str())]).collect();
        self.begin(method, path, &headers);
        self.stream.get_mut().write_all(body).unwrap();
        self.answer()
    }

    #[track_caller]
    pub(super) fn get(&mut self, path: &str) -> Response {
        self.begin("GET", path, &[]);
        self.answer()
    }

    /// Whether a request is answered: a client that shows nothing may learn only now that it should have.
    pub(super) fn is_served(&mut self) -> bool {
        let mut first = [0];
        self.try_begin("GET", "/v2/", &[]).and_then(|()| self.stream.read_exact(&mut first)).is_ok()
    }

    #[track_caller]
    fn answer(&mut self) -> Response {
        let ((status, headers), length) = self.head();
        let body = self.body(length);
        Response::new(self.asked.clone(), status, headers, body)
    }

    /// Status and headers, and the length that they announce.
    #[track_caller]
    pub(super) fn head(&mut self) -> ((u16, HeaderMap), usize) {
        let first = self.line();
        let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok());
        let status = status.unwrap_or_else(|| panic!("{first:?} came as the answer to {}", self.asked));
        let mut headers = HeaderMap::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(':') else { break };
            headers.append(name.parse::<HeaderName>().unwrap(), value.trim().parse::<HeaderValue>().unwrap());
        }
        let length = headers.get("content-length").map_or(0, |length| length.to_str().unwrap().parse().unwrap());
        ((status, headers), length)
    }

    #[track_caller]
    pub(super) fn body(&mut self, length: usize) -> Vec<u8> {
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        body
    }

    /// The server has nothing more to say, and says so: an end that TLS does not know of would be an error here.
    #[track_caller]
    pub(super) fn ends(mut self) {
        assert_eq!(self.stream.read(&mut [0]).unwrap(), 0);
    }

    #[track_caller]
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the connection ended in the answer to {}", self.asked);
        line.trim_end().to_owned()
    }
}
