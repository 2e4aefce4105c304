//! An endpoint that is told of events: a server of HTTP that hands over what it is sent, and answers as it is told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use anyhow::Result;

/// What it does with what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It takes it: 200.
    Taken,
    /// It cannot, for now: 503.
    Unavailable,
    /// It closes the connection, as one that is restarted does.
    Hangup,
}

/// Listens until the suite ends. `take` is handed the body of each request and says what is answered. Answers the address.
pub(crate) fn listen(take: impl Fn(&[u8]) -> Answer + Send + Sync + 'static) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/events", listener.local_addr()?);
    let take = Arc::new(take);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let take = take.clone();
            thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                while let Some(body) = receive(&mut reader) {
                    let status = match take(&body) {
                        Answer::Taken => "200 OK",
                        Answer::Unavailable => "503 Service Unavailable",
                        Answer::Hangup => return,
                    };
                    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                    if reader.get_mut().write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    Ok(url)
}

/// The body of a connection's next request; none at its end.
fn receive(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let (mut line, mut length) = (String::new(), 0);
    loop {
        line.clear();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let head = line.trim_end();
        if head.is_empty() {
            break;
        }
        if let Some((name, value)) = head.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}
