//! An endpoint: it takes whatever it is sent, and keeps it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::Value;

/// It listens until the suite ends.
#[derive(Debug)]
pub(super) struct Receiver {
    addr: SocketAddr,
    taken: Arc<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    events: Mutex<Vec<Value>>,
    more: Condvar,
}

impl Receiver {
    pub(super) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let receiver = Self { addr: listener.local_addr()?, taken: Arc::default() };
        let taken = receiver.taken.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let taken = taken.clone();
                thread::spawn(move || {
                    let mut reader = BufReader::new(stream);
                    while let Some(body) = receive(&mut reader) {
                        taken.take(&body);
                    }
                });
            }
        });
        Ok(receiver)
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/events", self.addr)
    }

    /// Waits until it has taken so many events, each counted once.
    pub(super) fn wait_for(&self, events: usize, patience: Duration) -> Result<Vec<Value>> {
        let deadline = Instant::now() + patience;
        let mut taken = self.taken.events.lock().unwrap_or_else(PoisonError::into_inner);
        while taken.len() < events {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("{} events were told instead of {events}: {:#}", taken.len(), Value::from(taken.clone()));
            }
            taken = self.taken.more.wait_timeout(taken, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(taken.clone())
    }
}

impl Taken {
    fn take(&self, body: &[u8]) {
        let envelope: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        for event in envelope["events"].as_array().into_iter().flatten() {
            // A sender that waited too long for an answer says it again.
            if events.iter().all(|taken| taken["id"] != event["id"]) {
                events.push(event.clone());
            }
        }
        self.more.notify_all();
    }
}

/// The body of a connection's next request, which is answered with 200; none at its end.
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
    reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok()?;
    Some(body)
}
