//! A client that costs as little as a client can: HTTP/1.1 by hand over one connection, bodies counted and not copied.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::net::{RecvFlags, recv};

/// No honest answer takes longer.
const ANSWER_LIMIT: Duration = Duration::from_mins(2);

/// What was answered; the body was counted.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) body: u64,
}

/// One connection that is kept.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    host: String,
    /// What came behind the head of an answer already.
    head: Vec<u8>,
}

impl Wire {
    pub(crate) fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        Ok(Self { stream, host: address.to_owned(), head: Vec::with_capacity(8192) })
    }

    /// A request with a body that is there as a whole.
    pub(crate) fn request(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> Result<Answer> {
        self.begin(method, path, headers, body.len() as u64)?;
        self.stream.write_all(body)?;
        self.answer(method == "HEAD")
    }

    /// The head of a request whose body comes after it.
    pub(crate) fn begin(&mut self, method: &str, path: &str, headers: &str, length: u64) -> Result<()> {
        let length =
            if length > 0 || method != "GET" { format!("Content-Length: {length}\r\n") } else { String::new() };
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{length}{headers}\r\n", self.host);
        Ok(self.stream.write_all(head.as_bytes())?)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    pub(crate) fn answer(&mut self, without_body: bool) -> Result<Answer> {
        let end = self.read_head()?;
        let head = String::from_utf8_lossy(&self.head[..end]).into_owned();
        let behind = self.head.len() - end;
        self.head.clear();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status")?;
        let header = |name: &str| {
            head.lines().find_map(|line| {
                let (found, value) = line.split_once(':')?;
                found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        let body = match header("content-length") {
            _ if without_body || status == 204 || status == 304 => 0,
            Some(length) => length.parse().context("no length")?,
            None => bail!("an answer without a length: {head}"),
        };
        ensure!(behind as u64 <= body, "more than the answer came");
        self.discard(body - behind as u64)?;
        Ok(Answer { status, location: header("location"), body })
    }

    /// Reads until the head is whole; answers where it ends.
    fn read_head(&mut self) -> Result<usize> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(end) = self.head.windows(4).position(|four| four == b"\r\n\r\n") {
                return Ok(end + 4);
            }
            let read = self.stream.read(&mut buffer)?;
            ensure!(read > 0, "the server hung up");
            self.head.extend_from_slice(&buffer[..read]);
        }
    }

    /// Takes so many bytes off the connection; the kernel throws them away (tcp(7), `MSG_TRUNC`).
    fn discard(&mut self, mut bytes: u64) -> Result<()> {
        let mut room = vec![0; 1024 * 1024];
        while bytes > 0 {
            let most = room.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
            match recv(&self.stream, &mut room[..most], RecvFlags::TRUNC) {
                Ok((_, 0)) => bail!("the server hung up"),
                Ok((_, read)) => bytes -= read as u64,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
