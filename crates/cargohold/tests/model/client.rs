//! One connection that is kept as long as the server keeps it: what one answer leaves behind would spoil the next.

use std::{
    fmt,
    io::{BufRead, BufReader, Error, ErrorKind, Result, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// Far more than any answer takes on a busy machine.
const DEADLINE: Duration = Duration::from_mins(2);

/// A server may close a connection that nobody used for a while, as when the machine slept.
const IDLE: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Payload,
}

#[derive(Clone, Debug)]
pub(crate) enum Payload {
    None,
    /// Announced by its `Content-Length`.
    Sized(Vec<u8>),
    /// Of a length that only its end tells.
    Chunked(Vec<u8>),
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Client {
    addr: SocketAddr,
    connection: Option<(BufReader<TcpStream>, Instant)>,
}

impl Client {
    pub(crate) fn new(addr: SocketAddr) -> Self {
        Self { addr, connection: None }
    }

    /// Sends a request and reads the whole answer.
    pub(crate) fn send(&mut self, request: &Request) -> Result<Answer> {
        let kept = self.connection.take().filter(|(_, used)| used.elapsed() < IDLE);
        let mut stream = match kept {
            Some((stream, _)) => stream,
            None => self.connect()?,
        };
        stream.get_mut().write_all(&request.bytes())?;
        let answer = read_answer(&mut stream, request.method == "HEAD")?;
        if answer.header("connection") != Some("close") && request.was_read(answer.status) {
            self.connection = Some((stream, Instant::now()));
        }
        Ok(answer)
    }

    fn connect(&self) -> Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect(self.addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        Ok(BufReader::new(stream))
    }
}

impl Request {
    pub(crate) fn new(method: &'static str, target: String) -> Self {
        Self { method, target, headers: Vec::new(), body: Payload::None }
    }

    /// Whether the server must have read the whole request to answer so. If it left something, it may close the connection.
    fn was_read(&self, status: u16) -> bool {
        match &self.body {
            Payload::None => true,
            Payload::Sized(body) if body.is_empty() => true,
            Payload::Sized(_) | Payload::Chunked(_) => self.method == "PATCH" && status == 202,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: localhost\r\n", self.method, self.target);
        head.extend(self.headers.iter().flat_map(|(name, value)| [name, ": ", value, "\r\n"]));
        match &self.body {
            Payload::None => format!("{head}\r\n").into_bytes(),
            Payload::Sized(body) => [format!("{head}Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat(),
            Payload::Chunked(body) => {
                let mut bytes = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
                for chunk in body.chunks(1000) {
                    bytes.extend_from_slice(&[format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
                }
                bytes.extend_from_slice(b"0\r\n\r\n");
                bytes
            }
        }
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |(one, _)| one == name).map(|(_, value)| value.as_str())
    }
}

fn read_answer(stream: &mut impl BufRead, head_only: bool) -> Result<Answer> {
    let first = read_line(stream)?;
    let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| Error::new(ErrorKind::InvalidData, format!("{first:?} begins the answer")))?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(stream)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| Error::new(ErrorKind::InvalidData, line.clone()))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut answer = Answer { status, headers, body: Vec::new() };
    if !head_only && status != 204 && status != 304 {
        answer.body = read_body(stream, &answer)?;
    }
    Ok(answer)
}

fn read_body(stream: &mut impl BufRead, answer: &Answer) -> Result<Vec<u8>> {
    if answer.header("transfer-encoding") != Some("chunked") {
        let length = answer.header("content-length").and_then(|length| length.parse().ok());
        return read_exactly(stream, length.ok_or_else(|| Error::other("an answer without a length"))?);
    }
    let mut body = Vec::new();
    loop {
        let length = usize::from_str_radix(&read_line(stream)?, 16).map_err(Error::other)?;
        body.extend(read_exactly(stream, length)?);
        read_line(stream)?;
        if length == 0 {
            return Ok(body);
        }
    }
}

fn read_exactly(stream: &mut impl BufRead, length: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_line(stream: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => Err(Error::new(ErrorKind::UnexpectedEof, "the connection ended in the midst of an answer")),
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.target)?;
        for (name, value) in &self.headers {
            write!(f, "\n      {name}: {value}")?;
        }
        match &self.body {
            Payload::None => Ok(()),
            Payload::Sized(body) => write!(f, "\n      {}", excerpt(body)),
            Payload::Chunked(body) => write!(f, "\n      chunked, {}", excerpt(body)),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        for (name, value) in &self.headers {
            write!(f, "\n      {name}: {value}")?;
        }
        write!(f, "\n      {}", excerpt(&self.body))
    }
}

/// The beginning of a body, for people.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) if text.len() <= 1000 => format!("{} bytes: {text}", bytes.len()),
        _ => format!("{} bytes: {:?}...", bytes.len(), &bytes[..bytes.len().min(20)]),
    }
}
