//! Whoever runs a registry, at its management socket: HTTP/1.1 over a Unix socket, one request to a connection.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::registry::RequestError;

/// Longer than any honest answer takes.
const ANSWER_LIMIT: Duration = Duration::from_mins(2);

#[derive(Clone, Debug)]
pub(crate) struct Operator {
    socket: PathBuf,
}

impl Operator {
    /// The operator of the registry with that data folder.
    pub(crate) fn of(data: &Path) -> Self {
        Self { socket: data.join("cargohold.sock") }
    }

    /// Asks for something; the status and the body of the answer.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<(u16, String), RequestError> {
        let request = format!("POST {path} {body}");
        let answer = self.exchange(path, &body.to_string()).and_then(|answer| {
            read_answer(&answer).ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "it ends too early"))
        });
        answer.map_err(|error| RequestError::Broken { request, source: error.into() })
    }

    fn exchange(&self, path: &str, body: &str) -> io::Result<String> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        let length = body.len();
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: operator\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        stream.write_all(format!("{head}{body}").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

/// Status and body, if the answer came whole.
fn read_answer(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let length = lines.find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:").map(str::to_owned))?;
    (length.trim().parse() == Ok(body.len())).then(|| (status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::read_answer;

    #[test]
    fn an_answer_is_read_if_it_came_whole() {
        let answer = "HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(read_answer(answer), Some((409, "{}".to_owned())));
        assert_eq!(read_answer(&answer[..answer.len() - 1]), None);
        assert_eq!(read_answer("HTTP/1.1 409 Conflict\r\n"), None);
        assert_eq!(read_answer(""), None);
    }
}
